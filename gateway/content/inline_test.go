package content

import (
	"errors"
	"testing"
)

// Images that are shown are replaced; all else stays as it was, byte for byte.
func TestInlineImages(t *testing.T) {
	image := func(id string) (string, error) {
		switch id {
		case "a@b":
			return `data:image/png;base64,"AA==`, nil
		case "broken":
			return "", errors.New("broken")
		}
		return "", nil
	}
	for _, tt := range []struct{ name, doc, want string }{
		{"no image", "<P>cid:a@b\r\n<br/ >&nbsp;", "<P>cid:a@b\r\n<br/ >&nbsp;"},
		{"an image", `<IMG  SRC=cid:a@b><p>`, `<img src="data:image/png;base64,&#34;AA=="><p>`},
		{"encoded, in capitals", `<img alt="x" src=" CID:a%40b " />`, `<img alt="x" src="data:image/png;base64,&#34;AA=="/>`},
		{"an unknown one", `<img src="cid:c@d" >`, `<img src="cid:c@d" >`},
		{"a background", `<td background="cid:a@b">`, `<td background="data:image/png;base64,&#34;AA==">`},
		{"a frame", `<iframe src="cid:a@b"></iframe>`, `<iframe src="cid:a@b"></iframe>`},
		{"a link", `<a href="cid:a@b">x</a>`, `<a href="cid:a@b">x</a>`},
		{"inside a comment", `<!-- <img src="cid:a@b"> -->`, `<!-- <img src="cid:a@b"> -->`},
		{"inside a script", `<script>'<img src="cid:a@b">'</script>`, `<script>'<img src="cid:a@b">'</script>`},
		{"cut short", `<p>x<img src="cid:a@b"`, `<p>x<img src="cid:a@b"`},
		{"badly encoded", `<img src="cid:a%4">`, `<img src="cid:a%4">`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if got, err := InlineImages(tt.doc, image); got != tt.want || err != nil {
				t.Errorf("%s, %v, want %s", got, err, tt.want)
			}
		})
	}
	if got, err := InlineImages(`<img src="cid:broken">`, image); err == nil {
		t.Errorf("an image that can't be read: %s", got)
	}
}

// With nothing to put in, a text stays what it was, whatever it is.
func FuzzInlineImages(f *testing.F) {
	for _, s := range []string{`<img src="cid:x"><p>`, "<![CDATA[cid:", "<textarea>cid:</textarea", "a\x00<b cid:\xff>", "<plaintext><img src=cid:1>"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, doc string) {
		got, err := InlineImages(doc, func(string) (string, error) { return "", nil })
		if err != nil || got != doc {
			t.Errorf("%q became %q, %v", doc, got, err)
		}
	})
}
