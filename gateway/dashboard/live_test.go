package dashboard_test

import (
	"bufio"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/centerleap/postern/gateway/gatewaytest"
)

const liveOf = "/ui/domains/" + gatewaytest.Domain + "/live"

// tail is a stream that a browser has open.
type tail struct {
	t      testing.TB
	status int
	header http.Header
	lines  chan string
	close  func()
}

// follows opens a stream of events; patience bounds all waiting for it.
func (b *browser) follows(path string, headers ...string) *tail {
	b.t.Helper()
	r, err := http.NewRequest("GET", b.g.URL+path, nil)
	if err != nil {
		b.t.Fatal(err)
	}
	r.Header.Set("Cookie", b.cookie)
	for name, value := range b.header {
		if r.Header.Set(name, value); name == "Host" {
			r.Host = value
		}
	}
	for i := 0; i+1 < len(headers); i += 2 {
		r.Header.Set(headers[i], headers[i+1])
	}
	resp, err := (&http.Transport{}).RoundTrip(r)
	if err != nil {
		b.t.Fatal(err)
	}
	f := &tail{t: b.t, status: resp.StatusCode, header: resp.Header, lines: make(chan string, 100), close: func() { resp.Body.Close() }}
	b.t.Cleanup(f.close)
	go func() {
		defer close(f.lines)
		for lines := bufio.NewScanner(resp.Body); lines.Scan(); {
			f.lines <- lines.Text()
		}
	}()
	return f
}

// happening is an event as a stream has it.
type happening struct {
	Sequence                             uint64
	Type, Account, Folder, Detail, Email string
}

const patience = 20 * time.Second

// next waits for the next event.
func (f *tail) next() happening {
	f.t.Helper()
	late := time.After(patience)
	for {
		select {
		case line, ok := <-f.lines:
			if !ok {
				f.t.Fatal("the stream has ended")
			}
			if raw, is := strings.CutPrefix(line, "data: "); is {
				var h happening
				if err := json.Unmarshal([]byte(raw), &h); err != nil {
					f.t.Fatal(err)
				}
				return h
			}
		case <-late:
			f.t.Fatal("nothing happened")
		}
	}
}

// ends waits until the stream is over.
func (f *tail) ends(why string) {
	f.t.Helper()
	late := time.After(patience)
	for {
		select {
		case _, ok := <-f.lines:
			if !ok {
				return
			}
		case <-late:
			f.t.Fatalf("%s, and the stream goes on", why)
		}
	}
}

// The page shows what happened; the stream tells what happens, from where it was left.
func TestLiveStream(t *testing.T) {
	g := gatewaytest.Start(t)
	b := signedIn(t, g, g.Keys.Domain)
	f := b.follows(liveOf + "/events")
	if f.status != 200 || f.header.Get("Content-Type") != "text/event-stream" || !strings.Contains(f.header.Get("Content-Security-Policy"), "default-src 'none'") {
		t.Fatalf("%d %v", f.status, f.header)
	}
	send(t, g, g.Keys.Domain, gatewaytest.Account)
	var last uint64
	seen := make(map[string]happening)
	for len(seen) < 3 {
		h := f.next()
		if h.Sequence <= last {
			t.Errorf("%d comes behind %d", h.Sequence, last)
		}
		last, seen[h.Type] = h.Sequence, h
	}
	if h := seen["email.received"]; h.Account != gatewaytest.Account || h.Folder != "INBOX" || len(h.Email) != 36 {
		t.Errorf("%+v", h)
	}
	if h := seen["email.delivered"]; h.Detail != gatewaytest.Account {
		t.Errorf("%+v", h)
	}
	b.get(liveOf).wants(t, 200, "email.received", "email.delivered", "INBOX", `data-live="`+liveOf+`/events"`, fmt.Sprintf(`data-last="%d"`, last), "Refresh")

	for name, how := range map[string][]string{
		"an id":               {"/events", "Last-Event-ID", fmt.Sprint(last - 1)},
		"an address":          {"/events?after=" + fmt.Sprint(last-1)},
		"an id of the future": {"/events", "Last-Event-ID", "99999999"},
	} {
		again := b.follows(liveOf+how[0], how[1:]...)
		if name == "an id of the future" {
			g.Do("POST", "/suppressions", g.Keys.Domain, `{"email":"gone@x.test"}`)
			if h := again.next(); h.Type != "suppression.added" {
				t.Errorf("%s: %+v", name, h)
			}
		} else if h := again.next(); h.Sequence != last {
			t.Errorf("resumed by %s: %+v", name, h)
		}
		again.close()
	}
}

