// Package nastymail makes mail that is hard to read, for tests: broken, hostile
// and merely odd. All of it is made here; none is anybody's mail.
package nastymail

import (
	"encoding/base64"
	"slices"
	"strings"
)

// Case is one message.
type Case struct {
	Name string // unique: lower case and hyphens
	Raw  string

	// Refused says that it is over a limit on headers: no door takes it. All
	// other cases are taken by every door whose protocol can carry them.
	Refused bool
	// Text is what the message says, if a reader can be held to that.
	Text string
}

// CanSMTP reports whether DATA can carry the message as it is: every line ends
// with CRLF, and it holds no other CR or LF, RFC 5321 section 2.3.8, and no NUL.
func (c Case) CanSMTP() bool {
	rest := strings.ReplaceAll(c.Raw, "\r\n", "")
	return strings.HasSuffix(c.Raw, "\r\n") && !strings.ContainsAny(rest, "\r\n\x00")
}

// Cases are all of them.
func Cases() []Case {
	all := slices.Concat(headers(), addresses(), words(), trees(), bodies(), charsets(), parameters())
	for i := range all {
		if !all[i].verbatim() {
			all[i].Raw = crlf(all[i].Raw)
		}
	}
	return all
}

// verbatim reports whether a case is about its line ends.
func (c Case) verbatim() bool { return strings.HasPrefix(c.Name, "line-end-") }

func crlf(s string) string {
	return strings.ReplaceAll(strings.ReplaceAll(s, "\r\n", "\n"), "\n", "\r\n")
}

// usual is a header that nothing is wrong with.
const usual = "From: Ann <ann@elsewhere.example>\nTo: bot@demo.localhost\nSubject: nasty\nMessage-ID: <nasty@elsewhere.example>\n" +
	"Date: Mon, 23 Nov 2026 10:00:00 +0000\nMIME-Version: 1.0\n"

func b64(s string) string { return base64.StdEncoding.EncodeToString([]byte(s)) }

