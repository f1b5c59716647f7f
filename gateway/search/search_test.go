package search_test

import (
	"testing"

	"github.com/centerleap/postern/gateway/search"
)

func TestContains(t *testing.T) {
	for _, c := range []struct {
		text, part string
		want       bool
	}{
		{"Lunch on Thursday?", "lunch", true},
		{"Lunch on Thursday?", "H ON T", true},
		{"Lunch on Thursday?", "dinner", false},
		{"anything", "", true},
		{"Größe ΣΊΣΥΦΟΣ", "größe σίσυφος", true},
		{"300 K", "300 \u212a", true}, // KELVIN SIGN is a k
		{"broken \xff bytes", "BYTES", true},
	} {
		if got := search.Contains(c.text, c.part); got != c.want {
			t.Errorf("%q in %q: %v", c.part, c.text, got)
		}
	}
}
