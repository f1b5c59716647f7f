package mailauth

import (
	"context"
	"errors"
	"io"
	"net/netip"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/miekg/dns"
	"go.yaml.in/yaml/v3"

	"github.com/centerleap/postern/gateway"
	"github.com/centerleap/postern/gateway/resolve"
)

// several is one text or a list of them.
type several []string

func (s *several) UnmarshalYAML(n *yaml.Node) error {
	if n.Kind == yaml.ScalarNode {
		*s = several{n.Value}
		return nil
	}
	return n.Decode((*[]string)(s))
}

// suite is a part of the test suite of RFC 7208, testdata/rfc7208-tests.yml.
type suite struct {
	Description string
	Tests       map[string]struct {
		HELO, Host, MailFrom string
		Result               several
	}
	Zones map[string][]yaml.Node `yaml:"zonedata"`
}

// suiteDNS answers from a zone of the suite.
type suiteDNS map[string]map[string][]string // by name and type

func (s suite) dns(t *testing.T) suiteDNS {
	t.Helper()
	z := make(suiteDNS)
	for name, nodes := range s.Zones {
		all := make(map[string][]string)
		z[strings.ToLower(name)] = all
		for _, n := range nodes {
			if n.Kind == yaml.ScalarNode {
				all["FAIL"] = []string{n.Value} // TIMEOUT
				continue
			}
			var one map[string]several
			if err := n.Decode(&one); err != nil {
				t.Fatal(err)
			}
			for of, values := range one {
				switch of {
				case "MX":
					values = several{values[1]}
				case "SPF", "TXT":
					values = several{strings.Join(values, "")}
				}
				all[of] = append(all[of], values...)
			}
		}
		if all["TXT"] == nil { // the suite leaves copying to us
			all["TXT"] = all["SPF"]
		} else if all["TXT"][0] == "NONE" {
			delete(all, "TXT")
		}
	}
	return z
}

func (z suiteDNS) get(name, of string) (resolve.Class, []string) {
	name = strings.ToLower(strings.TrimSuffix(name, "."))
	if z[name] != nil && z[name]["CNAME"] != nil {
		name = strings.ToLower(z[name]["CNAME"][0])
	}
	switch all := z[name]; {
	case all == nil:
		return resolve.NXDomain, nil
	case all["FAIL"] != nil && all[of] == nil, all["TIMEOUT"] != nil:
		return resolve.Temporary, nil
	case all[of] == nil:
		return resolve.NoData, nil
	default:
		return resolve.Found, all[of]
	}
}

func (z suiteDNS) addrs(name, of string) (ans resolve.Answer[netip.Addr]) {
	class, list := z.get(name, of)
	ans.Class = class
	for _, s := range list {
		ans.Records = append(ans.Records, netip.MustParseAddr(s))
	}
	return ans
}

func (z suiteDNS) TXT(_ context.Context, name string) resolve.Answer[string] {
	class, list := z.get(name, "TXT")
	return resolve.Answer[string]{Class: class, Records: list}
}

func (z suiteDNS) MX(_ context.Context, name string) (ans resolve.Answer[resolve.MX]) {
	class, list := z.get(name, "MX")
	ans.Class = class
	for _, h := range list {
		ans.Records = append(ans.Records, resolve.MX{Host: h})
	}
	return ans
}

func (z suiteDNS) A(_ context.Context, name string) resolve.Answer[netip.Addr] {
	return z.addrs(name, "A")
}

func (z suiteDNS) AAAA(_ context.Context, name string) resolve.Answer[netip.Addr] {
	return z.addrs(name, "AAAA")
}

func (z suiteDNS) PTR(_ context.Context, ip netip.Addr) resolve.Answer[string] {
	name, err := dns.ReverseAddr(ip.String())
	if err != nil {
		return resolve.Answer[string]{Class: resolve.NXDomain}
	}
	class, list := z.get(name, "PTR")
	return resolve.Answer[string]{Class: class, Records: list}
}

// departures are tests of the suite that end otherwise here, and how.
var departures = map[string]string{
	// The library takes no "/" in the name of a host.
	"a-colon-domain": PermError, "a-colon-domain-ip4mapped": PermError,
	"mx-colon-domain": PermError, "mx-colon-domain-ip4mapped": PermError,
	// Nothing asks for the abandoned SPF type, so the failure of TXT is the answer.
	"spftimeout": TempError,
	// RFC 7208 section 7.3 advises against the macro p; the library says "unknown".
	"p-macro-multiple": Neutral,
}

// RFC 7208's own test suite.
func TestSPFSuite(t *testing.T) {
	f, err := os.Open("testdata/rfc7208-tests.yml")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	n := 0
	for d := yaml.NewDecoder(f); ; {
		var s suite
		if err := d.Decode(&s); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			t.Fatal(err)
		}
		c := checkerOf(t, s.dns(t), gateway.DefaultLimits())
		for name, tt := range s.Tests {
			n++
			got := c.spf(t.Context(), Input{IP: netip.MustParseAddr(tt.Host), HELO: tt.HELO, MailFrom: tt.MailFrom})
			want := []string(tt.Result)
			if d := departures[name]; d != "" {
				want = []string{d}
			}
			if !slices.Contains(want, got.Result) {
				t.Errorf("%s: %s: %+v, want %v", s.Description, name, got, want)
			}
		}
	}
	if n < 150 {
		t.Errorf("only %d tests", n)
	}
}

// A name that macros made too long loses labels on its left.
func TestFit(t *testing.T) {
	for in, want := range map[string]string{
		"a.test":                                  "a.test",
		strings.Repeat("abc.", 70) + "test":       strings.Repeat("abc.", 62) + "test",
		strings.Repeat("x", 300):                  strings.Repeat("x", 300), // no name: nothing is there
		strings.Repeat("x", 300) + "." + "a.test": "a.test",
	} {
		if got := fit(in); got != want {
			t.Errorf("%q became %q", in, got)
		}
	}
}
