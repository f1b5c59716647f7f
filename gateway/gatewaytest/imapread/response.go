package imapread

import (
	"bytes"
	"strings"
)

// response reads all but the line end.
func (p *parser) response() *Response {
	switch {
	case p.has("+ "):
		return &Response{Tag: "+", Text: p.line()}
	case p.has("* "):
		if c := p.peek(); c >= '0' && c <= '9' {
			return p.numbered()
		}
		return p.untagged()
	}
	r := &Response{Tag: p.atom("]")}
	if strings.Contains(r.Tag, "+") {
		p.fail("a tag holds +")
	}
	p.want(" ")
	r.Name = strings.ToUpper(p.atom(""))
	if r.Name != "OK" && r.Name != "NO" && r.Name != "BAD" {
		p.fail("a tagged response says %s", r.Name)
	}
	p.status(r)
	return r
}

// numbered is "* n ...".
func (p *parser) numbered() *Response {
	r := &Response{Tag: "*", Number: uint32(p.number(max32))}
	p.want(" ")
	r.Name = strings.ToUpper(p.atom(""))
	switch r.Name {
	case "EXISTS", "RECENT":
		return r
	case "EXPUNGE":
	case "FETCH":
		p.want(" ")
		r.Fetch = p.fetch()
	default:
		p.fail("nobody knows a numbered %s", r.Name)
	}
	if r.Number == 0 {
		p.fail("a message has the number 0")
	}
	return r
}

func (p *parser) untagged() *Response {
	r := &Response{Tag: "*", Name: strings.ToUpper(p.atom(""))}
	switch r.Name {
	case "OK", "NO", "BAD", "BYE", "PREAUTH":
		p.status(r)
	case "CAPABILITY", "ENABLED":
		for p.has(" ") {
			r.Words = append(r.Words, p.atom("]"))
		}
	case "FLAGS":
		p.want(" ")
		r.Words = p.flags()
	case "LIST", "LSUB":
		p.list(r)
	case "STATUS":
		p.mailboxStatus(r)
	case "SEARCH", "SORT":
		p.search(r)
	case "ESEARCH":
		p.esearch(r)
	case "VANISHED":
		p.want(" ")
		if r.Earlier = p.has("(EARLIER) "); !r.Earlier && p.peek() == '(' {
			p.fail("(EARLIER) is expected")
		}
		r.Numbers = p.set()
	case "NAMESPACE", "ID", "QUOTA", "QUOTAROOT", "THREAD":
		r.Rest = p.line()
	default:
		p.fail("nobody knows an untagged %s", r.Name)
	}
	return r
}

// status is what stands behind OK and its like.
func (p *parser) status(r *Response) {
	p.want(" ")
	if p.has("[") {
		r.Code = p.until("a response code", "]\r\n")
		if r.Code[0] == ' ' || r.Code[len(r.Code)-1] == ' ' {
			p.fail("a response code has spaces around it")
		}
		p.want("]")
		if p.peek() != '\r' {
			p.want(" ")
		}
	}
	r.Text = p.line()
}

// line is text to the line end: ASCII without control characters.
func (p *parser) line() string {
	end := bytes.IndexByte(p.b[p.at:], '\r')
	if end < 0 {
		p.fail("a line has no end")
	}
	s := string(p.b[p.at : p.at+end])
	for i := range len(s) {
		if s[i] < ' ' || s[i] >= 0x7f {
			p.fail("a text holds %q", s[i])
		}
	}
	p.at += end
	return s
}

// flags is a list of flags, each once.
func (p *parser) flags() []string {
	list := []string{}
	p.want("(")
	for !p.has(")") {
		if len(list) > 0 {
			p.want(" ")
		}
		f := ""
		if p.has(`\`) {
			f = `\`
		}
		if f != "" && p.has("*") {
			f = `\*`
		} else {
			f += p.atom("]")
		}
		for _, known := range list {
			if strings.EqualFold(known, f) {
				p.fail("the flag %s stands twice", f)
			}
		}
		list = append(list, f)
	}
	return list
}

// astring is a mailbox, or what else may stand without quotes.
func (p *parser) astring() string {
	if c := p.peek(); c == '"' || c == '{' {
		return p.str()
	}
	return p.atom("]")
}

func (p *parser) list(r *Response) {
	p.want(" ")
	r.Words = p.flags()
	p.want(" ")
	if d, ok := p.nstring(); ok && len(d) != 1 {
		p.fail("the hierarchy delimiter is %q", d)
	}
	p.want(" ")
	r.Mailbox = p.astring()
	if p.has(" ") { // extended data, RFC 5258
		r.Rest = p.line()
	}
}

func (p *parser) mailboxStatus(r *Response) {
	p.want(" ")
	r.Mailbox, r.Status = p.astring(), make(map[string]uint64)
	p.want(" (")
	for first := true; !p.has(")"); first = false {
		if !first {
			p.want(" ")
		}
		name := strings.ToUpper(p.atom(""))
		p.want(" ")
		if _, twice := r.Status[name]; twice {
			p.fail("%s stands twice", name)
		}
		if name == "MAILBOXID" {
			p.want("(")
			r.Rest = p.objectID()
			p.want(")")
			continue
		}
		r.Status[name] = p.number(max63)
	}
}

func (p *parser) search(r *Response) {
	for p.has(" ") {
		if p.has("(MODSEQ ") {
			r.ModSeq = p.number(max63)
			p.want(")")
			return
		}
		r.Numbers = append(r.Numbers, p.nz())
	}
}

func (p *parser) esearch(r *Response) {
	r.Search = make(map[string]uint64)
	if p.has(` (TAG `) {
		r.For = p.str()
		p.want(")")
	}
	r.UID = p.has(" UID")
	for p.has(" ") {
		name := strings.ToUpper(p.atom(""))
		p.want(" ")
		switch name {
		case "ALL":
			r.Numbers = p.set()
		case "MIN", "MAX":
			r.Search[name] = uint64(p.nz())
		case "COUNT":
			r.Search[name] = p.number(max32)
		case "MODSEQ":
			r.ModSeq = p.number(max63)
		default:
			p.fail("ESEARCH returns %s", name)
		}
	}
}

// maxSet bounds the numbers of one set that is written out.
const maxSet = 1 << 20

// set is a sequence set of a server: numbers and ranges, no "*", none twice.
func (p *parser) set() (all []uint32) {
	seen := make(map[uint32]bool)
	for first := true; first || p.has(","); first = false {
		a := p.nz()
		b := a
		if p.has(":") {
			if b = p.nz(); b < a {
				a, b = b, a
			}
		}
		if uint64(b-a) > maxSet {
			p.fail("a set of %d numbers", b-a)
		}
		for n := uint64(a); n <= uint64(b); n++ {
			if seen[uint32(n)] {
				p.fail("%d stands in the set twice", n)
			}
			seen[uint32(n)] = true
			all = append(all, uint32(n))
		}
	}
	return all
}

// objectID is RFC 8474 section 4.
func (p *parser) objectID() string {
	id := p.until("an object id", ") \r\n")
	if len(id) > 255 || strings.Trim(id, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_") != "" {
		p.fail("%q is no object id", id)
	}
	return id
}
