package content

import (
	"fmt"
	"mime"
	"strconv"
	"strings"

	"github.com/centerleap/postern/gateway"
)

// The structures IMAP asks for are written once, at ingest, in the form they
// are sent: RFC 9051 section 7.5.2.

// imap fills Envelope, BodyStructure and Body.
func (s *scanner) imap() {
	s.c.Envelope = appendEnvelope(nil, s.top)
	children := make(map[int][]int)
	for i := 1; i < len(s.c.Parts); i++ {
		p := s.c.Parts[i].Parent
		children[p] = append(children[p], i)
	}
	w := structure{s: s, children: children}
	w.extended = true
	s.c.BodyStructure = w.part(nil, 0)
	w.extended = false
	s.c.Body = w.part(nil, 0)
}

// structure writes the tree of parts. Depth is bounded by Limits.MIMEDepth.
type structure struct {
	s        *scanner
	children map[int][]int
	extended bool
}

func (w *structure) part(b []byte, i int) []byte {
	p := &w.s.c.Parts[i]
	b = append(b, '(')
	if strings.HasPrefix(p.Type, "multipart/") && len(w.children[i]) > 0 {
		for _, c := range w.children[i] {
			b = w.part(b, c)
		}
		b = append(b, ' ')
		_, minor, _ := strings.Cut(p.Type, "/")
		b = appendString(b, minor)
		if w.extended {
			b = append(b, ' ')
			b = appendParams(b, p.Params)
			b = append(b, " NIL NIL NIL"...)
		}
		return append(b, ')')
	}
	b = w.leaf(b, i, p)
	if w.extended {
		b = append(b, " NIL "...) // MD5
		b = appendDisposition(b, p)
		b = append(b, " NIL NIL"...) // language, location
	}
	return append(b, ')')
}

// leaf writes the fields of a part without parts. A multipart that is empty is
// shown as the text it is: some clients can't read one without parts, and its
// grammar has none.
func (w *structure) leaf(b []byte, i int, p *gateway.Part) []byte {
	typ, params := p.Type, p.Params
	if strings.HasPrefix(typ, "multipart/") {
		typ, params = "text/plain", nil
	}
	major, minor, _ := strings.Cut(typ, "/")
	if major == "text" && param(params, "charset") == "" {
		params = append([]gateway.Param{{Name: "charset", Value: "us-ascii"}}, params...)
	}
	b = appendString(b, major)
	b = append(b, ' ')
	b = appendString(b, minor)
	b = append(b, ' ')
	b = appendParams(b, params)
	b = append(b, ' ')
	id := p.ContentID
	if id != "" {
		id = "<" + id + ">"
	}
	b = appendNString(b, id)
	b = append(b, " NIL "...) // description
	encoding := p.Encoding
	if encoding == "" {
		encoding = "7bit"
	}
	b = appendString(b, encoding)
	b = append(b, ' ')
	b = strconv.AppendInt(b, p.BodySize, 10)
	if kids := w.children[i]; typ == "message/rfc822" && len(kids) == 1 {
		b = append(b, ' ')
		b = appendEnvelope(b, w.s.nested[kids[0]])
		b = append(b, ' ')
		b = w.part(b, kids[0])
		return fmt.Appendf(b, " %d", p.Lines)
	} else if typ == "message/rfc822" { // encoded, against RFC 2046 section 5.2.1: nobody looks into it
		b = append(b, " (NIL NIL NIL NIL NIL NIL NIL NIL NIL NIL) (\"text\" \"plain\" NIL NIL NIL \"7bit\" 0 0"...)
		if w.extended {
			b = append(b, " NIL NIL NIL NIL"...)
		}
		return fmt.Appendf(b, ") %d", p.Lines)
	}
	if major == "text" {
		b = fmt.Appendf(b, " %d", p.Lines)
	}
	return b
}

func appendParams(b []byte, params []gateway.Param) []byte {
	if len(params) == 0 {
		return append(b, "NIL"...)
	}
	for i, p := range params {
		b = append(b, " ("[boolInt(i == 0)])
		b = appendString(b, p.Name)
		b = append(b, ' ')
		b = appendString(b, p.Value)
	}
	return append(b, ')')
}

func boolInt(v bool) int {
	if v {
		return 1
	}
	return 0
}

func appendDisposition(b []byte, p *gateway.Part) []byte {
	if !p.Attachment && !p.Inline {
		return append(b, "NIL"...)
	}
	kind := "attachment"
	if p.Inline {
		kind = "inline"
	}
	b = append(b, '(')
	b = appendString(b, kind)
	b = append(b, ' ')
	if p.Filename == "" {
		return append(b, "NIL)"...)
	}
	b = appendParams(b, []gateway.Param{{Name: "filename", Value: headerWord(p.Filename)}})
	return append(b, ')')
}

// headerWord makes text fit for where IMAP expects header text: an encoded word
// if it is not ASCII.
func headerWord(v string) string { return mime.QEncoding.Encode("utf-8", v) }

func appendEnvelope(b []byte, h header) []byte {
	from := addresses(h.get("From"))
	sender, reply := addresses(h.get("Sender")), addresses(h.get("Reply-To"))
	if len(sender) == 0 {
		sender = from
	}
	if len(reply) == 0 {
		reply = from
	}
	b = append(b, '(')
	b = appendNString(b, h.get("Date"))
	b = append(b, ' ')
	b = appendNString(b, h.get("Subject"))
	for _, list := range [][]gateway.Address{from, sender, reply, addresses(h.get("To")), addresses(h.get("Cc")), addresses(h.get("Bcc"))} {
		b = append(b, ' ')
		b = appendAddresses(b, list)
	}
	b = append(b, ' ')
	b = appendNString(b, h.get("In-Reply-To"))
	b = append(b, ' ')
	b = appendNString(b, h.get("Message-ID"))
	return append(b, ')')
}

func appendAddresses(b []byte, list []gateway.Address) []byte {
	if len(list) == 0 {
		return append(b, "NIL"...)
	}
	b = append(b, '(')
	for _, a := range list {
		local, domain := gateway.SplitAddress(a.Addr)
		b = append(b, '(')
		b = appendNString(b, headerWord(a.Name))
		b = append(b, " NIL "...)
		b = appendNString(b, local)
		b = append(b, ' ')
		b = appendNString(b, domain)
		b = append(b, ')')
	}
	return append(b, ')')
}

func appendNString(b []byte, v string) []byte {
	if v == "" {
		return append(b, "NIL"...)
	}
	return appendString(b, v)
}

// appendString writes a quoted string, or a literal for what can't be quoted:
// anything but printable ASCII.
func appendString(b []byte, v string) []byte {
	v = strings.Map(func(r rune) rune {
		if r == 0 || r == '\r' || r == '\n' {
			return ' '
		}
		return r
	}, v)
	for i := range len(v) {
		if v[i] < ' ' && v[i] != '\t' || v[i] >= 0x7f {
			b = fmt.Appendf(b, "{%d}\r\n", len(v))
			return append(b, v...)
		}
	}
	b = append(b, '"')
	for i := range len(v) {
		if v[i] == '"' || v[i] == '\\' {
			b = append(b, '\\')
		}
		b = append(b, v[i])
	}
	return append(b, '"')
}
