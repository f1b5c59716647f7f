package conformance

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"maps"
	"slices"
	"strings"

	"github.com/centerleap/postern/plugins/sandbox"
	"github.com/centerleap/postern/sdk/abi"
)

// host answers what a case wants, and notes what it is told.
type host struct {
	event        abi.Event
	parts        [][]byte
	config       map[string]string
	kv           map[string][]byte
	ttl          map[string]int64
	counters     map[string]int64
	answers      map[string]answer // by their URLs
	conversation abi.Conversation
	errnos       map[string]abi.Errno // what imports answer instead

	lines    []line
	verdict  string
	sent     []abi.Outgoing
	requests []abi.HTTPRequest
}

type line struct {
	level int
	text  string
}

// The levels of the log.
const (
	levelDebug = iota
	levelInfo
	levelWarn
	levelError
)

// answer is what a server says.
type answer struct {
	abi.HTTPResponse
	body string
}

// newHost is one with a message as there are many.
func newHost() *host {
	return &host{
		config: map[string]string{}, kv: map[string][]byte{}, ttl: map[string]int64{}, counters: map[string]int64{}, answers: map[string]answer{},
		errnos: map[string]abi.Errno{},
		event: abi.Event{
			V: 1, ID: "evt_1", Attempt: 3, Type: "email.received", Detail: "ann@example.com", Time: "2026-11-28T09:00:00Z", Domain: "example.com",
			Mailbox: "bot@example.com", Envelope: abi.Envelope{MailFrom: "ann@peer.example", RcptTo: []string{"bot@example.com", "ops@example.com"}},
			Auth:      abi.Auth{SPF: "pass", DKIM: "fail", DMARC: "none", FromAligned: true, Disposition: "quarantine"},
			Automated: abi.Automated{ReplyOK: true}, Subject: "Your invoice", From: abi.Address{Name: "Ann", Addr: "ann@peer.example"},
			To: []abi.Address{{Name: "Bot", Addr: "bot@example.com"}, {Addr: "ops@example.com"}}, Cc: []abi.Address{{Name: "Zoë", Addr: "zoe@example.com"}},
			ReplyTo: []abi.Address{{Addr: "re@peer.example"}, {Name: "Too", Addr: "too@peer.example"}}, InReplyTo: "<0@peer.example>",
			References: []string{"<a@x>", "<0@peer.example>"}, Size: 18234, MessageID: "0197-1", RFCMessageID: "<1@peer.example>", ThreadID: "thread-1", NewThreadID: "thread-2", Via: "rest", Folder: "INBOX", Labels: []string{"a", "b"},
			Flags: []string{`\Seen`}, Score: 1.5, Text: "Hello.", DryRun: true,
			Headers: [][2]string{{"Received", "first"}, {"Subject", "Your invoice"}, {"received", "second"}, {"X-Empty", ""}},
			Parts:   []abi.Part{{Index: 0, Type: "text/plain", Size: 6}, {Index: 1, Type: "application/pdf", Size: 300}},
		},
	}
}

// said are the lines of one level.
func (h *host) said(level int) (texts []string) {
	for _, l := range h.lines {
		if l.level == level {
			texts = append(texts, l.text)
		}
	}
	return texts
}

// refused is what an import is to answer instead; nil if nothing.
func (h *host) refused(name string) error {
	if errno, ok := h.errnos[name]; ok {
		return errno
	}
	return nil
}

// marshal answers with a document.
func (h *host) marshal(name string, doc any) ([]byte, error) {
	if err := h.refused(name); err != nil {
		return nil, err
	}
	return json.Marshal(doc)
}

// Event and all below are sandbox.Host's.
func (h *host) Event() ([]byte, error) { return h.marshal("event", &h.event) }

func (h *host) Get(path string) (string, error) {
	v, ok := h.event.Value(path)
	if !ok {
		return "", abi.Absent
	}
	return v, h.refused("get")
}

func (h *host) named(name string) (values []string) {
	for _, f := range h.event.Headers {
		if strings.EqualFold(f[0], name) {
			values = append(values, f[1])
		}
	}
	return values
}

func (h *host) Header(name string, i int) (string, error) {
	values := h.named(name)
	if i == -1 {
		i = len(values) - 1
	}
	if i < 0 || i >= len(values) {
		return "", abi.Absent
	}
	return values[i], h.refused("header")
}

