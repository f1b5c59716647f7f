package outbound_test

import (
	"fmt"
	"os"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/centerleap/postern/gateway"
	"github.com/centerleap/postern/gateway/content"
	"github.com/centerleap/postern/gateway/keys"
	"github.com/centerleap/postern/gateway/outbound"
)

// fates are the states of a message's deliveries, by recipient.
func (l *lab) fates(m *gateway.Message) map[string]*gateway.Delivery {
	l.Helper()
	all, err := l.store.Deliveries(l.Context(), keys.Internal(l.domain.ID), m.Domain, m.Account, m.Number)
	l.ok(err)
	out := make(map[string]*gateway.Delivery)
	for i := range all {
		out[all[i].Recipient] = &all[i]
	}
	return out
}

// events are the types of what happened to a message since a sequence.
func (l *lab) events(m *gateway.Message, typ gateway.EventType) (n int) {
	l.Helper()
	feed, err := l.store.Events(keys.Internal(l.domain.ID), l.domain.ID, 0)
	l.ok(err)
	defer feed.Close()
	all, err := feed.Next(l.Context(), 1000)
	l.ok(err)
	for _, e := range all {
		if e.Type == typ && (e.Email == m.ID || typ == gateway.EventSuppressionAdded) {
			n++
		}
		if !e.Delivery.IsZero() && e.Email.IsZero() {
			l.Errorf("an event about a report: %+v", e)
		}
	}
	return n
}

// write submits a letter as SMTP does.
func (l *lab) write(returnPath string, header string, to ...string) *gateway.Message {
	l.Helper()
	raw := "From: Ann <ann@a.test>\r\nTo: x@a.test\r\n" + header + "\r\nthe body stays\r\n"
	got, err := l.Submit(l.Context(), keys.Internal(l.domain.ID), outbound.Submission{
		Written: &outbound.Written{ReturnPath: returnPath, Recipients: to, Body: strings.NewReader(raw)},
	})
	l.ok(err)
	m, err := l.store.Message(l.Context(), keys.Internal(l.domain.ID), got.ID)
	l.ok(err)
	return m
}

var (
	ids        = regexp.MustCompile(`<[0-9a-f-]{36}@`)
	boundaries = regexp.MustCompile(`dsn-[0-9a-f-]{36}`)
	dates      = regexp.MustCompile(`(?m)^Date: .*$`) // the pauses between attempts are jittered
	signatures = regexp.MustCompile(`(?s)DKIM-Signature:.*?\r\n([^ \t])`)
)

