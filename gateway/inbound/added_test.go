package inbound

import (
	"strings"
	"testing"

	"github.com/centerleap/postern/gateway"
	"github.com/centerleap/postern/gateway/content"
)

// What plugins add is in the commit of all copies: too much is the fault of the plugin, not
// of the mail.
func TestAddedToManyCopies(t *testing.T) {
	field := gateway.HeaderField{Name: "X-Long", Value: strings.TrimSpace(strings.Repeat("word ", 180))}
	large := gateway.Verdict{Headers: []gateway.HeaderField{field, field, field}}
	a := &added{reading: &content.Reading{}, copies: 100, limits: gateway.DefaultLimits()}
	if err := a.edit(&gateway.Verdict{Headers: large.Headers[:2]}); err != nil {
		t.Fatal(err)
	}
	if err := a.edit(&large); gateway.KindOf(err) != gateway.InvalidParameter || err == nil || len(a.fields) != 2 {
		t.Errorf("%d fields: %v", len(a.fields), err)
	}
	a.copies = 1
	if err := a.edit(&large); err != nil || len(a.fields) != 5 {
		t.Errorf("%d fields: %v", len(a.fields), err)
	}
}
