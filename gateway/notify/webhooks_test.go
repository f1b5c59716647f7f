package notify

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"io"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/centerleap/postern/gateway"
	"github.com/centerleap/postern/gateway/safehttp"
)

// shelf keeps one webhook.
type shelf struct {
	WebhookStore
	hook gateway.Webhook
	err  error
}

func (s *shelf) Webhook(context.Context, gateway.Scope, gateway.ID) (*gateway.Webhook, error) {
	w := s.hook
	return &w, s.err
}

// everywhere has every name stand for one address after the other.
type everywhere struct{ ips []netip.Addr }

func (e *everywhere) LookupNetIP(context.Context, string, string) ([]netip.Addr, error) {
	ip := e.ips[0]
	if len(e.ips) > 1 {
		e.ips = e.ips[1:]
	}
	return []netip.Addr{ip}, nil
}

func hooks(t *testing.T, s *shelf, cfg safehttp.Config) *Webhooks {
	t.Helper()
	client, err := safehttp.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	w, err := NewWebhooks(WebhooksConfig{
		Store: s, HTTP: client, Slots: NewSlots(2), Changed: func(gateway.DomainID) {}, Limits: gateway.DefaultLimits(),
		Document: func(_ context.Context, _ gateway.Scope, e *gateway.Event) ([]byte, error) {
			if e.Detail == "gone" {
				return nil, gateway.Errorf(gateway.NotFound, "no such email")
			}
			return []byte(`{"type":"email.received"}`), nil
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	return w
}

const aSecret = gateway.Secret("whsec_c2VjcmV0LXNlY3JldC1zZWNyZXQtc2VjcmV0")

func told(w *Webhooks, detail string) (gateway.Result, error) {
	return w.Tell(context.Background(), gateway.Scope{}, &gateway.Subscription{}, gateway.Position{Sequence: 7}, &gateway.Event{Sequence: 7, At: time.UnixMilli(1e12), Detail: detail}, 1)
}

// begin answers with a status and the beginning of a body, whose rest never comes.
func begin(status int) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		w.WriteHeader(status)
		_, _ = io.WriteString(w, "well")
		_ = http.NewResponseController(w).Flush()
		<-r.Context().Done()
	}
}

// What an endpoint may do, and what is said of it.
func TestTellWebhook(t *testing.T) {
	long := strings.Repeat("x", 1<<20)
	for name, tt := range map[string]struct {
		answer  http.HandlerFunc
		status  int
		failure string // part of it
		stop    bool
	}{
		"takes it":           {func(http.ResponseWriter, *http.Request) {}, 200, "", false},
		"accepts":            {func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(202) }, 202, "", false},
		"fails":              {func(w http.ResponseWriter, _ *http.Request) { http.Error(w, long, 500) }, 500, "answered 500", false},
		"redirects":          {func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, "/", http.StatusPermanentRedirect) }, 308, "answered 308", false},
		"is gone":            {func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(410) }, 410, "answered 410", true},
		"hangs":              {func(_ http.ResponseWriter, r *http.Request) { _, _ = io.Copy(io.Discard, r.Body); <-r.Context().Done() }, 0, "in time", false},
		"hangs later":        {begin(200), 200, "", false},
		"fails, and hangs":   {begin(500), 500, "answered 500", false},
		"is gone, and hangs": {begin(410), 410, "answered 410", true},
		"cuts itself short": {func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Length", "100")
			_, _ = io.WriteString(w, "some")
		}, 200, "", false},
		"hangs up":   {func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }, 0, "could not be reached", false},
		"says a lot": {func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, long+"\xff") }, 200, "", false},
	} {
		t.Run(name, func(t *testing.T) {
			srv := httptest.NewServer(tt.answer)
			defer srv.Close()
			w := hooks(t, &shelf{hook: gateway.Webhook{Endpoint: srv.URL, Enabled: true, Secret: aSecret}}, safehttp.Config{AllowLoopback: true, Timeout: 300 * time.Millisecond})
			out, err := told(w, "")
			a := out.Attempt
			if a == nil || a.Status != tt.status || (err == nil) != (tt.failure == "") || err != nil && a.Error != err.Error() || !strings.Contains(a.Error, tt.failure) || (out.Stop != "") != tt.stop {
				t.Errorf("%+v, %v", out.Attempt, err)
			}
			if int64(len(a.Answer)) > gateway.DefaultLimits().WebhookAnswer {
				t.Errorf("%d bytes of the answer are kept", len(a.Answer))
			}
		})
	}
}

// The signature is that of Standard Webhooks, computed here by hand.
func TestSigned(t *testing.T) {
	hook := &gateway.Webhook{Secret: aSecret, Former: "whsec_Zm9ybWVyLWZvcm1lci1mb3JtZXItZm9ybWVy", FormerUntil: time.Unix(2e9, 0)}
	h, err := signed(hook, "evt_1", time.Unix(1e9, 5e8), []byte("body"))
	if err != nil {
		t.Fatal(err)
	}
	var want []string
	for _, secret := range []string{"secret-secret-secret-secret", "former-former-former-former"} {
		mac := hmac.New(sha256.New, []byte(secret))
		mac.Write([]byte("evt_1.1000000000.body"))
		want = append(want, "v1,"+base64.StdEncoding.EncodeToString(mac.Sum(nil)))
	}
	for name, v := range map[string]string{"id": "evt_1", "timestamp": "1000000000", "signature": strings.Join(want, " ")} {
		if h.Get("webhook-"+name) != v || h.Get("svix-"+name) != v {
			t.Errorf("%s: %q and %q, want %q", name, h.Get("webhook-"+name), h.Get("svix-"+name), v)
		}
	}
	if h, err = signed(hook, "evt_1", time.Unix(2e9, 0), nil); err != nil || strings.Contains(h.Get("webhook-signature"), " ") {
		t.Errorf("the former secret signs for ever: %v, %v", h, err)
	}
	if _, err := signed(&gateway.Webhook{Secret: "whsec_?"}, "x", time.Now(), nil); err == nil {
		t.Error("a secret that is none signs")
	}
}

