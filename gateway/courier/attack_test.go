package courier

import (
	"fmt"
	"net"
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/foxcpp/go-mockdns"
)

// Attack: a host that talks without end. The client stops reading after its bound; the
// library's took 345 MB in 2.5 s.
func TestAttackEndlessReply(t *testing.T) {
	endless := strings.Repeat("x", 1<<20)
	for _, at := range []string{"", "EHLO", "MAIL", "RCPT", "DATA", "."} {
		for name, reply := range map[string]string{"lines": flood, "one line": "250 " + endless} {
			t.Run(name+" at "+at, func(t *testing.T) {
				c := simple(mx(t, always(at, reply))).courier(t, nil)
				var before, after runtime.MemStats
				runtime.ReadMemStats(&before)
				r := carry(t, c, job())[0]
				runtime.ReadMemStats(&after)
				want := Deferred
				if at == "." {
					want = Unknown
				}
				if r.Outcome != want {
					t.Errorf("%+v", r)
				}
				if n := after.TotalAlloc - before.TotalAlloc; n > 8<<20 {
					t.Errorf("%d bytes allocated", n)
				}
			})
		}
	}
}

// Attack: replies full of control bytes, with CR inside, in strange charsets, or longer
// than any report wants. They come out as one line; carry checks that of all results.
func TestAttackReplyText(t *testing.T) {
	for name, reply := range map[string]string{
		"CR":      "550 5.7.1 no\rSubject: forged\r\r\rhello",
		"escapes": "550 5.7.1 \x1b]0;title\x07\x1b[31mred",
		"NUL":     "550 5.7.1 a\x00b",
		"latin":   "550 5.7.1 \xe9t\xe9",
		"long":    "550 5.7.1 " + strings.Repeat("long ", 700),
		"lines":   strings.Repeat("550-5.7.1 many\r\n", 500) + "550 5.7.1 lines",
		"nothing": "550",
	} {
		for _, at := range []string{"MAIL", "RCPT", "DATA", "."} {
			r := carry(t, simple(mx(t, always(at, reply))).courier(t, nil), job())[0]
			if r.Outcome != Failed || r.Code != 550 || !r.Remote {
				t.Errorf("%s at %s: %+v", name, at, r)
			}
		}
	}
}

// Attack: 250 before anything was asked, to be taken for the reply to the final dot, or
// to shift which reply is for whom.
func TestAttackEarlyReplies(t *testing.T) {
	for _, tt := range []struct{ at, usually string }{
		{"", "220 hi"}, {"EHLO", "250-mx.test\r\n250 PIPELINING"}, {"EHLO", "250-mx.test\r\n250 STARTTLS"}, {"DATA", "354 go"},
	} {
		s := mx(t, always(tt.at, tt.usually+strings.Repeat("\r\n250 taken", 5)))
		r := carry(t, simple(s).courier(t, nil), job())[0]
		if r.Outcome != Deferred || r.Enhanced != [3]int{4, 5, 0} || s.connections() != 1 {
			t.Errorf("at %q: %+v on %d connections", tt.at, r, s.connections())
		}
	}
}

// Attack: a quoted local part that ends the path and sets parameters. On the wire it is
// quoted, however it came.
func TestAttackParameterSmuggling(t *testing.T) {
	s := mx(t, nil)
	c := simple(s).courier(t, nil)
	j := job(`"x> NOTIFY=NEVER <y"@a.test`, `x> NOTIFY=NEVER <y@a.test`, `a\" b@a.test`)
	j.ReturnPath = `x> SIZE=1 <y@here.test`
	for _, r := range carry(t, c, j) {
		if r.Outcome != Delivered {
			t.Errorf("%+v", r)
		}
	}
	want := []string{
		`MAIL FROM:<"x> SIZE=1 <y"@here.test> SIZE=` + fmt.Sprint(len(letter)),
		`RCPT TO:<"x> NOTIFY=NEVER <y"@a.test>`, `RCPT TO:<"x> NOTIFY=NEVER <y"@a.test>`, `RCPT TO:<"a\\\" b"@a.test>`,
	}
	if got := s.commands()[1:5]; !slices.Equal(got, want) {
		t.Errorf("said %q, want %q", got, want)
	}
}

// Attack: mail hosts that lead inside the operator's network. Nothing is dialled, and
// with one that does not the mail goes there.
func TestAttackInside(t *testing.T) {
	for _, inside := range []string{"127.0.0.1", "10.0.0.1", "192.168.0.1", "169.254.169.254", "100.64.0.1", "0.0.0.0", "::1", "fd00::1", "fe80::1", "::ffff:127.0.0.1", "64:ff9b::7f00:1", "2002:7f00:1::1"} {
		s := mx(t, nil)
		w := simple(s)
		zone := mockdns.Zone{A: []string{inside}}
		if strings.Contains(inside, ":") {
			zone = mockdns.Zone{AAAA: []string{inside}}
		}
		w.zones["mx.test."] = zone
		if r := carry(t, w.courier(t, nil), job())[0]; r.Outcome != Failed || r.Enhanced != [3]int{5, 4, 4} || len(w.dialled()) != 0 {
			t.Errorf("%s: %+v after %v", inside, r, w.dialled())
		}
		w.zones["a.test."] = mockdns.Zone{MX: []net.MX{{Host: "mx.test.", Pref: 1}, {Host: "good.test.", Pref: 2}}}
		w.zones["good.test."] = mockdns.Zone{A: []string{"5.0.0.1"}}
		if r := carry(t, w.courier(t, nil), job())[0]; r.Outcome != Delivered || !slices.Equal(w.dialled(), []string{"5.0.0.1:25"}) {
			t.Errorf("%s and a good one: %+v after %v", inside, r, w.dialled())
		}
	}
}
