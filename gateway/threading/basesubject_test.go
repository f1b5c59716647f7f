package threading

import (
	"strings"
	"testing"
)

// The rules of RFC 5256 section 2.1, each alone and then together.
func TestSortSubject(t *testing.T) {
	for _, tt := range []struct{ in, want string }{
		{"", ""},
		{"plan", "plan"},
		{" a \t b\r\n c ", "a b c"},
		{"plan (fwd)", "plan"},
		{"plan (FWD) (fwd) ", "plan"},
		{"(fwd)", ""},
		{"Re: plan", "plan"},
		{"re : plan", "plan"},
		{"RE [2] : plan", "plan"},
		{"Fw: plan", "plan"},
		{"fWd: plan", "plan"},
		{"Re: Fwd: re: plan", "plan"},
		{"Re:", ""},
		{"Re: (fwd)", ""},
		{"[list] plan", "plan"},
		{"[list] [sub] plan", "plan"},
		{"[list] Re: plan", "plan"},
		{"[list][sub] Re [x]: [again] plan", "plan"},
		{"[list]", "[list]"},
		{"[list] ", "[list]"},
		{"[a] [b]", "[b]"},
		{"Re: [list]", "[list]"},
		{"[list] Re:", ""},
		{"[a[b] plan", "[a[b] plan"},
		{"[open plan", "[open plan"},
		{"[Fwd: plan]", "plan"},
		{"[fwd: Re: plan (fwd)]", "plan"},
		{"[fwd: [fwd: plan]]", "plan"},
		{"Re: [fwd: plan] (fwd)", "plan"},
		{"[fwd: plan", "[fwd: plan"},
		{"[fwd:]", ""},
		{"Reply: plan", "Reply: plan"},
		{"Return", "Return"},
		{"AW: plan", "AW: plan"},
		{"Plan", "Plan"},
		{"pl\u00a0an", "pl\u00a0an"},
		{strings.Repeat("[a] ", 20_000) + "b", "b"}, // in time that grows with the length alone
		{strings.Repeat("[a] re: ", 20_000) + "b", "b"},
		{strings.Repeat("[fwd: ", 20_000) + "b" + strings.Repeat("]", 20_000), "b"},
	} {
		if got := SortSubject(tt.in); got != tt.want {
			t.Errorf("SortSubject(%.100q) = %.100q, want %q", tt.in, got, tt.want)
		}
	}
}

// What is a base subject is its own base subject, and no longer than it was.
func FuzzSortSubject(f *testing.F) {
	f.Add("Re: [list] [fwd: x (fwd)]")
	f.Add(strings.Repeat("[", 100) + strings.Repeat("[a] re:", 50))
	f.Fuzz(func(t *testing.T, s string) {
		base := SortSubject(s)
		if again := SortSubject(base); again != base || len(base) > len(s) {
			t.Errorf("%q: %q, then %q", s, base, again)
		}
	})
}
