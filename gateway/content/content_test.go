package content

import (
	"bytes"
	"cmp"
	"fmt"
	"io"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"pgregory.net/rapid"

	"github.com/centerleap/postern/gateway"
	"github.com/centerleap/postern/gateway/gatewaytest/imapread"
	"github.com/centerleap/postern/gateway/gatewaytest/nastymail"
)

var lim = gateway.DefaultLimits()

func scan(t testing.TB, raw string) *gateway.Content {
	t.Helper()
	c, err := Scan(strings.NewReader(raw), lim)
	if err != nil {
		t.Fatalf("Scan: %v", err)
	}
	return c
}

func crlf(s string) string { return strings.ReplaceAll(s, "\n", "\r\n") }

func partBody(raw string, p *gateway.Part) string { return raw[p.BodyAt : p.BodyAt+p.BodySize] }

func text(t testing.TB, raw string, p *gateway.Part) string {
	t.Helper()
	s, _, err := Text(strings.NewReader(partBody(raw, p)), p, 1<<20)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestScanAlternative(t *testing.T) {
	raw := crlf(`From: =?utf-8?q?J=C3=B6rg?= <joerg@example.com>
To: a@x.test, "B, C" <b@x.test>
Subject: =?utf-8?b?SGVsbG8g8J+Mjg==?=
Message-ID: <1@example.com>
In-Reply-To: <0@example.com>
References: <00@example.com>
	<0@example.com>
Date: Thu, 19 Mar 2026 18:00:00 +0000
Content-Type: multipart/mixed; boundary=out

preamble
--out
Content-Type: multipart/alternative; boundary="in"

--in
Content-Type: text/plain; charset=iso-8859-1
Content-Transfer-Encoding: quoted-printable

Gr=FC=DFe,
 und   mehr
--in
Content-Type: text/html

<p>Hi</p>
--in--
--out
Content-Type: application/pdf; name="r.pdf"
Content-Disposition: attachment; filename="../report.pdf"
Content-Transfer-Encoding: base64

SGVsbG8g
V29ybGQ=
--out--
epilogue
`)
	c := scan(t, raw)
	want := func(what string, got, want any) {
		t.Helper()
		if fmt.Sprint(got) != fmt.Sprint(want) {
			t.Errorf("%s: got %v, want %v", what, got, want)
		}
	}
	want("from", c.From, []gateway.Address{{Name: "Jörg", Addr: "joerg@example.com"}})
	want("to", len(c.To), 2)
	want("subject", c.Subject, "Hello 🌎")
	want("id", c.MessageID+c.InReplyTo, "<1@example.com><0@example.com>")
	want("references", c.References, "[<00@example.com> <0@example.com>]")
	want("date", c.Date.UTC(), time.Date(2026, 3, 19, 18, 0, 0, 0, time.UTC))
	want("preview", c.Preview, "Grüße, und mehr")
	want("defects", c.Defects, 0)
	var numbers []string
	for _, p := range c.Parts {
		numbers = append(numbers, p.Number+" "+p.Type)
	}
	want("parts", numbers, "[ multipart/mixed 1 multipart/alternative 1.1 text/plain 1.2 text/html 2 application/pdf]")
	want("chosen", fmt.Sprint(c.TextPart, c.HTMLPart), "2 3")
	want("text", text(t, raw, &c.Parts[2]), "Grüße,\n und   mehr")
	want("html", text(t, raw, &c.Parts[3]), "<p>Hi</p>")
	pdf := &c.Parts[4]
	want("attachment", fmt.Sprint(pdf.Attachment, " ", pdf.Filename, " ", pdf.DecodedSize), "true report.pdf 11")
	b, err := io.ReadAll(Decoder(strings.NewReader(partBody(raw, pdf)), pdf))
	want("file", fmt.Sprint(string(b), err), "Hello World<nil>")
	want("structure", string(c.Body), `((("text" "plain" ("charset" "iso-8859-1") NIL NIL "quoted-printable" 23 1)("text" "html" ("charset" "us-ascii") NIL NIL "7bit" 9 0) "alternative")("application" "pdf" ("name" "r.pdf") NIL NIL "base64" 18) "mixed")`)
	want("envelope", string(c.Envelope), `("Thu, 19 Mar 2026 18:00:00 +0000" "=?utf-8?b?SGVsbG8g8J+Mjg==?=" (("=?utf-8?q?J=C3=B6rg?=" NIL "joerg" "example.com")) (("=?utf-8?q?J=C3=B6rg?=" NIL "joerg" "example.com")) (("=?utf-8?q?J=C3=B6rg?=" NIL "joerg" "example.com")) ((NIL NIL "a" "x.test")("B, C" NIL "b" "x.test")) NIL NIL "<0@example.com>" "<1@example.com>")`)
}

func TestScanNested(t *testing.T) {
	raw := crlf(`From: a@x.test
Content-Type: multipart/mixed; boundary=b

--b

first
--b
Content-Type: message/rfc822

Subject: inner
Content-Type: multipart/alternative; boundary=c

--c

in
--c--
--b
Content-Type: message/rfc822

Subject: plain inner

hello
--b--
`)
	c := scan(t, raw)
	var got []string
	for _, p := range c.Parts {
		got = append(got, fmt.Sprintf("%s=%s@%d", p.Number, p.Type, p.Parent))
	}
	want := "[=multipart/mixed@-1 1=text/plain@0 2=message/rfc822@0 2=multipart/alternative@2 2.1=text/plain@3 3=message/rfc822@0 3.1=text/plain@5]"
	if fmt.Sprint(got) != want {
		t.Errorf("parts\n got %v\nwant %v", got, want)
	}
	if !strings.Contains(string(c.Body), `"message" "rfc822"`) || !strings.Contains(string(c.Body), `"inner"`) {
		t.Errorf("body structure: %s", c.Body)
	}
	checkIMAP(t, c)
}

// Each class of hostile or broken mail stays readable.
func TestScanTolerates(t *testing.T) {
	for _, tt := range []struct {
		name, raw string
		defect    gateway.Defects
		preview   string
	}{
		{"empty", "", gateway.DefectFrom | gateway.DefectMessageID, ""},
		{"only a body", "\r\nhello", 0, "hello"},
		{"header without an end", "From: a@x.test\r\nSubject: x", 0, ""},
		{"bare line feeds", "From: a@x.test\n\nhello\nyou\n", 0, "hello you"},
		{"mbox line", "From a@x Mon Jan 1\r\nFrom: a@x.test\r\n\r\nhi", gateway.DefectHeader, "hi"},
		{"no boundary", "Content-Type: multipart/mixed\r\n\r\nhi", gateway.DefectBoundary, "hi"},
		{"boundary never comes", "Content-Type: multipart/mixed; boundary=b\r\n\r\nhi", gateway.DefectBoundary, ""},
		{"unterminated", "Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n\r\nhi\r\n", gateway.DefectBoundary, "hi"},
		{"prefix of another", "Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n\r\nhi\r\n--bb\r\nmore\r\n--b--\r\n", 0, "hi --bb more"},
		{"unknown charset", "Content-Type: text/plain; charset=klingon\r\n\r\nhi", gateway.DefectCharset, "hi"},
		{"wrong charset", "Content-Type: text/plain; charset=utf-8\r\n\r\nh\xfcllo", gateway.DefectCharset, "hüllo"},
		{"unknown encoding", "Content-Transfer-Encoding: x-foo\r\n\r\nhi", gateway.DefectEncoding, "hi"},
		{"bad base64", "Content-Transfer-Encoding: base64\r\n\r\naGVs*bG8\r\n", 0, "hello"},
		{"nul", "Subject: a\x00b\r\n\r\nh\x00i", 0, "h i"},
		{"two from fields", "From: a@x.test\r\nFrom: b@x.test\r\n\r\n", gateway.DefectFrom, ""},
		{"one bad address", "From: a@x.test\r\nTo: <<>>, b@x.test\r\n\r\n", 0, ""},
		{"html only", "Content-Type: text/html\r\n\r\n<style>p{}</style><p>Hi <b>you</b></p>", 0, "Hi you"},
		{"unusable id", "Message-ID: <a b@x>\r\n\r\n", gateway.DefectMessageID, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			c := scan(t, tt.raw)
			if c.Defects&tt.defect != tt.defect || c.Preview != tt.preview {
				t.Errorf("defects %b, preview %q, want %b, %q", c.Defects, c.Preview, tt.defect, tt.preview)
			}
			checkContent(t, tt.raw, c)
		})
	}
	if c := scan(t, "To: <<>>, b@x.test\r\n\r\n"); len(c.To) != 1 || c.To[0].Addr != "b@x.test" {
		t.Errorf("one bad address: %v", c.To)
	}
}

