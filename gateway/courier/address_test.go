package courier

import (
	"errors"
	"net"
	"net/netip"
	"slices"
	"testing"

	"github.com/foxcpp/go-mockdns"

	"github.com/centerleap/postern/gateway"
)

// Which addresses a mail host may have: those of the operator's network only if allowed,
// tricks never.
func TestJudge(t *testing.T) {
	const (
		never   = iota
		private // with AllowPrivate
		always
	)
	for _, tt := range []struct {
		name, address string
		want          int
	}{
		{"public", "1.1.1.1", always},
		{"public v6", "2606:4700:4700::1111", always},
		{"mapped public", "::ffff:1.1.1.1", always},
		{"loopback", "127.0.0.1", private},
		{"all of loopback", "127.255.255.254", private},
		{"loopback v6", "::1", private},
		{"mapped loopback", "::ffff:127.0.0.1", private},
		{"compatible loopback", "::127.0.0.1", never},
		{"unspecified", "0.0.0.0", never},
		{"this network", "0.1.2.3", never},
		{"unspecified v6", "::", never},
		{"private 10", "10.0.0.1", private},
		{"private 172", "172.31.255.255", private},
		{"private 192", "192.168.1.1", private},
		{"mapped private", "::ffff:10.0.0.1", private},
		{"unique local", "fd00::1", private},
		{"carriers' NAT", "100.64.0.1", private},
		{"link local: cloud metadata", "169.254.169.254", never},
		{"mapped link local", "::ffff:169.254.169.254", never},
		{"link local v6", "fe80::1", never},
		{"with a zone", "fe80::1%lo", never},
		{"public with a zone", "2606:4700:4700::1111%lo", never},
		{"site local", "fec0::1", never},
		{"multicast", "224.0.0.1", never},
		{"multicast v6", "ff02::1", never},
		{"broadcast", "255.255.255.255", never},
		{"reserved", "240.0.0.1", never},
		{"documentation", "192.0.2.1", never},
		{"documentation v6", "2001:db8::1", never},
		{"benchmarks", "198.18.0.1", never},
		{"NAT64 of loopback", "64:ff9b::7f00:1", never},
		{"local NAT64", "64:ff9b:1::7f00:1", never},
		{"6to4 of loopback", "2002:7f00:1::1", never},
		{"6to4 of private", "2002:a00:1::1", never},
		{"Teredo", "2001:0:4136:e378:8000:63bf:3fff:fdd2", never},
		{"ISATAP of private", "2606:4700::5efe:10.0.0.1", never},
		{"ISATAP of loopback", "2606:4700::200:5efe:127.0.0.1", never},
		{"discard", "100::1", never},
	} {
		at := netip.AddrPortFrom(netip.MustParseAddr(tt.address), 25)
		for _, allow := range []bool{false, true} {
			c := &Courier{cfg: Config{AllowPrivate: allow, Own: func() []netip.AddrPort { return nil }}}
			if err := c.judge(at, false); (err == nil) != (tt.want == always || allow && tt.want == private) {
				t.Errorf("%s, private ones allowed %v: %v", tt.name, allow, err)
			}
		}
	}
}

// Our own doors are no next hop, whatever is allowed.
func TestOwn(t *testing.T) {
	for _, tt := range []struct {
		name, own, at string
		want          bool
	}{
		{"the same", "127.0.0.1:25", "127.0.0.1:25", true},
		{"mapped", "127.0.0.1:25", "[::ffff:127.0.0.1]:25", true},
		{"another port", "127.0.0.1:2525", "127.0.0.1:25", false},
		{"another address", "5.0.0.9:25", "5.0.0.1:25", false},
		{"all addresses", "0.0.0.0:25", "127.0.0.1:25", true},
		{"all addresses v6", "[::]:25", "127.0.0.2:25", true},
		{"not of this machine", "[::]:25", "5.0.0.1:25", false},
	} {
		c := &Courier{cfg: Config{AllowPrivate: true, Own: func() []netip.AddrPort { return []netip.AddrPort{netip.MustParseAddrPort(tt.own)} }}}
		for _, named := range []bool{false, true} {
			if err := c.judge(netip.MustParseAddrPort(tt.at), named); errors.Is(err, errLoop) != tt.want {
				t.Errorf("%s: %v, want own %v", tt.name, err, tt.want)
			}
		}
	}
	if addrs, err := net.InterfaceAddrs(); err == nil && len(addrs) > 0 {
		if n, ok := addrs[0].(*net.IPNet); ok {
			ip, _ := netip.AddrFromSlice(n.IP)
			if !here(ip.Unmap()) {
				t.Errorf("%s is not here", ip)
			}
		}
	}
}

