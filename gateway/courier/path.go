package courier

import (
	"errors"
	"net/netip"
	"strings"
	"unicode/utf8"

	"golang.org/x/net/idna"

	"github.com/centerleap/postern/gateway"
)

var errPath = errors.New("not an address that can be written into a command")

// path writes an address as it stands in MAIL and RCPT, without the angle brackets. It
// comes quoted or not, depending on who read it; here it is taken apart and quoted
// again, so that nothing in it can end the path and begin a parameter. The domain
// becomes A-labels in lower case: every server understands those. wide says that the
// local part needs SMTPUTF8. Lengths are those of RFC 5321 section 4.5.3.1.
func path(addr string) (out string, wide bool, err error) {
	local, domain := gateway.SplitAddress(addr)
	if local == "" {
		return "", false, errPath
	}
	if local, err = unquote(local); err != nil {
		return "", false, err
	}
	if local, wide, err = quote(local); err != nil || len(local) > 64 {
		return "", false, errPath
	}
	if _, literal := literalAddr(domain); !literal {
		if domain, err = hostname(domain); err != nil {
			return "", false, err
		}
	}
	if out = local + "@" + domain; len(out) > 254 {
		return "", false, errPath
	}
	return out, wide, nil
}

// unquote takes the quotes off a Quoted-string; anything else is meant as it stands.
func unquote(local string) (string, error) {
	if len(local) < 2 || local[0] != '"' || local[len(local)-1] != '"' {
		return local, nil
	}
	var b strings.Builder
	for inner := local[1 : len(local)-1]; inner != ""; inner = inner[1:] {
		switch {
		case inner[0] == '"':
			return "", errPath
		case inner[0] == '\\' && len(inner) == 1:
			return "", errPath
		case inner[0] == '\\':
			inner = inner[1:]
		}
		b.WriteByte(inner[0])
	}
	return b.String(), nil
}

const atomMarks = "!#$%&'*+-/=?^_`{|}~"

// quote is RFC 5321 section 4.1.2, Local-part, with the letters of RFC 6531 section 3.3.
func quote(local string) (out string, wide bool, err error) {
	plain := local != "" && local[0] != '.' && local[len(local)-1] != '.' && !strings.Contains(local, "..")
	if !utf8.ValidString(local) {
		return "", false, errPath
	}
	for i := range len(local) {
		c := local[i]
		if c < ' ' || c == 0x7f {
			return "", false, errPath
		}
		letter := c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9'
		wide = wide || c >= 0x80
		plain = plain && (letter || c == '.' || c >= 0x80 || strings.IndexByte(atomMarks, c) >= 0)
	}
	if plain {
		return local, wide, nil
	}
	return `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(local) + `"`, wide, nil
}

// literalAddr reads an address literal, RFC 5321 section 4.1.3.
func literalAddr(domain string) (netip.Addr, bool) {
	inner, ok := strings.CutPrefix(domain, "[")
	inner, ok2 := strings.CutSuffix(inner, "]")
	if !ok || !ok2 {
		return netip.Addr{}, false
	}
	six, isSix := strings.CutPrefix(inner, "IPv6:")
	ip, err := netip.ParseAddr(six)
	return ip, err == nil && isSix == ip.Is6() && ip.Zone() == ""
}

// hostname is the one form of a name: A-labels, lower case, no dot at the end, and
// nothing that has a meaning in SMTP.
func hostname(name string) (string, error) {
	ascii := strings.TrimSuffix(name, ".")
	if strings.ContainsFunc(ascii, func(r rune) bool { return r >= 0x80 }) {
		var err error // what is ASCII is taken as it is: IDNA has no underscores, DNS has
		if ascii, err = idna.Lookup.ToASCII(ascii); err != nil {
			return "", errPath
		}
	}
	if ascii = strings.ToLower(ascii); ascii == "" || len(ascii) > 253 {
		return "", errPath
	}
	for label := range strings.SplitSeq(ascii, ".") {
		if label == "" || len(label) > 63 || strings.Trim(label, "abcdefghijklmnopqrstuvwxyz0123456789-_") != "" {
			return "", errPath
		}
	}
	return ascii, nil
}