func TestScanBounds(t *testing.T) {
	if _, err := Scan(strings.NewReader(strings.Repeat("X: y\r\n", 2001)+"\r\n"), lim); gateway.KindOf(err) != gateway.TooLarge {
		t.Errorf("2,001 fields: %v", err)
	}
	if _, err := Scan(strings.NewReader(strings.Repeat("X: y\r\n", 2000)+"\r\n"), lim); err != nil {
		t.Errorf("2,000 fields: %v", err)
	}
	if _, err := Scan(strings.NewReader("X: "+strings.Repeat("y", 256<<10)+"\r\n\r\n"), lim); gateway.KindOf(err) != gateway.TooLarge {
		t.Errorf("a header of 256 KiB and more: %v", err)
	}
	if _, err := Scan(strings.NewReader("X: y\r\n"+strings.Repeat(" y\r\n", 1000)+"\r\n"), lim); gateway.KindOf(err) != gateway.TooLarge {
		t.Errorf("1,001 lines in a field: %v", err)
	}
	var deep strings.Builder
	for i := range 4000 {
		fmt.Fprintf(&deep, "Content-Type: multipart/mixed; boundary=b%d\r\n\r\n--b%d\r\n", i, i)
	}
	if c := scan(t, deep.String()); c.Defects&gateway.DefectDepth == 0 || len(c.Parts) > 200 {
		t.Errorf("4,000 levels: %d parts, defects %b", len(c.Parts), c.Defects)
	}
	nested := strings.Repeat("Content-Type: message/rfc822\r\n\r\n", 4000)
	if c := scan(t, nested); c.Defects&gateway.DefectDepth == 0 || len(c.BodyStructure) > 1<<20 {
		t.Errorf("4,000 messages in messages: %d parts", len(c.Parts))
	}
	many := "Content-Type: multipart/mixed; boundary=b\r\n\r\n" + strings.Repeat("--b\r\n\r\nx\r\n", 200_000)
	if c := scan(t, many); c.Defects&gateway.DefectParts == 0 || int64(len(c.Parts)) > lim.MIMEParts {
		t.Errorf("200,000 parts: %d", len(c.Parts))
	}
}

