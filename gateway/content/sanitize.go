package content

import (
	"net/url"
	"regexp"
	"strings"
	"sync"

	"github.com/microcosm-cc/bluemonday"
	"golang.org/x/net/html"
	"golang.org/x/net/html/atom"
	"golang.org/x/net/publicsuffix"

	"github.com/centerleap/postern/gateway"
)

// Sanitized is the HTML of a mail as it may be shown.
type Sanitized struct {
	HTML   string   // elements that stand in a body
	Images []string // URLs of images that are elsewhere, each once, in order
	Links  []Link
	Cut    bool // there was more, or there were more links or images
}

// Link is where a link of a mail leads.
type Link struct {
	Text  string // what people read
	URL   string
	Other bool // the text names another site than the link leads to
}

// Sanitize leaves of an HTML text what shows a mail and nothing that acts: no script,
// form, frame, style sheet or foreign element; of styles what loads nothing and covers
// nothing. Links say where they lead and tell nobody where from. Images are data URIs, cid:
// URLs, and what remote says to load for one that is elsewhere: with an empty answer, or
// without remote, its place stays empty.
//
// What shows the result still has to hold it by a Content-Security-Policy: this is the
// second wall, not the first.
func Sanitize(doc string, lim gateway.Limits, remote func(imageURL string) string) Sanitized {
	s := sanitizing{lim: lim, remote: remote, seen: make(map[string]bool)}
	if int64(len(doc)) > lim.HTMLBytes {
		doc, s.out.Cut = strings.ToValidUTF8(doc[:lim.HTMLBytes], ""), true
	}
	s.tokens(mailPolicy().Sanitize(doc))
	return s.out
}

// sanitizing is one mail on its way through Sanitize.
type sanitizing struct {
	lim    gateway.Limits
	remote func(string) string
	seen   map[string]bool // images
	out    Sanitized
	link   *Link // that is open
	text   strings.Builder
}

// tokens completes the links and images of what the policy has left.
func (s *sanitizing) tokens(doc string) {
	var b strings.Builder
	for z := html.NewTokenizer(strings.NewReader(doc)); ; {
		kind := z.Next()
		if kind == html.ErrorToken {
			break // the end: a text can't fail to be read
		}
		raw := string(z.Raw()) // z.Token may change what is behind it
		switch kind {
		case html.TextToken:
			s.read(string(z.Text()))
		case html.StartTagToken, html.SelfClosingTagToken:
			t := z.Token()
			if s.tag(&t) {
				raw = t.String()
			}
		case html.EndTagToken:
			if name, _ := z.TagName(); string(name) == "a" {
				s.close()
			}
		}
		b.WriteString(raw)
	}
	s.close()
	s.out.HTML = b.String()
}

// tag completes one tag; false if nothing changes.
func (s *sanitizing) tag(t *html.Token) (changed bool) {
	if style := take(t, "style"); style != "" {
		changed = true
		if style = harmlessStyle(style); style != "" {
			t.Attr = append(t.Attr, html.Attribute{Key: "style", Val: style})
		}
	}
	switch t.DataAtom {
	case atom.A, atom.Area:
		s.open(t)
	case atom.Img:
		s.image(t)
	default:
		return changed
	}
	return true
}

// read notes the text of an open link.
func (s *sanitizing) read(text string) {
	if s.link != nil && s.text.Len() < maxLinkText {
		s.text.WriteString(text)
	}
}

// maxLinkText is what is told of the text of a link, in bytes. Ours.
const maxLinkText = 200

// open begins a link: it says where it leads, and leads there in the whole window or,
// in a frame that may not, nowhere.
func (s *sanitizing) open(t *html.Token) {
	s.close()
	target := take(t, "href")
	take(t, "rel")
	take(t, "title")
	if u, err := url.Parse(target); err != nil || !linkSchemes[strings.ToLower(u.Scheme)] {
		return
	}
	t.Attr = append(
		t.Attr,
		html.Attribute{Key: "href", Val: target}, html.Attribute{Key: "title", Val: target},
		html.Attribute{Key: "rel", Val: "noreferrer noopener"}, html.Attribute{Key: "target", Val: "_top"},
	)
	s.link = &Link{URL: target}
	if t.DataAtom == atom.Area { // it has no end
		s.close()
	}
}

var linkSchemes = map[string]bool{"http": true, "https": true, "mailto": true, "tel": true}

// close ends the open link, if there is one.
func (s *sanitizing) close() {
	if s.link == nil {
		return
	}
	s.link.Text = strings.Join(strings.Fields(strings.ToValidUTF8(s.text.String(), "")), " ")
	s.link.Other = namesOther(s.link)
	if int64(len(s.out.Links)) < s.lim.HTMLLinks {
		s.out.Links = append(s.out.Links, *s.link)
	} else {
		s.out.Cut = true
	}
	s.link = nil
	s.text.Reset()
}

