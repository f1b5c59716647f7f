package domains

import (
	"strings"
	"testing"
)

func TestCanonical(t *testing.T) {
	for in, want := range map[string]string{
		"Example.COM": "example.com", "example.com.": "example.com", "bücher.example": "xn--bcher-kva.example", "demo.localhost": "demo.localhost",
		"a.b.c.example": "a.b.c.example",
		"":              "", "localhost": "", "example..com": "", "-a.example": "", "a b.example": "", "1.2.3.4": "", "exa_mple!.com": "",
		strings.Repeat("a", 64) + ".example": "", strings.Repeat("a.", 130) + "example": "", "a.example/x": "",
	} {
		got, err := Canonical(in)
		if got != want || (err != nil) != (want == "") {
			t.Errorf("Canonical(%q) = %q, %v, want %q", in, got, err, want)
		}
	}
}

func FuzzCanonical(f *testing.F) {
	f.Add("Example.com")
	f.Add("ßharp.example")
	f.Fuzz(func(t *testing.T, s string) {
		name, err := Canonical(s)
		if err != nil {
			return
		}
		if again, err := Canonical(name); err != nil || again != name {
			t.Errorf("%q: %q, then %q, %v", s, name, again, err)
		}
	})
}
