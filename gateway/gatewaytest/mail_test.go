package gatewaytest_test

import (
	"bytes"
	"context"
	"fmt"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"
	"pgregory.net/rapid"

	"github.com/centerleap/postern/gateway"
	"github.com/centerleap/postern/gateway/gatewaytest"
	"github.com/centerleap/postern/gateway/keys"
	"github.com/centerleap/postern/gateway/outbound"
	"github.com/centerleap/postern/gateway/threading"
)

func TestMain(m *testing.M) {
	code := m.Run()
	http.DefaultTransport.(*http.Transport).CloseIdleConnections()
	if err := goleak.Find(goleak.IgnoreTopFunction("github.com/golang/glog.(*fileSink).flushDaemon"),
		goleak.IgnoreAnyFunction("github.com/valyala/fasthttp.(*workerPool).Start.func2"), // its cleaner sleeps up to 10 s after the stop
		goleak.IgnoreAnyFunction("github.com/valyala/fasthttp.updateServerDate.func1")); err != nil && code == 0 {
		fmt.Fprintln(os.Stderr, err)
		code = 1
	}
	os.Exit(code)
}

func send(t testing.TB, g *gatewaytest.Gateway, key string, fields map[string]any) gatewaytest.Answer {
	t.Helper()
	status, a := g.Do("POST", "/emails", key, fields)
	if status != 200 {
		t.Fatalf("send: %d %v", status, a)
	}
	return a
}

func mail(from, to, subject string) map[string]any {
	return map[string]any{"from": from, "to": to, "subject": subject, "html": "<p>Hello <b>you</b></p>"}
}

// inbox waits until an account has n emails and returns them, newest first.
func inbox(t testing.TB, g *gatewaytest.Gateway, email string, n int) []any {
	t.Helper()
	var data []any
	gatewaytest.Eventually(t, fmt.Sprintf("%d emails for %s", n, email), func() bool {
		status, a := g.Do("GET", "/emails?email="+email, g.Keys.Domain, nil)
		data, _ = a["data"].([]any)
		return status == 200 && len(data) == n
	})
	return data
}

// Mail flows: sent, delivered, read, answered in the same thread, changed,
// deleted; and all of it is there after a restart.
func TestMailFlows(t *testing.T) {
	g := gatewaytest.Start(t)
	sent := send(t, g, g.Keys.Domain, mail("Ann <ann@demo.localhost>", gatewaytest.Account, "Project Update"))
	inbox(t, g, gatewaytest.Account, 1)
	_, got := g.Do("GET", "/emails/"+sent.Str("message_id")+"?email="+gatewaytest.Account, g.Keys.Account, nil)
	for path, want := range map[string]any{
		"object": "email", "from": "ann@demo.localhost", "from_name": "Ann", "to": gatewaytest.Account, "subject": "Project Update",
		"html": "<p>Hello <b>you</b></p>", "text": "Hello you", "folder": "INBOX", "is_read": false, "is_sent": false, "uid": 1.0,
		"authentication.dmarc": "pass", "authentication.reason": "local", "thread_position": 0.0,
	} {
		if got.At(path) != want {
			t.Errorf("%s: got %v, want %v", path, got.At(path), want)
		}
	}
	reply := mail(gatewaytest.Account, "ann@demo.localhost", "Re: Project Update")
	reply["in_reply_to"] = sent.Str("message_id")
	answer := send(t, g, g.Keys.Account, reply)
	if answer.Str("thread_id") != got.Str("thread_id") {
		t.Errorf("the reply is in thread %s, its parent in %s", answer.Str("thread_id"), got.Str("thread_id"))
	}
	status, a := g.Do("PATCH", "/emails/1?folder=INBOX", g.Keys.Account, `{"is_read":true,"is_starred":true,"folder":"Archive"}`)
	if status != 200 || a.At("is_read") != true || a.At("is_starred") != true || a.At("folder") != "Archive" || a.Str("email_id") != got.Str("email_id") {
		t.Errorf("PATCH: %d %v", status, a)
	}
	g.Restart()
	status, th := g.Do("GET", "/emails/threads/"+got.Str("thread_id"), g.Keys.Account, nil)
	if status != 200 || th.At("message_count") != 2.0 || th.At("subject") != "Project Update" || th.At("data.1.is_sent") != true || th.At("data.1.thread_position") != 1.0 {
		t.Errorf("thread: %d %v", status, th)
	}
	status, a = g.Do("DELETE", "/emails/"+got.Str("email_id"), g.Keys.Account, nil)
	if status != 200 || a.At("folder") != "Trash" {
		t.Errorf("DELETE: %d %v", status, a)
	}
	status, a = g.Do("DELETE", "/emails/"+got.Str("email_id"), g.Keys.Account, nil)
	if status != 200 || a.At("folder") != nil || a.At("deleted") != true {
		t.Errorf("DELETE from Trash: %d %v", status, a)
	}
	if status, _ = g.Do("GET", "/emails/"+got.Str("email_id"), g.Keys.Account, nil); status != 404 {
		t.Errorf("GET after it is gone: %d", status)
	}
	inbox(t, g, "ann@demo.localhost", 1)
}

