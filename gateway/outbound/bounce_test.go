package outbound_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/centerleap/postern/gateway"
	"github.com/centerleap/postern/gateway/keys"
)

// returnPath is that of a message to other hosts.
func (l *lab) returnPath(m *gateway.Message) string {
	l.Helper()
	path, err := l.ReturnPath(l.Context(), &gateway.Delivery{Domain: m.Domain, Email: m.ID, ReturnPath: m.ReturnPath})
	l.ok(err)
	return path
}

// bounce has a report come back.
func (l *lab) bounce(path, report string) error {
	l.Helper()
	return l.Bounce(l.Context(), path, strings.NewReader(strings.ReplaceAll(report, "\n", "\r\n")))
}

// dsn is a report of another host about recipients with their actions and statuses.
func dsn(about ...string) string {
	s := "From: mailer-daemon@b.test\nContent-Type: multipart/report; report-type=delivery-status; boundary=b\n\n" +
		"--b\nContent-Type: text/plain\n\nsorry\n\n--b\nContent-Type: message/delivery-status\n\nReporting-MTA: dns; mx.b.test\n"
	for _, a := range about {
		f := strings.Fields(a)
		s += fmt.Sprintf("\nFinal-Recipient: rfc822; %s\nAction: %s\nStatus: %s\nDiagnostic-Code: smtp; 550 %[3]s no\n", f[0], f[1], f[2])
	}
	return s + "\n--b--\n"
}

func arf(feedback, recipient string) string {
	if recipient != "" {
		recipient = "Original-Rcpt-To: <" + recipient + ">\n"
	}
	return "Content-Type: multipart/report; report-type=feedback-report; boundary=b\n\n" +
		"--b\nContent-Type: message/feedback-report\n\nFeedback-Type: " + feedback + "\n" + recipient + "\n--b--\n"
}

