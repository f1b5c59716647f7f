package gatewaytest_test

import (
	"encoding/base64"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/centerleap/postern/gateway"
	"github.com/centerleap/postern/gateway/gatewaytest"
	"github.com/centerleap/postern/gateway/keys"
)

// comesBack hands a mail for one recipient to the gateway's MX, as its peers do, and
// wants replies to RCPT and, if that was good, to the final dot.
func comesBack(t *testing.T, g *gatewaytest.Gateway, to, body, rcpt, dot string) {
	t.Helper()
	chat := g.Dial(t, "mx")
	chat.Script("S: 220 \nC: EHLO mx.example.com\nS~ 250 \nC: MAIL FROM:<>\nS: 250 \nC: RCPT TO:<" + to + ">\nS: " + rcpt)
	if dot == "" {
		return
	}
	chat.Script("C: DATA\nS: 354 ")
	chat.Raw(strings.ReplaceAll(body, "\n", "\r\n") + ".\r\n")
	chat.Script("S: " + dot)
}

// failure is another host's report about a recipient.
func failure(recipient, action, status string) string {
	return "From: mailer-daemon@example.com\nSubject: Undelivered\nMIME-Version: 1.0\nContent-Type: multipart/report; report-type=delivery-status; boundary=b\n\n" +
		"--b\nContent-Type: text/plain\n\nsorry\n\n--b\nContent-Type: message/delivery-status\n\nReporting-MTA: dns; mx.example.com\n\n" +
		"Final-Recipient: rfc822; " + recipient + "\nAction: " + action + "\nStatus: " + status + "\nDiagnostic-Code: smtp; 550 " + status + " not here\n\n--b--\n"
}

func complaint(recipient string) string {
	return "From: fbl@example.com\nSubject: complaint\nMIME-Version: 1.0\nContent-Type: multipart/report; report-type=feedback-report; boundary=b\n\n" +
		"--b\nContent-Type: message/feedback-report\n\nFeedback-Type: abuse\nUser-Agent: x/1\nVersion: 1\nOriginal-Rcpt-To: <" + recipient + ">\n\n--b--\n"
}

// took waits until a host has n mails.
func took(t *testing.T, mx *gatewaytest.MX, n int) []gatewaytest.Mail {
	t.Helper()
	gatewaytest.Eventually(t, fmt.Sprintf("%d mails at the host", n), func() bool { return len(mx.Mail()) == n })
	return mx.Mail()
}

// subjects are those of an account's inbox, newest first.
func (o *outside) subjects(n int) (all []string) {
	o.Helper()
	for _, v := range inbox(o, o.g, gatewaytest.Account, n) {
		all = append(all, gatewaytest.Answer(v.(map[string]any)).Str("subject"))
	}
	return all
}

// submit sends a mail over SMTP, with an envelope of its own.
func (o *outside) submit(returnPath, from, to string) (id string) {
	o.Helper()
	login := base64.StdEncoding.EncodeToString([]byte("\x00centerleap\x00" + o.g.Keys.Domain))
	chat := o.g.Dial(o, "submissions")
	chat.Script("S: 220 \nC: EHLO client.example\nS~ 250 \nC: AUTH PLAIN " + login + "\nS: 235 \nC: MAIL FROM:<" + returnPath +
		">\nS: 250 \nC: RCPT TO:<" + to + ">\nS: 250 \nC: DATA\nS: 354 ")
	chat.Raw("From: " + from + "\r\nMessage-ID: <own@demo.localhost>\r\nSubject: by SMTP\r\n\r\nhi\r\n.\r\n")
	line := chat.Script("S: 250 ")
	return line[strings.LastIndexByte(line, ' ')+1:]
}