// An account's key sees its own events, and no one those of others.
func TestLiveWalls(t *testing.T) {
	g := gatewaytest.Start(t)
	g.Do("POST", "/domains", g.Keys.Admin, `{"name":"other.localhost","verified":true}`)
	g.Do("POST", "/accounts", g.Keys.Admin, `{"email":"secret@demo.localhost"}`)
	_, theirs := g.Do("POST", "/api-keys", g.Keys.Admin, `{"name":"theirs","domain":"other.localhost"}`)
	account, other, admin := signedIn(t, g, g.Keys.Account), signedIn(t, g, theirs.Str("token")), signedIn(t, g, g.Keys.Admin)
	own, all := account.follows(liveOf+"/events"), admin.follows(liveOf+"/events")
	send(t, g, g.Keys.Domain, "secret@demo.localhost")
	send(t, g, g.Keys.Domain, gatewaytest.Account)
	for {
		if h := own.next(); h.Account != gatewaytest.Account {
			t.Fatalf("an account sees %+v", h)
		} else if h.Type == "email.received" {
			break
		}
	}
	for !strings.Contains(all.next().Account, "secret") {
	}
	if a := account.get(liveOf).wants(t, 200, "email.received"); strings.Count(a.body, "email.received") != 1 {
		t.Error("an account's page shows what another received")
	}
	other.get(liveOf).wants(t, 404)
	other.get(liveOf+"/events").wants(t, 404)
	if f := newBrowser(t, g).follows(liveOf + "/events"); f.status != http.StatusSeeOther {
		t.Errorf("without a sign-in: %d", f.status)
	}
	for _, header := range []map[string]string{{"Sec-Fetch-Site": "cross-site"}, {"Origin": "https://evil.example"}, {"Sec-Fetch-Site": "same-origin", "Host": "evil.example"}} {
		account.header = header
		if f := account.follows(liveOf + "/events"); f.status != 403 && f.status != 400 {
			t.Errorf("%v: %d", header, f.status)
		}
	}
}

// A stream ends with its sign-in, its key, its domain and the gateway; there are no more
// of them than the key may have.
func TestLiveStreamEnds(t *testing.T) {
	g := gatewaytest.Start(t, gatewaytest.Limit("streams_per_key", "2"), gatewaytest.Limit("heartbeat_seconds", "1"))
	g.Do("POST", "/domains", g.Keys.Admin, `{"name":"short.localhost","verified":true}`)
	_, k := g.Do("POST", "/api-keys", g.Keys.Domain, `{"name":"short-lived"}`)
	one, two, admin := signedIn(t, g, g.Keys.Domain), signedIn(t, g, k.Str("token")), signedIn(t, g, g.Keys.Admin)

	first := one.follows(liveOf + "/events")
	out := one.follows(liveOf + "/events")
	first.ends("the browser has opened another one")
	second, third := signedIn(t, g, g.Keys.Domain), signedIn(t, g, g.Keys.Domain)
	if f := second.follows(liveOf + "/events"); f.status != 200 {
		t.Errorf("the stream of a second browser: %d", f.status)
	}
	if f := third.follows(liveOf + "/events"); f.status != http.StatusTooManyRequests {
		t.Errorf("that of a third: %d", f.status)
	}
	one.post("/ui/sign-out")
	out.ends("signed out")
	gatewaytest.Eventually(t, "there is room again", func() bool { return third.follows(liveOf+"/events").status == 200 })

	revoked := two.follows(liveOf + "/events")
	g.Do("DELETE", "/api-keys/"+k.Str("id"), g.Keys.Domain, nil)
	revoked.ends("the key was revoked")

	gone := admin.follows("/ui/domains/short.localhost/live/events")
	g.Do("DELETE", "/domains/short.localhost", g.Keys.Admin, nil)
	gone.ends("the domain was deleted")

	stopped := admin.follows(liveOf + "/events")
	began := time.Now()
	g.Stop()
	stopped.ends("the gateway stopped")
	if took := time.Since(began); took > 10*time.Second {
		t.Errorf("the stop waited %v for a stream", took)
	}
}
