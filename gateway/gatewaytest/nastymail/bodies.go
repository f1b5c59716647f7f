package nastymail

import (
	"strings"
)

// part is a text with fields of its own.
func part(fields, body string) string { return usual + fields + "\n" + body }

// bodies are faults of transfer encodings and of lines.
func bodies() []Case {
	const (
		base64field = "Content-Transfer-Encoding: base64\n"
		quoted      = "Content-Transfer-Encoding: quoted-printable\n"
	)
	return []Case{
		{Name: "base64-broken", Raw: part(base64field, "aGVs*bG8\n=====\n@@@\naGVsbG8\n")},
		{Name: "base64-one-character", Raw: part(base64field, "a\n")},
		{Name: "base64-padding-inside", Raw: part(base64field, "aGVs\nbG8=\naGVsbG8=\n"), Text: "hellohello"},
		{Name: "base64-of-nothing", Raw: part(base64field, "\n\n\n")},
		{Name: "base64-one-line-of-1-mib", Raw: part(base64field, strings.Repeat("aGVsbG8g", 1<<17)+"\n")},
		{Name: "base64-of-utf8-broken", Raw: part("Content-Type: text/plain; charset=utf-8\n"+base64field, b64("gr\xfc\xc3")+"\n")},
		{Name: "quoted-printable-broken", Raw: part(quoted, "a=\nb=ZZ=4\n=\n==3D=\n")},
		{Name: "quoted-printable-ends-in-escape", Raw: part(quoted, "hello=")},
		{Name: "quoted-printable-spaces", Raw: part(quoted, "a= \t \nb=   c\n"+"="+strings.Repeat(" ", 200)+"x\n")},
		{Name: "quoted-printable-lower-case", Raw: part("Content-Type: text/plain; charset=utf-8\n"+quoted, "gr=c3=bc=c3=9fe\n"), Text: "grüße\n"},
		{Name: "encoding-unknown", Raw: part("Content-Transfer-Encoding: x-uuencode; really\n", "hello\n"), Text: "hello\n"},
		{Name: "encoding-binary-with-nul", Raw: part("Content-Type: application/octet-stream\nContent-Transfer-Encoding: binary\n", "\x00\x01\x02\xff\xfe\n")},
		{Name: "nul-in-body", Raw: part("", "a\x00b\x00\n"), Text: "ab\n"},
		{Name: "controls-in-body", Raw: part("", "\x01\x02\x1b[2J\x07\x7f\x1a\n")},
		{Name: "line-of-1-mib", Raw: part("", strings.Repeat("x", 1<<20)+"\n")},
		{Name: "lines-of-999", Raw: part("", strings.Repeat(strings.Repeat("y", 999)+"\n", 100))},
		{Name: "empty-lines-100000", Raw: part("", strings.Repeat("\n", 100_000))},
		{Name: "dots", Raw: part("", ".\n..\n...\n.x\n"), Text: ".\n..\n...\n.x\n"},
		{Name: "looks-like-imap", Raw: part("", ")\n* 1 EXPUNGE\na1 OK done\n{100}\n"), Text: ")\n* 1 EXPUNGE\na1 OK done\n{100}\n"},
		{Name: "hyphens", Raw: part("", "--\n---\n-- \n----b--\n"), Text: "--\n---\n-- \n----b--\n"},
		{Name: "html-deep", Raw: part("Content-Type: text/html\n", strings.Repeat("<div>", 20_000)+"deep\n")},
		{Name: "html-unterminated", Raw: part("Content-Type: text/html\n", "<p>hello <a href=\"x <!-- <style> <script>\n")},
		{Name: "html-null-and-entities", Raw: part("Content-Type: text/html; charset=utf-8\n", "<p>\x00&#0;&#xD800;&#x110000;&nonsense;&amp\n")},
	}
}