// headers are faults of the header section.
func headers() []Case {
	return []Case{
		{Name: "no-header", Raw: "\nonly a body\n", Text: "only a body"},
		{Name: "no-body", Raw: usual},
		{Name: "no-blank-line", Raw: "From: ann@elsewhere.example\nSubject: no blank line\n"},
		{Name: "no-from", Raw: "To: bot@demo.localhost\nSubject: no from\nMessage-ID: <1@x.example>\n\nhello\n", Text: "hello"},
		{Name: "no-message-id", Raw: "From: ann@elsewhere.example\nSubject: no id\n\nhello\n", Text: "hello"},
		{Name: "no-date", Raw: "From: ann@elsewhere.example\nMessage-ID: <2@x.example>\n\nhello\n", Text: "hello"},
		{Name: "body-looks-like-header", Raw: "this is no field at all\nneither is this\n"},
		{Name: "mbox-from-line", Raw: "From ann@elsewhere.example Mon Nov 23 10:00:00 2026\n" + usual + "\nhello\n", Text: "hello"},
		{Name: "line-that-is-no-field", Raw: "Subject: a\nno field\nX-After: b\n" + usual + "\nhello\n", Text: "hello"},
		{Name: "starts-with-continuation", Raw: " folded onto nothing\n" + usual + "\nhello\n", Text: "hello"},
		{Name: "space-before-colon", Raw: "Subject : spaced\nFrom\t: ann@elsewhere.example\n\nhello\n", Text: "hello"},
		{Name: "empty-field-name", Raw: ": nothing\n" + usual + "\nhello\n", Text: "hello"},
		{Name: "fields-without-values", Raw: "From:\nTo:\nSubject:\nDate:\nMessage-ID:\nReferences:\nContent-Type:\nContent-Transfer-Encoding:\n\nhello\n", Text: "hello"},
		{Name: "duplicate-fields", Raw: usual + usual + "Content-Type: text/html\nContent-Type: text/plain\n\n<p>hello</p>\n"},
		{Name: "eight-bit-header", Raw: "From: J\xf6rg <joerg@elsewhere.example>\nSubject: gr\xfc\xdfe \xff\xfe\nTo: \xe2\x82\xac <e@x.example>\n\nhello\n", Text: "hello"},
		{Name: "utf8-header", Raw: "From: Jörg <jörg@bücher.example>\nSubject: grüße 🌎 שלום\nTo: 例え@例え.example\n\nhello\n", Text: "hello"},
		{Name: "eight-bit-field-name", Raw: "S\xfcbject: x\nЖ: y\n" + usual + "\nhello\n", Text: "hello"},
		{Name: "nul-in-header", Raw: "Subject: a\x00b\nFrom: a\x00@x.example\nMessage-ID: <a\x00@x>\nX-\x00: c\n\nhello\n"},
		{Name: "controls-in-header", Raw: "Subject: a\x07\x1b[31mb\x7f\x01\nFrom: \x0b<a@x.example>\n\nhello\n", Text: "hello"},
		{Name: "field-of-900-folds", Raw: "References: <1@x>\n" + strings.Repeat(" <0123456789@x.example>\n", 900) + usual + "\nhello\n", Text: "hello"},
		{Name: "field-of-1001-lines", Raw: "X-Long: 1\n" + strings.Repeat(" x\n", 1001) + "\nhello\n", Refused: true},
		{Name: "header-line-of-200-kib", Raw: "X-Long: " + strings.Repeat("x", 200<<10) + "\n" + usual + "\nhello\n", Text: "hello"},
		{Name: "header-line-of-1-mib", Raw: "X-Long: " + strings.Repeat("x", 1<<20) + "\n" + usual + "\nhello\n", Refused: true},
		{Name: "1900-fields", Raw: strings.Repeat("X: y\n", 1900) + usual + "\nhello\n", Text: "hello"},
		{Name: "5000-fields", Raw: strings.Repeat("X: y\n", 5000) + "\nhello\n", Refused: true},
		{Name: "dates-nonsense", Raw: "Date: Tomorrow, 99 Foo 20266 25:61:61 +9999\nFrom: a@x.example\n\nhello\n", Text: "hello"},
		{Name: "date-year-zero", Raw: "Date: Mon, 1 Jan 0000 00:00:00 +0000\nFrom: a@x.example\n\nhello\n", Text: "hello"},
		{Name: "date-with-comment", Raw: "Date: Mon (is it?), 23 Nov 2026 10:00 EST (so there)\nFrom: a@x.example\n\nhello\n", Text: "hello"},
		{Name: "message-id-horrors", Raw: "Message-ID: <a b>@<<x>\nReferences: <<>> <a <b@c> > >> <" + strings.Repeat("y", 2000) + "@x> <ok@x.example>\nIn-Reply-To: \"Ann\" of Monday <\n\nhello\n", Text: "hello"},
		{Name: "5000-references", Raw: "References:" + strings.Repeat("\n <ref@x.example>", 999) + " " + strings.Repeat("<r@x>", 4000) + "\nFrom: a@x.example\n\nhello\n", Text: "hello"},
		{Name: "line-end-bare-lf", Raw: usual + "\nhello\nyou\n", Text: "hello\nyou"},
		{Name: "line-end-bare-cr", Raw: strings.ReplaceAll(usual+"\nhello\nyou\n", "\n", "\r")},
		{Name: "line-end-mixed", Raw: "Subject: a\r\nFrom: b@x.example\n\r\nhello\nyou\rthey\r\n", Text: "hello\nyou\rthey"},
		{Name: "line-end-cr-cr-lf", Raw: "Subject: a\r\r\nFrom: b@x.example\r\r\n\r\r\nhello\r\r\n"},
		{Name: "line-end-none", Raw: "Subject: the last line has no end\r\n\r\nhello", Text: "hello"},
		{Name: "line-end-one-byte", Raw: "x"},
		{Name: "line-end-one-cr", Raw: "\r"},
		{Name: "line-end-one-lf", Raw: "\n"},
		{Name: "line-end-lone-cr-at-end", Raw: "Subject: a\r\n\r\nhello\r"},
	}
}

