package gatewaytest_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/centerleap/postern/gateway"
	"github.com/centerleap/postern/gateway/gatewaytest"
	"github.com/centerleap/postern/gateway/keys"
)

// outside is a gateway whose clock the test moves, and the hosts it delivers to.
type outside struct {
	*testing.T
	g     *gatewaytest.Gateway
	clock *movingClock
	mx    *gatewaytest.MX // of example.com
	other *gatewaytest.MX // of example.org
}

func newOutside(t *testing.T, options ...gatewaytest.Option) *outside {
	t.Helper()
	o := &outside{T: t, clock: &movingClock{}, mx: gatewaytest.ServeMX(t), other: gatewaytest.ServeMX(t)}
	o.clock.set(time.Now())
	d := gatewaytest.ServeDNS(t)
	d.Publish("null.example. MX 0 .\n")
	hosts := map[string]*gatewaytest.MX{"example.com": o.mx, "example.org": o.other}
	o.g = gatewaytest.Start(t, append([]gatewaytest.Option{gatewaytest.Clock(o.clock.now), gatewaytest.Hosts(d, hosts)}, options...)...)
	return o
}

func (o *outside) later(d time.Duration) {
	o.clock.set(o.clock.now().Add(d))
	o.g.Sender.Wake()
}

func (o *outside) send(to ...string) (id string) {
	o.Helper()
	m := mail(gatewaytest.Account, "", "Hi")
	m["to"] = to
	return send(o, o.g, o.g.Keys.Domain, m).Str("id")
}

// fate is an email's last event, and that of each recipient by address.
func (o *outside) fate(id string) (last string, by map[string]string) {
	o.Helper()
	_, a := o.g.Do("GET", "/emails/"+id, o.g.Keys.Domain, nil)
	by = make(map[string]string)
	for _, v := range a["events"].([]any) {
		e := gatewaytest.Answer(v.(map[string]any))
		by[e.Str("recipient")] = e.Str("type")
	}
	return a.Str("last_event"), by
}

func (o *outside) wait(id, want string) {
	o.Helper()
	last := ""
	gatewaytest.Eventually(o, id+" is "+want, func() bool {
		last, _ = o.fate(id)
		return last == want
	})
}

// events are the types that the domain's feed has told of an email, in order.
func (o *outside) events(id string) (types []gateway.EventType) {
	o.Helper()
	dom, err := o.g.Domains.Get(o.Context(), keys.System(), gatewaytest.Domain)
	if err != nil {
		o.Fatal(err)
	}
	feed, err := o.g.Store.Events(keys.Internal(dom.ID), dom.ID, 0)
	if err != nil {
		o.Fatal(err)
	}
	defer feed.Close()
	for {
		page, err := feed.Next(context.Background(), 100)
		if err != nil {
			o.Fatal(err)
		}
		if len(page) == 0 {
			return types
		}
		for _, e := range page {
			if e.Email.String() == id {
				types = append(types, e.Type)
			}
		}
	}
}

// answers has a host say something to commands that begin so.
func answers(by map[string]string) func(string) string {
	return func(command string) string {
		for begin, reply := range by {
			if strings.HasPrefix(command, begin) {
				return reply
			}
		}
		return ""
	}
}

// Mail leaves for the hosts of its recipients' domains: one transaction for each site,
// whatever number of recipients, with the bytes that Sent has.
func TestDelivers(t *testing.T) {
	o := newOutside(t)
	id := o.send("a@example.com", "b@example.com", "c@example.org")
	gatewaytest.Eventually(t, "all are delivered", func() bool {
		_, by := o.fate(id)
		return by["a@example.com"] == "delivered" && by["b@example.com"] == "delivered" && by["c@example.org"] == "delivered"
	})
	got, other := o.mx.Mail(), o.other.Mail()
	if len(got) != 1 || len(other) != 1 || !slices.Equal(got[0].To, []string{"a@example.com", "b@example.com"}) || got[0].Data != other[0].Data {
		t.Fatalf("%+v\n%+v", got, other)
	}
	resp := o.g.Send("GET", "/emails/"+id+"/raw", o.g.Keys.Domain, nil)
	defer resp.Body.Close()
	raw := make([]byte, len(got[0].Data)+1)
	if n, _ := resp.Body.Read(raw); string(raw[:n]) != got[0].Data || !strings.Contains(got[0].Data, "DKIM-Signature:") {
		t.Errorf("Sent has\n%s\nthe host got\n%s", raw[:n], got[0].Data)
	}
	if types := o.events(id); !slices.Equal(types, []gateway.EventType{"email.queued", "email.delivered", "email.delivered", "email.delivered"}) {
		t.Errorf("%v", types)
	}
	_, a := o.g.Do("GET", "/logs?protocol=system", o.g.Keys.Domain, nil)
	if log := fmt.Sprint(a["data"]); !strings.Contains(log, "delivered: 2.0.0 queued") || !strings.Contains(log, id) {
		t.Errorf("the log: %v", log)
	}
}

