package resolve

import (
	"context"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/foxcpp/go-mockdns"
	"github.com/miekg/dns"

	"github.com/centerleap/postern/gateway"
)

// What is remembered, how long, and that it stays within its bytes.
func TestCache(t *testing.T) {
	soa := func(q *dns.Msg, code int, minimum uint32) *dns.Msg {
		m := rcode(q, code)
		m.Ns = []dns.RR{&dns.SOA{Hdr: dns.RR_Header{Name: "test.", Rrtype: dns.TypeSOA, Class: dns.ClassINET, Ttl: 3600}, Ns: "ns.test.", Mbox: "h.test.", Minttl: minimum}}
		return m
	}
	tests := []struct {
		name  string
		reply func(q *dns.Msg) *dns.Msg
		kept  time.Duration
	}{
		{"its time", func(q *dns.Msg) *dns.Msg { return records(q, good) }, time.Minute},
		{"the least time of it", func(q *dns.Msg) *dns.Msg { return records(q, good, `a.test. 7 TXT "x"`) }, 7 * time.Second},
		{"the alias's time", func(q *dns.Msg) *dns.Msg { return records(q, "a.test. 9 CNAME b.test.", `b.test. 60 TXT "x"`) }, 9 * time.Second},
		{"no time", func(q *dns.Msg) *dns.Msg { return records(q, `a.test. 0 TXT "x"`) }, 0},
		{"a negative time", func(q *dns.Msg) *dns.Msg { return records(q, `a.test. 2147483648 TXT "x"`) }, 0},
		{"at most our time", func(q *dns.Msg) *dns.Msg { return records(q, `a.test. 999999 TXT "x"`) }, gateway.DNSKept},
		{"no such name", func(q *dns.Msg) *dns.Msg { return soa(q, dns.RcodeNameError, 30) }, 30 * time.Second},
		{"no such records", func(q *dns.Msg) *dns.Msg { return soa(q, dns.RcodeSuccess, 20) }, 20 * time.Second},
		{"nothing, at most our time", func(q *dns.Msg) *dns.Msg { return soa(q, dns.RcodeNameError, 9999) }, gateway.DNSKeptNothing},
		{"nothing, without proof", func(q *dns.Msg) *dns.Msg { return rcode(q, dns.RcodeNameError) }, 0},
		{"a failure", func(q *dns.Msg) *dns.Msg { return rcode(q, dns.RcodeServerFailure) }, gateway.DNSKeptFailure},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s := serve(t, func(_ string, q *dns.Msg) [][]byte { return wire(tt.reply(q)) })
			now := time.Unix(1e9, 0)
			r := asker(t, func(c *Config) { c.Now = func() time.Time { return now } }, s.addr())
			first := r.TXT(t.Context(), "a.test")
			if first.TTL != tt.kept {
				t.Errorf("holds for %s, want %s", first.TTL, tt.kept)
			}
			asked := s.asked.Load()
			now = now.Add(tt.kept - 1)
			if again := r.TXT(t.Context(), "a.test"); tt.kept > 0 && (s.asked.Load() != asked || again.Class != first.Class || again.TTL != 1) {
				t.Errorf("just before its end: %+v after %d questions", again, s.asked.Load()-asked)
			}
			now = now.Add(1)
			if r.TXT(t.Context(), "a.test"); s.asked.Load() == asked {
				t.Error("remembered for longer")
			}
		})
	}
	z := make(map[string]mockdns.Zone)
	for i := range 100 {
		z[fmt.Sprintf("n%d.test.", i)] = mockdns.Zone{TXT: []string{strings.Repeat("x", 200)}}
	}
	r := asker(t, func(c *Config) { c.Limits.DNSCache = 10 << 10 }, zones(t, z))
	for i := range 100 {
		r.TXT(t.Context(), "n0.test") // what is asked for often stays
		r.TXT(t.Context(), fmt.Sprintf("n%d.test", i))
	}
	_, first := r.cache.get(question{"n0.test", dns.TypeTXT}, time.Now(), time.Hour)
	_, second := r.cache.get(question{"n1.test", dns.TypeTXT}, time.Now(), time.Hour)
	if n := len(r.cache.byQ); !first || second || n < 5 || n > 20 || r.cache.bytes > 10<<10 || n != r.cache.order.Len() {
		t.Errorf("first %t, second %t, %d answers of %d bytes", first, second, n, r.cache.bytes)
	}
}

// Who wants to know what is new gets an answer no older than he says, and leaves it to
// the others.
func TestNoOlder(t *testing.T) {
	now := time.Unix(1_790_000_000, 0)
	var published atomic.Value
	published.Store("old")
	s := serve(t, func(_ string, q *dns.Msg) [][]byte {
		return wire(records(q, `a.test. 3600 TXT "`+published.Load().(string)+`"`))
	})
	r := asker(t, func(c *Config) { c.Now = func() time.Time { return now } }, s.addr())
	fresh := NoOlder(t.Context(), 10*time.Second)
	text := func(ctx context.Context, want string, asked int64) {
		t.Helper()
		if got := r.TXT(ctx, "a.test"); len(got.Records) != 1 || got.Records[0] != want || s.asked.Load() != asked {
			t.Errorf("%v after %d questions, want %s after %d", got.Records, s.asked.Load(), want, asked)
		}
	}
	text(fresh, "old", 1)
	published.Store("new")
	now = now.Add(10 * time.Second)
	text(fresh, "old", 1)
	now = now.Add(time.Second)
	text(t.Context(), "old", 1)
	text(fresh, "new", 2)
	text(t.Context(), "new", 2)
}
