// Package sdktest runs the hooks of a plugin natively, so that its author's tests
// need neither WebAssembly nor a gateway:
//
//	func TestNewsletter(t *testing.T) {
//		m := sdktest.Mail{From: "shop@x.example", Header: [][2]string{{"List-Unsubscribe", "<mailto:u@x.example>"}}}
//		sdktest.Inbound(t, m).WantFolder("Newsletters")
//	}
//
// A Host of its own remembers what the plugin puts into the KV from one message to
// the next. Run the plugin in a gateway before it is trusted: permissions and limits
// are checked there.
package sdktest

import (
	"encoding/json"
	"io"
	"maps"
	"net/mail"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/centerleap/postern/sdk"
	"github.com/centerleap/postern/sdk/abi"
)

// Mail is a message for a hook to look at.
type Mail struct {
	From, To, Subject string // addresses, with or without a display name
	Header            [][2]string
	Text              string
	Mailbox           string // bot@demo.localhost if empty
	Auth              sdk.Auth
	Automated         bool
	// ThreadID and NewThreadID are what the thread hook is told; if only the second
	// one is set, the message starts a conversation.
	ThreadID, NewThreadID string
}

// Read reads a message from a file: its header fields, and its body as text.
func Read(t testing.TB, file string) Mail {
	t.Helper()
	raw, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	head, body, _ := strings.Cut(strings.ReplaceAll(string(raw), "\r\n", "\n"), "\n\n")
	m := Mail{Text: body}
	for line := range strings.Lines(strings.ReplaceAll(strings.ReplaceAll(head, "\n ", " "), "\n\t", " ")) {
		name, v, ok := strings.Cut(strings.TrimSpace(line), ":")
		if !ok {
			t.Fatalf("%s: %q is no header field", file, line)
		}
		switch v = strings.TrimSpace(v); strings.ToLower(name) {
		case "from":
			m.From = v
		case "to":
			m.To = v
		case "subject":
			m.Subject = v
		default:
			m.Header = append(m.Header, [2]string{name, v})
		}
	}
	return m
}

// Host is a gateway for tests. Make it with NewHost.
type Host struct {
	Config map[string]string
	Clock  time.Time
	Lines  []string // of the log, each with its level in front

	values map[string]value
	event  abi.Event
	writes map[string]value // of the running call
	doc    []byte           // the verdict
}

type value struct {
	bytes []byte
	until time.Time // zero: for good
}

// NewHost returns a Host that remembers nothing yet.
func NewHost() *Host {
	return &Host{Config: map[string]string{}, Clock: time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC), values: map[string]value{}}
}

// Inbound, Outbound and Thread run one hook on a host that remembers nothing.
func Inbound(t testing.TB, m Mail) *Result { return NewHost().Inbound(t, m) }

// Outbound runs the hook for mail that leaves.
func Outbound(t testing.TB, m Mail) *Result { return NewHost().Outbound(t, m) }

// Inbound runs the hook for mail that arrives.
func (h *Host) Inbound(t testing.TB, m Mail) *Result { return h.run(t, abi.HookInbound, m) }

// Outbound runs the hook for mail that leaves.
func (h *Host) Outbound(t testing.TB, m Mail) *Result { return h.run(t, abi.HookOutbound, m) }

// Thread runs the hook that decides a conversation.
func (h *Host) Thread(t testing.TB, m Mail) *Result { return h.run(t, abi.HookThread, m) }

func (h *Host) run(t testing.TB, hook string, m Mail) *Result {
	t.Helper()
	h.event, h.writes, h.doc = describe(t, hook, m, h.Clock), map[string]value{}, nil
	r := &Result{t: t, status: sdk.Serve(guest{h}, hook)}
	if r.status != 0 {
		return r // and what it wrote is forgotten, as in a gateway
	}
	maps.Copy(h.values, h.writes)
	if err := json.Unmarshal(h.doc, &r.Verdict); err != nil {
		t.Fatalf("the verdict %q is not valid: %v", h.doc, err)
	}
	return r
}