func (h *host) HeaderCount(name string) (int, error) {
	return len(h.named(name)), h.refused("header_count")
}

func (h *host) Part(part int, off int64, p []byte) (int, error) {
	if err := h.refused("part"); err != nil {
		return 0, err
	}
	if part < 0 || part >= len(h.parts) {
		return 0, abi.Absent
	}
	return copy(p, h.parts[part][min(off, int64(len(h.parts[part]))):]), nil
}

func (h *host) Verdict(doc []byte) error {
	h.verdict = string(doc)
	return h.refused("verdict")
}

// decided is what the plugin decided: without a verdict, or an action in it, to accept.
func (h *host) decided() (v abi.Verdict, err error) {
	if h.verdict != "" {
		err = json.Unmarshal([]byte(h.verdict), &v)
	}
	v.Action = cmp.Or(v.Action, abi.Accept)
	return v, err
}

func (h *host) Log(level int, text string) { h.lines = append(h.lines, line{level, text}) }

func (h *host) Config(key string) (string, error) {
	v, ok := h.config[key]
	if !ok {
		return "", abi.Absent
	}
	return v, nil
}

func (h *host) Now() int64 { return 1_795_856_400_123 }

func (h *host) KVGet(key string) ([]byte, error) {
	v, ok := h.kv[key]
	if !ok {
		return nil, cmp.Or(h.refused("kv_get"), error(abi.Absent))
	}
	return v, h.refused("kv_get")
}

func (h *host) KVPut(key string, value []byte, ttl int64) error {
	if err := h.refused("kv_put"); err != nil {
		return err
	}
	h.kv[key], h.ttl[key] = bytes.Clone(value), ttl
	return nil
}

func (h *host) KVDelete(key string) error {
	delete(h.kv, key)
	return h.refused("kv_delete")
}

func (h *host) KVIncr(key string, delta, ttl int64) (int64, error) {
	if err := h.refused("kv_incr"); err != nil {
		return 0, err
	}
	h.counters[key] += delta
	h.ttl[key] = ttl
	return h.counters[key], nil
}

// pageKeys is how many keys a page has: few, so that there are several.
const pageKeys = 2

func (h *host) KVList(prefix, cursor string) ([]byte, error) {
	page := abi.KVPage{Keys: []string{}}
	for _, key := range slices.Sorted(maps.Keys(h.kv)) {
		switch {
		case !strings.HasPrefix(key, prefix) || key <= cursor:
		case len(page.Keys) == pageKeys:
			page.Next = page.Keys[pageKeys-1]
			return h.marshal("kv_list", page)
		default:
			page.Keys = append(page.Keys, key)
		}
	}
	return h.marshal("kv_list", page)
}

func (h *host) HTTP(_ context.Context, req []byte) (int, error) {
	var r abi.HTTPRequest
	if json.Unmarshal(req, &r) != nil {
		return 0, abi.BadArgument
	}
	h.requests = append(h.requests, r)
	return len(h.requests) - 1, h.refused("http")
}

func (h *host) HTTPRead(handle int, off int64, p []byte) (int, error) {
	if err := h.refused("http_read"); err != nil {
		return 0, err
	}
	if handle < 0 || handle >= len(h.requests) {
		return 0, abi.BadArgument
	}
	a := h.answers[h.requests[handle].URL]
	if off >= 0 {
		return copy(p, a.body[min(off, int64(len(a.body))):]), nil
	}
	a.Size = int64(len(a.body))
	head, err := json.Marshal(a.HTTPResponse)
	copy(p, head)
	return len(head), err
}

func (h *host) Send(doc []byte) error {
	var m abi.Outgoing
	if json.Unmarshal(doc, &m) != nil {
		return abi.BadArgument
	}
	h.sent = append(h.sent, m)
	return h.refused("send")
}

func (h *host) Thread() ([]byte, error) { return h.marshal("thread", h.conversation) }

// failedAs reports whether a call ended as it should.
func failedAs(err error, reason string) bool {
	if reason == "" {
		return err == nil
	}
	e, ok := errors.AsType[*sandbox.CallError](err)
	return ok && strings.Contains(reason, e.Reason)
}
