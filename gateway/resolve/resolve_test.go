package resolve

import (
	"bytes"
	"context"
	"errors"
	"io"
	"log"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/foxcpp/go-mockdns"
	"go.uber.org/goleak"

	"github.com/centerleap/postern/gateway"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// zones serves names on loopback.
func zones(t testing.TB, z map[string]mockdns.Zone) string {
	t.Helper()
	s, err := mockdns.NewServerWithLogger(z, log.New(io.Discard, "", 0), false)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s.LocalAddr().String()
}

// asker is a Resolver with short times; change may change its Config.
func asker(t testing.TB, change func(*Config), servers ...string) *Resolver {
	t.Helper()
	cfg := Config{Servers: servers, Limits: gateway.DefaultLimits(), Timeout: 2 * time.Second, Try: 300 * time.Millisecond}
	if change != nil {
		change(&cfg)
	}
	r, err := New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func TestNew(t *testing.T) {
	for name, cfg := range map[string]Config{
		"nothing":    {},
		"no servers": {Limits: gateway.DefaultLimits()},
		"no port":    {Servers: []string{"127.0.0.1"}, Limits: gateway.DefaultLimits()},
	} {
		if _, err := New(cfg); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
}

// An answer is what was published, whatever its type. (The library's server gives aliases
// a wrong owner; TestAliases has its own.)
func TestAnswers(t *testing.T) {
	long := strings.Repeat("0123456789", 60) + " end"
	r := asker(t, nil, zones(t, map[string]mockdns.Zone{
		"a.test.": {
			A: []string{"192.0.2.1", "192.0.2.2"}, AAAA: []string{"2001:db8::1"}, TXT: []string{long, "", "two"}, AD: true,
			MX: []net.MX{{Host: "Second.test.", Pref: 20}, {Host: "first.test.", Pref: 10}, {Host: "bad host.test.", Pref: 1}},
		},
		"null.test.":                {MX: []net.MX{{Host: ".", Pref: 0}}},
		"alias.test.":               {CNAME: "next.test.", AD: true},
		"broken.test.":              {Err: errors.New("no")},
		"four.test.":                {A: []string{"192.0.2.4"}},
		"1.2.0.192.in-addr.arpa.":   {PTR: []string{"a.test.", "x y.test."}},
		"_dmarc.a.test.":            {TXT: []string{"v=DMARC1"}},
		"xn--bcher-kva.test.":       {A: []string{"192.0.2.9"}},
		strings.Repeat("a.", 127):   {A: []string{"192.0.2.5"}},
		"plus+equals=%.a.test.":     {A: []string{"192.0.2.6"}},
		"deep.in.a.wild.card.test.": {A: []string{"192.0.2.7"}},
	}))
	ctx := t.Context()
	texts := r.TXT(ctx, "A.test.")
	if texts.Class != Found || !slices.Equal(texts.Records, []string{long, "", "two"}) || !texts.Authentic || texts.TTL <= 0 || texts.TTL > gateway.DNSKept {
		t.Errorf("TXT: %+v", texts)
	}
	if mx := r.MX(ctx, "a.test"); !slices.Equal(mx.Records, []MX{{10, "first.test"}, {20, "second.test"}}) {
		t.Errorf("MX: %+v", mx)
	}
	if mx := r.MX(ctx, "null.test"); mx.Class != Found || !slices.Equal(mx.Records, []MX{{0, ""}}) {
		t.Errorf("null MX: %+v", mx)
	}
	if c := r.CNAME(ctx, "alias.test"); c.Class != Found || !slices.Equal(c.Records, []string{"next.test"}) {
		t.Errorf("CNAME: %+v", c)
	}
	if p := r.PTR(ctx, netip.MustParseAddr("::ffff:192.0.2.1")); p.Class != Found || !slices.Equal(p.Records, []string{"a.test"}) {
		t.Errorf("PTR: %+v", p)
	}
	if p := r.PTR(ctx, netip.Addr{}); p.Class != NXDomain {
		t.Errorf("PTR of nothing: %+v", p)
	}
	both := r.Addresses(ctx, "a.test")
	if got := len(both.Records); got != 3 || !both.Records[0].Is6() {
		t.Errorf("addresses: %+v", both)
	}
	both.Records[0] = netip.Addr{} // the caller's own
	if again := r.Addresses(ctx, "a.test"); !again.Records[0].Is6() {
		t.Errorf("addresses again: %+v", again)
	}
	tests := []struct {
		name  string
		class Class
		n     int
		at    string
	}{
		{"a.test", Found, 2, "a.test"},
		{"four.test", Found, 1, "four.test"},
		{"nowhere.test", NXDomain, 0, "nowhere.test"},
		{"_dmarc.a.test", NoData, 0, "_dmarc.a.test"},
		{"broken.test", Temporary, 0, "broken.test"},
		{"plus+equals=%.a.test", Found, 1, "plus+equals=%.a.test"},
		{"xn--bcher-kva.test", Found, 1, "xn--bcher-kva.test"},
		{strings.TrimSuffix(strings.Repeat("a.", 127), "."), Found, 1, strings.TrimSuffix(strings.Repeat("a.", 127), ".")},
		{strings.Repeat("a.", 126) + "aa", NXDomain, 0, ""}, // 254 bytes
		{strings.Repeat("a", 64) + ".test", NXDomain, 0, ""},
		{"", NXDomain, 0, ""},
		{".", NXDomain, 0, ""},
		{"a..test", NXDomain, 0, ""},
		{"b\u00fccher.test", NXDomain, 0, ""},
		{`a\.test`, NXDomain, 0, ""},
		{"a\r\n.test", NXDomain, 0, ""},
	}
	for _, tt := range tests {
		got := r.A(ctx, tt.name)
		if got.Class != tt.class || len(got.Records) != tt.n || got.Name != tt.at || (got.Err == nil) != (tt.class == Found) {
			t.Errorf("A of %.40q: %+v, want %s", tt.name, got, tt.class)
		}
	}
	for name, want := range map[string]Class{"four.test": Found, "_dmarc.a.test": NoData, "nowhere.test": NXDomain, "broken.test": Temporary} {
		if got := r.Addresses(ctx, name); got.Class != want {
			t.Errorf("addresses of %s: %s, want %s", name, got.Class, want)
		}
	}
}

func TestServers(t *testing.T) {
	for name, tt := range map[string]struct {
		text string
		want []string
	}{
		"usual":     {"nameserver 192.0.2.1\nsearch a.test\nnameserver 2001:db8::1\noptions edns0", []string{"192.0.2.1:53", "[2001:db8::1]:53"}},
		"empty":     {"", []string{"127.0.0.1:53"}},
		"no number": {"nameserver ns.test\n", []string{"127.0.0.1:53"}},
		"many":      {strings.Repeat("nameserver 192.0.2.1\n", 9), []string{"192.0.2.1:53", "192.0.2.1:53", "192.0.2.1:53"}},
	} {
		path := filepath.Join(t.TempDir(), "resolv.conf")
		if err := os.WriteFile(path, []byte(tt.text), 0o600); err != nil {
			t.Fatal(err)
		}
		if got, err := Servers(path); err != nil || !slices.Equal(got, tt.want) {
			t.Errorf("%s: %q, %v", name, got, err)
		}
	}
	if _, err := Servers(filepath.Join(t.TempDir(), "none")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("no file: %v", err)
	}
}

func TestClass(t *testing.T) {
	var all bytes.Buffer
	for c := Found; c <= Bogus+1; c++ {
		all.WriteString(c.String() + " ")
	}
	if all.String() != "found nxdomain nodata temporary bogus unknown " {
		t.Error(all.String())
	}
}

// One mail may ask so much, of memory too, and whoever asks beside it is not held back.
func TestLimit(t *testing.T) {
	r := asker(t, nil, zones(t, map[string]mockdns.Zone{"a.test.": {A: []string{"192.0.2.1"}}}))
	ctx := Limit(context.Background(), 3)
	var got []Class
	for range 5 {
		got = append(got, r.A(ctx, "a.test").Class)
	}
	if !slices.Equal(got, []Class{Found, Found, Found, Temporary, Temporary}) {
		t.Errorf("limited: %v", got)
	}
	if other := r.A(t.Context(), "a.test"); other.Class != Found {
		t.Errorf("without a limit: %+v", other)
	}
}
