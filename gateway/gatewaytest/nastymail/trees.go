package nastymail

import (
	"fmt"
	"strings"
)

// multi is a header for a multipart whose boundary is b.
const multi = usual + "Content-Type: multipart/mixed; boundary=b\n\n"

// trees are faults of the MIME structure.
func trees() []Case {
	return append([]Case{
		{Name: "multipart-empty", Raw: multi},
		{Name: "multipart-closed-at-once", Raw: multi + "--b--\n"},
		{Name: "multipart-only-preamble", Raw: multi + "This is a message in MIME.\n"},
		{Name: "multipart-never-closed", Raw: multi + "--b\n\nhello\n", Text: "hello\n"},
		{Name: "multipart-closed-twice", Raw: multi + "--b\n\nhello\n--b--\n--b\n\nepilogue\n--b--\n", Text: "hello"},
		{Name: "multipart-parts-without-a-byte", Raw: multi + "--b\n--b\n--b\n\n--b\n--b--\n"},
		{Name: "multipart-of-empty-multiparts", Raw: multi + "--b\nContent-Type: multipart/mixed; boundary=c\n\n--c--\n--b\nContent-Type: multipart/alternative; boundary=d\n\n--b--\n"},
		{Name: "multipart-no-boundary", Raw: usual + "Content-Type: multipart/mixed\n\nhello\n", Text: "hello\n"},
		{Name: "multipart-empty-boundary", Raw: usual + "Content-Type: multipart/mixed; boundary=\"\"\n\n--\nhello\n----\n"},
		{Name: "multipart-wrong-boundary", Raw: multi + "--c\n\nhello\n--c--\n"},
		{Name: "multipart-in-base64", Raw: usual + "Content-Type: multipart/mixed; boundary=b\nContent-Transfer-Encoding: base64\n\n" + b64("--b\r\n\r\nhidden\r\n--b--\r\n") + "\n--b\n\nhello\n--b--\n", Text: "hello"},
		{Name: "boundary-prefix-of-another", Raw: usual + "Content-Type: multipart/mixed; boundary=b\n\n--b\nContent-Type: multipart/mixed; boundary=bb\n\n--bb\n\nhello\n--bb--\n--b\n\nmore\n--b--\n", Text: "hello"},
		{Name: "boundary-of-parent-in-child", Raw: multi + "--b\nContent-Type: multipart/mixed; boundary=c\n\n--c\n\nhello\n--b\n\nmore\n--c--\n--b--\n", Text: "hello"},
		{Name: "boundary-same-in-child", Raw: multi + "--b\nContent-Type: multipart/mixed; boundary=b\n\n--b\n\nhello\n--b--\n--b--\n", Text: "hello"},
		{Name: "boundary-with-spaces-behind", Raw: multi + "--b  \t\n\nhello\n--b--  \n", Text: "hello"},
		{Name: "boundary-of-hyphens", Raw: usual + "Content-Type: multipart/mixed; boundary=\"--\"\n\n----\n\nhello\n------\n", Text: "hello"},
		{Name: "boundary-of-300", Raw: usual + "Content-Type: multipart/mixed; boundary=" + strings.Repeat("b", 300) + "\n\n--" + strings.Repeat("b", 300) + "\n\nhello\n"},
		{Name: "boundary-with-nul", Raw: usual + "Content-Type: multipart/mixed; boundary=\"a\x00b\"\n\n--a\x00b\n\nhello\n--a\x00b--\n", Text: "hello"},
		{Name: "boundary-eight-bit", Raw: usual + "Content-Type: multipart/mixed; boundary=\"\xe4\xf6\"\n\n--\xe4\xf6\n\nhello\n--\xe4\xf6--\n", Text: "hello"},
		{Name: "boundary-ends-in-space", Raw: usual + "Content-Type: multipart/mixed; boundary=\"b \"\n\n--b \n\nhello\n--b --\n"},
		{Name: "digest", Raw: usual + "Content-Type: multipart/digest; boundary=b\n\n--b\n\nSubject: one\n\nfirst\n--b\nContent-Type: text/plain\n\nhello\n--b\n\n--b--\n", Text: "hello"},
		{Name: "related-without-root", Raw: usual + "Content-Type: multipart/related; boundary=b; start=\"<none>\"\n\n--b\nContent-ID: <x@y> <z>\nContent-Type: image/png\n\nPNG\n--b--\n"},
		{Name: "external-body", Raw: usual + "Content-Type: message/external-body; access-type=local-file; name=\"/etc/passwd\"\n\nContent-Type: text/plain\n\n"},
		{Name: "partial", Raw: usual + "Content-Type: message/partial; id=\"a\"; number=2; total=3\n\nhalf a message\n"},
		{Name: "parts-200000", Raw: multi + strings.Repeat("--b\n\nx\n", 200_000)},
		{Name: "parts-9000", Raw: multi + strings.Repeat("--b\nContent-Type: image/png\n\nx\n", 9_000) + "--b--\n"},
		{Name: "levels-1000", Raw: usual + levels(1000)},
		{Name: "levels-90", Raw: usual + levels(90)},
		{Name: "part-header-over-limit", Raw: multi + "--b\n" + strings.Repeat("X: y\n", 5000) + "\nhello\n--b--\n"},
		{Name: "part-header-without-end", Raw: multi + "--b\nContent-Type: text/plain\n--b--\n"},
	}, messages()...)
}

