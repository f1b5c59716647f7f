package courier

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"testing"

	"github.com/centerleap/postern/gateway"
)

// A message arrives as it is, for all its recipients at once.
func TestCarry(t *testing.T) {
	for name, ext := range map[string][]string{"pipelining": usual, "without": {"SIZE", "8BITMIME"}, "nothing": {"X"}} {
		t.Run(name, func(t *testing.T) {
			s := mx(t, nil, ext...)
			c := simple(s).courier(t, nil)
			res := carry(t, c, job("a@a.test", "b@a.test"))
			for _, r := range res {
				if r.Outcome != Delivered || r.Code != 250 || r.Enhanced != [3]int{2, 0, 0} || r.Text != "taken" {
					t.Errorf("%+v", r)
				}
				if r.Hop.Host != "mx.test" || r.Hop.Addr.String() != "5.0.0.1:25" || r.Hop.TLS.State != TLSNotOffered || r.Hop.Ended.Before(r.Hop.Begun) {
					t.Errorf("hop %+v", r.Hop)
				}
			}
			if got := s.got(); len(got) != 1 || got[0] != letter {
				t.Errorf("arrived %q", got)
			}
			size := map[bool]string{true: " SIZE=" + fmt.Sprint(len(letter))}[name != "nothing"]
			want := []string{"EHLO gw.test", "MAIL FROM:<me@here.test>" + size, "RCPT TO:<a@a.test>", "RCPT TO:<b@a.test>", "DATA"}
			if got := s.commands(); !slices.Equal(got, want) {
				t.Errorf("said %q, want %q", got, want)
			}
		})
	}
}

