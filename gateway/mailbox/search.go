package mailbox

import (
	"bytes"
	"context"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/centerleap/postern/gateway"
	"github.com/centerleap/postern/gateway/content"
)

// HeaderHas reports whether a field of this name contains a text, in any case;
// an empty text asks for the field alone. RFC 9051 section 6.4.4.
func (v *View) HeaderHas(ctx context.Context, m *gateway.Message, name, text string) (bool, error) {
	if strings.EqualFold(name, "Subject") && text != "" {
		return contains(m.Content.Subject, text), nil
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
		if strings.EqualFold(f.Name, name) && contains(f.Value, text) {
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
			if contains(f.Name+": "+f.Value, text) {
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
		if contains(body, text) {
			return true, nil
		}
	}
	return false, nil
}

func contains(s, text string) bool { return strings.Contains(fold(s), fold(text)) }

// fold makes texts equal that differ in case alone: Unicode simple case folding,
// each letter as the first of those it may be written as.
func fold(s string) string {
	for i := range len(s) {
		if s[i] >= utf8.RuneSelf {
			return strings.Map(foldRune, s)
		}
	}
	return strings.ToUpper(s)
}

func foldRune(r rune) rune {
	switch {
	case 'a' <= r && r <= 'z':
		return r - 'a' + 'A'
	case r < utf8.RuneSelf:
		return r
	}
	first := r
	for next := unicode.SimpleFold(r); next != r; next = unicode.SimpleFold(next) {
		first = min(first, next)
	}
	return first
}
