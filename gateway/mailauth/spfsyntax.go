package mailauth

import (
	"errors"
	"net/netip"
	"strconv"
	"strings"
)

var errSyntax = errors.New("the SPF record is malformed")

// isSPF reports whether a text is an SPF record, RFC 7208 section 4.5.
func isSPF(txt string) bool {
	head, _, _ := strings.Cut(txt, " ")
	return lower(head) == "v=spf1"
}

// checkSPF holds a whole record to its grammar, RFC 7208 section 12: an error anywhere
// is permerror, also behind the term that decides (section 4.6). The library looks at
// terms only as it comes to them, and at domains hardly.
func checkSPF(txt string) error {
	_, rest, _ := strings.Cut(txt, " ")
	seen := make(map[string]bool)
	for term := range strings.SplitSeq(rest, " ") {
		if term == "" {
			continue
		}
		name, arg, ok := modifier(term)
		if !ok {
			if !mechanism(term) {
				return errSyntax
			}
			continue
		}
		known := name == "redirect" || name == "exp"
		switch {
		case known && (seen[name] || !domainSpec(arg)), !macroString(arg):
			return errSyntax
		}
		seen[name] = true
	}
	return nil
}

// modifier cuts a term into name and value, if it is a modifier.
func modifier(term string) (name, arg string, ok bool) {
	name, arg, ok = strings.Cut(term, "=")
	if !ok || name == "" || !letter(name[0]) {
		return "", "", false
	}
	for i := range len(name) {
		if !alphanumeric(name[i]) && !strings.ContainsRune("-_.", rune(name[i])) {
			return "", "", false
		}
	}
	return lower(name), arg, true
}

// mechanism reports whether a term is one of the mechanisms, with a qualifier or not.
func mechanism(term string) bool {
	if strings.IndexByte("+-?~", term[0]) >= 0 {
		term = term[1:]
	}
	end := strings.IndexAny(term, ":/")
	if end < 0 {
		end = len(term)
	}
	name, arg := lower(term[:end]), term[end:]
	switch name {
	case "all":
		return arg == ""
	case "include", "exists":
		return len(arg) > 1 && arg[0] == ':' && domainSpec(arg[1:])
	case "ptr":
		return arg == "" || arg[0] == ':' && domainSpec(arg[1:])
	case "a", "mx":
		return hostArgument(arg)
	case "ip4", "ip6":
		return network(arg, name == "ip4")
	}
	return false
}

// hostArgument reports whether arg is [":" domain-spec] [dual-cidr-length].
func hostArgument(arg string) bool {
	if host, six, found := strings.Cut(arg, "//"); found {
		if !cidr(six, 128) {
			return false
		}
		arg = host
	}
	if i := strings.LastIndexByte(arg, '/'); i >= 0 {
		if !cidr(arg[i+1:], 32) {
			return false
		}
		arg = arg[:i]
	}
	return arg == "" || arg[0] == ':' && domainSpec(arg[1:])
}

func network(arg string, four bool) bool {
	if arg == "" || arg[0] != ':' {
		return false
	}
	text, length, found := strings.Cut(arg[1:], "/")
	ip, err := netip.ParseAddr(text)
	most := 128
	if four {
		most = 32
	}
	return err == nil && ip.Is4() == four && ip.Zone() == "" && (!found || cidr(length, most))
}

// cidr reports whether s is a number from 0 to most, without zeros before it.
func cidr(s string, most int) bool {
	n, err := strconv.Atoi(s)
	return err == nil && n <= most && strconv.Itoa(n) == s && n >= 0
}

// domainSpec reports whether s is a macro-string that ends in a macro or in a label that
// can be a top-level domain.
func domainSpec(s string) bool {
	if !macroString(s) || s == "" {
		return false
	}
	if s[len(s)-1] == '}' || strings.HasSuffix(s, "%%") || strings.HasSuffix(s, "%_") || strings.HasSuffix(s, "%-") {
		return true
	}
	s = strings.TrimSuffix(s, ".")
	i := strings.LastIndexByte(s, '.')
	return i >= 0 && topLabel(s[i+1:])
}

func topLabel(s string) bool {
	letters := false
	for i := range len(s) {
		if !alphanumeric(s[i]) && s[i] != '-' {
			return false
		}
		letters = letters || letter(s[i]) || s[i] == '-'
	}
	return letters && s[0] != '-' && s[len(s)-1] != '-'
}

// macroString reports whether s is printable and its macros are whole, RFC 7208 section
// 7.1. c, r and t are for explanations alone.
func macroString(s string) bool {
	for i := 0; i < len(s); i++ {
		if s[i] <= ' ' || s[i] > '~' {
			return false
		}
		if s[i] != '%' {
			continue
		}
		if i++; i == len(s) {
			return false
		}
		switch s[i] {
		case '%', '_', '-':
		case '{':
			end := strings.IndexByte(s[i:], '}')
			if end < 0 || !macro(s[i+1:i+end]) {
				return false
			}
			i += end
		default:
			return false
		}
	}
	return true
}

// macro reports whether s may stand between the braces of a macro.
func macro(s string) bool {
	if s == "" || !strings.ContainsRune("slodiphv", rune(s[0]|0x20)) {
		return false
	}
	digits := len(s[1:]) - len(strings.TrimLeft(s[1:], "0123456789"))
	if n, err := strconv.Atoi(s[1 : 1+digits]); digits > 0 && (err != nil || n == 0) {
		return false
	}
	s = s[1+digits:]
	if s != "" && (s[0] == 'r' || s[0] == 'R') {
		s = s[1:]
	}
	return strings.Trim(s, ".-+,/_=") == ""
}

func letter(c byte) bool { return 'a' <= c|0x20 && c|0x20 <= 'z' }

func alphanumeric(c byte) bool { return letter(c) || '0' <= c && c <= '9' }