// Memory does not grow with a message.
func TestScanMemory(t *testing.T) {
	head := "Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\nContent-Transfer-Encoding: base64\r\nContent-Disposition: attachment\r\n\r\n"
	line := strings.Repeat("QUJD", 19) + "\r\n"
	raw := io.MultiReader(strings.NewReader(head), io.LimitReader(&repeat{line: line}, int64(len(line))*1_500_000))
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	c, err := Scan(raw, lim)
	runtime.ReadMemStats(&after)
	if err != nil || c.Parts[1].DecodedSize != 57*1_500_000 {
		t.Fatalf("%v, %d bytes", err, c.Parts[1].DecodedSize)
	}
	if grown := after.TotalAlloc - before.TotalAlloc; grown > 4<<20 {
		t.Errorf("scanning 117 MB allocated %d bytes", grown)
	}
}

type repeat struct {
	line string
	at   int
}

func (r *repeat) Read(p []byte) (n int, err error) {
	for n < len(p) {
		c := copy(p[n:], r.line[r.at:])
		n, r.at = n+c, (r.at+c)%len(r.line)
	}
	return n, nil
}

// checkContent holds what Scan says to the bytes.
func checkContent(t testing.TB, raw string, c *gateway.Content) {
	t.Helper()
	size := int64(len(raw))
	for i := range c.Parts {
		p := &c.Parts[i]
		if p.HeaderAt < 0 || p.HeaderSize < 0 || p.BodySize < 0 || p.HeaderAt+p.HeaderSize > p.BodyAt || p.BodyAt+p.BodySize > size {
			t.Fatalf("part %d lies outside: %+v of %d bytes", i, p, size)
		}
		if i == 0 {
			continue
		}
		up := &c.Parts[p.Parent]
		if p.Parent >= i || p.HeaderAt < up.BodyAt || p.BodyAt+p.BodySize > up.BodyAt+up.BodySize {
			t.Fatalf("part %d %+v is not inside its parent %+v", i, p, up)
		}
		if prev := &c.Parts[i-1]; prev.Parent == p.Parent && prev.BodyAt+prev.BodySize > p.HeaderAt {
			t.Fatalf("parts %d and %d overlap", i-1, i)
		}
	}
	checkReassembly(t, raw, c)
	for _, i := range []int{c.TextPart, c.HTMLPart} {
		if i >= 0 && !utf8.ValidString(text(t, raw, &c.Parts[i])) {
			t.Fatal("text is no UTF-8")
		}
	}
	for i := range c.Parts {
		if p := &c.Parts[i]; !strings.HasPrefix(p.Type, "multipart/") {
			n, err := io.Copy(io.Discard, Decoder(strings.NewReader(partBody(raw, p)), p))
			if err != nil || n != p.DecodedSize {
				t.Fatalf("part %d decodes to %d bytes (%v), the scan says %d: %+v", i, n, err, p.DecodedSize, p)
			}
		}
	}
	if n := utf8.RuneCountInString(c.Preview); n > gateway.PreviewRunes || !utf8.ValidString(c.Preview) {
		t.Fatalf("preview of %d characters", n)
	}
	checkIMAP(t, c)
}

