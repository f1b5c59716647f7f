package content

import (
	"bytes"
	"io"
	"strings"
	"testing"

	"github.com/centerleap/postern/gateway"
)

func readingOf(t *testing.T, raw string) *Reading {
	t.Helper()
	return &Reading{Content: scan(t, raw), Limits: lim, Open: func(off, n int64) (io.ReadCloser, error) {
		if n < 0 {
			n = int64(len(raw)) - off
		}
		return io.NopCloser(strings.NewReader(raw[off : off+n])), nil
	}}
}

// What Compose wrote is described so that Compose writes the same again.
func TestDescribed(t *testing.T) {
	html := `<p>hällo <img src="cid:pic">`
	for name, c := range map[string]gateway.Compose{
		"text":       {Text: "hällo\nyou\n"},
		"nothing":    {},
		"both":       {Text: "hello", HTML: "<p>hello", Cc: []gateway.Address{{Name: "Cä, x", Addr: "c@x.test"}}},
		"HTML alone": {HTML: "<p>hello"},
		"an image":   {HTML: html, Attachments: []gateway.Attachment{attach("p.png", "image/png", "pic", "PNG")}},
		"files":      {Text: "x", Attachments: []gateway.Attachment{attach("ä.bin", "", "", "\x00\xff"), attach("page.html", "text/html", "", "<p>")}},
		"a file":     {Attachments: []gateway.Attachment{attach("a.pdf", "application/pdf", "", "PDF")}},
		"an answer":  {Subject: "Re: ä", Text: "x", InReplyTo: "<1@x.test>", References: []string{"<0@x.test>", "<1@x.test>"}, ReplyTo: []gateway.Address{{Addr: "r@x.test"}}},
		"fields":     {Text: "x", Headers: []gateway.HeaderField{{Name: "X-B", Value: "zwölf"}, {Name: "X-A", Value: "1"}, {Name: "X-B", Value: "2"}}},
	} {
		t.Run(name, func(t *testing.T) {
			c.From, c.To = gateway.Address{Name: "A", Addr: "a@x.test"}, []gateway.Address{{Addr: "b@x.test"}}
			first := compose(t, &c)
			found, ok, err := Described(readingOf(t, first))
			if !ok || err != nil {
				t.Fatalf("not described: %v\n%s", err, first)
			}
			if second := compose(t, &found); sameBoundaries(t, second) != sameBoundaries(t, first) {
				t.Errorf("composed again\n%s\nfirst\n%s", second, first)
			}
		})
	}
}

// sameBoundaries gives the boundaries of a message names of their own.
func sameBoundaries(t *testing.T, raw string) string {
	for i, p := range scan(t, raw).Parts {
		if b := param(p.Params, "boundary"); b != "" {
			raw = strings.ReplaceAll(raw, b, "boundary"+string(rune('0'+i)))
		}
	}
	return raw
}

// What would not be the same again is not described.
func TestNotDescribed(t *testing.T) {
	const head = "From: a@x.test\nTo: b@x.test\nMessage-ID: <1@x.test>\nSubject: s\n"
	mixed := func(parts ...string) string {
		return head + "Content-Type: multipart/mixed; boundary=b\n\n--b\n" + strings.Join(parts, "\n--b\n") + "\n--b--\n"
	}
	const plain, html = "Content-Type: text/plain\n\nhi", "Content-Type: text/html\n\n<p>hi"
	for name, raw := range map[string]string{
		"signed":            head + "Content-Type: multipart/signed; boundary=b\n\n--b\n\nx\n--b--\n",
		"two texts":         mixed(plain, plain),
		"text, then HTML":   mixed(plain, html),
		"a forwarded mail":  mixed(plain, "Content-Type: message/rfc822\n\nFrom: c@x.test\n\nx"),
		"a text's charset":  mixed(plain, "Content-Type: text/plain; charset=koi8-r\nContent-Disposition: attachment\n\nx"),
		"an invitation":     strings.Replace(mixed(plain, "Content-Type: text/calendar\n\nx"), "mixed", "alternative", 1),
		"a sender":          "Sender: c@x.test\n" + head + "\nx",
		"two subjects":      head + "Subject: t\n\nx",
		"a group":           "Cc: undisclosed-recipients:;\n" + head + "\nx",
		"two authors":       strings.Replace(head, "a@x.test", "a@x.test, c@x.test", 1) + "\nx",
		"a language":        head + "Content-Language: en\n\nx",
		"an odd line":       head + "odd\n\nx",
		"an unknown coding": head + "Content-Transfer-Encoding: x-uue\n\nx",
		"hidden beside":     mixed(html, "Content-Type: image/png\nContent-ID: <i>\nContent-Disposition: attachment\n\nx"),
	} {
		if c, ok, err := Described(readingOf(t, crlf(raw))); ok || err != nil {
			t.Errorf("%s: described as %+v, %v", name, c, err)
		}
	}
	if _, ok, err := Described(readingOf(t, crlf(head+"\nx"))); !ok || err != nil {
		t.Errorf("a plain one is not described: %v", err)
	}
	r := readingOf(t, crlf(mixed(plain, "Content-Type: image/png\nContent-Disposition: attachment; filename=a.png\n\nPNG")))
	c, ok, err := Described(r)
	if !ok || err != nil || len(c.Attachments) != 1 {
		t.Fatalf("%v %v %+v", ok, err, c)
	}
	for range 2 {
		in, err := c.Attachments[0].Open()
		if err != nil {
			t.Fatal(err)
		}
		if b, err := io.ReadAll(in); err != nil || !bytes.Equal(b, []byte("PNG")) {
			t.Errorf("%q %v", b, err)
		}
	}
}