// TestBounce: what a report changes of the message it is about.
func TestBounce(t *testing.T) {
	tests := []struct {
		name       string
		to         string
		reports    []string
		want       string                    // states
		suppressed gateway.SuppressionOrigin // of bob
		events     map[gateway.EventType]int
		attempts   int // deliveries and reports to the sender
	}{
		{"bounced", "bob", []string{dsn("bob@a.test failed 5.1.1")}, "bounced", "bounce", map[gateway.EventType]int{gateway.EventBounced: 1}, 2},
		{"in another case", "bob", []string{dsn("BOB@A.Test failed 5.1.10")}, "bounced", "bounce", map[gateway.EventType]int{gateway.EventBounced: 1}, 2},
		{"twice", "bob", []string{dsn("bob@a.test failed 5.2.1"), dsn("bob@a.test failed 5.2.1")}, "bounced", "bounce", map[gateway.EventType]int{gateway.EventBounced: 1, gateway.EventSuppressionAdded: 1}, 2},
		{"for another reason", "bob", []string{dsn("bob@a.test failed 5.7.1")}, "bounced", "", map[gateway.EventType]int{gateway.EventBounced: 1}, 2},
		{"expired", "bob", []string{dsn("bob@a.test failed 4.4.7")}, "bounced", "", map[gateway.EventType]int{gateway.EventBounced: 1}, 2},
		{"one of two", "bob joe", []string{dsn("bob@a.test failed 5.1.1")}, "bounced delivered", "bounce", map[gateway.EventType]int{gateway.EventBounced: 1}, 3},
		{"two of two", "bob joe", []string{dsn("bob@a.test failed 5.1.1", "joe@a.test failed 5.1.1")}, "bounced bounced", "bounce", map[gateway.EventType]int{gateway.EventBounced: 2}, 4},
		{"delayed, then bounced", "bob", []string{dsn("bob@a.test delayed 4.2.2"), dsn("bob@a.test delayed 4.2.2"), dsn("bob@a.test failed 5.2.2")}, "bounced", "", map[gateway.EventType]int{gateway.EventDelayed: 1, gateway.EventBounced: 1}, 3},
		{"delayed", "bob", []string{dsn("bob@a.test delayed 4.2.2")}, "delivered", "", map[gateway.EventType]int{gateway.EventDelayed: 1}, 2},
		{"delivered", "bob", []string{dsn("bob@a.test delivered 2.1.5"), dsn("bob@a.test relayed 2.1.9")}, "delivered", "", map[gateway.EventType]int{gateway.EventDelivered: 1}, 1},
		{"of nobody who got it", "bob", []string{dsn("eve@a.test failed 5.1.1")}, "delivered", "", map[gateway.EventType]int{gateway.EventBounced: 0}, 1},
		{"complaint", "bob", []string{arf("abuse", "bob@a.test")}, "complained", "complaint", map[gateway.EventType]int{gateway.EventComplained: 1}, 1},
		{"complaint twice", "bob", []string{arf("abuse", "bob@a.test"), arf("fraud", "bob@a.test")}, "complained", "complaint", map[gateway.EventType]int{gateway.EventComplained: 1}, 1},
		{"complaint of who is not named", "bob", []string{arf("abuse", "")}, "complained", "complaint", map[gateway.EventType]int{gateway.EventComplained: 1}, 1},
		{"complaint of one of two, not named", "bob joe", []string{arf("abuse", "")}, "delivered delivered", "", map[gateway.EventType]int{gateway.EventComplained: 0}, 2},
		{"complaint of somebody else", "bob", []string{arf("abuse", "eve@a.test")}, "delivered", "", map[gateway.EventType]int{gateway.EventComplained: 0}, 1},
		{"no complaint", "bob", []string{arf("not-spam", "bob@a.test")}, "delivered", "", map[gateway.EventType]int{gateway.EventComplained: 0}, 1},
		{"bounced, then complained", "bob", []string{dsn("bob@a.test failed 5.7.1"), arf("abuse", "bob@a.test")}, "complained", "complaint", map[gateway.EventType]int{gateway.EventComplained: 1, gateway.EventBounced: 1}, 2},
		{"qmail", "bob", []string{"Subject: failure notice\n\nHi. This is the qmail-send program.\n\n<bob@a.test>:\nno such box (#5.1.1)\n"}, "bounced", "bounce", map[gateway.EventType]int{gateway.EventBounced: 1}, 2},
		{"a person answers", "bob", []string{"From: bob@a.test\nSubject: Re: x\n\n550 5.1.1 is a nice number\n"}, "delivered", "", map[gateway.EventType]int{gateway.EventBounced: 0}, 1},
		{"nothing", "bob", []string{""}, "delivered", "", map[gateway.EventType]int{gateway.EventBounced: 0}, 1},
		{"larger than is read", "bob", []string{dsn("bob@a.test failed 5.1.1") + strings.Repeat("x\n", 1<<20)}, "bounced", "bounce", map[gateway.EventType]int{gateway.EventBounced: 1}, 2},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			l := newLab(t)
			to := strings.Fields(tt.to)
			for i := range to {
				to[i] += "@a.test"
			}
			m := l.write("ann@a.test", "Message-ID: <m1@a.test>\r\nSubject: x\r\n", to...)
			l.attempts(len(to))
			for _, r := range tt.reports {
				l.ok(l.bounce(l.returnPath(m), r))
			}
			if tt.attempts > len(to) {
				l.attempts(tt.attempts)
			}
			l.quiet(tt.attempts)
			var got []string
			for _, addr := range to {
				got = append(got, string(l.fates(m)[addr].State))
			}
			if s := strings.Join(got, " "); s != tt.want {
				t.Errorf("states %s, want %s", s, tt.want)
			}
			for typ, n := range tt.events {
				if got := l.events(m, typ); got != n {
					t.Errorf("%d events of %s, want %d", got, typ, n)
				}
			}
			sup, err := l.store.SuppressionOf(t.Context(), keys.Internal(l.domain.ID), "bob@a.test")
			if err == nil && sup.Origin != tt.suppressed || err != nil && tt.suppressed != "" {
				t.Errorf("suppressed %+v %v, want %q", sup, err, tt.suppressed)
			}
		})
	}
}

// TestBounceSays: the delivery and the sender's report have the other host's words.
func TestBounceSays(t *testing.T) {
	l := newLab(t)
	m := l.write("ann@a.test", "Message-ID: <m1@a.test>\r\nSubject: x\r\n", "bob@a.test")
	l.attempts(1)
	l.ok(l.bounce(l.returnPath(m), dsn("bob@a.test failed 5.1.1")))
	l.attempts(2)
	d := l.fates(m)["bob@a.test"]
	if d.LastCode != 550 || !strings.Contains(d.LastText, "5.1.1 no") {
		t.Errorf("the delivery says %d %q", d.LastCode, d.LastText)
	}
	for _, want := range []string{"In-Reply-To: <m1@a.test>\r\n", "Status: 5.1.1\r\n", "Diagnostic-Code: smtp; 550 5.1.1", "\r\nSubject: x\r\n"} {
		if !strings.Contains(l.carried[1], want) {
			t.Errorf("%q is not in\n%s", want, l.carried[1])
		}
	}
	l.signed(l.carried[1])
}