// Which hosts are tried and in which order, for what DNS says. The tried ones are all
// dead, so that all are.
func TestRoute(t *testing.T) {
	for _, tt := range []struct {
		name   string
		zones  map[string]mockdns.Zone
		domain string
		tried  []string
		want   Outcome
		status [3]int
	}{
		{"no such domain", nil, "gone.test", nil, Failed, [3]int{5, 1, 2}},
		{"not a domain", nil, "a b", nil, Failed, [3]int{5, 1, 2}},
		{"null MX", map[string]mockdns.Zone{"a.test.": {MX: []net.MX{{Host: "."}}, A: []string{"5.0.0.1"}}}, "a.test", nil, Failed, [3]int{5, 1, 10}},
		{
			"null MX beside another",
			map[string]mockdns.Zone{"a.test.": {MX: []net.MX{{Host: "."}, {Host: "b.test.", Pref: 1}}}, "b.test.": {A: []string{"5.0.0.1"}}},
			"a.test",
			[]string{"5.0.0.1:25"},
			Deferred,
			[3]int{4, 4, 1},
		},
		{"no MX, an address", map[string]mockdns.Zone{"a.test.": {A: []string{"5.0.0.1"}, AAAA: []string{"2606::1"}}}, "a.test", []string{"[2606::1]:25", "5.0.0.1:25"}, Deferred, [3]int{4, 4, 1}},
		{"no MX, no address", map[string]mockdns.Zone{"a.test.": {TXT: []string{"x"}}}, "a.test", nil, Failed, [3]int{5, 1, 2}},
		{"MX without an address", map[string]mockdns.Zone{"a.test.": {MX: []net.MX{{Host: "b.test."}}, A: []string{"5.0.0.1"}}}, "a.test", nil, Failed, [3]int{5, 4, 4}},
		{"MX fails", map[string]mockdns.Zone{"a.test.": {Err: errServFail}}, "a.test", nil, Deferred, [3]int{4, 4, 3}},
		{
			"address of the MX fails",
			map[string]mockdns.Zone{"a.test.": {MX: []net.MX{{Host: "b.test."}}}, "b.test.": {Err: errServFail}},
			"a.test", nil, Deferred,
			[3]int{4, 4, 3},
		},
		{
			"by preference",
			map[string]mockdns.Zone{"a.test.": {MX: []net.MX{{Host: "c.test.", Pref: 30}, {Host: "b.test.", Pref: 2}, {Host: "b.test.", Pref: 40}}}, "b.test.": {A: []string{"5.0.0.2"}}, "c.test.": {A: []string{"5.0.0.3"}}},
			"a.test",
			[]string{"5.0.0.2:25", "5.0.0.3:25"},
			Deferred,
			[3]int{4, 4, 1},
		},
		{"we are the MX", map[string]mockdns.Zone{"a.test.": {MX: []net.MX{{Host: "GW.test."}}}, "gw.test.": {A: []string{"5.0.0.1"}}}, "a.test", nil, Failed, [3]int{5, 4, 6}},
		{"we are the domain", map[string]mockdns.Zone{"gw.test.": {A: []string{"5.0.0.1"}}}, "gw.test", nil, Failed, [3]int{5, 4, 6}},
		{
			"we are one of them",
			map[string]mockdns.Zone{"a.test.": {MX: []net.MX{{Host: "b.test.", Pref: 1}, {Host: "gw.test.", Pref: 5}, {Host: "c.test.", Pref: 5}, {Host: "c.test.", Pref: 9}}}, "b.test.": {A: []string{"5.0.0.2"}}, "c.test.": {A: []string{"5.0.0.3"}}},
			"a.test",
			[]string{"5.0.0.2:25"},
			Deferred,
			[3]int{4, 4, 1},
		},
		{
			"by our address",
			map[string]mockdns.Zone{"a.test.": {MX: []net.MX{{Host: "b.test.", Pref: 1}, {Host: "c.test.", Pref: 5}}}, "b.test.": {A: []string{"5.0.0.99"}}, "c.test.": {A: []string{"5.0.0.3"}}},
			"a.test", nil, Failed,
			[3]int{5, 4, 6},
		},
		{"MX to loopback", map[string]mockdns.Zone{"a.test.": {MX: []net.MX{{Host: "b.test."}}}, "b.test.": {A: []string{"127.0.0.1", "10.1.1.1"}, AAAA: []string{"::1", "::ffff:127.0.0.1"}}}, "a.test", nil, Failed, [3]int{5, 4, 4}},
		{
			"one address to loopback",
			map[string]mockdns.Zone{"a.test.": {MX: []net.MX{{Host: "b.test."}}}, "b.test.": {A: []string{"127.0.0.1", "5.0.0.1"}}},
			"a.test",
			[]string{"5.0.0.1:25"},
			Deferred,
			[3]int{4, 4, 1},
		},
		{"literal", nil, "[5.0.0.1]", []string{"5.0.0.1:25"}, Deferred, [3]int{4, 4, 1}},
		{"literal of six", nil, "[IPv6:2606::1]", []string{"[2606::1]:25"}, Deferred, [3]int{4, 4, 1}},
		{"literal to loopback", nil, "[127.0.0.1]", nil, Failed, [3]int{5, 4, 4}},
		{"wide", map[string]mockdns.Zone{"xn--bcher-kva.test.": {A: []string{"5.0.0.1"}}}, "bücher.test", []string{"5.0.0.1:25"}, Deferred, [3]int{4, 4, 1}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			w := &world{zones: tt.zones}
			c := w.courier(t, func(cfg *Config) {
				cfg.Own = func() []netip.AddrPort { return []netip.AddrPort{netip.MustParseAddrPort("5.0.0.99:25")} }
			})
			j := job()
			j.Domain = tt.domain
			r := carry(t, c, j)[0]
			if r.Outcome != tt.want || r.Enhanced != tt.status || r.Remote || !slices.Equal(w.dialled(), tt.tried) {
				t.Errorf("%+v after %v, want %s %v after %v", r.Answer, w.dialled(), tt.want, tt.status, tt.tried)
			}
		})
	}
}

