package content

import (
	"errors"
	"io"
	"strings"

	"golang.org/x/net/html"
	"golang.org/x/net/html/atom"
)

// VisibleText is the text that a reader of the HTML sees: what a style hides is
// left out, and hidden says that something was. Text that people don't see but
// programs read is how instructions are smuggled to agents.
//
// It reads tokens, not a tree, so nesting costs nothing.
func VisibleText(doc string) (text string, hidden bool) {
	var v visible
	z := html.NewTokenizer(strings.NewReader(doc))
	z.SetMaxBuf(1 << 20) // of one token
	for {
		switch z.Next() {
		case html.ErrorToken:
			if !errors.Is(z.Err(), io.EOF) {
				v.hidden = true // a token too large to be seen
			}
			return strings.TrimSpace(v.out.String()), v.hidden
		case html.TextToken:
			v.text(string(z.Text()))
		case html.StartTagToken, html.SelfClosingTagToken:
			v.start(z.Token())
		case html.EndTagToken:
			v.end(z.Token())
		}
	}
}

// visible collects text outside of what is skipped.
type visible struct {
	out    strings.Builder
	hidden bool
	name   string
	depth  int  // of elements of that name inside it
	styled bool // it is skipped for its style
	space  bool
	lines  int // line ends owed before the next text
}

// Elements that never show text, that break the line, and that have no end.
var (
	silent = map[atom.Atom]bool{
		atom.Head: true, atom.Script: true, atom.Style: true, atom.Title: true, atom.Template: true,
		atom.Noscript: true, atom.Object: true, atom.Iframe: true, atom.Svg: true, atom.Select: true, atom.Textarea: true,
	}
	breaks = map[atom.Atom]int{
		atom.P: 2, atom.Div: 1, atom.Br: 1, atom.Tr: 1, atom.Li: 1, atom.Ul: 1, atom.Ol: 1, atom.Table: 1, atom.Hr: 1,
		atom.H1: 2, atom.H2: 2, atom.H3: 2, atom.H4: 2, atom.H5: 2, atom.H6: 2, atom.Blockquote: 1, atom.Pre: 1,
		atom.Section: 1, atom.Article: 1, atom.Header: 1, atom.Footer: 1, atom.Body: 1, atom.Form: 1, atom.Dd: 1, atom.Dt: 1,
	}
	void = map[atom.Atom]bool{
		atom.Area: true, atom.Base: true, atom.Br: true, atom.Col: true, atom.Embed: true, atom.Hr: true, atom.Img: true,
		atom.Input: true, atom.Link: true, atom.Meta: true, atom.Source: true, atom.Track: true, atom.Wbr: true,
	}
)

func (v *visible) start(t html.Token) {
	if v.name != "" {
		if t.Data == v.name && t.Type == html.StartTagToken {
			v.depth++
		}
		return
	}
	v.owe(breaks[t.DataAtom])
	if t.DataAtom == atom.Td || t.DataAtom == atom.Th {
		v.space = true
	}
	styled := isHidden(t.Attr)
	if (styled || silent[t.DataAtom]) && !void[t.DataAtom] && t.Type == html.StartTagToken {
		v.name, v.depth, v.styled = t.Data, 1, styled
	}
}

func (v *visible) end(t html.Token) {
	if v.name == "" {
		v.owe(breaks[t.DataAtom])
		return
	}
	if t.Data == v.name {
		if v.depth--; v.depth == 0 {
			v.name = ""
		}
	}
}

func (v *visible) owe(n int) { v.lines = max(v.lines, n) }

func (v *visible) text(s string) {
	if v.name != "" {
		if v.styled && strings.TrimSpace(s) != "" {
			v.hidden = true
		}
		return
	}
	for word := range strings.FieldsSeq(s) {
		v.gap(v.space || startsWithSpace(s))
		v.out.WriteString(word)
		v.space = true
	}
	if strings.TrimSpace(s) != "" {
		v.space = endsWithSpace(s)
	} else if s != "" {
		v.space = true
	}
}

// gap writes what is owed between two words.
func (v *visible) gap(space bool) {
	switch {
	case v.out.Len() == 0:
	case v.lines > 0:
		v.out.WriteString(strings.Repeat("\n", v.lines))
	case space:
		v.out.WriteByte(' ')
	}
	v.lines = 0
}

func startsWithSpace(s string) bool { return s != "" && strings.TrimLeft(s, " \t\r\n\f") != s }
func endsWithSpace(s string) bool   { return s != "" && strings.TrimRight(s, " \t\r\n\f") != s }

// isHidden reports whether an element's own attributes hide it.
func isHidden(attrs []html.Attribute) bool {
	for _, a := range attrs {
		if a.Key == "hidden" {
			return true
		}
		if a.Key != "style" {
			continue
		}
		for decl := range strings.SplitSeq(strings.ToLower(a.Val), ";") {
			prop, val, _ := strings.Cut(decl, ":")
			val, _, _ = strings.Cut(strings.TrimSpace(val), "!")
			if hidesText(strings.TrimSpace(prop), strings.TrimSpace(val)) {
				return true
			}
		}
	}
	return false
}

func hidesText(prop, val string) bool {
	switch prop {
	case "display":
		return val == "none"
	case "visibility":
		return val == "hidden" || val == "collapse"
	case "mso-hide":
		return val == "all"
	case "opacity", "font-size", "max-height", "max-width":
		return strings.Trim(val, "0.pxemrt%") == "" && strings.HasPrefix(val, "0")
	}
	return false
}