// checkReassembly puts the message together again from its header sections, the
// bodies of its leaves, and what stands between them.
func checkReassembly(t testing.TB, raw string, c *gateway.Content) {
	t.Helper()
	type piece struct{ from, to int64 }
	var pieces []piece
	parent := make(map[int]bool)
	for i := range c.Parts {
		parent[c.Parts[i].Parent] = true
	}
	for i := range c.Parts {
		p := &c.Parts[i]
		pieces = append(pieces, piece{p.HeaderAt, p.HeaderAt + p.HeaderSize})
		if !parent[i] {
			pieces = append(pieces, piece{p.BodyAt, p.BodyAt + p.BodySize})
		}
	}
	slices.SortFunc(pieces, func(a, b piece) int { return cmp.Or(cmp.Compare(a.from, b.from), cmp.Compare(a.to, b.to)) })
	var whole strings.Builder
	at := int64(0)
	for _, p := range pieces {
		if p.from < at {
			t.Fatalf("bytes %d to %d belong to two parts", p.from, at)
		}
		whole.WriteString(raw[at:p.from])
		whole.WriteString(raw[p.from:p.to])
		at = p.to
	}
	if whole.WriteString(raw[at:]); whole.String() != raw {
		t.Fatal("the parts do not make up the message")
	}
}

// checkIMAP reads the structures as a strict client does: every part that they name is
// there, and as large as they say.
func checkIMAP(t testing.TB, c *gateway.Content) {
	t.Helper()
	if _, err := imapread.ParseEnvelope(c.Envelope); err != nil {
		t.Fatal(err)
	}
	long, err := imapread.ParseBody(c.BodyStructure, true)
	if err != nil {
		t.Fatal(err)
	}
	short, err := imapread.ParseBody(c.Body, false)
	if err != nil {
		t.Fatal(err)
	}
	var numbers []string
	long.Walk(func(number string, part *imapread.Part) {
		numbers = append(numbers, number)
		i := slices.IndexFunc(c.Parts, func(p gateway.Part) bool { return p.Number == number })
		if i < 0 && part.Size == 0 && isEncodedMessage(c, strings.TrimSuffix(number, ".1")) {
			return // mailbox.Locate finds the nothing that is in it
		} else if i < 0 {
			t.Fatalf("nothing has the number %s: %s", number, c.BodyStructure)
		}
		if got := c.Parts[i].BodySize; part.Type != "multipart" && got != part.Size {
			t.Fatalf("part %s has %d bytes, not %d: %s", number, got, part.Size, c.BodyStructure)
		}
	})
	short.Walk(func(number string, _ *imapread.Part) {
		if len(numbers) == 0 || numbers[0] != number {
			t.Fatalf("BODY and BODYSTRUCTURE differ: %s, %s", c.Body, c.BodyStructure)
		}
		numbers = numbers[1:]
	})
}