// Foreign mail is kept, not sent; the sender sees it.
func TestCapture(t *testing.T) {
	g := gatewaytest.Start(t, gatewaytest.Setting("dns.servers", ""))
	sent := send(t, g, g.Keys.Domain, mail(gatewaytest.Account, "someone@example.com", "Hi"))
	_, a := g.Do("GET", "/emails/"+sent.Str("id"), g.Keys.Domain, nil)
	if a.At("last_event") != "held" || a.At("events.0.type") != "held" || a.At("events.0.reason") != "capture" {
		t.Errorf("%v, %v", a["last_event"], a["events"])
	}
	if status, a := g.Do("PATCH", "/instance", g.Keys.Admin, `{"delivery_mode":"direct"}`); status != 200 {
		t.Fatalf("go-live: %d %v", status, a)
	}
	sent = send(t, g, g.Keys.Domain, mail(gatewaytest.Account, "someone@example.com", "Hi"))
	gatewaytest.Eventually(t, "an attempt is made and put off", func() bool {
		_, a := g.Do("GET", "/emails/"+sent.Str("id"), g.Keys.Domain, nil)
		return a.At("events.0.type") == "delivery_delayed" && a.At("events.0.code") == 451.0
	})
}

// A delivery that was received, and whose record of it was lost to a crash, is
// not received twice.
func TestDeliveredOnce(t *testing.T) {
	g := gatewaytest.Start(t)
	id := gateway.ID{1}
	send(t, g, g.Keys.Domain, mail("ann@demo.localhost", gatewaytest.Account, "x"))
	inbox(t, g, gatewaytest.Account, 1)
	for range 3 {
		env := gateway.Envelope{ReturnPath: "a@x.test", Recipients: []string{gatewaytest.Account}, Delivery: id, Author: "x.test"}
		if err := g.Receiver.Receive(t.Context(), env, strings.NewReader("Subject: once\r\n\r\nbody")); err != nil {
			t.Fatal(err)
		}
		g.Restart()
	}
	inbox(t, g, gatewaytest.Account, 2)
}

// The same correspondence, submitted and received in any order, with restarts
// between, ends in the same threads and positions as the model.
func TestThreadsInAnyOrder(t *testing.T) {
	clock := &movingClock{}
	g := gatewaytest.Start(t, gatewaytest.Clock(clock.now))
	dom, err := g.Domains.Get(t.Context(), keys.System(), gatewaytest.Domain)
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	rapid.Check(t, func(rt *rapid.T) {
		n++
		me := fmt.Sprintf("user%d@demo.localhost", n)
		letters := correspondence(rt, n, me)
		order := rapid.Permutation(indexes(len(letters))).Draw(rt, "order")
		restart := rapid.IntRange(0, len(letters)*8).Draw(rt, "restart at") // mostly never
		sc := keys.Internal(dom.ID)
		if err := g.Store.CreateAccount(t.Context(), sc, &gateway.Account{Domain: dom.ID, Email: me}); err != nil {
			rt.Fatal(err)
		}
		for i, at := range order {
			if i == restart {
				g.Restart()
			}
			clock.set(letters[at].date)
			letters[at].carry(rt, g, sc, me)
		}
		checkThreads(rt, g, sc, dom.ID, me, letters)
	})
}

func indexes(n int) (all []int) {
	for i := range n {
		all = append(all, i)
	}
	return all
}

type movingClock struct {
	mu sync.Mutex
	at time.Time
}

func (c *movingClock) now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.at.IsZero() {
		return time.Now()
	}
	return c.at
}

func (c *movingClock) set(t time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.at = t
}

// letter is one message of a correspondence, as its sender wrote it.
type letter struct {
	id, subject string
	refs        []string
	date        time.Time
	sent        bool // by the account
	peer        string
}

// correspondence draws letters that refer to each other, to lost ones, or by
// subject alone. Message-IDs differ, as they do in life.
func correspondence(t *rapid.T, run int, me string) []*letter {
	count := rapid.IntRange(2, 7).Draw(t, "letters")
	base := time.Now().Add(-30 * 24 * time.Hour).UTC().Truncate(time.Second)
	all := make([]*letter, count)
	for i := range all {
		l := &letter{
			id:      fmt.Sprintf("<%d.%d@demo.localhost>", run, i),
			subject: rapid.SampledFrom([]string{"lunch", "Re: lunch", "plan", "Re: plan"}).Draw(t, "subject"),
			date:    base.Add(time.Duration(rapid.IntRange(0, 30).Draw(t, "day")) * 12 * time.Hour),
			sent:    rapid.Bool().Draw(t, "sent"),
			peer:    rapid.SampledFrom([]string{"ann@peer.test", "ben@peer.test"}).Draw(t, "peer"),
		}
		for _, r := range rapid.SliceOfN(rapid.IntRange(0, count+2), 0, 2).Draw(t, "refs") {
			if id := fmt.Sprintf("<%d.%d@demo.localhost>", run, r); id != l.id && !slices.Contains(l.refs, id) {
				l.refs = append(l.refs, id)
			}
		}
		all[i] = l
	}
	return all
}

