package content

import (
	"mime"
	"net/mail"
	"slices"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/centerleap/postern/gateway"
)

// describe reads what a part's header says about its body.
func (s *scanner) describe(e *entity, p *gateway.Part) {
	p.Type, p.Params = mediaType(e.fields.get("Content-Type"), s.defaultType(p))
	p.Encoding = strings.ToLower(strings.TrimSpace(firstWord(e.fields.get("Content-Transfer-Encoding"))))
	p.Charset = strings.ToLower(param(p.Params, "charset"))
	p.ContentID = clean(strings.Trim(strings.TrimSpace(e.fields.get("Content-ID")), "<>"))
	disposition, params := mediaType(e.fields.get("Content-Disposition"), "")
	name := param(params, "filename")
	if name == "" {
		name = param(p.Params, "name")
	}
	p.Filename = safeName(decodeField(name))
	if strings.HasPrefix(p.Type, "multipart/") || e.part == 0 && p.Type == "message/rfc822" {
		return
	}
	body := p.Type == "text/plain" || p.Type == "text/html"
	p.Inline = disposition != "attachment" && p.ContentID != "" && !body
	p.Attachment = !s.insideMessage(p) && (disposition == "attachment" || p.Filename != "" || !body)
}

// defaultType is RFC 2046 section 5.1.5: a digest holds messages.
func (s *scanner) defaultType(p *gateway.Part) string {
	if p.Parent >= 0 && s.c.Parts[p.Parent].Type == "multipart/digest" {
		return "message/rfc822"
	}
	return "text/plain"
}

// insideMessage reports whether p belongs to an attached message, which is one
// file with all that is in it.
func (s *scanner) insideMessage(p *gateway.Part) bool {
	for i := p.Parent; i >= 0; i = s.c.Parts[i].Parent {
		if s.c.Parts[i].Type == "message/rfc822" {
			return true
		}
	}
	return false
}

func firstWord(v string) string {
	if i := strings.IndexAny(v, " \t;("); i >= 0 {
		return v[:i]
	}
	return v
}

// maxParams bounds the parameters kept of one field.
const maxParams = 50

// mediaType reads a value such as a Content-Type, as far as it can be read.
func mediaType(v, fallback string) (typ string, params []gateway.Param) {
	if v == "" {
		return fallback, nil
	}
	typ, m, err := mime.ParseMediaType(v)
	if err != nil {
		typ, m = lenientMediaType(v)
	}
	for name, value := range m {
		if len(params) < maxParams {
			params = append(params, gateway.Param{Name: strings.ToLower(clean(name)), Value: clean(value)})
		}
	}
	slices.SortFunc(params, func(a, b gateway.Param) int { return strings.Compare(a.Name, b.Name) })
	if typ = strings.ToLower(clean(typ)); fallback != "" && !isMediaType(typ) {
		typ = fallback
	}
	return typ, params
}

func isMediaType(t string) bool {
	major, minor, ok := strings.Cut(t, "/")
	return ok && isToken(major) && isToken(minor) && !strings.ContainsAny(t, "()<>@,;\\\"[]?=")
}

// lenientMediaType reads name=value pairs between semicolons, whatever else is
// wrong with them.
func lenientMediaType(v string) (string, map[string]string) {
	pieces := strings.Split(v, ";")
	m := make(map[string]string)
	for _, p := range pieces[1:min(len(pieces), maxParams)] {
		name, value, _ := strings.Cut(p, "=")
		if name = strings.TrimSpace(name); name != "" {
			m[name] = strings.Trim(strings.TrimSpace(value), `"`)
		}
	}
	return strings.TrimSpace(pieces[0]), m
}

func param(params []gateway.Param, name string) string {
	for _, p := range params {
		if p.Name == name {
			return p.Value
		}
	}
	return ""
}