// The outcome of one recipient, for what a host answers to each command. RFC 5321
// section 4.2.1, and mailboxes that are full.
func TestAnswers(t *testing.T) {
	for _, tt := range []struct {
		name    string
		answers []string
		want    Outcome
		phase   Phase
		code    int
		status  string
		text    string
	}{
		{"taken", nil, Delivered, PhaseEnd, 250, "2.0.0", "taken"},
		{"taken in many words", []string{".", "250-2.0.0 one\r\n250 2.0.0 two"}, Delivered, PhaseEnd, 250, "2.0.0", "one two"},
		{"taken without a text", []string{".", "250"}, Delivered, PhaseEnd, 250, "2.0.0", ""},
		{"forwarded", []string{"RCPT", "251 user not local; will forward"}, Delivered, PhaseEnd, 250, "2.0.0", "taken"},
		{"no such user", []string{"RCPT", "550 5.1.1 nobody"}, Failed, PhaseRcpt, 550, "5.1.1", "nobody"},
		{"no such user, no enhanced code", []string{"RCPT", "550 nobody"}, Failed, PhaseRcpt, 550, "5.0.0", "nobody"},
		{"enhanced code in the last line", []string{"RCPT", "550-no\r\n550 5.1.1 body"}, Failed, PhaseRcpt, 550, "5.1.1", "no body"},
		{"enhanced code of another class", []string{"RCPT", "550 4.1.1 odd"}, Failed, PhaseRcpt, 550, "5.0.0", "4.1.1 odd"},
		{"greylisted", []string{"RCPT", "450 4.2.0 greylisted"}, Deferred, PhaseRcpt, 450, "4.2.0", "greylisted"},
		{"mailbox full", []string{"RCPT", "452 4.2.2 full"}, Deferred, PhaseRcpt, 452, "4.2.2", "full"},
		{"mailbox full, says 552", []string{"RCPT", "552 5.2.2 full"}, Deferred, PhaseRcpt, 552, "5.2.2", "full"},
		{"mailbox full at the end", []string{".", "552 5.2.2 full"}, Deferred, PhaseEnd, 552, "5.2.2", "full"},
		{"too many recipients, says 552", []string{"RCPT", "552 too many"}, Deferred, PhaseRcpt, 552, "5.0.0", "too many"},
		{"too large at RCPT", []string{"RCPT", "552 5.3.4 too big"}, Failed, PhaseRcpt, 552, "5.3.4", "too big"},
		{"too large at RCPT for the recipient", []string{"RCPT", "552 5.2.3 too big"}, Failed, PhaseRcpt, 552, "5.2.3", "too big"},
		{"too large at MAIL", []string{"MAIL", "552 too big"}, Failed, PhaseMail, 552, "5.0.0", "too big"},
		{"sender refused", []string{"MAIL", "550 5.7.1 no"}, Failed, PhaseMail, 550, "5.7.1", "no"},
		{"sender put off", []string{"MAIL", "451 4.7.1 later"}, Deferred, PhaseMail, 451, "4.7.1", "later"},
		{"refused at DATA", []string{"DATA", "554 5.5.1 no"}, Failed, PhaseData, 554, "5.5.1", "no"},
		{"put off at DATA", []string{"DATA", "451 4.3.0 no"}, Deferred, PhaseData, 451, "4.3.0", "no"},
		{"spam", []string{".", "550 5.7.1 spam"}, Failed, PhaseEnd, 550, "5.7.1", "spam"},
		{"put off at the end", []string{".", "451 4.3.0 later"}, Deferred, PhaseEnd, 451, "4.3.0", "later"},
		{"closing at the end", []string{".", "421 4.3.2 closing"}, Deferred, PhaseEnd, 421, "4.3.2", "closing"},
		{"greeted with 554", []string{"", "554 5.7.1 go away"}, Failed, PhaseGreeting, 554, "5.7.1", "go away"},
		{"greeted with 421", []string{"", "421 4.7.0 too many connections"}, Deferred, PhaseGreeting, 421, "4.7.0", "too many connections"},
		{"greeted with 250", []string{"", "250 hello"}, Deferred, PhaseGreeting, 451, "4.5.0", "the next hop does not speak SMTP: a reply that is not SMTP"},
		{"EHLO and HELO refused", []string{"EHLO", "502 what", "HELO", "550 5.7.1 no"}, Failed, PhaseHello, 550, "5.7.1", "no"},
		{"EHLO put off", []string{"EHLO", "451 4.3.0 busy"}, Deferred, PhaseHello, 451, "4.3.0", "busy"},
		{"knows HELO alone", []string{"EHLO", "500 what"}, Delivered, PhaseEnd, 250, "2.0.0", "taken"},
		{"354 to MAIL", []string{"MAIL", "354 go"}, Deferred, PhaseMail, 451, "4.5.0", "the next hop does not speak SMTP: a reply that is not SMTP"},
		{"354 to RCPT", []string{"RCPT", "354 go"}, Deferred, PhaseRcpt, 451, "4.5.0", "the next hop does not speak SMTP: a reply that is not SMTP"},
		{"250 to DATA", []string{"DATA", "250 taken"}, Deferred, PhaseData, 451, "4.5.0", "the next hop does not speak SMTP: a reply that is not SMTP"},
		{"354 to the dot", []string{".", "354 go"}, Unknown, PhaseEnd, 451, "4.4.2", "the next hop did not say whether it took the message"},
		{"said and gone", []string{".", "250 2.0.0 yes" + closes}, Delivered, PhaseEnd, 250, "2.0.0", "yes"},
	} {
		for _, ext := range [][]string{usual, {"8BITMIME"}} {
			t.Run(tt.name+"/"+ext[0], func(t *testing.T) {
				c := simple(mx(t, always(tt.answers...), ext...)).courier(t, nil)
				r := carry(t, c, job())[0]
				status := fmt.Sprintf("%d.%d.%d", r.Enhanced[0], r.Enhanced[1], r.Enhanced[2])
				if r.Outcome != tt.want || r.Phase != tt.phase || r.Code != tt.code || status != tt.status || r.Text != tt.text {
					t.Errorf("got %+v, want %s at %s: %d %s %q", r.Answer, tt.want, tt.phase, tt.code, tt.status, tt.text)
				}
			})
		}
	}
}

// Each recipient has the reply that was for it, and those who are taken get the message.
func TestPartialRecipients(t *testing.T) {
	for _, ext := range [][]string{usual, {"8BITMIME"}} {
		s := mx(t, always("RCPT TO:<no@", "550 5.1.1 no", "RCPT TO:<later@", "450 4.2.1 later", "RCPT TO:<full@", "452 4.5.3 enough"), ext...)
		res := carry(t, simple(s).courier(t, nil), job("no@a.test", "yes@a.test", "later@a.test", "full@a.test", "too@a.test"))
		var got []string
		for _, r := range res {
			got = append(got, fmt.Sprint(r.Outcome, r.Code))
		}
		if want := []string{"failed550", "delivered250", "deferred450", "deferred452", "delivered250"}; !slices.Equal(got, want) {
			t.Errorf("got %v, want %v", got, want)
		}
		if len(s.got()) != 1 {
			t.Errorf("%d messages", len(s.got()))
		}
	}
}

