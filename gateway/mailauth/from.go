package mailauth

import (
	"io"
	"mime"
	"net/mail"
	"strings"
)

// authors are the Author Domains of a message, RFC 9989 section 3.2.2: one, if it is as
// it should be.
type authors struct {
	domains []string
	// fault keeps the message from passing, whatever its domains say: readers may see
	// another author than we do. RFC 9989 section 11.5.
	fault string
	note  string // what readers may be deceived by, although it is authentic
}

// authorsOf reads all From fields.
func authorsOf(head []field) (out authors) {
	fields := 0
	seen := make(map[string]bool)
	for _, f := range head {
		if !f.is("from") {
			continue
		}
		fields++
		domains, odd, fault := addresses(f)
		if fault != "" {
			out.fault = fault
		}
		if odd != "" {
			out.note = odd
		}
		for _, d := range domains {
			if !seen[d] {
				seen[d] = true
				out.domains = append(out.domains, d)
			}
		}
	}
	switch {
	case fields == 0:
		out.fault = "no From"
	case fields > 1:
		out.fault = "several From fields"
	case len(out.domains) == 1 && out.fault == faultMalformed:
		out.fault, out.note = "", faultMalformed // whoever reads it sees this one
	case len(out.domains) == 0 && out.fault == "":
		out.fault = faultNoDomain
	}
	return out
}

const (
	faultMalformed = "From is malformed"
	faultNoDomain  = "an address in From has no domain"
)

// mostFrom bounds what of a From field the standard library reads; ours. More is only
// looked through for domains.
const mostFrom = 16 << 10

// asIs reads words of every charset: only their places matter here, not their letters.
var asIs = mail.AddressParser{WordDecoder: &mime.WordDecoder{
	CharsetReader: func(_ string, r io.Reader) (io.Reader, error) { return r, nil },
}}

// unfold takes the line ends out of a value.
var unfold = strings.NewReplacer("\r", "", "\n", "")

// addresses finds the domains of an address field: those of its addresses, if it is a
// list of them by RFC 5322, and all that may be taken for one in any other. odd is a note
// about one of them.
func addresses(f field) (domains []string, odd, fault string) {
	text := unfold.Replace(string(f.value()))
	if len(text) <= mostFrom {
		if list, err := asIs.ParseList(text); err == nil {
			for _, a := range list {
				d, ok := asciiDomain(a.Address[strings.LastIndexByte(a.Address, '@')+1:])
				if !ok {
					fault = faultNoDomain
					continue
				}
				domains = append(domains, d)
				if n := note(a, d); n != "" {
					odd = n
				}
			}
			return domains, odd, fault
		}
	}
	return guess(text), "", faultMalformed
}

// guess finds what stands behind each "@" outside of comments and quotes.
func guess(s string) (domains []string) {
	seen := make(map[string]bool)
	open := "" // beginnings that have no end from here on: looked for once, or a field of them costs its square
	for i := 0; i < len(s); i++ {
		switch s[i] {
		case '\\':
			i++
		case '"', '(':
			if strings.IndexByte(open, s[i]) >= 0 {
				continue
			}
			end := byte('"')
			if s[i] == '(' {
				end = ')'
			}
			n := closing(s[i+1:], end)
			if n == 0 {
				open += s[i : i+1]
			}
			i += n
		case '@':
			end := i + 1
			for end < len(s) && !strings.ContainsRune(" \t<>()[],;:\"\\@", rune(s[end])) {
				end++
			}
			if d, ok := asciiDomain(strings.Trim(s[i+1:end], ".")); ok && strings.Contains(d, ".") && !seen[d] {
				seen[d] = true
				domains = append(domains, d)
			}
			i = end - 1
		}
	}
	return domains
}

// closing is how far away the end of a quote or comment is; 0 if it has none, since its
// beginning is then a letter like others.
func closing(s string, end byte) int {
	for i := 0; i < len(s); i++ {
		switch s[i] {
		case '\\':
			i++
		case end:
			return i + 1
		}
	}
	return 0
}