func isEncodedMessage(c *gateway.Content, number string) bool {
	return slices.ContainsFunc(c.Parts, func(p gateway.Part) bool {
		return p.Number == number && p.Type == "message/rfc822" && !isIdentity(p.Encoding)
	})
}

// maxSeed keeps the seeds small: what is large is so by repeating itself.
const maxSeed = 4 << 10

func FuzzScan(f *testing.F) {
	for _, s := range []string{
		"From: a@x\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n\r\nx\r\n--b--\r\n",
		"Content-Type: message/rfc822\r\n\r\nSubject: x\r\n\r\nhi\n",
		"Content-Type: multipart/mixed; boundary=b\n\n--b\nContent-Type: multipart/x; boundary=b\n\n--b\n\n--b--\n--b--\n",
		"Content-Transfer-Encoding: quoted-printable\r\n\r\na=\r\nb=3D= \r\n=",
		"Content-Transfer-Encoding: base64\r\n\r\nQQ==QUI=\r\n",
		"Subject: =?utf-8?q?=C3?=\r\nTo: a@b (c, d) <\r\n\r\n",
	} {
		f.Add(s)
	}
	for _, c := range nastymail.Cases() {
		if len(c.Raw) < maxSeed {
			f.Add(c.Raw)
		}
	}
	f.Fuzz(func(t *testing.T, raw string) {
		c, fields, err := ScanHeader(strings.NewReader(raw), lim)
		if err != nil {
			if gateway.KindOf(err) != gateway.TooLarge {
				t.Fatal(err)
			}
			return
		}
		checkContent(t, raw, c)
		checkHeader(t, raw, c, fields)
	})
}

// checkHeader holds what a scan keeps of a header to what is read of it again.
func checkHeader(t *testing.T, raw string, c *gateway.Content, fields []gateway.HeaderField) {
	t.Helper()
	again := &Reading{Content: c, Limits: lim, Open: func(off, n int64) (io.ReadCloser, error) {
		return io.NopCloser(strings.NewReader(raw[off : off+n])), nil
	}}
	kept := &Reading{Content: c, Limits: lim, Fields: slices.Clip(fields)}
	for range 2 { // and it is still there the next time
		want, err := again.Header()
		got, failed := kept.Header()
		if err != nil || failed != nil || !slices.Equal(got, want) {
			t.Fatalf("kept %q %v, read again %q %v", got, failed, want, err)
		}
	}
}

// Line ends go, and nothing else.
func TestUnfold(t *testing.T) {
	for in, want := range map[string]string{
		"": "", "a": "a", "a\r\n b": "a b", "a\n\tb\n": "a\tb", "a\r b\r": "a\r b\r", "\r\r\n\r\n\n": "\r", "\n\r": "\r", "ä\r\nä": "ää",
	} {
		if got := unfold(in); got != want {
			t.Errorf("%q: %q, want %q", in, got, want)
		}
	}
}

func TestParseAddress(t *testing.T) {
	for in, want := range map[string]string{
		"a@example.com":                        "a@example.com",
		" Bob <Bob.B@EXAMPLE.com> ":            "Bob.B@example.com",
		"a@bücher.example":                     "a@xn--bcher-kva.example",
		"a+b@example.com":                      "a+b@example.com",
		`"Doe, John" <j@example.com>`:          "j@example.com",
		"":                                     "",
		"a":                                    "",
		"a@":                                   "",
		"@example.com":                         "",
		"a@b@example.com":                      "",
		"a@example.com, b@example.com":         "",
		`"a b"@example.com`:                    "",
		"a@[127.0.0.1]":                        "",
		"a\r\nBcc: x@example.com":              "",
		"x> NOTIFY=NEVER <y@example.com":       "",
		strings.Repeat("a", 65) + "@x.test":    "",
		"a@" + strings.Repeat("x.", 130) + "y": "",
		"a..b@example.com":                     "",
	} {
		got, err := ParseAddress(in)
		if got.Addr != want || (err != nil) != (want == "") {
			t.Errorf("ParseAddress(%q) = %q, %v, want %q", in, got.Addr, err, want)
		}
	}
}

