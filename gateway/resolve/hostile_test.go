package resolve

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/miekg/dns"
)

// Whatever a server or somebody in between sends, the answer is right or none, soon.
func TestAttackHostileServers(t *testing.T) {
	large := make([]string, 0, 200)
	for range 200 {
		large = append(large, `a.test. 60 TXT "`+strings.Repeat("x", 250)+`"`)
	}
	var many []string
	for i := range 300 {
		many = append(many, fmt.Sprintf("a.test. 60 TXT %d", i))
	}
	tests := []struct {
		name  string
		reply func(network string, q *dns.Msg) [][]byte
		want  Class
	}{
		{"an honest one", func(_ string, q *dns.Msg) [][]byte { return wire(records(q, good)) }, Found},
		{"truncated, whole by TCP", func(n string, q *dns.Msg) [][]byte {
			if n == "udp" {
				return wire(truncated(q))
			}
			return wire(records(q, good))
		}, Found},
		{"cut off inside a record, whole by TCP", func(n string, q *dns.Msg) [][]byte {
			if n == "udp" {
				return [][]byte{cutOff(q)}
			}
			return wire(records(q, good))
		}, Found},
		{"truncated by TCP too", func(_ string, q *dns.Msg) [][]byte { return wire(truncated(q)) }, Temporary},
		{"truncated, and silent by TCP", func(n string, q *dns.Msg) [][]byte {
			if n == "udp" {
				return wire(truncated(q))
			}
			return nil
		}, Temporary},
		{"the wrong id", func(_ string, q *dns.Msg) [][]byte {
			return wire(changed(records(q, good), func(m *dns.Msg) { m.Id++ }))
		}, Temporary},
		{"the wrong id first", func(_ string, q *dns.Msg) [][]byte {
			return wire(changed(records(q, `a.test. 60 TXT "bad"`), func(m *dns.Msg) { m.Id++ }), records(q, good))
		}, Found},
		{"another question first", func(_ string, q *dns.Msg) [][]byte {
			return wire(changed(records(q, `a.test. 60 TXT "bad"`), func(m *dns.Msg) { m.Question[0].Name = "b.test." }), records(q, good))
		}, Found},
		{"another type first", func(_ string, q *dns.Msg) [][]byte {
			return wire(changed(records(q), func(m *dns.Msg) { m.Question[0].Qtype = dns.TypeA }), records(q, good))
		}, Found},
		{"no question at all", func(_ string, q *dns.Msg) [][]byte {
			return wire(changed(records(q, good), func(m *dns.Msg) { m.Question = nil }))
		}, Temporary},
		{"a question instead of a reply", func(_ string, q *dns.Msg) [][]byte {
			return wire(changed(records(q, good), func(m *dns.Msg) { m.Response = false }))
		}, Temporary},
		{"noise", func(string, *dns.Msg) [][]byte { return [][]byte{{}, {1, 2, 3}, []byte(strings.Repeat("\xc0", 600))} }, Temporary},
		{"a flood of noise", func(string, *dns.Msg) [][]byte { return slices.Repeat([][]byte{[]byte("noise")}, 100) }, Temporary},
		{"silence", func(string, *dns.Msg) [][]byte { return nil }, Temporary},
		{"REFUSED", func(_ string, q *dns.Msg) [][]byte { return wire(rcode(q, dns.RcodeRefused)) }, Temporary},
		{"SERVFAIL", func(_ string, q *dns.Msg) [][]byte { return wire(rcode(q, dns.RcodeServerFailure)) }, Temporary},
		{"SERVFAIL for another reason", func(_ string, q *dns.Msg) [][]byte {
			return wire(rcode(q, dns.RcodeServerFailure, dns.ExtendedErrorCodeNetworkError))
		}, Temporary},
		{"SERVFAIL by DNSSEC", func(_ string, q *dns.Msg) [][]byte {
			return wire(rcode(q, dns.RcodeServerFailure, dns.ExtendedErrorCodeSignatureExpired))
		}, Bogus},
		{"NXDOMAIN", func(_ string, q *dns.Msg) [][]byte { return wire(rcode(q, dns.RcodeNameError)) }, NXDomain},
		{"nothing", func(_ string, q *dns.Msg) [][]byte { return wire(records(q)) }, NoData},
		{"records of another name", func(_ string, q *dns.Msg) [][]byte { return wire(records(q, `b.test. 60 TXT "bad"`)) }, NoData},
		{"records of another class", func(_ string, q *dns.Msg) [][]byte { return wire(records(q, `a.test. 60 CH TXT "bad"`)) }, NoData},
		{"no extensions", func(_ string, q *dns.Msg) [][]byte {
			if q.IsEdns0() != nil {
				return wire(changed(rcode(q, dns.RcodeFormatError), func(m *dns.Msg) { m.Question = nil }))
			}
			return wire(records(q, good))
		}, Found},
		{"an alias of itself", func(_ string, q *dns.Msg) [][]byte { return wire(records(q, "a.test. 60 CNAME a.test.")) }, Bogus},
		{"a circle of aliases", func(_ string, q *dns.Msg) [][]byte {
			return wire(records(q, "a.test. 60 CNAME b.test.", "b.test. 60 CNAME a.test."))
		}, Bogus},
		{"aliases without end", func(_ string, q *dns.Msg) [][]byte {
			return wire(records(q, q.Question[0].Name+" 60 CNAME x"+strings.ToLower(q.Question[0].Name)))
		}, Bogus},
		{"an alias of nothing", func(_ string, q *dns.Msg) [][]byte { return wire(records(q, "a.test. 60 CNAME .")) }, Bogus},
		{"an alias that is left to us", func(_ string, q *dns.Msg) [][]byte {
			if q.Question[0].Name == "a.test." {
				return wire(records(q, "a.test. 60 CNAME b.test."))
			}
			return wire(records(q, `b.test. 60 TXT "good"`))
		}, Found},
		{"a huge answer", func(n string, q *dns.Msg) [][]byte {
			if n == "udp" {
				return wire(truncated(q))
			}
			return wire(records(q, large...))
		}, Bogus},
		{"many records", func(n string, q *dns.Msg) [][]byte {
			if n == "udp" {
				return wire(truncated(q))
			}
			return wire(records(q, many...))
		}, Bogus},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			s := serve(t, tt.reply)
			start := time.Now()
			got := asker(t, nil, s.addr()).TXT(t.Context(), "a.test")
			if got.Class != tt.want || got.Class == Found && !slices.Equal(got.Records, []string{"good"}) {
				t.Errorf("%+v, want %s", got, tt.want)
			}
			if took := time.Since(start); took > 4*time.Second { // twice the Timeout, for a slow machine
				t.Errorf("it took %s", took)
			}
		})
	}
}

