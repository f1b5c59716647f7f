package mailauth

import (
	"io"
	"mime"
	"net/mail"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/centerleap/postern/gateway"
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

// mostAuthors is how many of the domains are looked at: the first, which readers show.
func (c *Checker) mostAuthors(who authors) int {
	return min(len(who.domains), int(c.cfg.Limits.AuthAuthors))
}

const (
	faultMalformed = "From is malformed"
	faultUnclear   = "an address in From has characters that no domain has"
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
	if !utf8.ValidString(text) {
		text = latin(text)
	}
	if len(text) <= mostFrom {
		if list, err := asIs.ParseList(text); err == nil {
			for _, a := range list {
				text := a.Address[strings.LastIndexByte(a.Address, '@')+1:]
				d, ok := asciiDomain(text)
				if !ok {
					fault = faultNoDomain
					for _, m := range mended(text) {
						if d, ok := asciiDomain(m); ok && strings.Contains(d, ".") {
							domains = append(domains, d)
						}
					}
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
	domains, unclear := guess(text)
	if unclear {
		return domains, "", faultUnclear
	}
	return domains, "", faultMalformed
}

// latin reads bytes as Latin-1, as those do who show what is no UTF-8.
func latin(s string) string {
	var b strings.Builder
	for i := range len(s) {
		b.WriteRune(rune(s[i]))
	}
	return b.String()
}

// guess finds what stands behind each "@" outside of comments and quotes, in every form
// that some reader may take it for. unclear is whether one had to be mended for that.
func guess(s string) (domains []string, unclear bool) {
	tried, seen := make(map[string]bool), make(map[string]bool)
	add := func(text string) bool {
		if tried[text] {
			return true
		}
		tried[text] = true
		d, ok := asciiDomain(strings.Trim(text, "."))
		if ok && strings.Contains(d, ".") && !seen[d] {
			seen[d] = true
			domains = append(domains, d)
		}
		return ok
	}
	g := guesser{s: s}
	for i := 0; i < len(s); i++ {
		switch s[i] {
		case '\\':
			i++
		case '"', '(':
			i = g.behind(i) - 1
		case '@':
			end := g.word(i+1, wordEnds)
			if text := s[i+1 : end]; !add(text) && text != "" {
				known := len(domains)
				for _, m := range mended(text) {
					add(m)
				}
				unclear = unclear || len(domains) > known
			}
			add(g.joined(i + 1))
			i = end - 1
		}
	}
	return domains, unclear
}

// odd is what stands in no domain, but readers may leave out or stop at.
func odd(r rune) bool {
	return !unicode.IsLetter(r) && !unicode.IsDigit(r) && !unicode.IsMark(r) && !strings.ContainsRune("-_.\u3002\uff0e\uff61", r)
}

// mended are the forms that readers may give a text that is no domain.
func mended(text string) []string {
	n := strings.IndexFunc(text, odd)
	if n <= 0 { // also a literal in brackets
		return nil
	}
	return []string{text[:n], strings.Map(func(r rune) rune {
		if odd(r) {
			return -1
		}
		return r
	}, text)}
}

// guesser looks through a text, which may be of any length, once.
type guesser struct {
	s    string
	open string // beginnings that have no end from here on: looked for once, or many cost their square
}

// wordEnds are the characters that no word of an address goes past.
const wordEnds = " \t<>()[],;:\"\\@"

// word is where the word at i ends.
func (g *guesser) word(i int, ends string) int {
	for i < len(g.s) && strings.IndexByte(ends, g.s[i]) < 0 {
		i++
	}
	return i
}

// behind is where the quote or comment that begins at i is over. Without an end its
// beginning is a letter like others.
func (g *guesser) behind(i int) int {
	end := byte('"')
	if g.s[i] == '(' {
		end = ')'
	}
	if strings.IndexByte(g.open, g.s[i]) >= 0 {
		return i + 1
	}
	for j := i + 1; j < len(g.s); j++ {
		switch g.s[j] {
		case '\\':
			j++
		case end:
			return j + 1
		}
	}
	g.open += g.s[i : i+1]
	return i + 1
}

// joined is the domain at i with white space and comments around its dots left out, RFC
// 5322 section 4.4.
func (g *guesser) joined(i int) string {
	var b strings.Builder
	for b.Len() <= gateway.DomainWritten {
		i = g.blanks(i)
		end := g.word(i, wordEnds+".")
		b.WriteString(g.s[i:end])
		if i = g.blanks(end); i == len(g.s) || g.s[i] != '.' {
			break
		}
		b.WriteByte('.')
		i++
	}
	return b.String()
}

// blanks is where the white space and comments at i are over.
func (g *guesser) blanks(i int) int {
	for ; i < len(g.s); i++ {
		switch g.s[i] {
		case ' ', '\t':
		case '(':
			i = g.behind(i) - 1
		default:
			return i
		}
	}
	return i
}
