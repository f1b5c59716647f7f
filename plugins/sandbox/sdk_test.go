package sandbox

import (
	"bytes"
	"context"
	"errors"
	"io"
	"slices"
	"strings"
	"testing"

	"github.com/centerleap/postern/sdk/abi"
)

// reachHost answers what testdata/reach asks.
type reachHost struct {
	fakeHost
	values map[string]string
	sent   string
	status string
}

func (h *reachHost) Event() ([]byte, error) {
	return []byte(`{"v":1,"subject":"What?","new":[{}]}`), nil
}

func (h *reachHost) Get(path string) (string, error) {
	if v, ok := h.values[path]; ok {
		return v, nil
	}
	return "", abi.Absent
}

func (h *reachHost) Config(string) (string, error) { return "https://a.example/", nil }

func (h *reachHost) KVIncr(key string, delta, ttl int64) (int64, error) {
	if key == "" {
		return 0, abi.BadArgument
	}
	return 40 + delta + ttl/60<<53 - 1<<53, nil
}

// KVList has two pages, of which the first is larger than what a guest keeps for answers.
func (h *reachHost) KVList(prefix, cursor string) ([]byte, error) {
	if cursor == "" {
		return []byte(`{"keys":["` + prefix + `1"],"next":"n","later":"` + strings.Repeat("n", 9<<10) + `"}`), nil
	}
	return []byte(`{"keys":["` + prefix + `2"]}`), nil
}

func (h *reachHost) HTTP(_ context.Context, req []byte) (int, error) {
	if bytes.Contains(req, []byte("away")) {
		return 0, abi.HostFailure
	}
	h.lines = append(h.lines, string(req))
	return 3, nil
}

func (h *reachHost) HTTPRead(handle int, off int64, p []byte) (int, error) {
	if handle != 3 {
		return 0, abi.BadArgument
	}
	body := `{"answer":"` + strings.Repeat("for", 1000) + `ty-two"}`
	if off < 0 {
		head := `{"status":` + h.status + `,"headers":[["A","` + strings.Repeat("b", 9<<10) + `"]],"size":3019}`
		copy(p, head)
		return len(head), nil
	}
	n, err := strings.NewReader(body).ReadAt(p, off)
	if errors.Is(err, io.EOF) {
		err = nil
	}
	return n, err
}

func (h *reachHost) Send(doc []byte) error   { h.sent = string(doc); return nil }
func (h *reachHost) Thread() ([]byte, error) { return []byte(`{"thread_id":"t","count":5}`), nil }

// The SDK for Go hands everything through, in calls that follow each other.
func TestSDKReaches(t *testing.T) {
	lim := realLimits()
	lim.LogLines, lim.LogBytes = 10, 1<<10
	m := compile(t, engineOf(t, Config{Limits: lim, CacheDir: compiled}), realModule(t, reachGuest))
	for _, hook := range abi.Hooks {
		if !m.Exports(hook) {
			t.Errorf("the hook %s is not exported", hook)
		}
	}
	for range 3 {
		h := &reachHost{values: map[string]string{"subject": "What?", "type": "email.received"}, status: "200"}
		if _, err := m.Call(t.Context(), nobody, abi.HookEvent, h); err != nil {
			t.Fatalf("%v %q", err, h.lines)
		}
		wantVerdict := `{"folder":"a1 a2 ","labels":["n42","of5"],"reply":{"text":"` + strings.Repeat("for", 1000) + `ty-two"}}`
		if got := h.verdict; got != wantVerdict {
			t.Errorf("%s", got)
		}
		wantLines := []string{"delete a1", `{"method":"POST","url":"https://a.example/","headers":[["Content-Type","application/json"]],"body":"{\"q\":\"What?\"}"}`}
		if wantSent := `{"to":["a@x.example"],"subject":"What?"}`; !slices.Equal(h.lines, wantLines) || h.sent != wantSent {
			t.Errorf("%q, sent %s", h.lines, h.sent)
		}
	}
	h := &reachHost{values: map[string]string{"subject": "What?"}, status: "500"}
	_, err := m.Call(t.Context(), nobody, abi.HookEvent, h)
	if want := "3 the server answered 500"; err == nil || !slices.Contains(h.lines, want) || h.verdict != "" {
		t.Errorf("%v %q %s, want %q", err, h.lines, h.verdict, want)
	}
	h = &reachHost{values: map[string]string{"id": "t", "scheduled": "2026-01-01T10:30:00Z"}}
	_, err = m.Call(t.Context(), nobody, abi.HookTick, h)
	if want := []string{"1 turn t 10:30 true", "3 " + abi.HostFailure.Error()}; err == nil || !slices.Equal(h.lines, want) {
		t.Errorf("%v %q, want %q", err, h.lines, want)
	}
}

// What the SDK for Go costs does not creep up: fuel is the same on every machine. The
// bounds are a tenth above what it takes, for what compilers change.
func TestSDKCost(t *testing.T) {
	m := compile(t, engineOf(t, Config{Limits: realLimits(), CacheDir: compiled, Seed: &[32]byte{7}}), realModule(t, reachGuest))
	for _, tt := range []struct {
		hook    string
		most    int64
		verdict string
	}{
		{abi.HookInbound, 60_000, `{"action":"accept","folder":"Junk","labels":["spam"]}`},
		{abi.HookOutbound, 1_200_000, `{"action":"allow","headers":[{"op":"add","name":"X-Fields","value":"59"}]}`},
	} {
		h := &costHost{eventHost: newEventHost()}
		used, err := m.Call(t.Context(), nobody, tt.hook, h)
		if t.Logf("%s: fuel %d", tt.hook, used.Fuel); err != nil || used.Fuel > tt.most || h.said != tt.verdict {
			t.Errorf("%s: %v, fuel %d, over %d; %s, want %s", tt.hook, err, used.Fuel, tt.most, h.said, tt.verdict)
		}
	}
}

// costHost notes the verdict.
type costHost struct {
	*eventHost
	said string
}

func (h *costHost) Verdict(doc []byte) error { h.said = string(doc); return nil }
