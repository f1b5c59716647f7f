package content

import (
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/net/html"
	"golang.org/x/net/html/atom"

	"github.com/centerleap/postern/gateway"
)

func TestSanitize(t *testing.T) {
	tests := []struct{ name, doc, want string }{
		{"words", `<p>Hello <b>you</b> &amp; me</p>`, `<p>Hello <b>you</b> &amp; me</p>`},
		{"a whole document", `<!doctype html><html><head><title>t</title><style>p{color:red}</style></head><body bgcolor="#fff"><p>x</p></body></html>`, `<p>x</p>`},
		{
			"layout", `<table width="600" cellpadding="0" bgcolor="#eeeeee"><tr><td align="center" style="padding:10px 4px;color:#333">x</td></tr></table>`,
			`<table width="600" cellpadding="0" bgcolor="#eeeeee"><tr><td align="center" style="padding:10px 4px;color:#333">x</td></tr></table>`,
		},
		{"script", `<p>a<script>alert(1)</script>b</p>`, `<p>ab</p>`},
		{"handler", `<p onclick="x()" onmouseover=x()>a</p>`, `<p>a</p>`},
		{"form", `<form action="https://evil.example"><input name="a" value="b"><button>Go</button></form>`, `Go`},
		{"frame", `a<iframe src="https://evil.example">b</iframe><object data="x">c</object><embed src="x">d`, `ad`},
		{"foreign elements", `<svg><script>x</script><text>a</text></svg><math><style><img src=x onerror=x></style></math>`, `a`},
		{"meta and base", `<meta http-equiv="refresh" content="0;url=https://evil.example"><base href="https://evil.example"><link rel="stylesheet" href="https://evil.example/x.css">a`, `a`},
		{"style that loads", `<p style="background:url(https://evil.example/x);color:red">a</p>`, `<p style="color:red">a</p>`},
		{"style that loads, escaped", `<p style="background:\75rl(https://evil.example/x)">a</p>`, `<p>a</p>`},
		{"style that covers", `<p style="position:fixed;top:0;z-index:9;color:red">a</p>`, `<p style="color:red">a</p>`},
		{
			"style with much", `<p style="font-family:'A b',serif;color:RGBA(1, 2,3,.5)!important;COLOR: red ;x:y;behavior:a;width:expression(1);">a</p>`,
			`<p style="font-family:&#39;A b&#39;,serif;color:RGBA(1, 2,3,.5)!important;color:red">a</p>`,
		},
		{
			"link", `<a href="https://a.example/x?y=1&amp;z=2" title="lies" rel="opener" target="_self">t</a>`,
			`<a href="https://a.example/x?y=1&amp;z=2" title="https://a.example/x?y=1&amp;z=2" rel="noreferrer noopener" target="_top">t</a>`,
		},
		{"link that runs", `<a href="javascript:alert(1)">t</a>`, `<a>t</a>`},
		{"link to data", `<a href="data:image/png;base64,iVBORw0KGgo=">t</a>`, `<a>t</a>`},
		{"link of ours", `<a href="/ui/sign-out">t</a>`, `<a>t</a>`},
		{"image inside", `<img src="cid:a@b" alt="logo" width="10">`, `<img alt="logo" width="10" src="cid:a@b">`},
		{"image as data", `<img src="data:image/png;base64,iVBORw0KGgo=">`, `<img src="data:image/png;base64,iVBORw0KGgo=">`},
		{"image with code", `<img src="data:image/svg+xml;base64,PHN2Zy8+">`, `<img>`},
		{"image elsewhere", `<img src="https://t.example/p.gif" srcset="https://t.example/q.gif 2x" alt="x">`, `<img alt="x">`},
		{"background elsewhere", `<table background="https://t.example/p.gif"><tr><td>a</td></tr></table>`, `<table><tr><td>a</td></tr></table>`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got := Sanitize(tt.doc, gateway.DefaultLimits(), nil).HTML; got != tt.want {
				t.Errorf("got  %s\nwant %s", got, tt.want)
			}
		})
	}
}

func TestSanitizeLinks(t *testing.T) {
	tests := []struct {
		name, doc string
		want      Link
	}{
		{"words", `<a href="https://a.example/x">Read <b>more</b></a>`, Link{"Read more", "https://a.example/x", false}},
		{"same site", `<a href="https://click.shop.example/x">www.shop.example</a>`, Link{"www.shop.example", "https://click.shop.example/x", false}},
		{"another site", `<a href="https://evil.example/x">https://bank.example/login</a>`, Link{"https://bank.example/login", "https://evil.example/x", true}},
		{"another site of a shared suffix", `<a href="https://evil.co.uk/">bank.co.uk</a>`, Link{"bank.co.uk", "https://evil.co.uk/", true}},
		{"an address", `<a href="mailto:a@b.example?subject=x">a@b.example</a>`, Link{"a@b.example", "mailto:a@b.example?subject=x", false}},
		{"another address", `<a href="mailto:a@evil.example">a@b.example</a>`, Link{"a@b.example", "mailto:a@evil.example", true}},
		{"an image", `<a href="https://a.example/"><img src="cid:x" alt="Our shop"></a>`, Link{"Our shop", "https://a.example/", false}},
		{"never closed", `<p><a href="https://a.example/">x`, Link{"x", "https://a.example/", false}},
		{"escaped", `<a href="https://a.example/?a=1&amp;b=2">&amp;amp;</a>`, Link{"&amp;", "https://a.example/?a=1&b=2", false}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got := Sanitize(tt.doc, gateway.DefaultLimits(), nil).Links; len(got) != 1 || got[0] != tt.want {
				t.Errorf("got %+v, want %+v", got, tt.want)
			}
		})
	}
}

