package mailbox

import (
	"bytes"
	"context"
	"strings"

	"github.com/centerleap/postern/gateway"
	"github.com/centerleap/postern/gateway/content"
	"github.com/centerleap/postern/gateway/search"
)

// HeaderHas reports whether a field of this name contains a text, in any case;
// an empty text asks for the field alone. RFC 9051 section 6.4.4.
func (v *View) HeaderHas(ctx context.Context, m *gateway.Message, name, text string) (bool, error) {
	if strings.EqualFold(name, "Subject") && text != "" {
		return search.Contains(m.Content.Subject, text), nil
	}
	head, ok := Locate(m, Section{What: "HEADER"})
	if !ok {
		return false, nil
	}
	raw, err := v.bytes(ctx, m, head)
	if err != nil {
		return false, err
	}
	fields, err := content.Header(bytes.NewReader(raw), v.mail.cfg.Limits)
	if err != nil {
		return false, err
	}
	for _, f := range fields {
		if strings.EqualFold(f.Name, name) && search.Contains(f.Value, text) {
			return true, nil
		}
	}
	return false, nil
}

// TextHas reports whether the texts of a message contain a text, in any case;
// with header, its header too. It reads the whole message.
func (v *View) TextHas(ctx context.Context, m *gateway.Message, text string, header bool) (bool, error) {
	if header {
		head, _ := Locate(m, Section{What: "HEADER"})
		raw, err := v.bytes(ctx, m, head)
		if err != nil {
			return false, err
		}
		fields, err := content.Header(bytes.NewReader(raw), v.mail.cfg.Limits)
		if err != nil {
			return false, err
		}
		for _, f := range fields {
			if search.Contains(f.Name+": "+f.Value, text) {
				return true, nil
			}
		}
	}
	for i := range m.Content.Parts {
		p := &m.Content.Parts[i]
		if !strings.HasPrefix(p.Type, "text/") {
			continue
		}
		body, _, err := v.mail.text(ctx, v.scope, m, p)
		if err != nil {
			return false, err
		}
		if search.Contains(body, text) {
			return true, nil
		}
	}
	return false, nil
}