// What a host says decides: about the recipient, and about those who come later.
func TestClassifies(t *testing.T) {
	o := newOutside(t)
	for i, tt := range []struct {
		what, command, reply string
		want                 string
		suppressed           bool
	}{
		{"no such mailbox", "RCPT", "550 5.1.1 nobody", "bounced", true},
		{"no such system", "RCPT", "550 5.1.2 where", "bounced", true},
		{"bad syntax", "RCPT", "553 5.1.3 what", "bounced", true},
		{"a disabled mailbox", "RCPT", "550 5.2.1 gone", "bounced", true},
		{"a null MX, of somebody's own making", "RCPT", "556 5.1.10 never", "bounced", true},
		{"policy", "RCPT", "550 5.7.1 not you", "bounced", false},
		{"no enhanced code", "RCPT", "550 no", "bounced", false},
		{"the content", ".", "554 5.6.0 bad", "bounced", false},
		{"a full mailbox", "RCPT", "552 5.2.2 full", "delivery_delayed", false},
		{"too many recipients", "RCPT", "552 too many", "delivery_delayed", false},
		{"a full mailbox, for now", "RCPT", "452 4.2.2 full", "delivery_delayed", false},
		{"greylisting", "RCPT", "451 4.7.1 greylisted", "delivery_delayed", false},
		{"no reply to the final dot", ".", gatewaytest.Drop, "delivery_delayed", false},
	} {
		o.mx.Answer(answers(map[string]string{tt.command: tt.reply}))
		to := fmt.Sprintf("user%d@example.com", i)
		id := o.send(to)
		o.wait(id, tt.want)
		status, _ := o.g.Do("GET", "/suppressions/"+to, o.g.Keys.Domain, nil)
		if got := status == 200; got != tt.suppressed {
			t.Errorf("%s: suppressed: %v, want %v", tt.what, got, tt.suppressed)
		}
	}
	if !strings.Contains(o.g.Log.String(), "no reply to a whole message: it may arrive twice") {
		t.Error("nobody says that a message may arrive twice")
	}
	id := o.send("user0@example.com")
	o.wait(id, "suppressed")
	id = o.send("x@null.example")
	o.wait(id, "bounced")
	if status, _ := o.g.Do("GET", "/suppressions/x@null.example", o.g.Keys.Domain, nil); status != 200 {
		t.Error("a domain that takes no mail is tried again")
	}
}

// A delivery is tried through its whole life, and not after it; the clock does in a
// second what takes two days.
func TestLifeOfADelivery(t *testing.T) {
	o := newOutside(t, gatewaytest.Limit("delay_report_minutes", "10000")) // a report would be due in between
	o.mx.Answer(answers(map[string]string{"RCPT": "451 4.2.0 not now"}))
	began := o.clock.now()
	id := o.send("a@example.com")
	var at []time.Duration
	for tries := 1; ; tries++ {
		last := ""
		gatewaytest.Eventually(t, fmt.Sprint("attempt ", tries), func() bool {
			n := strings.Count(o.g.Log.String(), `"delivery attempted","message":"`+id)
			last, _ = o.fate(id) // the log comes after it
			return n == tries
		})
		at = append(at, o.clock.now().Sub(began))
		if last == "failed" {
			break
		}
		next, err := o.g.Store.NextDue(t.Context(), keys.System())
		if err != nil || next.IsZero() {
			t.Fatalf("after %d attempts: %v %v", tries, next, err)
		}
		o.later(next.Sub(o.clock.now()))
	}
	t.Log(at)
	if n := len(at); n < 12 || n > 15 || at[n-1] < 48*time.Hour-time.Second || at[n-1] > 49*time.Hour || at[1] > 6*time.Minute || at[2] > 23*time.Minute {
		t.Errorf("attempts at %v", at)
	}
	types := o.events(id)
	if n := len(types); types[n-1] != gateway.EventFailed || types[n-2] != gateway.EventDelayed || n != len(at)+1 {
		t.Errorf("%v", types)
	}
	if _, a := o.g.Do("GET", "/emails/"+id, o.g.Keys.Domain, nil); !strings.Contains(a.Str("events.0.message"), "4.4.7 gave up after 48 hours; last: not now") {
		t.Errorf("%v", a["events"])
	}
}

