package content

import (
	"errors"
	"io"
	"net/url"
	"strings"

	"golang.org/x/net/html"
	"golang.org/x/net/html/atom"
)

// InlineImages replaces the cid: URLs of images in an HTML text by what image says
// to put there; with an empty answer a URL stays. Everything else stays byte for
// byte. Images are img and input elements and the background of an element. RFC
// 2392 section 2.
func InlineImages(doc string, image func(contentID string) (string, error)) (string, error) {
	if !strings.Contains(strings.ToLower(doc), "cid:") {
		return doc, nil
	}
	var out strings.Builder
	z := html.NewTokenizer(strings.NewReader(doc))
	for {
		kind := z.Next()
		if kind == html.ErrorToken {
			if !errors.Is(z.Err(), io.EOF) {
				return "", z.Err()
			}
			out.Write(z.Raw())
			return out.String(), nil
		}
		raw := string(z.Raw()) // z.Token may change what is behind it
		if kind == html.StartTagToken || kind == html.SelfClosingTagToken {
			t := z.Token()
			changed, err := inlineToken(&t, image)
			if err != nil {
				return "", err
			}
			if changed {
				raw = t.String()
			}
		}
		out.WriteString(raw)
	}
}

// inlineToken replaces the URLs of one tag.
func inlineToken(t *html.Token, image func(string) (string, error)) (changed bool, err error) {
	for i := range t.Attr {
		a := &t.Attr[i]
		shown := a.Key == "background" || a.Key == "src" && (t.DataAtom == atom.Img || t.DataAtom == atom.Input)
		id, ok := contentID(a.Val)
		if !shown || !ok {
			continue
		}
		v, err := image(id)
		if err != nil {
			return false, err
		}
		if v != "" {
			a.Val, changed = v, true
		}
	}
	return changed, nil
}

// contentID is what a cid: URL names.
func contentID(v string) (string, bool) {
	v = strings.TrimSpace(v)
	if len(v) < 5 || !strings.EqualFold(v[:4], "cid:") {
		return "", false
	}
	id, err := url.PathUnescape(v[4:])
	return id, err == nil
}
