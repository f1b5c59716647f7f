package mailbox

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/centerleap/postern/gateway"
)

func TestReadTerms(t *testing.T) {
	for _, tt := range []struct{ q, want string }{
		{"one", "[[ONE]]"},
		{" one  Two ", "[[ONE] [TWO]]"},
		{`"one two" three`, "[[ONE TWO] [THREE]]"},
		{`a"b c"d`, "[[A] [B C] [D]]"},
		{`"one"`, "[[ONE]]"},
		{`"" x ""`, "[[X]]"},
		{`one "two three`, "[[ONE] [TWO] [THREE]]"},
		{`5" x 3"`, "[[5] [X 3]]"},
		{"ﬁn Σίσυφος", "[[ﬁN] [ΣΊΣΥΦΟΣ]]"},
		{"c++", "[[C++]]"},
		{`""`, "q holds no word"},
		{"\t", "q holds no word"},
		{strings.Repeat("a ", 20), "[" + strings.TrimSpace(strings.Repeat("[A] ", 20)) + "]"},
		{strings.Repeat("a ", 21), "q has over 20 words"},
		{`"` + strings.Repeat("a ", 21) + `"`, "q has over 20 words"},
		{strings.Repeat("a", 1025), "q is over 1024 bytes"},
	} {
		got, err := readTerms(tt.q, gateway.DefaultLimits())
		if s := fmt.Sprint(got); err == nil && s != tt.want || err != nil && err.Error() != tt.want {
			t.Errorf("%q: %s, %v, want %s", tt.q, s, err, tt.want)
		}
	}
}

// Hits are shown in brackets.
func TestSnippet(t *testing.T) {
	filler := strings.Repeat("filler ", 60)
	for _, tt := range []struct{ name, text, q, want string }{
		{"short", "hello world", "WORLD", "hello [world]"},
		{"parts of words", "swordfish words", "word", "s[word]fish [word]s"},
		{"several", "one two one three", "three one", "[one] two [one] [three]"},
		{"touching", "abab abc", "ab abc", "[abab] [abc]"},
		{"white space", "a\r\n\tb\u00a0 c", "b", "a [b] c"},
		{"a phrase over lines", "so hello\n  world", `"hello world"`, "so [hello world]"},
		{"letters of many bytes", "東京都庁 ﬁn ÅNGSTRÖM", "京都 ångström", "東[京都]庁 ﬁn [ÅNGSTRÖM]"},
		{"no hit", "nothing of it", "else", "nothing of it"},
		{"no text", "", "x", ""},
		{"not UTF-8", "a\xffb", "ab", "[ab]"},
		{"the end", filler + "needle", "needle", "…" + strings.Repeat("filler ", 7) + "[needle]"},
		{"the middle", filler + "needle " + filler, "needle", "…" + strings.Repeat("filler ", 7) + "[needle]" + strings.Repeat(" filler", 15) + "…"},
		{"the beginning", "needle " + filler, "needle", "[needle] " + strings.Repeat("filler ", 21) + "filler…"},
		{"one long word", strings.Repeat("x", 300) + "needle" + strings.Repeat("y", 300), "needle", "…" + strings.Repeat("x", 50) + "[needle]" + strings.Repeat("y", 104) + "…"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			terms, err := readTerms(tt.q, gateway.DefaultLimits())
			if err != nil {
				t.Fatal(err)
			}
			sn := newSnippet(tt.text, terms)
			marked := []rune(sn.Text)
			if len(marked) > snippetRunes+2 {
				t.Errorf("%d runes", len(marked))
			}
			for _, h := range slices.Backward(sn.Hits) {
				marked = []rune(string(marked[:h.Start]) + "[" + string(marked[h.Start:h.End]) + "]" + string(marked[h.End:]))
			}
			if string(marked) != tt.want {
				t.Errorf("%q, want %q", string(marked), tt.want)
			}
		})
	}
}