// carry brings a letter into the account: through Submit if the account sent
// it, through Receive otherwise.
func (l *letter) carry(t *rapid.T, g *gatewaytest.Gateway, sc gateway.Scope, me string) {
	ctx := context.Background()
	if !l.sent {
		raw := fmt.Sprintf("From: %s\r\nTo: %s\r\nSubject: %s\r\nMessage-ID: %s\r\nDate: %s\r\n", l.peer, me, l.subject, l.id, l.date.Format(time.RFC1123Z))
		if len(l.refs) > 0 {
			raw += "References: " + strings.Join(l.refs, " ") + "\r\n"
		}
		env := gateway.Envelope{ReturnPath: l.peer, Recipients: []string{me}, RemoteIP: "192.0.2.1"}
		if err := g.Receiver.Receive(ctx, env, strings.NewReader(raw+"\r\nhello")); err != nil {
			t.Fatal(err)
		}
		return
	}
	c := &gateway.Compose{
		From: gateway.Address{Addr: me}, To: []gateway.Address{{Addr: l.peer}}, Subject: l.subject, Text: "hello",
		Headers: []gateway.HeaderField{{Name: "Message-ID", Value: l.id}},
	}
	if len(l.refs) > 0 {
		c.Headers = append(c.Headers, gateway.HeaderField{Name: "References", Value: strings.Join(l.refs, " ")})
	}
	if _, err := g.Sender.Submit(ctx, sc, outbound.Submission{Compose: c}); err != nil {
		t.Fatal(err)
	}
}

// checkThreads compares what the store made of the letters with the model.
func checkThreads(t *rapid.T, g *gatewaytest.Gateway, sc gateway.Scope, d gateway.DomainID, me string, letters []*letter) {
	a, err := g.Store.Account(context.Background(), sc, d, me)
	if err != nil {
		t.Fatal(err)
	}
	facts := make([]gateway.ThreadFacts, len(letters))
	stored := make([]*gateway.Message, len(letters))
	for i, l := range letters {
		found, err := g.Store.MessagesByMessageID(context.Background(), sc, a.ID, l.id)
		if err != nil || len(found) != 1 {
			t.Fatalf("%s: %d messages, %v", l.id, len(found), err)
		}
		stored[i] = found[0]
		facts[i] = threading.Facts(&found[0].Content, l.date)
	}
	threads := make(map[gateway.ID]bool)
	for _, group := range threading.Group(facts) {
		id := stored[group[0]].Thread
		if threads[id] {
			t.Fatalf("two conversations share thread %s", id)
		}
		threads[id] = true
		th, members, err := g.Store.Thread(context.Background(), sc, id, 0, 100)
		if err != nil || th.Count != len(group) || len(members) != len(group) {
			t.Fatalf("thread %s has %d messages, %v; the model has %d", id, th.Count, err, len(group))
		}
		for pos, i := range group {
			if stored[i].Thread != id || stored[i].Position != pos || members[pos].ID != stored[i].ID {
				t.Fatalf("%s is number %d of thread %s; the model has it at %d of %s", letters[i].id, stored[i].Position, stored[i].Thread, pos, id)
			}
		}
	}
}

// After all that use, no file of the data folder and no line of the log holds a
// key.
func TestNoKeyOnDisk(t *testing.T) {
	g := gatewaytest.Start(t)
	send(t, g, g.Keys.Domain, mail(gatewaytest.Account, gatewaytest.Account, "x"))
	send(t, g, g.Keys.SendOnly, mail(gatewaytest.Account, gatewaytest.Account, "x"))
	g.Do("GET", "/emails", g.Keys.Account, nil)
	g.Do("GET", "/emails?email=x", strings.Replace(g.Keys.Domain, "bm_live_", "bm_live_0", 1), nil)
	_, made := g.Do("POST", "/api-keys", g.Keys.Domain, `{"name":"another"}`)
	g.Do("DELETE", "/api-keys/"+made.Str("id"), g.Keys.Domain, nil)
	var snapshot bytes.Buffer
	if err := g.Snapshot(t.Context(), &snapshot); err != nil {
		t.Fatal(err)
	}
	g.Stop()
	secrets := []string{g.Keys.Admin, g.Keys.Domain, g.Keys.Account, g.Keys.SendOnly, made.Str("token")}
	look := func(where, data string) {
		for _, s := range secrets {
			if hex := s[strings.LastIndexByte(s, '_')+1:]; len(hex) != 40 || strings.Contains(data, hex) {
				t.Errorf("%s holds the key %s...", where, s[:12])
			}
		}
	}
	look("the log", g.Log.String())
	look("a backup", snapshot.String())
	err := filepath.WalkDir(g.Data, func(path string, d fs.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() {
			return err
		}
		raw, err := os.ReadFile(path)
		look(path, string(raw))
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}