// A host that grants DATA although it takes no recipient gets an empty one, and the
// connection lives on: RFC 2920 section 3.1.
func TestDataForNobody(t *testing.T) {
	s := mx(t, always("RCPT TO:<no@", "550 5.1.1 no"))
	c := simple(s).courier(t, nil)
	if r := carry(t, c, job("no@a.test"))[0]; r.Outcome != Failed || r.Code != 550 {
		t.Errorf("%+v", r)
	}
	if r := carry(t, c, job())[0]; r.Outcome != Delivered || !r.Hop.Reused {
		t.Errorf("%+v", r)
	}
	if got := s.got(); len(got) != 2 || got[0] != "" || got[1] != letter {
		t.Errorf("arrived %q", got)
	}
}

// Without pipelining it is known in time that nobody is taken.
func TestNoDataForNobody(t *testing.T) {
	s := mx(t, always("RCPT TO:<no@", "550 5.1.1 no"), "8BITMIME")
	c := simple(s).courier(t, nil)
	if r := carry(t, c, job("no@a.test"))[0]; r.Outcome != Failed || slices.Contains(s.commands(), "DATA") {
		t.Errorf("%+v after %q", r, s.commands())
	}
	if r := carry(t, c, job())[0]; r.Outcome != Delivered || !r.Hop.Reused {
		t.Errorf("%+v", r)
	}
}

// Many recipients go in groups, and nobody waits for the other to read.
func TestGroups(t *testing.T) {
	var to []string
	for i := range 100 {
		to = append(to, fmt.Sprintf("%060d@a.test", i))
	}
	s := mx(t, nil)
	for _, r := range carry(t, simple(s).courier(t, nil), job(to...)) {
		if r.Outcome != Delivered {
			t.Errorf("%+v", r)
		}
	}
	if n := len(s.commands()); n != 103 {
		t.Errorf("%d commands", n)
	}
}

// What the next hop lacks is said before anything of the message is sent.
func TestFit(t *testing.T) {
	for _, tt := range []struct {
		name   string
		ext    []string
		change func(*Job)
		want   []string // outcome and enhanced code, of each recipient
		mail   string
	}{
		{"small enough", []string{"SIZE 100"}, func(*Job) {}, []string{"delivered 2.0.0"}, "MAIL FROM:<me@here.test> SIZE=65"},
		{"just small enough", []string{"SIZE 65"}, func(*Job) {}, []string{"delivered 2.0.0"}, "MAIL FROM:<me@here.test> SIZE=65"},
		{"too large", []string{"SIZE 64"}, func(*Job) {}, []string{"failed 5.3.4"}, ""},
		{"no limit", []string{"SIZE 0"}, func(*Job) {}, []string{"delivered 2.0.0"}, "MAIL FROM:<me@here.test> SIZE=65"},
		{"size not known", []string{"SIZE 1"}, func(j *Job) { j.Size = 0 }, []string{"delivered 2.0.0"}, "MAIL FROM:<me@here.test>"},
		{"8-bit", []string{"8BITMIME"}, func(j *Job) { j.EightBit = true }, []string{"delivered 2.0.0"}, "MAIL FROM:<me@here.test> BODY=8BITMIME"},
		{"8-bit, not offered", []string{"X"}, func(j *Job) { j.EightBit = true }, []string{"failed 5.6.3"}, ""},
		{"UTF-8 header", []string{"SMTPUTF8"}, func(j *Job) { j.UTF8 = true }, []string{"delivered 2.0.0"}, "MAIL FROM:<me@here.test> SMTPUTF8"},
		{"UTF-8 header, not offered", []string{"X"}, func(j *Job) { j.UTF8 = true }, []string{"failed 5.6.7"}, ""},
		{"UTF-8 sender, not offered", []string{"X"}, func(j *Job) { j.ReturnPath = "é@here.test" }, []string{"failed 5.6.7"}, ""},
		{
			"UTF-8 recipient, not offered",
			[]string{"X"},
			func(j *Job) { j.Recipients = []string{"é@a.test", "e@a.test"} },
			[]string{"failed 5.6.7", "delivered 2.0.0"},
			"MAIL FROM:<me@here.test>",
		},
		{
			"UTF-8 recipient",
			[]string{"SMTPUTF8"},
			func(j *Job) { j.Recipients = []string{"é@a.test", "e@a.test"} },
			[]string{"delivered 2.0.0", "delivered 2.0.0"},
			"MAIL FROM:<me@here.test> SMTPUTF8",
		},
		{"null sender", []string{"X"}, func(j *Job) { j.ReturnPath = "" }, []string{"delivered 2.0.0"}, "MAIL FROM:<>"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := mx(t, nil, tt.ext...)
			j := job()
			tt.change(&j)
			var got []string
			for _, r := range carry(t, simple(s).courier(t, nil), j) {
				got = append(got, fmt.Sprintf("%s %d.%d.%d", r.Outcome, r.Enhanced[0], r.Enhanced[1], r.Enhanced[2]))
			}
			mail := ""
			for _, line := range s.commands() {
				if strings.HasPrefix(line, "MAIL") {
					mail = line
				}
			}
			if !slices.Equal(got, tt.want) || mail != tt.mail {
				t.Errorf("got %v by %q, want %v by %q", got, mail, tt.want, tt.mail)
			}
		})
	}
}

