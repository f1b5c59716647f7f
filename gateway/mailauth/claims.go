package mailauth

import (
	"bytes"
	"strings"
	"unicode"
)

// Span is a piece of a message, in bytes from its beginning.
type Span struct{ Start, End int }

const resultsName = "authentication-results"

// claims finds the Authentication-Results fields of a header section that say to come
// from us, RFC 8601 section 5: whoever believes our results would believe these. One that
// can't be read counts if our name is anywhere in it. All lines are looked at, however
// many: those behind a limit must not escape.
func claims(raw []byte, authservID string) (out []Span) {
	at, start := 0, -1 // of the line; of such a field, if the line before is one's
	end := func() {
		if start >= 0 && named(raw[start:at]) && claimed(field{raw: raw[start:at]}.value(), authservID) {
			out = append(out, Span{start, at})
		}
		start = -1
	}
	for line := range bytes.Lines(raw) {
		if c := line[0]; at == 0 || c != ' ' && c != '\t' {
			end()
			if len(line) > len(resultsName) && bytes.EqualFold(line[:len(resultsName)], []byte(resultsName)) {
				start = at
			}
		}
		at += len(line)
	}
	end()
	return out
}

// named reports whether a field that begins with our name has no other: white space may
// follow it, of any kind that readers take off, and a fold.
func named(field []byte) bool {
	name, _, found := bytes.Cut(field, []byte(":"))
	return found && len(bytes.TrimFunc(name[len(resultsName):], blank)) == 0
}

func blank(r rune) bool { return r <= ' ' || r == 0x7f || unicode.IsSpace(r) }

// claimed reports whether the value of a field names us as who checked.
func claimed(value []byte, authservID string) bool {
	ours := canonicalID(strings.TrimFunc(authservID, blank))
	if id, ok := parseID(string(value)); ok {
		return canonicalID(strings.TrimFunc(id, blank)) == ours
	}
	return strings.Contains(lower(unfold.Replace(string(value))), ours)
}

// canonicalID is a name in one form, also if it is written in another script: RFC 8616
// section 5.
func canonicalID(id string) string {
	if d, ok := asciiDomain(id); ok {
		return d
	}
	return lower(id)
}

// parseID reads the authserv-id that a field begins with, RFC 8601 section 2.2: a token
// or a quoted string among comments, then perhaps a version, then ";" or the end. It is
// false for anything else.
func parseID(s string) (id string, ok bool) {
	if s, ok = skip(s); !ok {
		return "", false
	}
	if strings.HasPrefix(s, `"`) {
		id, s, ok = quoted(s)
	} else {
		n := strings.IndexFunc(s, notOfToken)
		if n < 0 {
			n = len(s)
		}
		id, s, ok = s[:n], s[n:], n > 0
	}
	if !ok {
		return "", false
	}
	if s, ok = skip(s); !ok {
		return "", false
	}
	if s, ok = skip(strings.TrimLeft(s, "0123456789")); !ok {
		return "", false
	}
	return id, s == "" || s[0] == ';'
}

func notOfToken(r rune) bool {
	return r <= ' ' || r == 0x7f || strings.ContainsRune("()<>@,;:\\\"/[]?=", r)
}

// skip passes over white space and comments, which may stand in each other. It is false
// if one has no end.
func skip(s string) (string, bool) {
	depth := 0
	for i := 0; i < len(s); i++ {
		switch c := s[i]; {
		case c == '(':
			depth++
		case c == ')' && depth > 0:
			depth--
		case c == '\\' && depth > 0:
			i++
		case depth == 0 && c != ' ' && c != '\t' && c != '\r' && c != '\n':
			return s[i:], true
		}
	}
	return "", depth == 0
}

// quoted reads a quoted string, RFC 5322 section 3.2.4; folds in it are taken out.
func quoted(s string) (text, rest string, ok bool) {
	var b strings.Builder
	for i := 1; i < len(s); i++ {
		switch s[i] {
		case '\\':
			if i++; i < len(s) {
				b.WriteByte(s[i])
			}
		case '"':
			return unfold.Replace(b.String()), s[i+1:], true
		default:
			b.WriteByte(s[i])
		}
	}
	return "", "", false
}