// Hosts of one preference share the load: each is first now and then.
func TestShuffle(t *testing.T) {
	w := &world{zones: map[string]mockdns.Zone{
		"a.test.": {MX: []net.MX{{Host: "b.test.", Pref: 5}, {Host: "c.test.", Pref: 5}, {Host: "d.test.", Pref: 9}}},
		"b.test.": {A: []string{"5.0.0.2"}}, "c.test.": {A: []string{"5.0.0.3"}}, "d.test.": {A: []string{"5.0.0.4"}},
	}}
	c := w.courier(t, nil)
	first := make(map[string]int)
	for range 64 { // both orders but for one time in 2^63
		carry(t, c, job())
		first[w.tried[0]]++
		if w.tried[2] != "5.0.0.4:25" {
			t.Fatalf("tried %v", w.tried)
		}
		w.tried = nil
	}
	if len(first) != 2 {
		t.Errorf("first were %v", first)
	}
}

// Many hosts with many addresses are not all tried.
func TestTries(t *testing.T) {
	zone := mockdns.Zone{}
	for i := range 50 {
		zone.A = append(zone.A, netip.AddrFrom4([4]byte{5, 0, 1, byte(i)}).String())
	}
	w := &world{zones: map[string]mockdns.Zone{"a.test.": {}}}
	list := mockdns.Zone{}
	for _, name := range []string{"b", "c", "d", "e", "f", "g", "h", "i", "j", "k", "l", "m"} {
		list.MX = append(list.MX, net.MX{Host: name + ".test."})
		w.zones[name+".test."] = zone
	}
	w.zones["a.test."] = list
	r := carry(t, w.courier(t, nil), job())[0]
	if n := len(w.dialled()); r.Outcome != Deferred || int64(n) != gateway.DefaultLimits().CourierTries {
		t.Errorf("%+v after %d", r, n)
	}
	hosts, f := w.courier(t, nil).hosts(t.Context(), "a.test")
	if f != nil || int64(len(hosts)) != gateway.DefaultLimits().CourierHosts {
		t.Errorf("%v, %v", hosts, f)
	}
}