// golden compares a report with a file; what is new in each run is left out.
func golden(t *testing.T, name, got string) {
	t.Helper()
	got = boundaries.ReplaceAllString(ids.ReplaceAllString(got, "<ID@"), "dsn-ID")
	got = dates.ReplaceAllString(got, "Date: ...\r")
	got = strings.ReplaceAll(signatures.ReplaceAllString(got, "DKIM-Signature: ...\r\n$1"), "\r\n", "\n")
	file := "testdata/" + name
	if os.Getenv("UPDATE_GOLDEN") != "" {
		if err := os.WriteFile(file, []byte(got), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil || got != string(want) {
		t.Errorf("%s: %v; got\n%s", file, err, got)
	}
}

// TestFailureReport: who sent hears once, from his own domain, with the header and not
// the body, and the report can be read as one.
func TestFailureReport(t *testing.T) {
	l := newLab(t)
	l.refuses, l.refusal = true, &gateway.Error{Kind: gateway.NotFound, Message: "gr\u00fc\u00df\r\nBcc: evil@b.test\x1b[2J " + strings.Repeat("long ", 200)}
	m := l.write("ann@a.test", "Message-ID: <m1@a.test>\r\nReferences: <m0@a.test>\r\nSubject: =?utf-8?q?Gr=C3=BC=C3=9Fe=0D=0ABcc:_evil=40b.test?=\r\nBcc: hidden@a.test\r\n", "bob@a.test")
	l.attempts(2)
	dsn := l.carried[1]
	l.signed(dsn)
	golden(t, "failed.eml", dsn)
	r := content.ReadReport([]byte(dsn), gateway.DefaultLimits())
	if r == nil || len(r.Fates) != 1 || r.Fates[0].Action != content.ActionFailed || r.Fates[0].Recipients[0] != "bob@a.test" || r.Fates[0].Code != 550 {
		t.Errorf("it reads as %+v", r)
	}
	if d := l.fates(m)["bob@a.test"]; d.State != gateway.DeliveryFailed {
		t.Errorf("the delivery is %s", d.State)
	}
	if n := l.events(m, gateway.EventFailed); n != 1 {
		t.Errorf("%d events", n)
	}
	l.later(24 * time.Hour)
	l.quiet(2)
}

// quiet wants that the queue has nothing left to do after n attempts.
func (l *lab) quiet(n int) {
	l.Helper()
	next, err := l.store.NextDue(l.Context(), keys.System())
	l.ok(err)
	if !next.IsZero() || len(l.carried) != n {
		l.Errorf("%d attempts, the next at %v", len(l.carried), next)
	}
}

// TestDelayReport: after four hours, once, and then the end.
func TestDelayReport(t *testing.T) {
	l := newLab(t)
	l.refuses = true
	m := l.write("ann@a.test", "Message-ID: <m1@a.test>\r\nSubject: slow\r\n", "bob@a.test")
	n, reports := 0, []string{}
	for hour := 0; l.fates(m)["bob@a.test"].State == gateway.DeliveryQueued; hour++ {
		if hour > 80 {
			t.Fatal("it never ends")
		}
		want := n
		if next, err := l.store.NextDue(t.Context(), keys.System()); err == nil && !next.After(l.now()) {
			want++
			if age := l.now().Sub(m.Arrived); age >= 4*time.Hour && len(reports) == 0 || age >= 48*time.Hour {
				want++
			}
		}
		if want > n {
			l.attempts(want)
		}
		for _, c := range l.carried[n:] {
			if strings.Contains(c, "multipart/report") {
				reports = append(reports, fmt.Sprintf("%dh %s", hour, c))
			}
		}
		n = want
		l.later(time.Hour)
	}
	if len(reports) != 2 || !strings.Contains(reports[0], "Action: delayed") || !strings.Contains(reports[1], "Action: failed") {
		t.Fatalf("%d reports:\n%s", len(reports), strings.Join(reports, "\n"))
	}
	_, first, _ := strings.Cut(reports[0], " ")
	golden(t, "delayed.eml", first)
	l.quiet(n)
}

// TestNoReport: whom nothing is reported to.
func TestNoReport(t *testing.T) {
	tests := []struct {
		name       string
		returnPath string
		prepare    func(*lab)
		attempts   int
	}{
		{"to the sender", "ann@a.test", nil, 2},
		{"to the account, when nobody has the reverse-path", "nobody@a.test", nil, 2},
		{"not for the null reverse-path", "", nil, 1},
		{"not to another domain, as of a redirect", "ann@elsewhere.test", nil, 1},
		{"not to our own return path", "b+x@bounce.mx.a.test", nil, 1},
		{"not to who is suppressed", "ann@a.test", func(l *lab) {
			_, _, err := l.store.AddSuppression(l.Context(), keys.Internal(l.domain.ID), "Ann@a.test", gateway.SuppressedManual)
			l.ok(err)
		}, 1},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			l := newLab(t)
			l.refuses, l.refusal = true, gateway.Errorf(gateway.NotFound, "no")
			if tt.prepare != nil {
				tt.prepare(l)
			}
			l.write(tt.returnPath, "Subject: x\r\n", "bob@a.test")
			l.attempts(tt.attempts)
			if tt.attempts == 2 && !strings.Contains(l.carried[1], "\r\nTo: <ann@a.test>\r\n") {
				t.Errorf("the report is\n%s", l.carried[1])
			}
			l.quiet(tt.attempts)
		})
	}
}

// TestReportOnce: an outcome that can't be recorded is told when it is; the attempt is
// made again meanwhile, and there is one report.
func TestReportOnce(t *testing.T) {
	l := newLab(t)
	l.refuses, l.refusal = true, gateway.Errorf(gateway.NotFound, "no")
	m := l.write("ann@a.test", "Subject: x\r\n", "bob@a.test")
	l.fault = fmt.Errorf("the keys can't be read")
	l.attempts(1)
	if d := l.fates(m)["bob@a.test"]; d.State != gateway.DeliveryLeased {
		t.Fatalf("without a report it is %s", d.State)
	}
	l.fault = nil
	l.later(2 * gateway.LeaseTime)
	l.attempts(3)
	if !strings.Contains(l.carried[2], "multipart/report") {
		t.Errorf("no report:\n%s", l.carried[2])
	}
	l.quiet(3)

	old := l.write("ann@a.test", "Subject: y\r\n", "bob@a.test")
	l.fault = fmt.Errorf("for ever")
	l.later(49 * time.Hour)
	l.attempts(4)
	if d := l.fates(old)["bob@a.test"]; d.State != gateway.DeliveryFailed {
		t.Errorf("for want of a report it is %s", d.State)
	}
	l.quiet(4)
}
