package safehttp

import (
	"net/netip"
	"testing"

	"github.com/centerleap/postern/gateway"
)

// Which addresses a connection may reach, whoever allowed what.
func TestControl(t *testing.T) {
	const (
		never    = iota
		loopback // with AllowLoopback, or named
		named    // only if the operator names the host and port
		literal  // only if the operator names the address itself
		always
	)
	for _, tt := range []struct {
		name, address string
		want          int
	}{
		{"public", "1.1.1.1", always},
		{"public v6", "2606:4700:4700::1111", always},
		{"loopback", "127.0.0.1", loopback},
		{"all of loopback", "127.255.255.254", loopback},
		{"loopback v6", "::1", loopback},
		{"mapped loopback", "::ffff:127.0.0.1", loopback},
		{"mapped loopback in hex", "::ffff:7f00:1", loopback},
		{"compatible loopback", "::127.0.0.1", never},
		{"unspecified", "0.0.0.0", never},
		{"this network", "0.1.2.3", never},
		{"unspecified v6", "::", never},
		{"private 10", "10.0.0.1", named},
		{"private 172", "172.31.255.255", named},
		{"beside private 172", "172.32.0.1", always},
		{"private 192", "192.168.1.1", named},
		{"mapped private", "::ffff:10.0.0.1", named},
		{"unique local", "fd00::1", named},
		{"carriers' NAT", "100.64.0.1", named},
		{"beside carriers' NAT", "100.128.0.1", always},
		{"link local: cloud metadata", "169.254.169.254", literal},
		{"mapped link local", "::ffff:169.254.169.254", literal},
		{"link local v6", "fe80::1", literal},
		{"link local v6 with a zone", "fe80::1%lo", never},
		{"public with a zone", "2606:4700:4700::1111%lo", never},
		{"site local", "fec0::1", never},
		{"multicast", "224.0.0.1", never},
		{"multicast v6", "ff02::1", never},
		{"broadcast", "255.255.255.255", never},
		{"reserved", "240.0.0.1", never},
		{"documentation", "192.0.2.1", never},
		{"documentation 2", "198.51.100.1", never},
		{"documentation 3", "203.0.113.1", never},
		{"documentation v6", "2001:db8::1", never},
		{"benchmarks", "198.18.0.1", never},
		{"NAT64 of loopback", "64:ff9b::7f00:1", never},
		{"NAT64 of metadata", "64:ff9b::a9fe:a9fe", never},
		{"local NAT64", "64:ff9b:1::7f00:1", never},
		{"6to4 of loopback", "2002:7f00:1::1", never},
		{"6to4 of private", "2002:a00:1::1", never},
		{"Teredo", "2001:0:4136:e378:8000:63bf:3fff:fdd2", never},
		{"ISATAP of private", "2606:4700::5efe:10.0.0.1", never},
		{"ISATAP of loopback", "2606:4700::200:5efe:127.0.0.1", never},
		{"ISATAP of public", "2606:4700::5efe:1.1.1.1", always},
		{"discard", "100::1", never},
	} {
		t.Run(tt.name, func(t *testing.T) {
			ip := netip.MustParseAddr(tt.address)
			network := "tcp6"
			if ip.Is4() {
				network = "tcp4"
			}
			at := netip.AddrPortFrom(ip, 443).String()
			for _, r := range []struct {
				what string
				rule rule
				ok   bool
			}{
				{"nothing allowed", rule{}, tt.want == always},
				{"loopback allowed", rule{loopback: true}, tt.want == always || tt.want == loopback},
				{"named", rule{named: true}, tt.want != never && tt.want != literal},
				{"named by its address", rule{named: true, literal: true}, tt.want != never},
				{"plain", rule{plain: true}, false},
				{"plain, loopback allowed", rule{plain: true, loopback: true}, tt.want == loopback},
			} {
				err := r.rule.control(network, at, nil)
				if (err == nil) != r.ok || err != nil && gateway.KindOf(err) != gateway.Restricted {
					t.Errorf("%s: %v, want ok %v", r.what, err, r.ok)
				}
			}
		})
	}
	if err := (rule{loopback: true}).control("udp4", "127.0.0.1:443", nil); err == nil {
		t.Error("UDP is let through")
	}
}

// What a URL says by itself.
func TestCheck(t *testing.T) {
	strict, err := New(Config{Allow: []string{"Files.internal:8080", "10.0.0.1:80"}})
	if err != nil {
		t.Fatal(err)
	}
	loose, err := New(Config{AllowLoopback: true})
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		url                      string
		wantStrict, wantLoopback bool
	}{
		{"https://example.com/x?y#z", true, true},
		{"https://example.com:8443/", true, true},
		{"https://1.1.1.1/", true, true},
		{"https://[2606:4700:4700::1111]/", true, true},
		{"http://example.com/", false, true}, // the address decides
		{"http://files.INTERNAL.:8080/", true, true},
		{"http://files.internal:8081/", false, true},
		{"http://10.0.0.1/", true, true},
		{"http://[::ffff:10.0.0.1]/", true, true},
		{"ftp://example.com/", false, false},
		{"file:///etc/passwd", false, false},
		{"gopher://example.com/", false, false},
		{"https:example.com", false, false},
		{"https:///x", false, false},
		{"//example.com/", false, false},
		{"https://user@example.com/", false, false},
		{"https://example.com:0/", false, false},
		{"https://example.com:/", false, false},
		{"https://example.com:99999999/", true, true}, // no port: the dial fails
		{"https://2130706433/", false, false},
		{"https://0x7f000001/", false, false},
		{"https://0x7f.1/", false, false},
		{"https://127.1/", false, false},
		{"https://0177.0.0.1/", false, false},
		{"https://127.0.0.0x1./", false, false},
		{"https://127.0.0.1./", false, false},
		{"https://0xffffffffffffffffffffffff/", false, false},
		{"https://[fe80::1%25lo]/", false, false},
		{"https://exa%6dple.com/", false, false},
		{"https://a b/", false, false},
		{"https://ex\nample.com/", false, false},
		{"", false, false},
	} {
		t.Run(tt.url, func(t *testing.T) {
			for name, c := range map[string]struct {
				client *Client
				want   bool
			}{"strict": {strict, tt.wantStrict}, "loopback": {loose, tt.wantLoopback}} {
				if _, err := c.client.check(tt.url); (err == nil) != c.want || err != nil && gateway.KindOf(err) != gateway.InvalidParameter {
					t.Errorf("%s: %v, want ok %v", name, err, c.want)
				}
			}
		})
	}
	for _, bad := range []string{"host", ":80", "host:", "a:b:c"} {
		if _, err := New(Config{Allow: []string{bad}}); err == nil {
			t.Errorf("Allow %q is taken", bad)
		}
	}
}