// charsets are texts of many charsets, and of none.
func charsets() []Case {
	text := func(charset, body string) string {
		return part("Content-Type: text/plain; charset="+charset+"\nContent-Transfer-Encoding: base64\n", b64(body)+"\n")
	}
	return []Case{
		{Name: "charset-unknown", Raw: text("klingon", "hello"), Text: "hello"},
		{Name: "charset-empty", Raw: text("\"\"", "hello"), Text: "hello"},
		{Name: "charset-of-3000", Raw: text(strings.Repeat("c", 3000), "hello"), Text: "hello"},
		{Name: "charset-lies", Raw: text("us-ascii", "gr\xc3\xbc\xc3\x9fe"), Text: "grüße"},
		{Name: "charset-utf-7", Raw: text("utf-7", "gr+APwA3w-e")},
		{Name: "charset-utf-16", Raw: text("utf-16", "\xfe\xff\x00h\x00i\xd8\x3c\xdf\x0e")},
		{Name: "charset-utf-16-odd", Raw: text("utf-16le", "h\x00i\x00\x3c")},
		{Name: "charset-utf-32", Raw: text("utf-32", "h\x00\x00\x00")},
		{Name: "charset-gb18030", Raw: text("gb18030", "\xc4\xe3\xba\xc3\x81\x30\x81\x30"), Text: "你好\u0080"},
		{Name: "charset-gb18030-broken", Raw: text("gb18030", "\xc4\xff\x81\x30\x81")},
		{Name: "charset-iso-2022-jp", Raw: text("iso-2022-jp", "\x1b$B$3$s\x1b(B"), Text: "こん"},
		{Name: "charset-iso-2022-jp-unfinished", Raw: text("iso-2022-jp", "\x1b$B$3")},
		{Name: "charset-shift-jis", Raw: text("shift_jis", "\x82\xb1\x82\xf1"), Text: "こん"},
		{Name: "charset-koi8-r", Raw: text("koi8-r", "\xd0\xd2\xc9"), Text: "при"},
		{Name: "charset-windows-1252", Raw: text("windows-1252", "\x80\x93x\x94"), Text: "€“x”"},
		{Name: "charset-utf-8-overlong", Raw: text("utf-8", "\xc0\xaf\xed\xa0\x80\xf4\x90\x80\x80")},
		{Name: "charset-utf-8-bom", Raw: text("utf-8", "\xef\xbb\xbfhello")},
		{Name: "text-emoji", Raw: text("utf-8", "👩‍👩‍👧‍👦🏳️‍🌈\U000e0041"), Text: "👩‍👩‍👧‍👦🏳️‍🌈\U000e0041"},
		{Name: "text-rtl", Raw: text("utf-8", "\u202eevil\u202c \u2066שלום\u2069"), Text: "\u202eevil\u202c \u2066שלום\u2069"},
		{Name: "text-zalgo", Raw: text("utf-8", "a"+strings.Repeat("\u0301", 5000))},
		{Name: "text-noncharacters", Raw: text("utf-8", "\ufffe\uffff\U0010ffff\u0000\u2028")},
	}
}

// parameters are oddities of Content-Type and Content-Disposition.
func parameters() []Case {
	file := func(fields string) string { return part(fields, "hello\n") }
	return []Case{
		{Name: "type-with-comments", Raw: file("Content-Type: text/(a comment)plain (another); (x) charset=(y)utf-8 (z)\n"), Text: "hello\n"},
		{Name: "type-nonsense", Raw: file("Content-Type: ;;;===\"\n")},
		{Name: "type-without-slash", Raw: file("Content-Type: text\n"), Text: "hello\n"},
		{Name: "type-slash-alone", Raw: file("Content-Type: /\n")},
		{Name: "type-eight-bit", Raw: file("Content-Type: t\xe4xt/plain; n\xe4me=\xff\n")},
		{Name: "type-quoted", Raw: file("Content-Type: \"text/plain\"; charset=\"utf-8\n")},
		{Name: "type-in-capitals", Raw: file("CONTENT-TYPE: TEXT/PLAIN; CHARSET=UTF-8\n"), Text: "hello\n"},
		{Name: "type-list", Raw: file("Content-Type: text/plain, text/html\n")},
		{Name: "type-5000-parameters", Raw: file("Content-Type: text/plain" + strings.Repeat("; a=b", 5000) + "\n")},
		{Name: "type-long", Raw: file("Content-Type: text/" + strings.Repeat("x", 10_000) + "\n")},
		{Name: "parameters-continued", Raw: file("Content-Type: application/pdf; name*0*=utf-8''gr%C3%BC; name*1=\"sse\"; name*2*=%2Epdf\n")},
		{Name: "parameters-continued-wrong", Raw: file("Content-Type: application/pdf; name*1=b; name*3*=%ZZ; name*=x'y; name*0*=klingon''%FF; *=; *0=\n")},
		{Name: "parameters-duplicate", Raw: file("Content-Type: text/plain; charset=utf-8; charset=utf-7; charset=\n")},
		{Name: "parameters-without-values", Raw: file("Content-Type: text/plain; ; charset; =x; ;;\n"), Text: "hello\n"},
		{Name: "filename-path", Raw: file("Content-Disposition: attachment; filename=\"../../../etc/passwd\"\n")},
		{Name: "filename-device", Raw: file("Content-Disposition: attachment; filename=\"C:\\\\con\\\\..\\\\\"\n")},
		{Name: "filename-rtl", Raw: file("Content-Disposition: attachment; filename*=utf-8''%E2%80%AEgpj.exe\n")},
		{Name: "filename-controls", Raw: file("Content-Disposition: attachment; filename=\"a\x00b\x01\x7f\tc\"\n")},
		{Name: "filename-word", Raw: file("Content-Disposition: attachment; filename=\"=?utf-8?b?" + b64("grüße\r\n.pdf") + "?=\"\n")},
		{Name: "filename-of-5000", Raw: file("Content-Disposition: attachment; filename=\"" + strings.Repeat("ü", 5000) + "\"\n")},
		{Name: "filename-eight-bit", Raw: file("Content-Disposition: attachment; filename=gr\xfc\xdfe.pdf\n")},
		{Name: "disposition-nonsense", Raw: file("Content-Disposition: =?utf-8?q?attachment?=; filename\n")},
		{Name: "content-id-horrors", Raw: multi + "--b\nContent-ID: <<a\x00\"\\b>> {5}\nContent-Type: image/png\nContent-Description: \xff\n\nx\n--b--\n"},
	}
}
