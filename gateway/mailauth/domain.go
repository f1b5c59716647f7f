package mailauth

import (
	"strings"

	"golang.org/x/net/idna"

	"github.com/centerleap/postern/gateway"
)

// asciiDomain writes a domain in one way: A-labels, lower case, no dot at the end. It
// is false for what can be no domain of a mail: addresses, empty labels, and characters
// beyond letters, digits, hyphens and underscores.
func asciiDomain(s string) (string, bool) {
	s = strings.TrimSuffix(s, ".")
	if len(s) > gateway.DomainWritten {
		return "", false
	}
	for i := range len(s) {
		if s[i] >= 0x80 {
			a, err := idna.Lookup.ToASCII(s)
			if err != nil {
				return "", false
			}
			s = a
			break
		}
	}
	if s == "" || len(s) > 253 {
		return "", false
	}
	s = lower(s)
	for label := range strings.SplitSeq(s, ".") {
		if label == "" || len(label) > 63 || strings.ContainsFunc(label, notOfDomain) {
			return "", false
		}
	}
	return s, true
}

func notOfDomain(r rune) bool {
	return (r < 'a' || r > 'z') && (r < '0' || r > '9') && r != '-' && r != '_'
}
