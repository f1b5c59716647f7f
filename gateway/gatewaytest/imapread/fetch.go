package imapread

import (
	"strconv"
	"strings"
	"time"
)

// Fetch is what FETCH says about a message; what it does not name is zero.
type Fetch struct {
	UID       uint32
	Flags     []string // nil if they are not named
	Date      time.Time
	Size      int64 // -1 if it is not named
	ModSeq    uint64
	EmailID   string
	ThreadID  string
	Envelope  *Envelope
	Structure *Part             // BODYSTRUCTURE
	Body      *Part             // BODY
	Sections  map[string]string // "BODY[1]", "RFC822.HEADER" ... as they are written
	Absent    []string          // sections that are NIL
}

// Envelope is RFC 9051 section 7.5.2; NIL is empty.
type Envelope struct {
	Date, Subject, InReplyTo, MessageID string
	From, Sender, ReplyTo, To, Cc, Bcc  []Address
}

// Address is one of an envelope, or the start or end of a group.
type Address struct{ Name, Mailbox, Host string }

// Part is a body part: a multipart has Parts, a message/rfc822 Message.
type Part struct {
	Type, Subtype string // in lower case
	Params        map[string]string
	ID            string
	Encoding      string
	Size, Lines   int64
	Envelope      *Envelope
	Message       *Part
	Parts         []*Part
	Disposition   string
	DispParams    map[string]string
}

// maxNesting bounds the depth of a structure that a test reads.
const maxNesting = 1000

func (p *parser) fetch() *Fetch {
	f := &Fetch{Size: -1, Sections: make(map[string]string)}
	seen := make(map[string]bool)
	p.want("(")
	for first := true; !p.has(")"); first = false {
		if !first {
			p.want(" ")
		}
		name := p.itemName()
		if key := strings.ToUpper(name); seen[key] {
			p.fail("%s stands twice", name)
		} else {
			seen[key] = true
		}
		p.want(" ")
		p.item(f, name)
	}
	if len(seen) == 0 {
		p.fail("a FETCH that says nothing")
	}
	return f
}

// itemName is an item with its section and origin.
func (p *parser) itemName() string {
	start := p.at
	p.until("an item", " [()\r\n")
	if p.peek() == '[' {
		for p.at++; p.peek() != ']'; {
			switch c := p.peek(); {
			case c == '"':
				p.quoted()
			case c < ' ':
				p.fail("a section has no end")
			default:
				p.at++
			}
		}
		p.at++
		if p.has("<") {
			p.number(max63)
			p.want(">")
		}
	}
	return string(p.b[start:p.at])
}

func (p *parser) item(f *Fetch, name string) {
	switch strings.ToUpper(name) {
	case "UID":
		f.UID = p.nz()
	case "FLAGS":
		f.Flags = p.flags()
	case "RFC822.SIZE":
		f.Size = int64(p.number(max63))
	case "INTERNALDATE":
		at, err := time.Parse("_2-Jan-2006 15:04:05 -0700", p.quoted())
		if err != nil {
			p.fail("%v", err)
		}
		f.Date = at
	case "MODSEQ":
		p.want("(")
		if f.ModSeq = p.number(max63); f.ModSeq == 0 {
			p.fail("a mod-sequence is 0")
		}
		p.want(")")
	case "EMAILID":
		p.want("(")
		f.EmailID = p.objectID()
		p.want(")")
	case "THREADID":
		if !p.has("NIL") {
			p.want("(")
			f.ThreadID = p.objectID()
			p.want(")")
		}
	case "ENVELOPE":
		f.Envelope = p.envelope()
	case "BODYSTRUCTURE":
		f.Structure = p.body(true, 0)
	case "BODY":
		f.Body = p.body(false, 0)
	default:
		p.section(f, name)
	}
}

func (p *parser) section(f *Fetch, name string) {
	up := strings.ToUpper(name)
	if !strings.HasPrefix(up, "BODY[") && up != "RFC822" && up != "RFC822.HEADER" && up != "RFC822.TEXT" {
		p.fail("nobody knows the item %s", name)
	}
	v, ok := p.nstring()
	if !ok {
		f.Absent = append(f.Absent, name)
		return
	}
	f.Sections[name] = v
}