// describe makes the event document of a message.
func describe(t testing.TB, hook string, m Mail, at time.Time) abi.Event {
	t.Helper()
	e := abi.Event{
		V: 1, Hook: hook, Time: at.Format(time.RFC3339), Mailbox: m.Mailbox, Subject: m.Subject, Text: m.Text, Size: int64(len(m.Text)),
		Auth: m.Auth, ThreadID: m.ThreadID, NewThreadID: m.NewThreadID, Headers: slices.Clone(m.Header),
		Automated: abi.Automated{Auto: m.Automated, ReplyOK: !m.Automated}, Parts: []abi.Part{{Type: "text/plain", Size: int64(len(m.Text))}},
	}
	if e.Mailbox == "" {
		e.Mailbox = "bot@demo.localhost"
	}
	if e.ThreadID == "" {
		e.ThreadID = e.NewThreadID
	}
	_, e.Domain, _ = strings.Cut(e.Mailbox, "@")
	for _, f := range []struct{ name, value string }{{"From", m.From}, {"To", m.To}, {"Subject", m.Subject}} {
		if f.value != "" {
			e.Headers = append(e.Headers, [2]string{f.name, f.value})
		}
	}
	if list := parse(t, m.From); len(list) > 0 {
		e.From = list[0]
	}
	e.To = parse(t, m.To)
	for _, f := range m.Header {
		if strings.HasPrefix(strings.ToLower(f[0]), "list-") {
			e.Automated.List, e.Automated.ReplyOK = true, false
		}
		if strings.EqualFold(f[0], "Message-ID") {
			e.RFCMessageID = f[1]
		}
	}
	return e
}

func parse(t testing.TB, list string) (out []abi.Address) {
	t.Helper()
	if list == "" {
		return nil
	}
	all, err := mail.ParseAddressList(list)
	if err != nil {
		t.Fatalf("%q: %v", list, err)
	}
	for _, a := range all {
		out = append(out, abi.Address{Name: a.Name, Addr: a.Address})
	}
	return out
}

// guest is a Host as the SDK sees it.
type guest struct{ *Host }

func (g guest) Event() ([]byte, error)                { return json.Marshal(&g.event) }
func (g guest) Get(path string) (string, bool)        { return g.event.Value(path) }
func (g guest) Verdict(doc []byte) error              { g.doc = slices.Clone(doc); return nil }
func (g guest) Config(key string) (v string, ok bool) { v, ok = g.Host.Config[key]; return v, ok }
func (g guest) Now() int64                            { return g.Clock.UnixMilli() }
func (g guest) HeaderCount(name string) int           { return len(g.named(name)) }
func (g guest) Log(level int, text string) {
	g.Lines = append(g.Lines, []string{"debug", "info", "warning", "error"}[level]+": "+text)
}

func (g guest) named(name string) (all []string) {
	for _, f := range g.event.Headers {
		if strings.EqualFold(f[0], name) {
			all = append(all, f[1])
		}
	}
	return all
}

func (g guest) Header(name string, index int) (string, bool) {
	all := g.named(name)
	if index == -1 {
		index = len(all) - 1
	}
	if index < 0 || index >= len(all) {
		return "", false
	}
	return all[index], true
}

func (g guest) Part(part int, off int64, p []byte) (int, error) {
	if part != 0 {
		return 0, abi.Absent
	}
	n, err := strings.NewReader(g.event.Text).ReadAt(p, off)
	if err == io.EOF {
		err = nil
	}
	return n, err
}

func (g guest) KVGet(key string) ([]byte, bool) {
	v, ok := g.writes[key]
	if !ok {
		v, ok = g.values[key]
	}
	if !ok || !v.until.IsZero() && !g.Clock.Before(v.until) {
		return nil, false
	}
	return slices.Clone(v.bytes), true
}

func (g guest) KVPut(key string, b []byte, ttlSeconds int64) error {
	if key == "" || len(key) > 512 || ttlSeconds < 0 {
		return abi.BadArgument
	}
	if len(b) > 64<<10 {
		return abi.TooLarge
	}
	v := value{bytes: slices.Clone(b)}
	if ttlSeconds > 0 {
		v.until = g.Clock.Add(time.Duration(ttlSeconds) * time.Second)
	}
	g.writes[key] = v
	return nil
}