// Aliases are followed, in one answer or in several, and say whose the records are; one
// link that is not authentic makes the chain so.
func TestAliases(t *testing.T) {
	s := serve(t, func(_ string, q *dns.Msg) [][]byte {
		var m *dns.Msg
		switch q.Question[0].Name {
		case "one.test.":
			m = records(q, "ONE.test. 60 CNAME Two.test.", "two.test. 60 CNAME a.test.", good)
		case "steps.test.":
			m = records(q, "steps.test. 60 CNAME one.test.")
		case "dangling.test.":
			m = changed(records(q, "dangling.test. 60 CNAME gone.test."), func(m *dns.Msg) { m.Rcode = dns.RcodeNameError })
		case "void.test.":
			m = records(q, "void.test. 60 CNAME a.test.")
			m.Ns = records(q, "test. 60 SOA ns.test. h.test. 1 1 1 1 60").Answer
		default:
			return nil
		}
		m.AuthenticatedData = q.Question[0].Name != "steps.test."
		return wire(m)
	})
	r := asker(t, nil, s.addr())
	for name, want := range map[string]Answer[string]{
		"one.test":      {Class: Found, Name: "a.test", Authentic: true},
		"steps.test":    {Class: Found, Name: "a.test"},
		"dangling.test": {Class: NXDomain, Name: "gone.test", Authentic: true},
		"void.test":     {Class: NoData, Name: "a.test", Authentic: true},
	} {
		got := r.TXT(t.Context(), name)
		if got.Class != want.Class || got.Name != want.Name || got.Authentic != want.Authentic || (len(got.Records) == 1) != (want.Class == Found) {
			t.Errorf("%s: %+v", name, got)
		}
	}
}

