package serve

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// Production asks whom the system asks, quickstart nobody; a setting is stronger.
func TestDNSServers(t *testing.T) {
	system := filepath.Join(t.TempDir(), "resolv.conf")
	if err := os.WriteFile(system, []byte("nameserver 192.0.2.53\nnameserver 2001:db8::53\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	const unset = "-"
	for _, tt := range []struct {
		name, setting string
		from          func() *Config
		want          []string
	}{
		{"serve", unset, Defaults, []string{"192.0.2.53:53", "[2001:db8::53]:53"}},
		{"quickstart", unset, LocalDefaults, nil},
		{"serve, named", "9.9.9.9, 127.0.0.1:5353, 2001:db8::1, [::1]:54", Defaults, []string{"9.9.9.9:53", "127.0.0.1:5353", "[2001:db8::1]:53", "[::1]:54"}},
		{"quickstart, named", "127.0.0.1:5353", LocalDefaults, []string{"127.0.0.1:5353"}},
		{"serve, nobody", "", Defaults, nil},
	} {
		c := tt.from()
		if tt.setting != unset {
			if err := c.Set("dns.servers", tt.setting); err != nil {
				t.Errorf("%s: %v", tt.name, err)
			}
		}
		if got, err := c.dnsServers(system); err != nil || !slices.Equal(got, tt.want) {
			t.Errorf("%s: %v, %v, want %v", tt.name, got, err, tt.want)
		}
	}
	if _, err := Defaults().dnsServers(system + "x"); err == nil || !strings.HasPrefix(err.Error(), "dns.servers: ") {
		t.Errorf("without the system's file: %v", err)
	}
	for _, bad := range []string{"dns.example.com", "dns.example.com:53", "127.0.0.1:0", "::1:x", "192.0.2.1,h"} {
		if err := Defaults().Set("dns.servers", bad); err == nil || !strings.Contains(err.Error(), "the address of a DNS server") {
			t.Errorf("%s: %v", bad, err)
		}
	}
}
