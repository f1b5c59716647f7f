package gatewaytest

import (
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"sync"
	"testing"

	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"
)

// Hook is an endpoint that webhooks are told at. It keeps what it gets.
type Hook struct {
	URL string

	t      testing.TB
	mu     sync.Mutex
	answer http.HandlerFunc
	got    []HookCall
}

// HookCall is one POST.
type HookCall struct {
	ID     string // webhook-id
	Header http.Header
	Body   []byte
	Event  Answer // the body, read
}

// Type is what it says happened.
func (c HookCall) Type() string { return c.Event.Str("type") }

// Verify checks its signature against a secret as receivers do.
func (c HookCall) Verify(secret string) error {
	w, err := standardwebhooks.NewWebhook(secret)
	if err != nil {
		return err
	}
	return w.VerifyIgnoringTimestamp(c.Body, c.Header)
}

// NewHook starts an endpoint that takes all, until the test ends.
func NewHook(t testing.TB) *Hook {
	t.Helper()
	h := &Hook{t: t}
	srv := httptest.NewServer(h)
	t.Cleanup(srv.Close)
	h.URL = srv.URL
	return h
}

// Answers sets how it answers from now on; nil takes all.
func (h *Hook) Answers(f http.HandlerFunc) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.answer = f
}

// ServeHTTP takes one.
func (h *Hook) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	c := HookCall{ID: r.Header.Get("webhook-id"), Header: r.Header.Clone()}
	var err error
	if c.Body, err = io.ReadAll(r.Body); err == nil {
		err = json.Unmarshal(c.Body, &c.Event)
	}
	if err != nil || r.Method != http.MethodPost {
		h.t.Errorf("a webhook is told %q by %s: %v", c.Body, r.Method, err)
	}
	h.mu.Lock()
	h.got = append(h.got, c)
	answer := h.answer
	h.mu.Unlock()
	if answer != nil {
		answer(w, r)
	}
}

// Got are the calls so far, of one type if one is named.
func (h *Hook) Got(types ...string) []HookCall {
	h.mu.Lock()
	defer h.mu.Unlock()
	return slices.DeleteFunc(slices.Clone(h.got), func(c HookCall) bool { return len(types) > 0 && !slices.Contains(types, c.Type()) })
}

// Wait waits for n calls, of one type if one is named, and returns them.
func (h *Hook) Wait(n int, types ...string) []HookCall {
	h.t.Helper()
	Eventually(h.t, "the webhook is told", func() bool { return len(h.Got(types...)) >= n })
	return h.Got(types...)
}
