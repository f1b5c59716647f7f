package courier

import (
	"context"
	"errors"
	"io"
	"log"
	"log/slog"
	"maps"
	"net"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/foxcpp/go-mockdns"
	"github.com/miekg/dns"

	"github.com/centerleap/postern/gateway"
	"github.com/centerleap/postern/gateway/resolve"
)

// world is where a courier of a test lives: DNS on loopback, and public addresses that
// lead to servers on loopback.
type world struct {
	zones map[string]mockdns.Zone
	mu    sync.Mutex
	at    map[string]string // "ip:port" to where it really is
	tried []string          // what was dialled, in order
}

func (w *world) dial(ctx context.Context, network, address string) (net.Conn, error) {
	w.mu.Lock()
	w.tried = append(w.tried, address)
	to := w.at[address]
	w.mu.Unlock()
	if to == "" {
		return nil, errors.New("connection refused")
	}
	return new(net.Dialer).DialContext(ctx, network, to)
}

func (w *world) dialled() []string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return append([]string(nil), w.tried...)
}

// simple is a.test with one mail host, mx.test, that is s.
func simple(s *server) *world {
	return &world{
		zones: map[string]mockdns.Zone{"a.test.": {MX: []net.MX{{Host: "mx.test.", Pref: 10}}}, "mx.test.": {A: []string{"5.0.0.1"}}},
		at:    map[string]string{"5.0.0.1:25": s.ln.Addr().String()},
	}
}

// dns serves the zones, as they are now, on loopback. The library's server is not stopped by a Close that
// comes before it has begun, so it has to answer once first.
func (w *world) dns(t testing.TB) string {
	t.Helper()
	s, err := mockdns.NewServerWithLogger(maps.Clone(w.zones), log.New(io.Discard, "", 0), false)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	at := s.LocalAddr().String()
	for _, network := range []string{"udp", "tcp"} {
		c := dns.Client{Net: network, Timeout: 10 * time.Second}
		if _, _, err := c.Exchange(new(dns.Msg).SetQuestion("begun.test.", dns.TypeA), at); err != nil {
			t.Fatal(err)
		}
	}
	return at
}

// courier makes one in this world; change may change its Config.
func (w *world) courier(t testing.TB, change func(*Config)) *Courier {
	t.Helper()
	r, err := resolve.New(resolve.Config{Servers: []string{w.dns(t)}, Limits: gateway.DefaultLimits(), Timeout: 2 * time.Second, Try: time.Second})
	if err != nil {
		t.Fatal(err)
	}
	cfg := Config{Resolver: r, Hostname: "gw.test", Limits: gateway.DefaultLimits(), Dial: w.dial, Log: slog.New(slog.DiscardHandler)}
	if change != nil {
		change(&cfg)
	}
	c, err := New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return c
}

const letter = "From: me@here.test\r\nSubject: hi\r\n\r\nhello\r\n.a dot\r\n..two\r\n.\r\nend\r\n"

// job is letter to recipients of a.test.
func job(to ...string) Job {
	if len(to) == 0 {
		to = []string{"you@a.test"}
	}
	return Job{Domain: "a.test", ReturnPath: "me@here.test", Recipients: to, Size: int64(len(letter)), Open: text(letter)}
}

func text(s string) func() (io.ReadCloser, error) {
	return func() (io.ReadCloser, error) { return io.NopCloser(strings.NewReader(s)), nil }
}

func carry(t testing.TB, c *Courier, j Job) []Result {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	res, err := c.Carry(ctx, j)
	if err != nil {
		t.Fatal(err)
	}
	if len(res) != len(j.Recipients) {
		t.Fatalf("%d results for %d recipients", len(res), len(j.Recipients))
	}
	for i, r := range res {
		fit(t, r)
		if r.Recipient != j.Recipients[i] {
			t.Errorf("result %d is of %q", i, r.Recipient)
		}
	}
	return res
}

// fit is what every result has to be, whatever the other side did.
func fit(t testing.TB, r Result) {
	t.Helper()
	switch {
	case r.Outcome == "" || r.Phase == "" || r.Code < 200 || r.Code > 599:
		t.Errorf("not whole: %+v", r)
	case len(r.Text) > maxText || r.Text != oneLine(r.Text):
		t.Errorf("not one line of at most %d: %q", maxText, r.Text)
	case r.Outcome == Delivered && (r.Phase != PhaseEnd || !r.Remote):
		t.Errorf("delivered, says nobody: %+v", r)
	case r.Enhanced[0] < 2 || r.Enhanced[0] > 5:
		t.Errorf("enhanced code %v", r.Enhanced)
	}
}

// errServFail makes the DNS of tests fail for a name.
var errServFail = &net.DNSError{Err: "failed", IsTemporary: true}

// nobody is a listener that has an address alone.
type nobody struct{ net.Listener }

// fixed is DNS without a network, for tests in a bubble of time.
type fixed map[string]mockdns.Zone

func (z fixed) TXT(_ context.Context, name string) resolve.Answer[string] {
	if list := z[name+"."].TXT; list != nil {
		return resolve.Answer[string]{Records: list}
	}
	return resolve.Answer[string]{Class: resolve.NXDomain}
}

func (z fixed) MX(_ context.Context, name string) (ans resolve.Answer[resolve.MX]) {
	for _, mx := range z[name+"."].MX {
		ans.Records = append(ans.Records, resolve.MX{Preference: mx.Pref, Host: strings.TrimSuffix(mx.Host, ".")})
	}
	return ans
}

func (z fixed) Addresses(_ context.Context, name string) (ans resolve.Answer[netip.Addr]) {
	for _, a := range z[name+"."].A {
		ans.Records = append(ans.Records, netip.MustParseAddr(a))
	}
	return ans
}
