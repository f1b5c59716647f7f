package content

import (
	"slices"
	"strings"

	"github.com/centerleap/postern/gateway"
)

// Described is the description of a message that Compose would make the same again, but
// for boundaries and transfer encodings. ok is false if something of it would be lost, as
// of most that other programs wrote: then nobody but they can write it anew. The files of
// the description are read from r as long as that can be.
func Described(r *Reading) (c gateway.Compose, ok bool, err error) {
	m := r.Content
	fields, err := r.Header()
	if err != nil || m.Defects != 0 || len(m.From) != 1 || !composed(m) {
		return c, false, err
	}
	c = gateway.Compose{
		From: m.From[0], To: m.To, Cc: m.Cc, Bcc: m.Bcc, ReplyTo: m.ReplyTo, Subject: m.Subject, InReplyTo: m.InReplyTo, References: m.References,
	}
	if c.Headers, ok = customFields(m, fields); !ok {
		return c, false, nil
	}
	for _, text := range []struct {
		part int
		to   *string
	}{{m.TextPart, &c.Text}, {m.HTMLPart, &c.HTML}} {
		if ok, err = r.whole(text.part, text.to); !ok || err != nil {
			return c, false, err
		}
	}
	for i := range m.Parts {
		if p := &m.Parts[i]; isFile(m, i) {
			c.Attachments = append(c.Attachments, gateway.Attachment{
				Filename: p.Filename, ContentType: p.Type, ContentID: p.ContentID, Size: p.DecodedSize, Open: opens(r, i),
			})
		}
	}
	return c, CheckCompose(&c, r.Limits) == nil, nil
}

// written are the fields that Compose writes itself, each once.
var written = []string{"from", "to", "cc", "bcc", "reply-to", "subject", "date", "message-id", "in-reply-to", "references", "mime-version", "content-type", "content-transfer-encoding"}

// customFields are the fields of a header that Compose takes as they are; ok is false if
// it would write one of the others in another way.
func customFields(m *gateway.Content, fields []gateway.HeaderField) (custom []gateway.HeaderField, ok bool) {
	seen := make(map[string]bool)
	for _, f := range fields {
		low := strings.ToLower(f.Name)
		if !slices.Contains(written, low) {
			custom = append(custom, f)
			continue
		}
		if seen[low] {
			return nil, false
		}
		seen[low] = true
	}
	for name, list := range map[string][]gateway.Address{"to": m.To, "cc": m.Cc, "bcc": m.Bcc, "reply-to": m.ReplyTo} {
		if seen[name] && len(list) == 0 { // a group, or nonsense
			return nil, false
		}
	}
	return custom, true
}

// composed reports whether the parts of a message are those that Compose writes.
func composed(m *gateway.Content) bool {
	if m.TextPart >= 0 && m.HTMLPart >= 0 {
		up := m.Parts[m.TextPart].Parent
		if up < 0 || up != m.Parts[m.HTMLPart].Parent || m.Parts[up].Type != "multipart/alternative" {
			return false // both are to be read
		}
	}
	for i := range m.Parts {
		p := &m.Parts[i]
		switch {
		case p.Type == "multipart/mixed", p.Type == "multipart/related", p.Type == "multipart/alternative":
		case i == m.TextPart, i == m.HTMLPart:
		case !isFile(m, i), p.Inline && m.HTMLPart < 0, p.ContentID != "" && !p.Inline && m.HTMLPart >= 0, fileType(p.Type) != p.Type:
			return false
		case slices.ContainsFunc(p.Params, func(q gateway.Param) bool { return q.Name != "name" }):
			return false // such as the charset of a text
		case p.Parent >= 0 && m.Parts[p.Parent].Type == "multipart/alternative": // an invitation
			return false
		}
	}
	return true
}

// isFile reports whether a part is a file of a message that Compose could have written.
func isFile(m *gateway.Content, i int) bool {
	p := &m.Parts[i]
	return i != m.TextPart && i != m.HTMLPart && p.Attachment && !strings.HasPrefix(p.Type, "multipart/")
}
