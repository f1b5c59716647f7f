package content

import (
	"regexp"
	"strings"
)

// harmlessStyle leaves of a style attribute what says how something looks where it
// stands: nothing that loads, runs, or lifts it off its place. It reads declarations as
// CSS Style Attributes section 3 has them, by their separators alone: what is cut
// wrongly, as within quotes, matches nothing.
func harmlessStyle(style string) string {
	var kept []string
	for decl := range strings.SplitSeq(style, ";") {
		name, value, _ := strings.Cut(decl, ":")
		name, value = strings.ToLower(strings.TrimSpace(name)), strings.TrimSpace(value)
		if mailStyles[name] && plainStyle.MatchString(value) {
			kept = append(kept, name+":"+value)
		}
	}
	return strings.Join(kept, ";")
}

// plainStyle knows no function but those of colours, so none that loads anything, and no
// escape.
var plainStyle = regexp.MustCompile(`(?i)^([a-z0-9 #%.,'"/+-]|(rgb|hsl)a?\([0-9., %/]+\))+( ?!important)?$`)

// mailStyles are the properties that mail is laid out with.
var mailStyles = setOf(`
	background background-color border border-top border-right border-bottom border-left border-color border-style border-width
	border-top-width border-right-width border-bottom-width border-left-width border-top-style border-right-style border-bottom-style border-left-style
	border-top-color border-right-color border-bottom-color border-left-color border-radius border-collapse border-spacing
	margin margin-top margin-right margin-bottom margin-left padding padding-top padding-right padding-bottom padding-left
	width height min-width max-width min-height max-height box-sizing display float clear vertical-align table-layout caption-side
	color font font-family font-size font-style font-variant font-weight line-height letter-spacing word-spacing
	text-align text-decoration text-indent text-transform white-space word-break word-wrap overflow-wrap direction list-style list-style-type`)

// setOf is the set of the words of a text.
func setOf(text string) map[string]bool {
	set := make(map[string]bool)
	for w := range strings.FieldsSeq(text) {
		set[w] = true
	}
	return set
}