// TestBounceBeforeTheEnd: a host that answers before its attempt is recorded, or while
// another attempt waits, ends the delivery.
func TestBounceBeforeTheEnd(t *testing.T) {
	l := newLab(t)
	l.refuses = true
	m := l.write("ann@a.test", "Subject: x\r\n", "bob@a.test")
	if err := l.bounce(l.returnPath(m), dsn("bob@a.test failed 5.1.1")); err != nil || l.fates(m)["bob@a.test"].State != gateway.DeliveryQueued {
		t.Errorf("before any attempt: %v", err)
	}
	l.attempts(1)
	l.ok(l.bounce(l.returnPath(m), dsn("bob@a.test failed 5.1.1")))
	l.attempts(2)
	l.quiet(2)

	m = l.write("ann@a.test", "Subject: y\r\n", "joe@a.test")
	leased, err := l.store.LeaseDue(t.Context(), keys.System(), 10, time.Minute)
	if err != nil || len(leased) != 1 {
		t.Fatalf("leased %v %v", leased, err)
	}
	l.ok(l.bounce(l.returnPath(m), dsn("joe@a.test failed 5.1.1")))
	err = l.store.Finish(t.Context(), keys.System(), gateway.Attempt{Delivery: leased[0], Outcome: gateway.Outcome{State: gateway.DeliveryDelivered}})
	if gateway.KindOf(err) != gateway.InvalidState || l.fates(m)["joe@a.test"].State != gateway.DeliveryBounced {
		t.Errorf("finishing: %v", err)
	}
	if sum, err := l.store.Check(t.Context(), keys.System(), func(s string) { t.Error(s) }); err != nil || sum.Bodies == 0 {
		t.Errorf("the store: %+v %v", sum, err)
	}
}

// TestReturnPath: what is one, and for how long.
func TestReturnPath(t *testing.T) {
	l := newLab(t)
	m := l.write("ann@a.test", "Subject: x\r\n", "bob@a.test")
	path, other := l.returnPath(m), l.returnPath(l.write("ann@a.test", "Subject: y\r\n", "bob@a.test"))
	local, host := gateway.SplitAddress(path)
	if len(local) > 64 || host != "bounce.mx.a.test" || other == path {
		t.Errorf("the return path is %s, of another message %s", path, other)
	}
	again := *m
	if l.returnPath(&again) != path {
		t.Error("the same message has two")
	}
	if null, err := l.ReturnPath(t.Context(), &gateway.Delivery{Domain: m.Domain, Email: m.ID}); err != nil || null != "" {
		t.Errorf("the null reverse-path became %q, %v", null, err)
	}
	ours := func(name, addr string, known bool) {
		t.Helper()
		got, err := l.Returns(t.Context(), addr)
		if !got || known != (err == nil) || err != nil && gateway.KindOf(err) != gateway.NotFound {
			t.Errorf("%s: %v %v, want known %v", name, got, err, known)
		}
	}
	ours("itself", path, true)
	ours("in capitals", strings.ToUpper(path), true)
	for i := range len(local) {
		c := byte('a')
		if local[i] == c {
			c = 'b'
		}
		ours("forged at "+local[i:], local[:i]+string(c)+local[i+1:]+"@"+host, false)
	}
	for _, addr := range []string{"b+", "b", "postmaster", local[2:], local + "a", local[:62], "b+" + strings.Repeat("a", 61), local + "\r\n", "b+\n" + local[3:]} {
		ours(fmt.Sprintf("%q", addr), addr+"@"+host, false)
	}
	if is, err := l.Returns(t.Context(), local+"@mx.a.test"); is || err != nil {
		t.Errorf("another host: %v %v", is, err)
	}
	l.later(29 * 24 * time.Hour)
	ours("after 29 days", path, true)
	l.later(9 * 24 * time.Hour)
	ours("after 38 days", path, false)
	if err := l.bounce(path, dsn("bob@a.test failed 5.1.1")); gateway.KindOf(err) != gateway.NotFound {
		t.Errorf("a report too late: %v", err)
	}
	if newLab(t).returnPath(m) == path {
		t.Error("another instance has the same secret")
	}
}

// TestBounceOfDeleted: a report about a message that is gone is taken, and nothing more.
func TestBounceOfDeleted(t *testing.T) {
	l := newLab(t)
	m := l.write("ann@a.test", "Subject: x\r\n", "bob@a.test")
	l.attempts(1)
	e := m.Entries[0]
	_, err := l.store.ExpungeAll(t.Context(), keys.Internal(l.domain.ID), gateway.Selection{Domain: l.domain.ID, Account: m.Account, Mailbox: e.Mailbox}, []uint32{e.UID}, false)
	l.ok(err)
	l.ok(l.bounce(l.returnPath(m), dsn("bob@a.test failed 5.1.1")))
	l.quiet(1)
	if _, err := l.store.SuppressionOf(t.Context(), keys.Internal(l.domain.ID), "bob@a.test"); gateway.KindOf(err) != gateway.NotFound {
		t.Errorf("suppressed: %v", err)
	}
}