// A host takes a mail and reports later: the delivery bounces, the address is suppressed,
// the feed tells it, and who sent finds a report in the conversation; once, although the
// host reports twice. Of another recipient a complaint comes, then a delay of a third.
func TestBounceComesBack(t *testing.T) {
	o := newOutside(t)
	id := o.send("a@example.com", "b@example.com", "c@example.org")
	path := took(t, o.mx, 1)[0].From
	if other := took(t, o.other, 1)[0].From; other != path {
		t.Errorf("one message has the return paths %s and %s", path, other)
	}
	local, host := gateway.SplitAddress(path)
	if !strings.HasPrefix(local, "b+") || host != "bounce.localhost" {
		t.Fatalf("the return path is %s", path)
	}
	o.wait(id, "delivered")
	for range 2 {
		comesBack(t, o.g, path, failure("a@example.com", "failed", "5.1.1"), "250 ", "250 ")
	}
	comesBack(t, o.g, path, complaint("b@example.com"), "250 ", "250 ")
	comesBack(t, o.g, path, failure("c@example.org", "delayed", "4.4.1"), "250 ", "250 ")
	comesBack(t, o.g, path, failure("d@example.org", "failed", "5.1.1"), "250 ", "250 ")
	last, by := o.fate(id)
	if last != "delivery_delayed" || by["a@example.com"] != "bounced" || by["b@example.com"] != "complained" || by["c@example.org"] != "delivered" {
		t.Errorf("the fates are %s, %v", last, by)
	}
	count := make(map[gateway.EventType]int)
	for _, typ := range o.events(id) {
		count[typ]++
	}
	if count[gateway.EventBounced] != 1 || count[gateway.EventComplained] != 1 || count[gateway.EventDelayed] != 1 {
		t.Errorf("the feed told %v", count)
	}
	if got := o.subjects(2); !slices.Equal(got, []string{"Delayed: Hi", "Not delivered: Hi"}) {
		t.Errorf("the sender was told %v", got)
	}
	_, sent := o.g.Do("GET", "/emails/"+id, o.g.Keys.Domain, nil)
	if _, thread := o.g.Do("GET", "/emails/threads/"+sent.Str("thread_id"), o.g.Keys.Domain, nil); thread.At("message_count") != 3.0 {
		t.Errorf("the conversation is %v", thread)
	}
	for addr, want := range map[string]string{"a@example.com": "bounce", "b@example.com": "complaint", "c@example.org": "", "d@example.org": ""} {
		if _, a := o.g.Do("GET", "/suppressions/"+addr, o.g.Keys.Domain, nil); a.Str("origin") != want {
			t.Errorf("%s is suppressed as %v, want %q", addr, a, want)
		}
	}
	if _, by := o.fate(o.send("a@example.com")); by["a@example.com"] != "suppressed" {
		t.Errorf("the next mail is %v", by)
	}
}

// A host that refuses a mail at once: who sent is told with its words.
func TestRefusalIsReported(t *testing.T) {
	o := newOutside(t)
	o.mx.Answer(answers(map[string]string{"RCPT": "550-5.1.1 nobody \x1b[31m of that name\r\n550 5.1.1 here"}))
	o.send("a@example.com")
	list := inbox(t, o.g, gatewaytest.Account, 1)
	message := raw(t, o.g, gatewaytest.Answer(list[0].(map[string]any)).Str("email_id"), gatewaytest.Account)
	for _, want := range []string{
		"Return-Path: <>\r\n", "From: \"Mail Delivery System\" <mailer-daemon@demo.localhost>\r\n", "Auto-Submitted: auto-replied\r\n", "DKIM-Signature: ",
		"Reporting-MTA: dns; localhost\r\n", "Final-Recipient: rfc822; a@example.com\r\nAction: failed\r\nStatus: 5.1.1\r\nRemote-MTA: dns; mx.example.com\r\n",
		"Diagnostic-Code: smtp; 550 5.1.1 nobody", "\r\nSubject: Hi\r\n",
	} {
		if !strings.Contains(message, want) {
			t.Errorf("it lacks %q:\n%s", want, message)
		}
	}
	if strings.Contains(message, "\x1b") || strings.Contains(message, "Hello <b>") {
		t.Errorf("it has what it should not:\n%s", message)
	}
}

// A host that reports before it has said 250, while the attempt is under way.
func TestBounceDuringTheAttempt(t *testing.T) {
	o := newOutside(t)
	o.mx.Answer(func(command string) string {
		if command == "." {
			comesBack(t, o.g, o.mx.Mail()[0].From, failure("a@example.com", "failed", "5.1.1"), "250 ", "250 ")
		}
		return ""
	})
	id := o.send("a@example.com")
	o.wait(id, "bounced")
	o.subjects(1)
	o.later(time.Hour)
	if _, by := o.fate(id); by["a@example.com"] != "bounced" || len(o.mx.Mail()) != 1 {
		t.Errorf("it is %v after %d attempts", by, len(o.mx.Mail()))
	}
}