// An image elsewhere is loaded as somebody says, or not at all.
func TestSanitizeRemote(t *testing.T) {
	doc := `<img src="https://t.example/1.png"><img src="http://t.example/2.png"><img src="https://t.example/1.png"><img src="//t.example/3.png">`
	s := Sanitize(doc, gateway.DefaultLimits(), func(u string) string {
		if strings.HasPrefix(u, "https:") {
			return "/proxy?u=" + url.QueryEscape(u)
		}
		return ""
	})
	if want := []string{"https://t.example/1.png", "http://t.example/2.png"}; !slices.Equal(s.Images, want) {
		t.Errorf("images %q, want %q", s.Images, want)
	}
	if want := `<img src="/proxy?u=https%3A%2F%2Ft.example%2F1.png">`; s.HTML != want+`<img>`+want+`<img>` {
		t.Errorf("got %s", s.HTML)
	}
}

func TestSanitizeBounds(t *testing.T) {
	lim := gateway.DefaultLimits()
	lim.HTMLBytes, lim.HTMLLinks, lim.RemoteImages = 400, 2, 1
	tests := []struct {
		name, doc string
		cut       bool
	}{
		{"fits", `<p>x</p>`, false},
		{"too long", strings.Repeat("é", 201), true},
		{"too many links", strings.Repeat(`<a href="https://a.example/">x</a>`, 3), true},
		{"too many images", `<img src="https://a.example/1"><img src="https://a.example/2">`, true},
		{"one image often", `<img src="https://a.example/1"><img src="https://a.example/1">`, false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s := Sanitize(tt.doc, lim, nil)
			if s.Cut != tt.cut || len(s.Links) > 2 || len(s.Images) > 1 {
				t.Errorf("cut is %v, %d links, %d images", s.Cut, len(s.Links), len(s.Images))
			}
		})
	}
}

// What is made to cost much stays cheap: bluemonday's own reader of styles takes four minutes
// for the braces. The bound is a hundred times what the slowest takes.
func TestSanitizeCost(t *testing.T) {
	lim := gateway.DefaultLimits()
	n := int(lim.HTMLBytes / 4)
	for name, doc := range map[string]string{
		"deep":            strings.Repeat("<div>", n/5),
		"never closed":    strings.Repeat("<a href=\"https://a.example/\">", n/28),
		"one long style":  `<p style="` + strings.Repeat("color:red;", n/10) + `">`,
		"broken style":    `<p style="` + strings.Repeat("{", n-20) + `">`,
		"quotes in style": `<p style="` + strings.Repeat("'", n-20) + `">`,
		"one long name":   `<` + strings.Repeat("a", n-5) + `>`,
		"many attributes": `<p ` + strings.Repeat("a=1 ", n/4-5) + `>`,
		"comments":        strings.Repeat("<!--", n/4),
	} {
		start := time.Now()
		Sanitize(doc, lim, nil)
		if took := time.Since(start); took > 30*time.Second {
			t.Errorf("%s took %v", name, took)
		} else {
			t.Logf("%s took %v", name, took)
		}
	}
}

func FuzzSanitize(f *testing.F) {
	for _, seed := range []string{
		`<math><mtext><table><mglyph><style><!--</style><img title="--&gt;&lt;img src=1 onerror=alert(1)&gt;">`,
		`<svg><style><img src=x onerror=x></style>`, `<noscript><p title="</noscript><img src=x onerror=x>">`,
		`<a href="java&#10;script:x">t</a>`, `<img src="https://a.example/x" srcset=x>`, `<p style="color:red;background:url(x)">`,
		`<a href="https://a"title='"onclick="x'>`, `<img src=" https://a.example/">`, `<table background=x><td style=width:expression(x)>`,
	} {
		f.Add(seed)
	}
	lim := gateway.DefaultLimits()
	f.Fuzz(func(t *testing.T, doc string) {
		s := Sanitize(doc, lim, nil)
		nodes, err := html.ParseFragment(strings.NewReader(s.HTML), &html.Node{Type: html.ElementNode, Data: "body", DataAtom: atom.Body})
		if err != nil {
			return // browsers build no tree of it either: too deep
		}
		for _, root := range nodes {
			for n := range root.Descendants() {
				harmless(t, doc, n)
			}
			harmless(t, doc, root)
		}
	})
}

// harmless fails for an element that could act, or load anything from elsewhere.
func harmless(t *testing.T, doc string, n *html.Node) {
	if n.Type != html.ElementNode {
		return
	}
	if n.Namespace != "" || slices.Contains(strings.Fields("script style iframe object embed form input button link meta base video audio source template noscript svg math frame"), n.Data) {
		t.Errorf("%q leaves <%s>", doc, n.Data)
	}
	for _, a := range n.Attr {
		low := strings.ToLower(strings.TrimSpace(a.Val))
		scheme, _, _ := strings.Cut(low, ":")
		switch {
		case strings.HasPrefix(a.Key, "on"), a.Key == "srcset", a.Key == "background", a.Key == "action", a.Key == "class":
			t.Errorf("%q leaves %s", doc, a.Key)
		case a.Key == "style" && strings.ContainsAny(low, `\@<>{}`), a.Key == "style" && strings.Contains(low, "url("):
			t.Errorf("%q leaves the style %q", doc, a.Val)
		case a.Key == "src" && scheme != "cid" && scheme != "data":
			t.Errorf("%q loads %q", doc, a.Val)
		case a.Key == "href" && !linkSchemes[scheme]:
			t.Errorf("%q links to %q", doc, a.Val)
		}
	}
}
