// Package gatewaytest starts a whole gateway inside a test: every room, a real
// store in a temporary folder, REST on a free port.
//
//	g := gatewaytest.Start(t)
//	status, answer := g.Do("GET", "/domains", g.Keys.Domain, nil)
package gatewaytest

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/centerleap/postern/gateway/serve"
)

// Domain and Account are what Start makes.
const (
	Domain  = "demo.localhost"
	Account = "bot@demo.localhost"
)

// Gateway is a gateway that runs until its test ends.
type Gateway struct {
	*serve.Gateway
	URL  string
	Web  string // where the dashboard is; at the first start a link that leads in once
	Data string
	Keys serve.BannerKeys
	Log  *Log

	t      testing.TB
	cfg    *serve.Config
	clock  func() time.Time
	cancel context.CancelFunc
	ended  chan error
}

// Option changes how a gateway starts.
type Option func(*Gateway)

// Clock gives the gateway a time of its own.
func Clock(now func() time.Time) Option { return func(g *Gateway) { g.clock = now } }

// Limit sets one of gateway.LimitTable by name.
func Limit(name, value string) Option { return Setting("limits."+name, value) }

// Setting sets one line of the configuration by its name.
func Setting(name, value string) Option {
	return func(g *Gateway) {
		if err := g.cfg.Set(name, value); err != nil {
			g.t.Fatal(err)
		}
	}
}

// Version is what the gateways of tests say they are.
const Version = "v1.2.3-test"

// Start runs a gateway with the domain and the account above. Requests per minute
// are not limited unless an option says so.
func Start(t testing.TB, options ...Option) *Gateway {
	t.Helper()
	dir, err := os.MkdirTemp("", "postern") // t.TempDir may be too long for a socket
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	g := &Gateway{t: t, Data: dir, cfg: serve.LocalDefaults(), clock: time.Now, Log: &Log{}}
	g.cfg.Version = Version
	_, g.cfg.PluginCheck = t.(*testing.T) // what costs as much as copying memory is no part of a benchmark
	for _, class := range []string{"read", "send", "change", "upload", "stream"} {
		Limit("requests_"+class, "0")(g) // a test that waits asks far faster than any client
	}
	for _, o := range options {
		o(g)
	}
	settings := map[string]string{"server.data": dir, "log.level": "debug"}
	for _, door := range serve.Doors {
		settings[door+".listen"] = "127.0.0.1:0"
	}
	for name, v := range settings {
		if err := g.cfg.Set(name, v); err != nil {
			t.Fatal(err)
		}
	}
	g.start()
	t.Cleanup(func() {
		if g.cancel != nil {
			g.Stop()
		}
	})
	return g
}

func (g *Gateway) start() {
	g.t.Helper()
	log := slog.New(slog.NewJSONHandler(g.Log, &slog.HandlerOptions{Level: slog.LevelDebug}))
	whole, err := serve.Open(g.cfg, log, g.clock)
	if err != nil {
		g.t.Fatal(err)
	}
	banner, err := whole.Start(context.Background(), serve.Quickstart{Domain: Domain})
	if err != nil {
		g.t.Fatal(err)
	}
	if banner.Keys != nil {
		g.Keys = *banner.Keys
		if err := whole.Shown(context.Background()); err != nil {
			g.t.Fatal(err)
		}
	}
	ctx, cancel := context.WithCancel(context.Background())
	g.Gateway, g.URL, g.Web, g.cancel, g.ended = whole, banner.REST, banner.Dashboard, cancel, make(chan error, 1)
	go func() { g.ended <- whole.Run(ctx) }()
}

// Stop ends the gateway as SIGTERM would.
func (g *Gateway) Stop() {
	g.t.Helper()
	g.cancel()
	g.cancel = nil
	if err := <-g.ended; err != nil {
		g.t.Errorf("the gateway ended with %v", err)
	}
}

// Restart stops the gateway and starts it over the same data, on another port,
// with more options.
func (g *Gateway) Restart(options ...Option) {
	g.t.Helper()
	g.Stop()
	for _, o := range options {
		o(g)
	}
	g.start()
}

// Answer is the JSON of an answer.
type Answer map[string]any

// Str returns a text by its path, such as "data.0.id"; "" if there is none.
func (a Answer) Str(path string) string {
	v, _ := a.At(path).(string)
	return v
}

// At returns a value by its path; nil if there is none.
func (a Answer) At(path string) any {
	var v any = map[string]any(a)
	for step := range strings.SplitSeq(path, ".") {
		switch x := v.(type) {
		case map[string]any:
			v = x[step]
		case []any:
			i := 0
			for _, c := range step {
				i = i*10 + int(c-'0')
			}
			if i < 0 || i >= len(x) {
				return nil
			}
			v = x[i]
		default:
			return nil
		}
	}
	return v
}

// Do sends one request. body is JSON text, anything that becomes JSON, or nil.
func (g *Gateway) Do(method, path, key string, body any) (int, Answer) {
	g.t.Helper()
	resp := g.Send(method, path, key, body)
	defer resp.Body.Close()
	raw, err := io.ReadAll(resp.Body)
	if err != nil {
		g.t.Fatalf("%s %s: %v", method, path, err)
	}
	var a Answer
	if len(raw) > 0 && strings.HasPrefix(resp.Header.Get("Content-Type"), "application/json") {
		if err := json.Unmarshal(raw, &a); err != nil {
			g.t.Fatalf("%s %s: %q is not JSON: %v", method, path, raw, err)
		}
	}
	return resp.StatusCode, a
}

// Send sends one request and returns the answer as it is.
func (g *Gateway) Send(method, path, key string, body any) *http.Response {
	g.t.Helper()
	var r io.Reader
	switch b := body.(type) {
	case nil:
	case string:
		r = strings.NewReader(b)
	case io.Reader:
		r = b
	default:
		raw, err := json.Marshal(b)
		if err != nil {
			g.t.Fatal(err)
		}
		r = bytes.NewReader(raw)
	}
	req, err := http.NewRequest(method, g.URL+path, r)
	if err != nil {
		g.t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/json")
	if key != "" {
		req.Header.Set("Authorization", "Bearer "+key)
	}
	resp, err := http.DefaultTransport.RoundTrip(req)
	if err != nil {
		g.t.Fatalf("%s %s: %v", method, path, err)
	}
	return resp
}

// Eventually waits until ok is true.
func Eventually(t testing.TB, what string, ok func() bool) {
	t.Helper()
	deadline := time.Now().Add(time.Minute) // no test is quick by it; a busy machine needs it
	for !ok() {
		if time.Now().After(deadline) {
			t.Fatalf("this did not happen: %s", what)
		}
		time.Sleep(5 * time.Millisecond) //nolint:forbidigo // a poll with a deadline: the event is in another process's terms
	}
}

// Log is what the gateway has logged.
type Log struct {
	mu sync.Mutex
	b  bytes.Buffer
}

// Write appends a line.
func (l *Log) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

// String is all of it.
func (l *Log) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}