// levels nests a multipart in a multipart, n times.
func levels(n int) string {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, "Content-Type: multipart/mixed; boundary=b%d\n\n--b%d\n", i, i)
	}
	b.WriteString("\nthe bottom\n")
	for i := n - 1; i >= 0; i-- {
		fmt.Fprintf(&b, "--b%d--\n", i)
	}
	return b.String()
}

const rfc822 = "Content-Type: message/rfc822\n"

// messages are messages in messages.
func messages() []Case {
	inner := "From: inner@x.example\nSubject: inner\n\ninner text\n"
	return []Case{
		{Name: "message-is-a-message", Raw: usual + rfc822 + "\n" + inner},
		{Name: "message-is-a-multipart-message", Raw: usual + rfc822 + "\n" + multi + "--b\n\none\n--b\n\ntwo\n--b--\n"},
		{Name: "message-in-base64", Raw: multi + "--b\n" + rfc822 + "Content-Transfer-Encoding: base64\n\n" + b64(inner) + "\n--b--\n"},
		{Name: "message-in-quoted-printable", Raw: usual + rfc822 + "Content-Transfer-Encoding: quoted-printable\n\nSubject: =41\n\nx=\n\n"},
		{Name: "message-empty", Raw: multi + "--b\n" + rfc822 + "\n--b\n\nhello\n--b--\n", Text: "hello"},
		{Name: "message-without-a-byte", Raw: multi + "--b\n" + rfc822 + "--b--\n"},
		{Name: "message-header-only", Raw: multi + "--b\n" + rfc822 + "\nSubject: cut\n--b--\n"},
		{Name: "message-with-empty-multipart", Raw: multi + "--b\n" + rfc822 + "\n" + "Content-Type: multipart/mixed; boundary=c\n\n--c--\n--b--\n"},
		{Name: "messages-100", Raw: usual + strings.Repeat(rfc822+"\n", 100) + inner},
		{Name: "messages-4000", Raw: usual + strings.Repeat(rfc822+"\n", 4000) + inner},
		{Name: "messages-and-multiparts", Raw: usual + strings.Repeat(rfc822+"\nContent-Type: multipart/mixed; boundary=b\n\n--b\n", 40) + "\nthe bottom\n"},
		{Name: "message-envelope-horrors", Raw: multi + "--b\n" + rfc822 + "\nFrom: \"unterminated\nTo: \xff\xfe:;\nSubject: \x00\xff\nDate: {5}\nMessage-ID: {3+}\n\nx\n--b--\n"},
		{Name: "message-delivery-status", Raw: usual + "Content-Type: multipart/report; report-type=delivery-status; boundary=b\n\n--b\n\nfailed\n--b\nContent-Type: message/delivery-status\n\nnonsense\n\nFinal-Recipient: \x00\n--b\nContent-Type: message/rfc822-headers\n\nno header\n--b--\n", Text: "failed"},
	}
}
