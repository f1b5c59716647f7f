package content

import (
	"net/mail"
	"strings"
	"unicode/utf8"

	"golang.org/x/net/idna"

	"github.com/centerleap/postern/gateway"
)

var addressParser = mail.AddressParser{WordDecoder: &words}

// maxAddresses bounds what is kept of one field.
const maxAddresses = 1000

// addresses reads an address field. One bad entry costs that entry alone.
func addresses(value string) (list []gateway.Address) {
	if value == "" {
		return nil
	}
	if !utf8.ValidString(value) {
		value = fromLatin(value)
	}
	parsed, err := addressParser.ParseList(value)
	if err == nil {
		for _, a := range parsed[:min(len(parsed), maxAddresses)] {
			list = append(list, gateway.Address{Name: clean(a.Name), Addr: clean(foldDomain(a.Address))})
		}
		return list
	}
	for _, entry := range splitList(value) {
		if a, err := addressParser.Parse(entry); err == nil {
			list = append(list, gateway.Address{Name: clean(a.Name), Addr: clean(foldDomain(a.Address))})
		} else if a, ok := salvage(entry); ok {
			list = append(list, a)
		}
		if len(list) == maxAddresses {
			break
		}
	}
	return list
}

// splitList cuts at commas outside quotes, brackets and comments.
func splitList(v string) (entries []string) {
	quoted, depth, start := false, 0, 0
	for i := 0; i < len(v); i++ {
		switch c := v[i]; {
		case c == '\\':
			i++
		case c == '"':
			quoted = !quoted
		case quoted:
		case c == '(' || c == '<':
			depth++
		case (c == ')' || c == '>') && depth > 0:
			depth--
		case (c == ',' || c == ';') && depth == 0:
			entries = append(entries, v[start:i])
			start = i + 1
		}
	}
	return append(entries, v[start:])
}

// salvage takes what looks like an address out of an entry that is none.
func salvage(entry string) (gateway.Address, bool) {
	name, rest, found := strings.Cut(entry, "<")
	if !found {
		name, rest = "", entry
	}
	addr := strings.TrimSpace(strings.TrimRight(strings.TrimSpace(rest), "> \t"))
	if local, domain := gateway.SplitAddress(addr); local == "" || domain == "" || strings.ContainsAny(addr, " \t<>,;\"()") {
		return gateway.Address{}, false
	}
	return gateway.Address{Name: decodeField(strings.Trim(strings.TrimSpace(name), `"`)), Addr: clean(foldDomain(addr))}, true
}

func foldDomain(addr string) string {
	i := strings.LastIndexByte(addr, '@')
	return addr[:i+1] + strings.ToLower(addr[i+1:])
}

// ParseAddress reads one address that a client gave us: addr-spec, or a name
// and <addr-spec>. It is strict, since what it accepts is written into mail: the
// domain becomes A-labels in lower case, and lengths are those of RFC 5321
// section 4.5.3.1.
func ParseAddress(s string) (gateway.Address, error) {
	bad := func(why string) (gateway.Address, error) {
		return gateway.Address{}, gateway.Errorf(gateway.InvalidParameter, "%q is not an email address: %s", cut(s, 100), why)
	}
	if !utf8.ValidString(s) || strings.ContainsFunc(s, func(r rune) bool { return r < ' ' || r == 0x7f }) {
		return bad("it holds control characters")
	}
	a, err := mail.ParseAddress(strings.TrimSpace(s))
	if err != nil {
		return bad("it has to look like name@example.com")
	}
	local, domain := gateway.SplitAddress(a.Address)
	if local == "" || len(local) > 64 || !isDotAtom(local) {
		return bad("the part before the @ is too long or has characters that need quoting")
	}
	if len(domain) > gateway.DomainWritten {
		return bad("the domain is not valid")
	}
	if domain, err = idna.Lookup.ToASCII(domain); err != nil || domain == "" || len(domain) > 253 || strings.HasPrefix(domain, "[") {
		return bad("the domain is not valid")
	}
	a.Address = local + "@" + strings.ToLower(domain)
	if len(a.Address) > 254 {
		return bad("it is longer than 254 characters")
	}
	return gateway.Address{Name: a.Name, Addr: a.Address}, nil
}

// ParseAddresses reads a list of them, with commas or semicolons between; what is empty
// is passed over.
func ParseAddresses(text string) (list []gateway.Address, err error) {
	for _, entry := range splitList(text) {
		if strings.TrimSpace(entry) == "" {
			continue
		}
		a, err := ParseAddress(entry)
		if err != nil {
			return nil, err
		}
		list = append(list, a)
	}
	return list, nil
}

// isDotAtom is RFC 5321 section 4.1.2, Dot-string, and RFC 6531 section 3.3.
func isDotAtom(s string) bool {
	for atom := range strings.SplitSeq(s, ".") {
		if atom == "" {
			return false
		}
		for _, r := range atom {
			if r < 0x80 && !strings.ContainsRune("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789!#$%&'*+-/=?^_`{|}~", r) {
				return false
			}
		}
	}
	return true
}

func cut(s string, n int) string {
	if len(s) <= n {
		return s
	}
	return strings.ToValidUTF8(s[:n], "") + "..."
}
