package smtpd

import (
	"net/netip"
	"strings"

	"github.com/centerleap/postern/gateway/domains"
)

// path makes an address out of what the library read from a command, which
// unquotes local parts and checks nothing: CR, NUL and ">" come through it. The
// result is safe to write into a command or a header field: its local part is a
// dot-atom, or quoted again; its domain is in lower case and A-labels. Lengths
// are those of RFC 5321 section 4.5.3.1.
func path(raw string) (addr string, ok bool) {
	at := strings.LastIndexByte(raw, '@')
	if at <= 0 {
		return "", false
	}
	local, ok := quoteLocal(raw[:at])
	if !ok || len(local) > 64 {
		return "", false
	}
	host := raw[at+1:]
	if !isLiteral(host) {
		var err error
		if host, err = domains.Canonical(host); err != nil {
			return "", false
		}
	}
	addr = local + "@" + host
	return addr, len(addr) <= 254
}

const atomMarks = "!#$%&'*+-/=?^_`{|}~"

func quoteLocal(local string) (string, bool) {
	plain := local[0] != '.' && local[len(local)-1] != '.' && !strings.Contains(local, "..")
	for i := range len(local) {
		c := local[i]
		if c < ' ' || c >= 0x7f {
			return "", false
		}
		letter := c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9'
		plain = plain && (letter || c == '.' || strings.IndexByte(atomMarks, c) >= 0)
	}
	if plain {
		return local, true
	}
	return `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(local) + `"`, true
}

// isLiteral reports an address literal, RFC 5321 section 4.1.3.
func isLiteral(host string) bool {
	inner, ok := strings.CutPrefix(host, "[")
	inner, ok2 := strings.CutSuffix(inner, "]")
	if !ok || !ok2 {
		return false
	}
	six, isSix := strings.CutPrefix(inner, "IPv6:")
	ip, err := netip.ParseAddr(six)
	return err == nil && isSix == ip.Is6()
}