// image settles where an image comes from.
func (s *sanitizing) image(t *html.Token) {
	src := take(t, "src")
	for _, a := range t.Attr {
		if a.Key == "alt" {
			s.read(a.Val)
		}
	}
	u, err := url.Parse(src)
	if src == "" || err != nil {
		return
	}
	switch strings.ToLower(u.Scheme) {
	case "http", "https":
		src = s.elsewhere(src)
	case "data":
		if media, _, _ := strings.Cut(u.Opaque, ";"); !gateway.ShownImage(media) {
			return
		}
	}
	if src == "" {
		return
	}
	t.Attr = append(t.Attr, html.Attribute{Key: "src", Val: src})
}

// elsewhere is what to load for an image that is not in the mail.
func (s *sanitizing) elsewhere(src string) string {
	if !s.seen[src] {
		if int64(len(s.out.Images)) >= s.lim.RemoteImages {
			s.out.Cut = true
			return ""
		}
		s.seen[src] = true
		s.out.Images = append(s.out.Images, src)
	}
	if s.remote == nil {
		return ""
	}
	return s.remote(src)
}

// take removes an attribute and returns its value.
func take(t *html.Token, name string) (value string) {
	kept := t.Attr[:0]
	for _, a := range t.Attr {
		if a.Key != name {
			kept = append(kept, a)
		} else if value == "" {
			value = a.Val
		}
	}
	t.Attr = kept
	return value
}

// namesOther reports whether the text of a link is itself an address of the web or of
// mail, and one of another site.
func namesOther(l *Link) bool {
	said, leads := siteOf(l.Text), siteOf(l.URL)
	return said != "" && leads != "" && said != leads
}

// siteOf is the domain that somebody has registered, of a text that is an address; else
// empty.
func siteOf(text string) string {
	text = strings.ToLower(strings.TrimSpace(text))
	if strings.ContainsAny(text, " \t") || !strings.Contains(text, ".") {
		return ""
	}
	text = strings.TrimPrefix(text, "mailto:")
	if at := strings.LastIndexByte(text, '@'); at >= 0 && !strings.Contains(text, "://") {
		text, _, _ = strings.Cut(text[at+1:], "?")
	}
	if !strings.Contains(text, "://") {
		text = "https://" + text
	}
	u, err := url.Parse(text)
	if err != nil {
		return ""
	}
	site, err := publicsuffix.EffectiveTLDPlusOne(strings.TrimSuffix(u.Hostname(), "."))
	if err != nil {
		return u.Hostname()
	}
	return site
}

// mailPolicy is what may stand in a mail: bluemonday's rules for what users write, with
// the attributes and styles that mail is laid out with.
var mailPolicy = sync.OnceValue(func() *bluemonday.Policy {
	p := bluemonday.UGCPolicy()
	p.AllowRelativeURLs(false) // they would be ours
	p.AllowURLSchemes("http", "https", "mailto", "tel", "cid")
	p.AllowDataURIImages()
	p.AllowElements("center", "font", "u", "s", "big")
	p.AllowNoAttrs().OnElements("a", "img", "font")
	p.AllowAttrs("alt").OnElements("img")
	p.AllowAttrs("bgcolor", "color").Matching(plainColour).OnElements("table", "tbody", "thead", "tfoot", "tr", "td", "th", "font")
	p.AllowAttrs("width", "height", "cellpadding", "cellspacing", "border", "hspace", "vspace", "size").Matching(plainNumber).
		OnElements("table", "tr", "td", "th", "img", "hr", "col", "colgroup", "font")
	p.AllowAttrs("align", "valign").Matching(plainWord).OnElements("table", "tbody", "thead", "tfoot", "tr", "td", "th", "div", "p", "img", "hr", "h1", "h2", "h3", "h4", "h5", "h6")
	p.AllowAttrs("face").Matching(plainFace).OnElements("font")
	p.AllowAttrs("style").Globally() // which the tokens are held to, below
	return p
})

var (
	plainColour = regexp.MustCompile(`(?i)^(#?[0-9a-f]{3,8}|[a-z]{3,24})$`)
	plainNumber = regexp.MustCompile(`^[+-]?[0-9]{1,5}(\.[0-9]{1,4})?(%|px)?$`)
	plainFace   = regexp.MustCompile(`(?i)^[a-z0-9 ,'"-]{1,200}$`)
	plainWord   = regexp.MustCompile(`(?i)^[a-z]{1,16}$`)
)
