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

// Auth says who really sent a message: results such as pass, fail and none.
type Auth = abi.Auth

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

// DryRun reports whether somebody only tries the plugin: nothing is done of what it
// decides, and nothing kept of what it remembers.
func (*Message) DryRun() bool { return value("dry_run") == "true" }

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

func addresses(path string) (list []Address) {
	for i := 0; ; i++ {
		at := path + "." + strconv.Itoa(i)
		addr, ok := host.Get(at + ".addr")
		if !ok {
			return list
		}
		list = append(list, Address{Name: value(at + ".name"), Addr: addr})
	}
}

// From is the author.
func (*Message) From() Address { return Address{Name: value("from.name"), Addr: value("from.addr")} }

// To lists the recipients that the header names.
func (*Message) To() []Address { return addresses("to") }

// Cc lists those who get a copy.
func (*Message) Cc() []Address { return addresses("cc") }

// Recipients are the addresses that the envelope names: for a plugin of an account its
// own, for one of a domain all that are in the domain.
func (*Message) Recipients() (list []string) {
	for i := 0; ; i++ {
		addr, ok := host.Get("envelope.rcpt_to." + strconv.Itoa(i))
		if !ok {
			return list
		}
		list = append(list, addr)
	}
}

// Auth is what was found out about the sender.
func (*Message) Auth() Auth {
	return Auth{
		SPF: value("auth.spf"), DKIM: value("auth.dkim"), DMARC: value("auth.dmarc"),
		FromAligned: value("auth.from_aligned") == "true", Disposition: value("auth.disposition"),
	}
}

// ReplyOK reports whether an automatic reply would do no harm.
func (*Message) ReplyOK() bool { return value("automated.reply_ok") == "true" }

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

// MessageID is the Message-ID that its sender gave it, with angle brackets.
func (*Message) MessageID() string { return value("rfc_message_id") }

// Mailbox is the address whose message it is; empty for a plugin of a domain that is
// asked about mail that arrives, for all its recipients at once.
func (*Message) Mailbox() string { return value("mailbox") }

// ThreadID is the conversation that the message will be in unless the plugin says
// otherwise. It is known to the thread hook.
func (*Message) ThreadID() string { return value("thread_id") }

// NewThreadID is the conversation that NewThread would start.
func (*Message) NewThreadID() string { return value("new_thread_id") }

// Event is the whole event document.
func (*Message) Event() (abi.Event, error) {
	doc, err := host.Event()
	if err != nil {
		return abi.Event{}, err
	}
	return decode(doc, (*scanner).event)
}

// Part reads the decoded bytes of a MIME part; Event lists the parts. -1 is the
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
