package resolve

import (
	"bytes"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"strings"

	"github.com/miekg/dns"
)

var errName = errors.New("not a name that DNS can have")

// clean checks a name and writes it in one way: lower case, no dot at the end. RFC
// 1035 section 2.3.4: labels of 1 to 63 bytes, 253 in all as written. Beyond that any
// printable character may stand, since the macros of SPF make such names; not "\",
// which the library would read as an escape.
func clean(name string) (string, error) {
	name = strings.TrimSuffix(name, ".")
	if name == "" || len(name) > 253 {
		return "", errName
	}
	for label := range strings.SplitSeq(name, ".") {
		if label == "" || len(label) > 63 {
			return "", errName
		}
		for i := range len(label) {
			if c := label[i]; c < ' ' || c > '~' || c == '\\' {
				return "", errName
			}
		}
	}
	return lower(name), nil
}

// lower is for names, which are bytes: RFC 4343 folds ASCII letters alone.
func lower(s string) string {
	if !strings.ContainsFunc(s, func(r rune) bool { return 'A' <= r && r <= 'Z' }) {
		return s
	}
	b := []byte(s)
	for i, c := range b {
		if 'A' <= c && c <= 'Z' {
			b[i] = c + 'a' - 'A'
		}
	}
	return string(b)
}

// host checks a name that came out of an answer: it will be connected to, compared and
// written down, so it may have letters, digits, hyphens and underscores only. The root,
// as in a null MX, is the empty name.
func host(name string) (string, bool) {
	if name == "." {
		return "", true
	}
	name, err := clean(name)
	return name, err == nil && !strings.ContainsFunc(name, notOfHost)
}

func notOfHost(r rune) bool {
	return (r < 'a' || r > 'z') && (r < '0' || r > '9') && r != '-' && r != '_' && r != '.'
}

// maxServers is how many servers of a resolv.conf count; resolv.conf(5).
const maxServers = 3

// Servers reads which servers a resolv.conf names, for Config.Servers. A file without
// any means the one on this machine, as resolv.conf(5) has it.
func Servers(path string) ([]string, error) {
	b, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("the servers of DNS: %w", err)
	}
	cfg, err := dns.ClientConfigFromReader(bytes.NewReader(b))
	if err != nil {
		return nil, fmt.Errorf("the servers of DNS: %s: %w", path, err)
	}
	var out []string
	for _, s := range cfg.Servers {
		if _, err := netip.ParseAddr(s); err == nil && len(out) < maxServers {
			out = append(out, net.JoinHostPort(s, "53"))
		}
	}
	if len(out) == 0 {
		out = []string{"127.0.0.1:53"}
	}
	return out, nil
}