// A server that fails is passed over for the next; all of them together have one time.
func TestServersInTurn(t *testing.T) {
	honest := serve(t, func(_ string, q *dns.Msg) [][]byte { return wire(records(q, good)) })
	silent := serve(t, func(string, *dns.Msg) [][]byte { return nil })
	failing := serve(t, func(_ string, q *dns.Msg) [][]byte { return wire(rcode(q, dns.RcodeServerFailure)) })
	for name, servers := range map[string][]string{
		"silent": {silent.addr(), honest.addr()}, "failing": {failing.addr(), honest.addr()}, "closed": {"127.0.0.1:1", honest.addr()},
	} {
		if got := asker(t, nil, servers...).TXT(t.Context(), "a.test"); got.Class != Found {
			t.Errorf("%s: %+v", name, got)
		}
	}
	before := silent.asked.Load()
	got := asker(t, func(c *Config) { c.Timeout, c.Try = 150*time.Millisecond, 100*time.Millisecond }, silent.addr(), silent.addr(), silent.addr()).TXT(t.Context(), "a.test")
	if n := silent.asked.Load() - before; got.Class != Temporary || !errors.Is(got.Err, context.DeadlineExceeded) || n > 2 {
		t.Errorf("%+v after %d questions", got, n)
	}
}

// Fifty who ask the same thing ask it once. If the first of them leaves, the next asks.
func TestOneFlight(t *testing.T) {
	release, started := make(chan struct{}), make(chan struct{}, 100)
	s := serve(t, func(_ string, q *dns.Msg) [][]byte {
		started <- struct{}{}
		<-release
		return wire(records(q, good))
	})
	r := asker(t, func(c *Config) { c.Try = 2 * time.Second }, s.addr())
	hurried, leave := context.WithCancel(t.Context())
	first := make(chan Answer[string])
	go func() { first <- r.TXT(hurried, "a.test") }()
	<-started
	var wait sync.WaitGroup
	classes := make([]Class, 50)
	for i := range classes {
		wait.Go(func() { classes[i] = r.TXT(t.Context(), "a.test").Class })
	}
	leave()
	if got := <-first; got.Class != Temporary {
		t.Errorf("who left got %+v", got)
	}
	close(release)
	wait.Wait()
	if n := s.asked.Load(); n > 2 || slices.ContainsFunc(classes, func(c Class) bool { return c != Found }) {
		t.Errorf("%d questions; %v", n, classes)
	}
}

// More questions than may be under way wait, and are asked then.
func TestAtOnce(t *testing.T) {
	var now, most atomic.Int64
	s := serve(t, func(_ string, q *dns.Msg) [][]byte {
		most.Store(max(most.Load(), now.Add(1)))
		defer now.Add(-1)
		return wire(records(q, q.Question[0].Name+" 60 A 192.0.2.1"))
	})
	r := asker(t, func(c *Config) { c.Limits.DNSAtOnce = 1 }, s.addr())
	var wait sync.WaitGroup
	for i := range 20 {
		wait.Go(func() {
			if got := r.A(t.Context(), fmt.Sprintf("n%d.test", i)); got.Class != Found {
				t.Errorf("%+v", got)
			}
		})
	}
	wait.Wait()
	if most.Load() != 1 {
		t.Errorf("%d at once", most.Load())
	}
	r.slots <- struct{}{}
	ctx, cancel := context.WithTimeout(t.Context(), time.Millisecond)
	defer cancel()
	if got := r.A(ctx, "late.test"); got.Class != Temporary {
		t.Errorf("without a slot: %+v", got)
	}
}
