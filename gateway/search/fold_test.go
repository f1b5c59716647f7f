package search_test

import (
	"strings"
	"testing"

	"github.com/centerleap/postern/gateway/search"
)

// A Finder says what Contains says, however often it is asked and whatever it saw before;
// of the bytes of lines what it says of their text, or nothing.
func FuzzFinder(f *testing.F) {
	f.Add("Lunch on\r\nThursday?", "H ON", "another")
	f.Add("the [brackets] `around` {letters} @A-Z", "[BRACKETS] `AROUND` {letters} @a", "")
	f.Add("a Kelvin sign, 300 \u212a, is a letter", "300 k", "300 K")
	f.Add("nothing ends\x00here", "endshere", "ends")
	f.Add("on\r\nThursday", "on\nth", "\r")
	f.Add("broken \xff bytes", "", "\xff")
	f.Fuzz(func(t *testing.T, text, part, other string) {
		one := search.NewFinder(part)
		for _, s := range []string{other, text, text + other} {
			want := strings.Contains(naiveFold(s), naiveFold(part))
			if got := one.In(s); got != want {
				t.Errorf("%q in %q: %v, want %v", part, s, got, want)
			}
			if got := search.Contains(s, part); got != want {
				t.Errorf("Contains(%q, %q): %v, want %v", s, part, got, want)
			}
			read := strings.ReplaceAll(strings.ReplaceAll(s, "\r\n", "\n"), "\x00", "")
			want = strings.Contains(naiveFold(read), naiveFold(part))
			if got, known := one.InLines([]byte(s)); known && got != want {
				t.Errorf("%q in the lines %q: %v, want %v", part, s, got, want)
			}
		}
	})
}

// naiveFold writes ASCII as Fold does, letter by letter, and leaves the rest to it.
func naiveFold(s string) string {
	var b strings.Builder
	for _, r := range s {
		b.WriteString(search.Fold(string(r)))
	}
	return b.String()
}

// The text of a mail of people is looked at where it lies.
func TestFinderKnowsPlainLines(t *testing.T) {
	for _, tt := range []struct {
		raw, part    string
		found, known bool
	}{
		{"We are shipping\r\non Thursday", "SHIPPING", true, true},
		{"We are shipping\r\non Thursday", "receiving", false, true},
		{"Größe", "gr", false, false},
		{"dead\x00line", "deadline", false, false},
		{"on\r\nThursday", "on\nThursday", false, false},
	} {
		if found, known := search.NewFinder(tt.part).InLines([]byte(tt.raw)); found != tt.found || known != tt.known {
			t.Errorf("%q in %q: %v, %v", tt.part, tt.raw, found, known)
		}
	}
}

func BenchmarkFinder(b *testing.B) {
	raw := []byte(strings.Repeat("the plan for the deploy of our server is due tomorrow, please review\r\n", 64))
	f := search.NewFinder("shipping deploy deadline")
	b.SetBytes(int64(len(raw)))
	for b.Loop() {
		if found, known := f.InLines(raw); found || !known {
			b.Fatal(found, known)
		}
	}
}
