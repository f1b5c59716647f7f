package mailauth

import (
	"fmt"
	"strings"
)

// Field is the Result as an Authentication-Results field, with its line ends: RFC 8601.
// Each method has a line of its own; reasons are comments. Whatever a sender wrote
// appears in it quoted, in ASCII, and cut.
func (r *Result) Field() []byte {
	var b strings.Builder
	b.WriteString("Authentication-Results: " + word(r.authservID))
	r.SPF.write(&b)
	if len(r.DKIM) == 0 {
		result(&b, "dkim", None, "")
	}
	for i, s := range r.DKIM {
		reason := s.Reason
		if i == 0 && r.Unchecked > 0 {
			reason = strings.TrimPrefix(fmt.Sprintf("%s, %d more not checked", reason, r.Unchecked), ", ")
		}
		s.write(&b, reason)
	}
	r.DMARC.write(&b)
	return []byte(b.String() + "\r\n")
}

func (s SPF) write(b *strings.Builder) {
	result(b, "spf", s.Result, s.Reason)
	if s.HELO {
		property(b, "smtp.helo", s.Domain)
	} else {
		property(b, "smtp.mailfrom", s.Domain)
	}
}

func (s Signature) write(b *strings.Builder, reason string) {
	if reason == "" && s.Bits > 0 {
		reason = fmt.Sprintf("%d-bit key", s.Bits)
	}
	result(b, "dkim", s.Result, reason)
	property(b, "header.d", s.Domain)
	property(b, "header.s", s.Selector)
	property(b, "header.a", s.Algorithm)
	property(b, "header.b", s.Start)
}

func (d DMARC) write(b *strings.Builder) {
	reason := d.Reason
	if d.Testing && d.Policy != d.Published {
		reason = strings.TrimPrefix(fmt.Sprintf("%s, test mode lowers %s", reason, d.Published), ", ")
	}
	result(b, "dmarc", d.Result, reason)
	property(b, "header.from", d.Domain)
	property(b, "policy.dmarc", string(d.Policy))
}

// result begins the line of a method. Its words are ours.
func result(b *strings.Builder, method, value, reason string) {
	b.WriteString(";\r\n\t" + method + "=" + value)
	if reason != "" {
		b.WriteString(" (" + comment(reason) + ")")
	}
}

func property(b *strings.Builder, name, value string) {
	if value != "" {
		b.WriteString(" " + name + "=" + word(value))
	}
}

// mostWord is how much of a value is written, in bytes; ours: a domain fits.
const mostWord = 255

// word is a value as a token, or as a quoted string if it has more than a token may:
// RFC 8601 section 2.2, RFC 2045 section 5.1.
func word(s string) string {
	s = printable(s)
	if s != "" && !strings.ContainsAny(s, " ()<>@,;:\\\"/[]?=") {
		return s
	}
	return `"` + escape(s, `"\`) + `"`
}

// comment is what may stand between parentheses, RFC 5322 section 3.2.2.
func comment(s string) string { return escape(printable(s), `()\`) }

// printable leaves out what is not ASCII of one line.
func printable(s string) string {
	if len(s) > mostWord {
		s = s[:mostWord]
	}
	return strings.Map(func(r rune) rune {
		if r < ' ' || r > '~' {
			return '?'
		}
		return r
	}, s)
}

func escape(s, special string) string {
	var b strings.Builder
	for i := range len(s) {
		if strings.IndexByte(special, s[i]) >= 0 {
			b.WriteByte('\\')
		}
		b.WriteByte(s[i])
	}
	return b.String()
}
