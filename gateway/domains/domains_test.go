package domains

import (
	"strings"
	"testing"
	"time"
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

// What is far too long is refused before anything is made of it: a label of another
// script takes time by the square of its length, and anybody may name one at MAIL or RCPT.
func TestCanonicalLong(t *testing.T) {
	var long strings.Builder
	for r := rune(0x4e00); r < 0x4e00+20_000; r++ {
		long.WriteRune(r)
	}
	start := time.Now()
	if got, err := Canonical(long.String() + ".example"); err == nil {
		t.Errorf("%d bytes: %.100q", long.Len(), got)
	}
	if took := time.Since(start); took > time.Second {
		t.Errorf("it took %s", took)
	}
	labels := strings.TrimSuffix(strings.Repeat(strings.Repeat("é", 50)+".", 4), ".")
	if _, err := Canonical(labels); err != nil {
		t.Errorf("four long labels: %v", err)
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