// The addresses at the host of return paths: those that we gave out, for some time, and
// no others, each alone; also for who has deleted the message.
func TestReturnPathsAtTheDoor(t *testing.T) {
	o := newOutside(t)
	id := o.send("a@example.com")
	path := took(t, o.mx, 1)[0].From
	o.wait(id, "delivered")
	forged := "b+a" + path[3:]
	if forged == path {
		forged = "b+b" + path[3:]
	}
	for _, to := range []string{forged, "postmaster@bounce.localhost", "b+@bounce.localhost"} {
		comesBack(t, o.g, to, "", "550 5.1.1 ", "")
	}
	comesBack(t, o.g, strings.ToUpper(path), "Subject: I am away\n\nbye\n", "250 ", "250 ")
	chat := o.g.Dial(t, "mx")
	chat.Script("S: 220 \nC: EHLO mx.example.com\nS~ 250 \nC: MAIL FROM:<x@example.com>\nS: 250 \nC: RCPT TO:<" + path + ">\nS: 250 \nC: RCPT TO:<" + gatewaytest.Account +
		">\nS: 452 4.5.3 \nC: RCPT TO:<" + path + ">\nS: 452 4.5.3 \nC: RSET\nS: 250 \nC: MAIL FROM:<x@example.com>\nS: 250 \nC: RCPT TO:<" + gatewaytest.Account + ">\nS: 250 \nC: RCPT TO:<" + path + ">\nS: 452 4.5.3 ")
	if status, a := o.g.Do("DELETE", "/emails/"+id+"?permanent=true", o.g.Keys.Domain, nil); status != 200 {
		t.Fatalf("deleting: %d %v", status, a)
	}
	comesBack(t, o.g, path, failure("a@example.com", "failed", "5.1.1"), "250 ", "250 ")
	o.subjects(0)
	o.later(38 * 24 * time.Hour)
	comesBack(t, o.g, path, "", "550 5.1.1 ", "")
	if strings.Contains(o.g.Log.String(), path[2:20]) {
		t.Error("the log has a token")
	}
}

// TestNoBackscatter: who did not log in never causes mail; neither does the null sender,
// nor a report.
func TestNoBackscatter(t *testing.T) {
	o := newOutside(t)
	victim := "victim@example.com"
	for _, to := range []string{"nobody@demo.localhost", "x@elsewhere.example"} { // refused while the client listens
		chat := o.g.Dial(t, "mx")
		chat.Script("S: 220 \nC: EHLO evil.example\nS~ 250 \nC: MAIL FROM:<" + victim + ">\nS: 250 \nC: RCPT TO:<" + to + ">\nS: 550 ")
	}
	chat := o.g.Dial(t, "mx") // refused for what it says
	chat.Script("S: 220 \nC: EHLO evil.example\nS~ 250 \nC: MAIL FROM:<" + victim + ">\nS: 250 \nC: RCPT TO:<" + gatewaytest.Account + ">\nS: 250 \nC: DATA\nS: 354 ")
	chat.Raw(strings.Repeat("Received: from a by b\r\n", 60) + "\r\nround and round\r\n.\r\n")
	chat.Script("S: 554 5.4.6 ")

	o.mx.Answer(answers(map[string]string{"RCPT": "550 5.1.1 no"}))
	o.wait(o.submit("", gatewaytest.Account, "a@example.com"), "bounced") // a sender who wants no answer

	// A report that can't be delivered ends there: the account of its sender is full.
	if status, a := o.g.Do("PATCH", "/accounts/"+gatewaytest.Account, o.g.Keys.Domain, map[string]any{"quota_bytes": 1}); status != 200 {
		t.Fatalf("quota: %d %v", status, a)
	}
	o.wait(o.submit(gatewaytest.Account, "hello@demo.localhost", "b@example.com"), "bounced")
	gatewaytest.Eventually(t, "the report is refused", func() bool { return strings.Contains(o.g.Log.String(), `"state":"failed","code":552`) })
	o.subjects(0)
	for _, m := range append(o.mx.Mail(), o.other.Mail()...) {
		if len(m.To) > 0 {
			t.Errorf("this left: %+v", m)
		}
	}
}

// A host that is never ready: who sent over SMTP is told once that it takes long, and when
// it is over.
func TestDelayIsReported(t *testing.T) {
	o := newOutside(t)
	o.mx.Answer(answers(map[string]string{"RCPT": "451 4.3.0 come back"}))
	id := o.submit(gatewaytest.Account, gatewaytest.Account, "a@example.com")
	began := o.clock.now()
	tried := 0
	for o.clock.now().Sub(began) < 60*time.Hour {
		next, err := o.g.Store.NextDue(t.Context(), keys.System())
		if err != nil {
			t.Fatal(err)
		}
		if last, _ := o.fate(id); last == "failed" {
			break
		}
		if wait := next.Sub(o.clock.now()); !next.IsZero() && wait > 0 {
			o.later(wait)
		}
		tried++
		gatewaytest.Eventually(t, "the next attempt", func() bool {
			at, err := o.g.Store.NextDue(t.Context(), keys.System())
			return err == nil && (at.IsZero() || at.After(o.clock.now()))
		})
	}
	if got := o.subjects(2); !slices.Equal(got, []string{"Not delivered: by SMTP", "Delayed: by SMTP"}) || tried < 8 {
		t.Errorf("the sender was told %v in %d attempts", got, tried)
	}
	o.wait(id, "failed")
}
