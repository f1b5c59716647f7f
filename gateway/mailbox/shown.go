package mailbox

import (
	"context"

	"github.com/centerleap/postern/gateway"
	"github.com/centerleap/postern/gateway/content"
)

// Shown is the HTML of a message as people may be shown it.
type Shown struct {
	content.Sanitized
	Hidden bool // it holds text that a style hides
}

// Show returns the HTML of a message that was read whole, sanitised, with its own images
// in it. remote says what to load for an image that is elsewhere; nil: nothing. Of a message
// without HTML there is nothing.
func (m *Mail) Show(ctx context.Context, s gateway.Scope, it Item, remote func(imageURL string) string) (sh Shown, err error) {
	c := &it.Message.Content
	if c.HTMLPart < 0 {
		return sh, nil
	}
	r, err := m.cfg.Store.OpenBlob(ctx, s, it.Message.Blob, c.Parts[c.HTMLPart].BodyAt, c.Parts[c.HTMLPart].BodySize)
	if err != nil {
		return sh, err
	}
	defer r.Close()
	doc, cut, err := content.Text(r, &c.Parts[c.HTMLPart], m.cfg.Limits.HTMLBytes)
	if err != nil {
		return sh, err
	}
	_, sh.Hidden = content.VisibleText(doc)
	sh.Sanitized = content.Sanitize(doc, m.cfg.Limits, remote)
	sh.Cut = sh.Cut || cut
	sh.HTML, err = m.Inline(ctx, s, it, sh.HTML)
	return sh, err
}