// No endpoint is inside: whatever its name stood for when it was looked up before.
func TestWebhookInside(t *testing.T) {
	inside := netip.MustParseAddr("127.0.0.1")
	asked := false
	srv := httptest.NewTLSServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { asked = true }))
	defer srv.Close()
	for name, tt := range map[string]struct {
		endpoint string
		ips      []netip.Addr
	}{
		"an address":          {srv.URL, []netip.Addr{inside}},
		"a name":              {"https://hook.example" + srv.URL[strings.LastIndex(srv.URL, ":"):], []netip.Addr{inside}},
		"a private network":   {"https://hook.example", []netip.Addr{netip.MustParseAddr("10.1.2.3")}},
		"the cloud's own":     {"https://hook.example", []netip.Addr{netip.MustParseAddr("169.254.169.254")}},
		"an embedded one":     {"https://hook.example", []netip.Addr{netip.MustParseAddr("64:ff9b::7f00:1")}},
		"a name that rebinds": {"https://hook.example" + srv.URL[strings.LastIndex(srv.URL, ":"):], []netip.Addr{inside, inside}},
	} {
		w := hooks(t, &shelf{hook: gateway.Webhook{Endpoint: tt.endpoint, Enabled: true, Secret: aSecret}}, safehttp.Config{Resolver: &everywhere{tt.ips}, Timeout: time.Second})
		if out, err := told(w, ""); err == nil || out.Attempt.Status != 0 || out.Attempt.Error != "the address is not allowed" {
			t.Errorf("%s: %+v, %v", name, out.Attempt, err)
		}
	}
	if asked {
		t.Error("an endpoint inside was asked")
	}
}

// What is not the endpoint's fault does not count against it.
func TestTellNobody(t *testing.T) {
	s := &shelf{hook: gateway.Webhook{Endpoint: "https://hook.example", Enabled: true, Secret: aSecret}}
	w := hooks(t, s, safehttp.Config{})
	if out, err := told(w, "gone"); err != nil || !out.Skipped {
		t.Errorf("an email that is gone: %+v, %v", out, err)
	}
	s.hook.Enabled = false
	if _, err := told(w, ""); gateway.KindOf(err) != gateway.NotFound {
		t.Errorf("a disabled one: %v", err)
	}
	s.err = gateway.Errorf(gateway.Internal, "the disk is away")
	if _, err := told(w, ""); gateway.KindOf(err) != gateway.Unavailable {
		t.Errorf("the store fails: %v", err)
	}
	s.err = gateway.Errorf(gateway.NotFound, "no such webhook")
	if _, err := told(w, ""); gateway.KindOf(err) != gateway.NotFound {
		t.Errorf("a deleted one: %v", err)
	}
}

func (s *shelf) AddWebhook(context.Context, gateway.Scope, gateway.Webhook) (*gateway.Webhook, error) {
	return nil, s.err
}

func (s *shelf) ChangeWebhook(context.Context, gateway.Scope, gateway.ID, gateway.WebhookChange) (*gateway.Webhook, error) {
	return nil, s.err
}

func (s *shelf) DeleteWebhook(context.Context, gateway.Scope, gateway.ID) error { return s.err }

func (s *shelf) WebhookEvent(context.Context, gateway.Scope, gateway.ID, gateway.Position) (*gateway.WebhookEvent, error) {
	return &gateway.WebhookEvent{Event: gateway.Event{At: time.UnixMilli(1)}}, nil
}

func (s *shelf) RetellWebhook(context.Context, gateway.Scope, gateway.ID, gateway.Position) (*gateway.WebhookEvent, error) {
	return nil, s.err
}

// A change that the store may have made although it failed is looked at, as any other.
func TestWebhookChangedPerhaps(t *testing.T) {
	w := hooks(t, &shelf{err: gateway.Errorf(gateway.Unavailable, "the disk is away")}, safehttp.Config{})
	ctx, s := context.Background(), gateway.NewScope(gateway.LevelDomain, 3, 0, gateway.ID{})
	var changed []gateway.DomainID
	w.cfg.Changed = func(d gateway.DomainID) { changed = append(changed, d) }
	for name, do := range map[string]func() error{
		"Add":    func() error { _, err := w.Add(ctx, s, 3, 0, "https://x.example", nil); return err },
		"Change": func() error { _, err := w.Change(ctx, s, gateway.ID{}, gateway.WebhookChange{}); return err },
		"Delete": func() error { return w.Delete(ctx, s, gateway.ID{}) },
		"Retell": func() error {
			_, err := w.Retell(ctx, s, gateway.ID{}, gateway.EventID(gateway.Position{}, time.UnixMilli(1)))
			return err
		},
	} {
		changed = nil
		if err := do(); gateway.KindOf(err) != gateway.Unavailable || !slices.Equal(changed, []gateway.DomainID{3}) {
			t.Errorf("%s: %v, changed %v", name, err, changed)
		}
	}
}
