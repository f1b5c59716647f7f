package sdk

import (
	"io"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/centerleap/postern/sdk/abi"
)

// Message is the message that a hook is about. Its methods ask the gateway, so a
// plugin pays for what it looks at. What is absent is empty.
type Message struct{}

// Address is a mailbox with its display name.
type Address = abi.Address

// Part is one MIME part: its place, type, file name and decoded size in bytes.
type Part = abi.Part

func value(path string) string {
	v, _ := host.Get(path)
	return v
}

// Subject is the decoded subject.
func (*Message) Subject() string { return value("subject") }

// SubjectContains reports whether the subject contains one of some words; case does
// not matter.
func (m *Message) SubjectContains(words ...string) bool {
	subject := strings.ToLower(m.Subject())
	for _, w := range words {
		if strings.Contains(subject, strings.ToLower(w)) {
			return true
		}
	}
	return false
}

// Header is the first header field of a name, decoded and unfolded.
func (m *Message) Header(name string) string { return m.HeaderAt(name, 0) }

// HeaderAt is the i-th header field of a name, from the top; -1 is the last.
func (*Message) HeaderAt(name string, i int) string {
	v, _ := host.Header(name, i)
	return v
}

// HeaderCount is how many header fields of a name there are.
func (*Message) HeaderCount(name string) int { return host.HeaderCount(name) }

// HasHeader reports whether there is a header field of a name.
func (m *Message) HasHeader(name string) bool { return m.HeaderCount(name) > 0 }

// Headers are all header fields from the top, decoded and unfolded: names and values.
func (*Message) Headers() (all [][2]string) {
	each("headers", ".0", func(name, at string) { all = append(all, [2]string{name, value(at + ".1")}) })
	return all
}

// each goes through a list: it gets of each element the value that inner leads to, and
// where the element is.
func each(path, inner string, f func(v, at string)) {
	for i := 0; ; i++ {
		at := path + "." + strconv.Itoa(i)
		v, ok := host.Get(at + inner)
		if !ok {
			return
		}
		f(v, at)
	}
}

func texts(path string) (list []string) {
	each(path, "", func(v, _ string) { list = append(list, v) })
	return list
}

func number(path string) int64 {
	n, _ := strconv.ParseInt(value(path), 10, 64)
	return n
}

func addresses(path string) (list []Address) {
	each(path, ".addr", func(addr, at string) { list = append(list, Address{Name: value(at + ".name"), Addr: addr}) })
	return list
}

// From is the author.
func (*Message) From() Address { return Address{Name: value("from.name"), Addr: value("from.addr")} }

// To lists the recipients that the header names.
func (*Message) To() []Address { return addresses("to") }

// Cc lists those who get a copy.
func (*Message) Cc() []Address { return addresses("cc") }

// Bcc lists those who get a copy that nobody sees, of mail that leaves and says it.
func (*Message) Bcc() []Address { return addresses("bcc") }

// ReplyTo lists who is to be answered, if that is not the author.
func (*Message) ReplyTo() []Address { return addresses("reply_to") }

// Text is the start of the plain text that people see, at most most bytes. The
// gateway gives at most 16 KiB.
func (*Message) Text(most int) string {
	text := value("text")
	if len(text) <= most {
		return text
	}
	for most > 0 && !utf8.RuneStart(text[most]) {
		most--
	}
	return text[:max(most, 0)]
}

// TextTruncated reports whether people see more text than Text can give.
func (*Message) TextTruncated() bool { return value("text_truncated") == "true" }

// Size is that of the message as it travels, in bytes.
func (*Message) Size() int64 { return number("size") }

// Parts lists the MIME parts.
func (*Message) Parts() (list []Part) {
	each("parts", ".type", func(kind, at string) {
		list = append(list, Part{Index: int(number(at + ".i")), Type: kind, Name: value(at + ".name"), Size: number(at + ".size")})
	})
	return list
}

// InReplyTo is the Message-ID of what it answers.
func (*Message) InReplyTo() string { return value("in_reply_to") }

// References are the Message-IDs of its conversation, oldest first.
func (*Message) References() []string { return texts("references") }

// MessageID is the Message-ID that its sender gave it, with angle brackets.
func (*Message) MessageID() string { return value("rfc_message_id") }

// Event is the whole event document: what the other methods tell, at once.
func (*Message) Event() (abi.Event, error) {
	doc, err := host.Event()
	if err != nil {
		return abi.Event{}, err
	}
	return decode(doc, (*scanner).event)
}

// Part reads the decoded bytes of a MIME part, by its place in Parts. -1 is the
// message itself, as it came, for which the permission raw is needed.
func (*Message) Part(i int) io.Reader { return &partReader{part: i} }

type partReader struct {
	part int
	off  int64
}

func (r *partReader) Read(p []byte) (int, error) {
	if len(p) == 0 {
		return 0, nil
	}
	n, err := host.Part(r.part, r.off, p)
	r.off += int64(n)
	if err == nil && n == 0 {
		err = io.EOF
	}
	return n, err
}