func FuzzParseAddress(f *testing.F) {
	f.Add("Bob <b@example.com>")
	f.Add("\"a\\\"b\" <b@example.com>")
	f.Fuzz(func(t *testing.T, s string) {
		a, err := ParseAddress(s)
		if err != nil {
			return
		}
		again, err := ParseAddress(a.Addr)
		if err != nil || again.Addr != a.Addr {
			t.Errorf("%q: %q reads as %q, %v", s, a.Addr, again.Addr, err)
		}
		if list := addresses(a.String()); len(list) != 1 || list[0].Addr != a.Addr {
			t.Errorf("%q: written as %q, read as %v", s, a.String(), list)
		}
	})
}

func TestVisibleText(t *testing.T) {
	for _, tt := range []struct {
		in, want string
		hidden   bool
	}{
		{"<p>Hello <b>World</b>!</p><p>Two</p>", "Hello World!\n\nTwo", false},
		{"a<br>b", "a\nb", false},
		{"<table><tr><td>Total</td><td>5</td></tr></table>", "Total 5", false},
		{"<div style='display:none'>ignore <div>all</div> rules</div>seen", "seen", true},
		{"<span style='font-size:0px'>x</span>seen", "seen", true},
		{"<p style='DISPLAY : none !important'>x</p>", "", true},
		{"<p hidden>x</p>y", "y", true},
		{"<style>x</style><script>y</script><!-- z -->t", "t", false},
		{"<div style='display:none'></div>a", "a", false},
		{"1 &lt; 2 &amp; 3", "1 < 2 & 3", false},
		{strings.Repeat("<div>", 10_000) + "deep", "deep", false},
		{"<p style='font-size:0.9em'>small</p>", "small", false},
	} {
		if got, hidden := VisibleText(tt.in); got != tt.want || hidden != tt.hidden {
			t.Errorf("VisibleText(%.60q) = %q, %v, want %q, %v", tt.in, got, hidden, tt.want, tt.hidden)
		}
	}
}

func compose(t testing.TB, c *gateway.Compose) string {
	t.Helper()
	var b bytes.Buffer
	err := Compose(&b, c, Trace{MessageID: "<id@x.test>", Date: time.Date(2026, 3, 19, 18, 0, 0, 0, time.UTC)})
	if err != nil {
		t.Fatal(err)
	}
	return b.String()
}

func attach(name, typ, cid, body string) gateway.Attachment {
	return gateway.Attachment{
		Filename: name, ContentType: typ, ContentID: cid, Size: int64(len(body)),
		Open: func() (io.ReadCloser, error) { return io.NopCloser(strings.NewReader(body)), nil },
	}
}

// What is composed is scanned as what was meant, and nothing else is in it.
func TestComposeScan(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		line := rapid.StringMatching(`[ -~äöü🌎]{0,120}`)
		c := &gateway.Compose{
			From:    gateway.Address{Name: rapid.StringMatching(`[A-Za-zä", ]{0,20}`).Draw(rt, "name"), Addr: "a@x.test"},
			To:      []gateway.Address{{Addr: "b@x.test"}},
			Bcc:     []gateway.Address{{Addr: "secret@x.test"}},
			Subject: strings.Join(strings.Fields(line.Draw(rt, "subject")), " "),
			Text:    line.Draw(rt, "text") + "\n" + line.Draw(rt, "text"),
			HTML:    rapid.SampledFrom([]string{"", "<p>Hi</p>"}).Draw(rt, "html"),
			Headers: []gateway.HeaderField{{Name: "X-Test", Value: "one"}},
		}
		for i := range rapid.IntRange(0, 3).Draw(rt, "files") {
			cid := rapid.SampledFrom([]string{"", "pic"}).Draw(rt, "cid")
			c.Attachments = append(c.Attachments, attach(fmt.Sprintf("f%dä.bin", i), "image/png", cid, rapid.String().Draw(rt, "body")))
		}
		raw := compose(t, c)
		got := scan(t, raw)
		checkContent(t, raw, got)
		if strings.Contains(raw, "secret@") || got.Subject != c.Subject || got.MessageID != "<id@x.test>" || len(got.From) != 1 {
			rt.Fatalf("subject %q, id %q, from %v, want %q", got.Subject, got.MessageID, got.From, c.Subject)
		}
		if txt := text(t, raw, &got.Parts[got.TextPart]); txt != c.Text {
			rt.Fatalf("text %q, want %q", txt, c.Text)
		}
		files := 0
		for _, p := range got.Parts {
			if p.Attachment {
				b, err := io.ReadAll(Decoder(strings.NewReader(partBody(raw, &p)), &p))
				want, _ := c.Attachments[files].Open()
				w, _ := io.ReadAll(want)
				if err != nil || len(c.Attachments) == 1 && !bytes.Equal(b, w) {
					rt.Fatalf("file %d: %q, want %q", files, b, w)
				}
				files++
			}
		}
		if files != len(c.Attachments) {
			rt.Fatalf("%d files, want %d", files, len(c.Attachments))
		}
		for l := range strings.SplitSeq(raw, "\r\n") {
			if len(l) > 998 || strings.ContainsAny(l, "\r\n") {
				rt.Fatalf("a line of %d bytes", len(l))
			}
		}
	})
}