func (p *parser) envelope() *Envelope {
	e := &Envelope{}
	p.want("(")
	e.Date, _ = p.text()
	p.want(" ")
	e.Subject, _ = p.text()
	for _, to := range []*[]Address{&e.From, &e.Sender, &e.ReplyTo, &e.To, &e.Cc, &e.Bcc} {
		p.want(" ")
		*to = p.addresses()
	}
	p.want(" ")
	e.InReplyTo, _ = p.text()
	p.want(" ")
	e.MessageID, _ = p.text()
	p.want(")")
	return e
}

// addresses is NIL, or addresses without a space between them.
func (p *parser) addresses() (list []Address) {
	if p.has("NIL") {
		return nil
	}
	p.want("(")
	for first := true; first || !p.has(")"); first = false {
		var a Address
		p.want("(")
		a.Name, _ = p.text()
		p.want(" ")
		p.text() // the source route
		p.want(" ")
		a.Mailbox, _ = p.text()
		p.want(" ")
		a.Host, _ = p.text()
		p.want(")")
		list = append(list, a)
	}
	return list
}

func (p *parser) params() map[string]string {
	if p.has("NIL") {
		return nil
	}
	m := make(map[string]string)
	p.want("(")
	for first := true; first || !p.has(")"); first = false {
		if !first {
			p.want(" ")
		}
		name, ok := p.text()
		if !ok {
			p.fail("a parameter's name is NIL")
		}
		p.want(" ")
		value, ok := p.text()
		if !ok {
			p.fail("a parameter's value is NIL")
		}
		m[strings.ToLower(name)] = value
	}
	return m
}

// body is RFC 9051's body; extended data must be whole where it may stand.
func (p *parser) body(extended bool, depth int) *Part {
	if depth > maxNesting {
		p.fail("a structure is %d deep", depth)
	}
	part := &Part{}
	p.want("(")
	if p.peek() == '(' {
		part.Type = "multipart"
		for p.peek() == '(' {
			part.Parts = append(part.Parts, p.body(extended, depth+1))
		}
		p.want(" ")
		part.Subtype = strings.ToLower(p.str())
		if extended {
			p.want(" ")
			part.Params = p.params()
			p.extension(part)
		}
	} else {
		p.single(part, extended, depth)
	}
	p.want(")")
	return part
}

func (p *parser) single(part *Part, extended bool, depth int) {
	part.Type = strings.ToLower(p.str())
	p.want(" ")
	part.Subtype = strings.ToLower(p.str())
	if part.Type == "multipart" || part.Type == "" {
		p.fail("a body that is one part has the type %q", part.Type)
	}
	p.want(" ")
	part.Params = p.params()
	p.want(" ")
	part.ID, _ = p.text()
	p.want(" ")
	p.text() // description
	p.want(" ")
	part.Encoding = strings.ToLower(p.str())
	p.want(" ")
	part.Size = int64(p.number(max63))
	switch {
	case part.Type == "message" && part.Subtype == "rfc822":
		p.want(" ")
		part.Envelope = p.envelope()
		p.want(" ")
		part.Message = p.body(extended, depth+1)
		p.want(" ")
		part.Lines = int64(p.number(max63))
	case part.Type == "text":
		p.want(" ")
		part.Lines = int64(p.number(max63))
	}
	if extended {
		p.want(" ")
		p.text() // MD5
		p.extension(part)
	}
}

// extension is disposition, language and location.
func (p *parser) extension(part *Part) {
	p.want(" ")
	if !p.has("NIL") {
		p.want("(")
		part.Disposition = strings.ToLower(p.str())
		p.want(" ")
		part.DispParams = p.params()
		p.want(")")
	}
	p.want(" ")
	if p.peek() == '(' {
		p.want("(")
		for first := true; first || !p.has(")"); first = false {
			if !first {
				p.want(" ")
			}
			p.str()
		}
	} else {
		p.text()
	}
	p.want(" ")
	p.text()
}

// Walk shows every part that can be fetched, and its number, in order.
func (part *Part) Walk(fn func(number string, part *Part)) {
	if part.Type == "multipart" {
		part.walkParts("", fn)
		return
	}
	part.walk("1", fn)
}

func (part *Part) walk(number string, fn func(string, *Part)) {
	fn(number, part)
	switch {
	case part.Type == "multipart":
		part.walkParts(number+".", fn)
	case part.Message != nil && part.Message.Type == "multipart":
		part.Message.walkParts(number+".", fn) // it shares the message's number
	case part.Message != nil:
		part.Message.walk(number+".1", fn)
	}
}

func (part *Part) walkParts(prefix string, fn func(string, *Part)) {
	for i, child := range part.Parts {
		child.walk(prefix+strconv.Itoa(i+1), fn)
	}
}
