// Package sdktest runs the hooks of a plugin natively, so that its author's tests
// need neither WebAssembly nor a gateway:
//
//	func TestNewsletter(t *testing.T) {
//		m := sdktest.Mail{From: "shop@x.example", Header: [][2]string{{"List-Unsubscribe", "<mailto:u@x.example>"}}}
//		sdktest.Inbound(t, m).WantFolder("Newsletters")
//	}
//
// File and Raw make a Mail of a message as it travels. A Host of its own remembers what
// the plugin puts into the KV from one message to the next, answers what it asks over
// HTTP, and has what it sent:
//
//	func TestAnswer(t *testing.T) {
//		h := sdktest.NewHost(sdktest.Manifest("manifest.json"))
//		h.HTTP = func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, `{"answer":"42"}`) }
//		h.Event(t, sdktest.File("testdata/question.eml")).WantReply("42").WantLabels("answered")
//	}
//
// With a Manifest, a hook that uses what its manifest does not ask for fails. Run the plugin
// in a gateway before it is trusted: limits, and what a verdict may say, are checked there.
package sdktest

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"runtime/debug"
	"slices"
	"strconv"
	"time"

	"github.com/centerleap/postern/sdk"
	"github.com/centerleap/postern/sdk/abi"
)

// T is what is used of a *testing.T.
type T interface {
	Helper()
	Errorf(format string, args ...any)
	Fatalf(format string, args ...any)
}

// Host is a gateway for tests. Make it with NewHost.
type Host struct {
	Config map[string]string // also of secrets
	Clock  time.Time
	// HTTP answers what hooks ask over HTTP; nil: a hook that asks fails the test. One that
	// panics with http.ErrAbortHandler is a server that does not answer: abi.HostFailure.
	HTTP func(http.ResponseWriter, *http.Request)

	Lines   []string       // of the log, each with its level in front
	Sent    []abi.Outgoing // by hooks that ended well
	Replies []abi.Reply    // likewise

	manifest *abi.Manifest // nil: everything is permitted
	broken   error         // the manifest can't be used
	values   map[string]value
	counters map[string]counter
	turns    int       // of the tick hook
	previous time.Time // the turn before
	call               // the one that runs, or ran last
}

// call is one use of a hook.
type call struct {
	t       T
	mail    Mail
	event   abi.Event
	writes  map[string]value
	sent    []abi.Outgoing
	asked   int // over HTTP
	answers []answer
	doc     []byte // the verdict
	refusal string // why the verdict is refused
}

// Option is something a Host has.
type Option func(*Host)

// NewHost returns a Host that remembers nothing yet. Its clock stands at noon of March 1,
// 2026, UTC.
func NewHost(options ...Option) *Host {
	h := &Host{
		Config: map[string]string{}, Clock: time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC),
		values: map[string]value{}, counters: map[string]counter{},
	}
	for _, option := range options {
		option(h)
	}
	return h
}

// Inbound runs the hook for mail that arrives, on a Host that remembers nothing; so do
// the others.
func Inbound(t T, m Mail) *Result { t.Helper(); return NewHost().Inbound(t, m) }

// Outbound runs the hook for mail that leaves.
func Outbound(t T, m Mail) *Result { t.Helper(); return NewHost().Outbound(t, m) }

// Thread runs the hook that decides a conversation.
func Thread(t T, m Mail) *Result { t.Helper(); return NewHost().Thread(t, m) }

// Event runs the hook that is told what happened to a message: Mail.Type.
func Event(t T, m Mail) *Result { t.Helper(); return NewHost().Event(t, m) }

// Tick runs the hook that is asked at intervals, for its first turn.
func Tick(t T) *Result { t.Helper(); return NewHost().Tick(t) }

// Inbound runs the hook for mail that arrives.
func (h *Host) Inbound(t T, m Mail) *Result { t.Helper(); return h.run(t, abi.HookInbound, m) }

// Outbound runs the hook for mail that leaves.
func (h *Host) Outbound(t T, m Mail) *Result { t.Helper(); return h.run(t, abi.HookOutbound, m) }

// Thread runs the hook that decides a conversation.
func (h *Host) Thread(t T, m Mail) *Result { t.Helper(); return h.run(t, abi.HookThread, m) }

// Event runs the hook that is told what happened to a message: Mail.Type.
func (h *Host) Event(t T, m Mail) *Result { t.Helper(); return h.run(t, abi.HookEvent, m) }

// Tick runs the hook that is asked at intervals. The turn is due by the clock; the turn
// before is when Tick was called last.
func (h *Host) Tick(t T) *Result {
	t.Helper()
	h.turns++
	defer func() { h.previous = h.Clock }()
	return h.run(t, abi.HookTick, Mail{EventID: "tick-" + strconv.Itoa(h.turns)})
}

func (h *Host) run(t T, hook string, m Mail) *Result {
	t.Helper()
	if h.broken != nil {
		t.Fatalf("%v", h.broken)
	}
	h.call = call{t: t, mail: m, event: describe(t, hook, m, h.Clock), writes: map[string]value{}}
	if hook == abi.HookTick {
		h.event = turn(&h.event, h.previous)
	}
	if h.event.DryRun { // it counts in a copy
		counters := maps.Clone(h.counters)
		defer func() { h.counters = counters }()
	}
	r := &Result{t: t}
	if r.failure = h.unasked(); r.failure == "" {
		r.failure = h.serve(hook)
	}
	if r.failure != "" {
		return r // and what it wrote is forgotten, as in a gateway
	}
	if h.doc != nil {
		if err := json.Unmarshal(h.doc, &r.Verdict); err != nil {
			t.Fatalf("the verdict %q is not valid: %v", h.doc, err)
		}
	}
	r.Sent = h.sent
	if h.event.DryRun {
		return r // nothing is kept of it
	}
	maps.Copy(h.values, h.writes)
	h.Sent = append(h.Sent, h.sent...)
	if r.Verdict.Reply != nil {
		h.Replies = append(h.Replies, *r.Verdict.Reply)
	}
	return r
}

// serve runs a hook and says how it failed; empty if it did not. A panic is a
// failure of the plugin, not of its test.
func (h *Host) serve(hook string) (failure string) {
	defer func() {
		if p := recover(); p != nil {
			failure = fmt.Sprintf("panic: %v\n%s", p, debug.Stack())
		}
	}()
	said := len(h.Lines)
	status := sdk.Serve(guest{h}, hook)
	switch {
	case status == 0:
		return ""
	case status == 1:
		return "no function is registered for " + hook
	case h.refusal != "":
		return "the verdict is refused: " + h.refusal
	case len(h.Lines) > said:
		return slices.Clone(h.Lines)[len(h.Lines)-1]
	}
	return fmt.Sprintf("the hook returned %d", status)
}