// safeName makes a file name that can be shown and saved: no path, no control
// or direction-changing characters, at most 200 bytes.
func safeName(name string) string {
	if i := strings.LastIndexAny(name, `/\`); i >= 0 {
		name = name[i+1:]
	}
	name = strings.Map(func(r rune) rune {
		if unicode.IsControl(r) || unicode.Is(unicode.Cf, r) || r == utf8.RuneError {
			return -1
		}
		return r
	}, name)
	name = strings.Trim(strings.TrimSpace(name), ".")
	for len(name) > 200 {
		_, size := utf8.DecodeLastRuneInString(name)
		name = name[:len(name)-size]
	}
	return name
}

// envelope fills what the top header says about the message.
func (s *scanner) envelope(h header) {
	c := s.c
	c.Subject = decodeField(h.get("Subject"))
	c.From, c.Sender, c.ReplyTo = addresses(h.get("From")), addresses(h.get("Sender")), addresses(h.get("Reply-To"))
	c.To, c.Cc, c.Bcc = addresses(h.get("To")), addresses(h.get("Cc")), addresses(h.get("Bcc"))
	if len(c.From) != 1 || h.count("From") != 1 {
		c.Defects |= gateway.DefectFrom
	}
	if id := strings.TrimSpace(h.get("Message-ID")); usableID(id) {
		c.MessageID = id
	} else {
		c.Defects |= gateway.DefectMessageID
	}
	c.References = MessageIDs(h.get("References"))
	if ids := MessageIDs(h.get("In-Reply-To")); len(ids) > 0 {
		c.InReplyTo = ids[0]
	}
	c.Date = Date(h.get("Date"))
	c.AutoReply = automatic(h)
}

// usualDate is how programs write a date (RFC 5322 section 3.3): what the other ways are
// tried after, each of which costs an error.
const usualDate = "Mon, 2 Jan 2006 15:04:05 -0700"

// Date reads a Date field, in its own zone; zero if it can't be read.
func Date(v string) time.Time {
	t, err := time.Parse(usualDate, v)
	if err != nil {
		t, err = mail.ParseDate(v)
	}
	if err != nil || t.Year() < 1970 || t.Year() > 9999 {
		return time.Time{}
	}
	return t
}

// automatic reports whether a program sent the message, which must not be
// answered by another: RFC 3834 section 2, and what lists and bulk senders set.
func automatic(h header) bool {
	return autoSubmitted(h.get("Auto-Submitted")) || inBulk(h.get("Precedence")) || h.get("List-Id") != ""
}

// choose takes a finished leaf as the message's text or HTML, if it is the first.
func (s *scanner) choose(e *entity, p *gateway.Part) {
	if p.Attachment || s.insideMessage(p) {
		return
	}
	switch {
	case p.Type == "text/plain" && s.c.TextPart < 0:
		s.c.TextPart = e.part
		text, ok := toUTF8(e.capture, p.Charset)
		s.c.Preview = preview(text)
		s.noteCharset(ok, e)
	case p.Type == "text/html" && s.c.HTMLPart < 0:
		s.c.HTMLPart = e.part
		var ok bool
		s.html, ok = toUTF8(e.capture, p.Charset)
		s.noteCharset(ok, e)
	}
	e.capture = nil
}

// noteCharset marks a wrong charset; the last character of a capture that is
// full may be cut, which is no fault of the message.
func (s *scanner) noteCharset(ok bool, e *entity) {
	if !ok && len(e.capture) < e.most {
		s.c.Defects |= gateway.DefectCharset
	}
}

// preview is the first characters of a text, white space collapsed.
func preview(text string) string {
	var b strings.Builder
	n, space := 0, false
	for _, r := range text {
		if unicode.IsSpace(r) || r == 0 || unicode.IsControl(r) {
			space = n > 0
			continue
		}
		if space {
			if n++; n > gateway.PreviewRunes {
				break
			}
			b.WriteByte(' ')
			space = false
		}
		if n++; n > gateway.PreviewRunes {
			break
		}
		b.WriteRune(r)
	}
	return b.String()
}