// An image with a content id stands beside the HTML that shows it; what nothing
// shows, or would be read as a text of its own, is a file.
func TestComposeInline(t *testing.T) {
	for _, tt := range []struct {
		name, text, html string
		file             gateway.Attachment
		want             []string // the types of the parts, in order
		inline           bool
	}{
		{"an image", "x", `<img src="cid:pic">`, attach("p.png", "image/png", "pic", "PNG"), []string{"multipart/related", "multipart/alternative", "text/plain", "text/html", "image/png"}, true},
		{"without a name", "x", `<img src="cid:pic">`, attach("", "image/png", "pic", "PNG"), []string{"multipart/related", "multipart/alternative", "text/plain", "text/html", "image/png"}, true},
		{"nothing shows it", "x", "", attach("p.png", "image/png", "pic", "PNG"), []string{"multipart/mixed", "text/plain", "image/png"}, false},
		{"an HTML page", "x", "<p>x", attach("", "text/html", "page", "<p>y"), []string{"multipart/mixed", "multipart/alternative", "text/plain", "text/html", "text/html"}, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			raw := compose(t, &gateway.Compose{From: gateway.Address{Addr: "a@x.test"}, Text: tt.text, HTML: tt.html, Attachments: []gateway.Attachment{tt.file}})
			c := scan(t, raw)
			var types []string
			for _, p := range c.Parts {
				types = append(types, p.Type)
			}
			last := c.Parts[len(c.Parts)-1]
			if !slices.Equal(types, tt.want) || last.ContentID != tt.file.ContentID || !last.Attachment || last.Inline != tt.inline {
				t.Errorf("%v, %+v", types, last)
			}
			if root := c.Parts[0]; root.Type == "multipart/related" && param(root.Params, "type") != "multipart/alternative" {
				t.Errorf("the root's type is not named: %v", root.Params)
			}
		})
	}
	for _, bad := range []string{"a b", "<a>", "a\r\nb", "ä"} {
		c := &gateway.Compose{Attachments: []gateway.Attachment{attach("f", "image/png", bad, "x")}}
		if err := CheckCompose(c, lim); gateway.KindOf(err) != gateway.InvalidAttachment {
			t.Errorf("content id %q: %v", bad, err)
		}
	}
	twice := &gateway.Compose{Attachments: []gateway.Attachment{attach("f", "image/png", "a", "x"), attach("g", "image/png", "a", "x")}}
	if err := CheckCompose(twice, lim); gateway.AsError(err).Field != "attachments[1].content_id" {
		t.Errorf("a content id that stands twice: %v", err)
	}
}

