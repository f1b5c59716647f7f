package plugins

import (
	"fmt"
	"strings"
	"testing"

	"github.com/centerleap/postern/gateway"
)

// What a manifest says of how its module is asked is held to what there is.
func TestReach(t *testing.T) {
	lim := gateway.DefaultLimits()
	lim.PluginHosts = 3
	for _, tt := range []struct{ doc, want, fault string }{
		{`"hooks":["inbound"]`, `{[] [] 0 {0 0 0}}`, ""},
		{`"hooks":["inbound"],"http_hosts":[],"events":[],"limits":{}`, `{[] [] 0 {0 0 0}}`, ""},
		{`"hooks":["event","tick"],"events":["email.sent","email.updated"],"tick_seconds":60`, `{[] [email.sent email.updated] 60 {0 0 0}}`, ""},
		{`"hooks":["tick"],"tick_seconds":2592000`, `{[] [] 2592000 {0 0 0}}`, ""},
		{`"hooks":["tick"],"tick_seconds":2592001`, "", "tick_seconds must be 60 to 2592000"},
		{`"hooks":["tick"],"tick_seconds":59`, "", "tick_seconds must be"},
		{`"hooks":["tick"]`, "", "tick_seconds must be"},
		{`"hooks":["event"],"tick_seconds":60`, "", "tick_seconds is for the hook tick"},
		{`"hooks":["inbound"],"events":["email.sent"]`, "", "events are for the hook event"},
		{`"hooks":["event"],"events":["email.deleted"]`, "", `no event "email.deleted"`},
		{`"hooks":["event"],"events":["email.sent","email.sent"]`, "", "events name each once"},
		{`"hooks":["event"],"permissions":["http"],"http_hosts":["API.example.com","api.example.com.","*.b.example:8443"]`, `{[api.example.com *.b.example:8443] [] 0 {0 0 0}}`, ""},
		{`"hooks":["event"],"permissions":["http"]`, `{[] [] 0 {0 0 0}}`, ""}, // it reaches nobody
		{`"hooks":["event"],"http_hosts":["a.example"]`, "", "needs the permission http"},
		{`"hooks":["event"],"permissions":["http"],"http_hosts":["a.example","b.example","c.example","d.example"]`, "", "more than 3 entries"},
		{`"hooks":["event"],"permissions":["http"],"http_hosts":["https://a.example"]`, "", "http_hosts: "},
		{`"hooks":["inbound"],"limits":{"millis":250,"fuel":1,"memory":65536}`, `{[] [] 0 {250 1 65536}}`, ""},
		{`"hooks":["inbound"],"limits":{"millis":251}`, "", "limits.millis must be 1 to 250"},
		{`"hooks":["inbound","event"],"limits":{"millis":30000,"memory":67108864}`, `{[] [] 0 {30000 0 67108864}}`, ""},
		{`"hooks":["inbound"],"limits":{"fuel":0}`, "", "limits.fuel must be 1 to"},
		{`"hooks":["inbound"],"limits":{"memory":-1}`, "", "limits.memory must be 1 to"},
		{`"hooks":["inbound"],"limits":{"Fuel":5}`, "", `no limit "Fuel"`},
	} {
		m, err := readManifest([]byte(`{"v":1,"name":"a",` + tt.doc + `}`))
		if err != nil {
			t.Errorf("%s: %v", tt.doc, err)
			continue
		}
		r, err := reach(m, &lim)
		if tt.fault == "" && (err != nil || fmt.Sprint(r) != tt.want) {
			t.Errorf("%s: %v %v, want %s", tt.doc, r, err, tt.want)
		}
		if tt.fault != "" && (gateway.KindOf(err) != gateway.InvalidParameter || err == nil || !strings.Contains(err.Error(), tt.fault) || gateway.AsError(err).Field != "manifest") {
			t.Errorf("%s: %v, want %q", tt.doc, err, tt.fault)
		}
	}
}

// Where a plugin may ask is compared letter by letter, after all ways to write a host have
// become one.
func TestPlaces(t *testing.T) {
	for _, entry := range []string{
		"", ".", "*", "*.", "*.com", "*.*.example.com", "a*.example.com", "a.example.com:", "a.example.com:0", "a.example.com:65536", "a.example.com:080", "a.example.com:http",
		"a.example.com:1:2", "https://a.example.com", "a.example.com/x", "user@a.example.com", "a b.example.com", "a.example.com\r\n", "a..example.com", "a_b.example.com", "-a.example.com",
		"2130706433", "127.1", "0x7f000001", "0x7f.0.0.1", "0177.0.0.1", "127.0.0.1.", "::1", "[::1", "[::ffff:127.0.0.1]", "[0::1]", "[fe80::1%25lo]", "[127.0.0.1]", "*.127.0.0.1", "1.2.3",
		strings.Repeat("a", 64) + ".example.com", strings.Repeat("a.", 127) + "example.com",
	} {
		if p, err := readPlace(entry); err == nil {
			t.Errorf("%q is taken, as %s", entry, p)
		}
	}
	for _, tt := range []struct {
		entry, host, port string
		usual             bool
		want              bool
	}{
		{"api.example.com", "api.example.com", "443", true, true},
		{"api.example.com", "api.example.com", "8443", false, false},
		{"api.example.com", "x.api.example.com", "443", true, false},
		{"api.example.com", "api.example.com.evil.example", "443", true, false},
		{"api.example.com", "evilapi.example.com", "443", true, false},
		{"api.example.com:8443", "api.example.com", "8443", false, true},
		{"api.example.com:8443", "api.example.com", "443", true, false},
		{"api.example.com:443", "api.example.com", "443", true, true},
		{"*.example.com", "a.b.example.com", "443", true, true},
		{"*.example.com", "example.com", "443", true, false},
		{"*.example.com", "notexample.com", "443", true, false},
		{"*.example.com:81", "a.example.com", "81", false, true},
		{"Bücher.Example", "xn--bcher-kva.example", "443", true, true},
		{"127.0.0.1", "127.0.0.1", "80", true, true},
		{"[::1]:8080", "::1", "8080", false, true},
		{"[2606:4700::1111]", "2606:4700::1111", "443", true, true},
	} {
		p, err := readPlace(tt.entry)
		if err != nil {
			t.Errorf("%s: %v", tt.entry, err)
			continue
		}
		if got := p.holds(tt.host, tt.port, tt.usual); got != tt.want {
			t.Errorf("%s holds %s:%s: %v", tt.entry, tt.host, tt.port, got)
		}
		if again, err := readPlace(p.String()); again != p || err != nil {
			t.Errorf("%s is written as %s, which is %v %v", tt.entry, p, again, err)
		}
	}
}