// addresses are horrors of address fields.
func addresses() []Case {
	froms := []struct{ name, from string }{
		{"group", "A Group: ann@x.example, \"B, C\" <b@x.example>;"},
		{"empty-group", "undisclosed-recipients:;"},
		{"nested-groups", "a: b: c@x.example;, d@x.example;"},
		{"quoted-local-part", "\"a b\\\"c@d\"@x.example"},
		{"unterminated-quote", "\"Ann <ann@x.example>"},
		{"unterminated-comment", "ann@x.example (Ann (and (nobody"},
		{"comments-everywhere", "(a)ann(b)@(c)x.example(d) (e\\)f)"},
		{"angles", "<<<ann@x.example>>>"},
		{"empty-angles", "<>"},
		{"no-domain", "ann"},
		{"no-local-part", "@x.example"},
		{"two-ats", "ann@b@x.example"},
		{"source-route", "<@a.example,@b.example:ann@x.example>"},
		{"domain-literal", "ann@[IPv6:2001:db8::1]"},
		{"commas", ",,,ann@x.example,,,b@x.example,"},
		{"semicolons", "a@x.example; b@x.example; c@x.example"},
		{"no-comma", "a@x.example b@x.example"},
		{"backslashes", "\\\\\\ <a\\@x.example>"},
		{"words-broken", "=?utf-8?q?J=C3?= =?utf-8?q?=B6rg?= <j@x.example>"},
		{"word-in-address", "=?utf-8?q?ann=40x.example?="},
		{"word-with-address", "=?utf-8?q?a=40b.example=2C?= <real@x.example>"},
		{"long-name", strings.Repeat("n", 5000) + " <a@x.example>"},
		{"nul-in-quotes", "\"a\x00b\" <a@x.example>"},
		{"crlf-in-word", "=?utf-8?q?a=0D=0ABcc:_x=40y.example?= <a@x.example>"},
	}
	var all []Case
	for _, f := range froms {
		all = append(all, Case{
			Name: "address-" + f.name, Text: "hello",
			Raw: "From: " + f.from + "\nSender: " + f.from + "\nReply-To: " + f.from + "\nTo: " + f.from + "\nCc: " + f.from + "\nSubject: x\n\nhello\n",
		})
	}
	many := "To: a@x.example" + strings.Repeat(",\n a@x.example", 900) + strings.Repeat(", <b@x.example>", 4000) + "\n"
	return append(all, Case{Name: "address-5000", Raw: usual + many + "\nhello\n", Text: "hello"})
}

// words are oddities of encoded words, RFC 2047.
func words() []Case {
	subjects := []struct{ name, subject string }{
		{"split-character", "=?utf-8?q?=F0=9F?= =?utf-8?q?=8C=8E?="},
		{"unknown-charset", "=?klingon?q?abc?= =?x-nonsense?b?YWJj?="},
		{"bad-base64", "=?utf-8?b?YW*Jj?= =?utf-8?b?YWJ?= =?utf-8?b?=?="},
		{"bad-q", "=?utf-8?q?=ZZ=?= =?utf-8?q?a b?="},
		{"unterminated", "=?utf-8?q?abc =?utf-8"},
		{"no-spaces", "x=?utf-8?q?a?=y=?utf-8?q?b?=z"},
		{"language", "=?utf-8*en?q?hello?="},
		{"nested", "=?utf-8?q?=3D=3Futf-8=3Fq=3Fx=3F=3D?="},
		{"line-ends-inside", "=?utf-8?b?" + b64("a\r\nBcc: x@y.example\r\n\r\nb\x00c") + "?="},
		{"1000", strings.Repeat("=?utf-8?q?=C3=BC?= ", 1000)},
		{"rtl", "=?utf-8?b?" + b64("\u202efdp.exe\u202c שלום") + "?="},
		{"iso-2022-jp", "=?iso-2022-jp?b?" + b64("\x1b$B$3$s\x1b(B") + "?="},
		{"utf-7", "=?utf-7?q?+AOQ-?="},
	}
	var all []Case
	for _, s := range subjects {
		all = append(all, Case{Name: "word-" + s.name, Raw: "From: a@x.example\nSubject: " + s.subject + "\n\nhello\n", Text: "hello"})
	}
	return all
}