// A message that can't be read or is not fit to send is never ended by a dot.
func TestMessageFaults(t *testing.T) {
	broken := errors.New("disk")
	for _, tt := range []struct {
		name   string
		open   func() (io.ReadCloser, error)
		want   Outcome
		status [3]int
	}{
		{"can't be opened", func() (io.ReadCloser, error) { return nil, broken }, Deferred, [3]int{4, 3, 0}},
		{"breaks off", func() (io.ReadCloser, error) {
			return io.NopCloser(io.MultiReader(strings.NewReader(letter), failing{broken})), nil
		}, Deferred, [3]int{4, 3, 0}},
		{"lone LF", text("a\nb\r\n"), Failed, [3]int{5, 6, 0}},
		{"lone CR", text("a\rb\r\n"), Failed, [3]int{5, 6, 0}},
		{"CR at the end", text("a\r\nb\r"), Failed, [3]int{5, 6, 0}},
		{"NUL", text("a\x00b\r\n"), Failed, [3]int{5, 6, 0}},
		{"LF . LF", text("a\n.\nMAIL FROM:<x@y.test>\r\n"), Failed, [3]int{5, 6, 0}},
		{"CRLF NUL . CRLF", text("a\r\n\x00.\r\nMAIL FROM:<x@y.test>\r\n"), Failed, [3]int{5, 6, 0}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := mx(t, nil)
			j := job("a@a.test", "b@a.test")
			j.Open = tt.open
			for _, r := range carry(t, simple(s).courier(t, nil), j) {
				if r.Outcome != tt.want || r.Enhanced != tt.status || r.Phase != PhaseMessage {
					t.Errorf("%+v", r.Answer)
				}
			}
			s.stop()
			if got := s.got(); len(got) != 0 {
				t.Errorf("arrived %q", got)
			}
		})
	}
}

type failing struct{ err error }

func (f failing) Read([]byte) (int, error) { return 0, f.err }

// A job that is none is an error of the caller; an address that is none fails alone.
func TestJobs(t *testing.T) {
	s := mx(t, nil)
	c := simple(s).courier(t, nil)
	for name, change := range map[string]func(*Job){
		"no message":    func(j *Job) { j.Open = nil },
		"no recipients": func(j *Job) { j.Recipients = nil },
		"too many":      func(j *Job) { j.Recipients = make([]string, 101) },
	} {
		j := job()
		change(&j)
		if _, err := c.Carry(context.Background(), j); gateway.KindOf(err) != gateway.InvalidParameter {
			t.Errorf("%s: %v", name, err)
		}
	}
	res := carry(t, c, job("a\r\nRSET@a.test", "b@a.test", "c@"))
	if res[0].Outcome != Failed || res[0].Enhanced != [3]int{5, 1, 3} || res[1].Outcome != Delivered || res[2].Outcome != Failed {
		t.Errorf("%+v", res)
	}
	j := job()
	j.ReturnPath = "a b\n@here.test"
	if r := carry(t, c, j)[0]; r.Outcome != Failed || r.Enhanced != [3]int{5, 1, 7} {
		t.Errorf("%+v", r)
	}
	for name, cfg := range map[string]Config{
		"nothing":     {},
		"no hostname": {Resolver: c.cfg.Resolver, Limits: c.cfg.Limits},
		"bad name":    {Resolver: c.cfg.Resolver, Limits: c.cfg.Limits, Hostname: "a b"},
		"smart host":  {Resolver: c.cfg.Resolver, Limits: c.cfg.Limits, Hostname: "gw.test", SmartHost: &SmartHost{Host: "x"}},
	} {
		if _, err := New(cfg); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
}
