package smtpd

import (
	"net/netip"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/centerleap/postern/gateway/domains"
)

// path makes an address out of what the library read from a command, which
// unquotes local parts and checks nothing: CR, NUL and ">" come through it. The
// result is safe to write into a command or a header field: its local part is a
// dot-atom, or quoted again; its domain is in lower case and A-labels. Lengths
// are those of RFC 5321 section 4.5.3.1. Without SMTPUTF8 all is ASCII. enhanced
// is the status code of the refusal.
func path(raw string, international bool, enhanced [3]int) (string, error) {
	if !international && strings.ContainsFunc(raw, func(r rune) bool { return r >= 0x80 }) {
		return "", reply(553, [3]int{5, 6, 7}, "an address that is not ASCII needs SMTPUTF8") // RFC 6531 section 3.5
	}
	addr, ok := canonical(raw)
	if !ok {
		return "", reply(553, enhanced, "the address is not valid")
	}
	return addr, nil
}

func canonical(raw string) (addr string, ok bool) {
	at := strings.LastIndexByte(raw, '@')
	if at <= 0 || !utf8.ValidString(raw) {
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

// quoteLocal is RFC 5321 section 4.1.2, and RFC 6531 section 3.3 less what does not
// show: two addresses that look the same are the same.
func quoteLocal(local string) (string, bool) {
	plain := local[0] != '.' && local[len(local)-1] != '.' && !strings.Contains(local, "..")
	for _, c := range local {
		if !unicode.IsPrint(c) {
			return "", false
		}
		word := c >= 0x80 || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9'
		plain = plain && (word || c == '.' || strings.ContainsRune(atomMarks, c))
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
	return err == nil && isSix == ip.Is6() && ip.Zone() == ""
}
