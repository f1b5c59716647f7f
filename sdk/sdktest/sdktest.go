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
	"fmt"
	"maps"
	"runtime/debug"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/centerleap/postern/sdk"
	"github.com/centerleap/postern/sdk/abi"
)

// Host is a gateway for tests. Make it with NewHost.
type Host struct {
	Config map[string]string
	Clock  time.Time
	Lines  []string // of the log, each with its level in front

	values map[string]value
	mail   Mail
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
	h.mail, h.event, h.writes, h.doc = m, describe(t, hook, m, h.Clock), map[string]value{}, nil
	r := &Result{t: t}
	if r.failure = h.serve(hook); r.failure != "" {
		return r // and what it wrote is forgotten, as in a gateway
	}
	maps.Copy(h.values, h.writes)
	if err := json.Unmarshal(h.doc, &r.Verdict); err != nil {
		t.Fatalf("the verdict %q is not valid: %v", h.doc, err)
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
	switch status := sdk.Serve(guest{h}, hook); status {
	case 0:
		return ""
	case 1:
		return "no function is registered for " + hook
	default:
		return fmt.Sprintf("the hook returned %d", status)
	}
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
	if off < 0 {
		return 0, abi.BadArgument
	}
	parts := g.mail.entities()
	body := g.mail.raw
	if part >= 0 && part < len(parts) {
		body = parts[part].body
	} else if part != -1 || body == nil {
		return 0, abi.Absent
	}
	return copy(p, body[min(off, int64(len(body))):]), nil
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