func TestCheckHeaders(t *testing.T) {
	for _, f := range []gateway.HeaderField{
		{Name: "From", Value: "x"},
		{Name: "bcc", Value: "x"},
		{Name: "Received", Value: "x"},
		{Name: "DKIM-Signature", Value: "x"},
		{Name: "Content-Type", Value: "x"},
		{Name: "ARC-Seal", Value: "x"},
		{Name: "Received-SPF", Value: "pass"}, // RFC 7208 section 9.1
		{Name: "X-Postern-Hop", Value: "1"},
		{Name: "X", Value: "a\r\nBcc: b"},
		{Name: "X Y", Value: "x"},
		{Name: "", Value: "x"},
		{Name: "X:", Value: "x"},
		{Name: "X", Value: "a\x00"},
	} {
		if err := CheckHeaders([]gateway.HeaderField{f}, lim); gateway.KindOf(err) != gateway.InvalidParameter {
			t.Errorf("%q: %v", f, err)
		}
	}
	if err := CheckHeaders([]gateway.HeaderField{{Name: "X-Entity-Ref-ID", Value: "ünïcode"}}, lim); err != nil {
		t.Error(err)
	}
}

var sample = crlf(`From: Sender <sender@example.com>
To: bot@example.org
Subject: Hello from a customer
Message-ID: <1234567890@example.com>
Date: Thu, 19 Mar 2026 18:00:00 +0000
MIME-Version: 1.0
Content-Type: multipart/alternative; boundary="=_b"

--=_b
Content-Type: text/plain; charset=utf-8
Content-Transfer-Encoding: quoted-printable

` + strings.Repeat("A line of text that says next to nothing at all, again.\n", 35) + `
--=_b
Content-Type: text/html; charset=utf-8
Content-Transfer-Encoding: quoted-printable

<html><body>` + strings.Repeat("<p>A line of text that says next to nothing, again.</p>\n", 35) + `</body></html>
--=_b--
`)

func BenchmarkScan(b *testing.B) {
	b.SetBytes(int64(len(sample)))
	b.ReportAllocs()
	for b.Loop() {
		c, err := Scan(strings.NewReader(sample), lim)
		if err != nil || len(c.Parts) != 3 {
			b.Fatal(err)
		}
	}
}

func BenchmarkScanAttachment(b *testing.B) {
	raw := compose(b, &gateway.Compose{Subject: "x", Text: "x", Attachments: []gateway.Attachment{attach("f", "", "", strings.Repeat("x", 25<<20))}})
	b.SetBytes(int64(len(raw)))
	b.ReportAllocs()
	for b.Loop() {
		c, err := Scan(strings.NewReader(raw), lim)
		if err != nil || c.Parts[2].DecodedSize != 25<<20 {
			b.Fatal(err)
		}
	}
}

func BenchmarkCompose(b *testing.B) {
	c := &gateway.Compose{
		From: gateway.Address{Addr: "a@x.test"}, To: []gateway.Address{{Addr: "b@x.test"}}, Subject: "Hello",
		Text: strings.Repeat("some words of text\n", 100), HTML: strings.Repeat("<p>some words</p>\n", 100),
	}
	b.ReportAllocs()
	for b.Loop() {
		if err := Compose(io.Discard, c, Trace{MessageID: "<1@x>", Date: time.Now()}); err != nil {
			b.Fatal(err)
		}
	}
}

// Where bytes are said to be plain, Text of ASCII is what stands there.
func TestPlain(t *testing.T) {
	const stands = "It stands\r\nas it is: =3D +AGE- ~{ \\ %.\r\n"
	for _, tt := range []struct {
		charset, encoding string
		want              bool
	}{
		{"", "", true},
		{"UTF-8", "8bit", true},
		{"us-ascii", "7bit", true},
		{"iso-8859-1", "binary", true},
		{"windows-1252", "x-unknown", true},
		{"utf-8", "quoted-printable", false},
		{"utf-8", "base64", false},
		{"utf-7", "", false},
		{"utf-16", "", false},
		{"iso-2022-jp", "", false},
	} {
		p := gateway.Part{Type: "text/plain", Charset: tt.charset, Encoding: tt.encoding, BodySize: int64(len(stands)), DecodedSize: int64(len(stands))}
		if got := Plain(&p); got != tt.want {
			t.Errorf("%q in %q: %v", tt.charset, tt.encoding, got)
		}
		got, _, err := Text(strings.NewReader(stands), &p, 1<<10)
		if same := err == nil && got == strings.ReplaceAll(stands, "\r\n", "\n"); tt.want && !same {
			t.Errorf("%q in %q: %q, %v", tt.charset, tt.encoding, got, err)
		}
	}
}
