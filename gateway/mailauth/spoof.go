package mailauth

import (
	"net/mail"
	"strings"
	"unicode"

	"golang.org/x/net/idna"
)

// What may deceive the reader of an address that is authentic, for people and programs to
// see beside the result: RFC 9989 section 11.4 leaves display names to others.
const (
	noteName    = "the name in From shows an address of another domain"
	noteMarks   = "the name in From has marks of direction"
	noteScripts = "the domain in From mixes scripts"
)

// note says what is odd about an address of From; empty if nothing is.
func note(a *mail.Address, domain string) string {
	switch {
	case mixed(domain):
		return noteScripts
	case strings.ContainsFunc(a.Name, ofDirection):
		return noteMarks
	}
	for _, d := range shown(a.Name) {
		if d != domain {
			return noteName
		}
	}
	return ""
}

// shown are the domains of what looks like addresses in a display name.
func shown(name string) (domains []string) {
	for {
		_, rest, found := strings.Cut(name, "@")
		if !found {
			return domains
		}
		end := strings.IndexFunc(rest, func(r rune) bool { return !unicode.IsLetter(r) && !unicode.IsDigit(r) && r != '.' && r != '-' })
		if end < 0 {
			end = len(rest)
		}
		if d, ok := asciiDomain(strings.Trim(rest[:end], ".")); ok && strings.Contains(d, ".") {
			domains = append(domains, d)
		}
		name = rest
	}
}

// ofDirection finds what turns the order of letters around: Unicode's Bidi_Control.
func ofDirection(r rune) bool { return unicode.Is(unicode.Bidi_Control, r) }

// alike are the scripts that have letters of the same looks. No language mixes them in
// a word; Unicode Technical Standard 39 section 5.
var alike = []*unicode.RangeTable{unicode.Latin, unicode.Cyrillic, unicode.Greek, unicode.Armenian}

// mixed reports whether a label of a domain has letters of several of them.
func mixed(domain string) bool {
	if !strings.Contains(domain, "xn--") {
		return false
	}
	for label := range strings.SplitSeq(domain, ".") {
		text, err := idna.Punycode.ToUnicode(label)
		if err != nil {
			continue
		}
		scripts := 0
		for _, s := range alike {
			if strings.ContainsFunc(text, func(r rune) bool { return unicode.Is(s, r) }) {
				scripts++
			}
		}
		if scripts > 1 {
			return true
		}
	}
	return false
}