// Every type of event about a delivery has a cause that another host, or a caller, can
// give; the email's record, its detail, the feed and the log agree on it.
func TestEveryEvent(t *testing.T) {
	smart := gatewaytest.ServeMX(t)
	o := newOutside(t, gatewaytest.Setting("delivery.smarthost", smart.Addr))
	o.mx.Answer(func(command string) string {
		switch {
		case strings.Contains(command, "gone@"):
			return "550 5.1.1 nobody"
		case strings.Contains(command, "later@"):
			return "450 4.2.0 not now"
		case strings.Contains(command, "big@"):
			return "552 5.3.4 too big"
		}
		return ""
	})
	mode := func(m string) {
		if status, a := o.g.Do("PATCH", "/instance", o.g.Keys.Admin, `{"delivery_mode":"`+m+`"}`); status != 200 {
			t.Fatalf("%d %v", status, a)
		}
	}
	by := make(map[string]string)
	note := func(id, want string) string {
		t.Helper()
		o.wait(id, want)
		by[want] = id
		return id
	}
	note(o.send("a@example.com"), "delivered")
	note(o.send("gone@example.com"), "bounced")
	note(o.send("gone@example.com"), "suppressed")
	late := note(o.send("later@example.com"), "delivery_delayed")
	o.later(47 * time.Hour)
	gatewaytest.Eventually(t, "a second attempt", func() bool { return strings.Count(o.g.Log.String(), `"delivery attempted","message":"`+late) == 2 })
	o.later(3 * time.Hour)
	note(late, "failed")
	mode("relay")
	note(o.send("b@example.com"), "sent")
	mode("capture")
	note(o.send("c@example.com"), "held")
	m := mail(gatewaytest.Account, "d@example.com", "Hi")
	m["scheduled_at"] = o.clock.now().Add(time.Hour).UTC().Format(time.RFC3339)
	id := note(send(t, o.g, o.g.Keys.Domain, m).Str("id"), "scheduled")
	if status, a := o.g.Do("POST", "/emails/"+id+"/cancel", o.g.Keys.Domain, nil); status != 200 {
		t.Fatalf("%d %v", status, a)
	}
	note(id, "canceled")
	if len(smart.Mail()) != 1 || smart.Mail()[0].To[0] != "b@example.com" {
		t.Errorf("the smart host got %v", smart.Mail())
	}
	_, log := o.g.Do("GET", "/logs?protocol=system&limit=100", o.g.Keys.Domain, nil)
	rows := fmt.Sprint(log["data"])
	for want, id := range by {
		types, told := o.events(id), gateway.EventType("email."+want)
		if !slices.Contains(types, told) || want != "suppressed" && types[0] == told && want != "scheduled" && want != "held" {
			t.Errorf("%s: the feed has %v", want, types)
		}
		_, fates := o.fate(id)
		for to, got := range fates {
			if next := map[string]string{"scheduled": "canceled", "delivery_delayed": "failed"}[want]; got != want && got != next {
				t.Errorf("%s: %s is %s", want, to, got)
			}
		}
		if tried := slices.Contains([]string{"delivered", "bounced", "delivery_delayed", "failed", "sent"}, want); tried && !strings.Contains(rows, want+": ") {
			t.Errorf("%s is not in the log", want)
		}
	}
}

// A host that is down is left alone after three attempts, and gets what waits when it is
// back; the mail of another site does not wait for it.
func TestDownAndBack(t *testing.T) {
	o := newOutside(t)
	o.mx.Answer(func(command string) string {
		if command == "CONNECT" {
			return gatewaytest.Drop
		}
		return ""
	})
	var ids []string
	for i := range 20 {
		ids = append(ids, o.send(fmt.Sprintf("a%d@example.com", i)))
	}
	o.wait(o.send("b@example.org"), "delivered")
	gatewaytest.Eventually(t, "the site is put off", func() bool {
		sites, err := o.g.Store.DueSites(context.Background(), keys.System(), nil, 1)
		_, leased := o.g.Do("GET", "/queue?state=leased", o.g.Keys.Domain, nil)
		return err == nil && len(sites) == 0 && len(leased["data"].([]any)) == 0
	})
	if n := o.mx.Opened(); n < 3 || n > 20 {
		t.Errorf("%d connections to a host that is down", n)
	}
	o.mx.Answer(func(string) string { return "" })
	for n := 0; len(o.mx.Mail()) < len(ids); n++ {
		if n > 20 {
			t.Fatalf("%d of %d arrived", len(o.mx.Mail()), len(ids))
		}
		next, err := o.g.Store.NextDue(t.Context(), keys.System())
		if err != nil || next.IsZero() {
			t.Fatal(next, err)
		}
		before := len(o.mx.Mail())
		o.later(next.Sub(o.clock.now()))
		gatewaytest.Eventually(t, "more arrives", func() bool { return len(o.mx.Mail()) > before })
		gatewaytest.Eventually(t, "all that is due arrives", func() bool {
			sites, err := o.g.Store.DueSites(context.Background(), keys.System(), nil, 1)
			o.g.Sender.Wake()
			_, leased := o.g.Do("GET", "/queue?state=leased", o.g.Keys.Domain, nil) // a lease must not end by the clock's leap
			return err == nil && len(sites) == 0 && len(leased["data"].([]any)) == 0
		})
	}
	for _, id := range ids {
		o.wait(id, "delivered")
	}
	if n := len(o.mx.Mail()); n != len(ids) {
		t.Errorf("%d mails arrived, %d were sent", n, len(ids))
	}
}
