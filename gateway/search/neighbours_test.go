package search_test

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/centerleap/postern/gateway"
	"github.com/centerleap/postern/gateway/search"
)

// Of a phrase of words that stand in nearly every message hardly any have to be looked at
// that do not hold it, also when its ends are parts of words, and after a merge.
func TestPhrase(t *testing.T) {
	r := rand.New(rand.NewPCG(4, 2))
	var m mail
	for n := range 2000 {
		var words []string
		for range 600 {
			words = append(words, fmt.Sprint("word", r.IntN(300)))
		}
		m.numbers = append(m.numbers, gateway.MessageNumber(n+1))
		m.texts = append(m.texts, []letter{{search.Body, strings.Join(words, " ")}})
		m.hidden = append(m.hidden, nil)
	}
	for _, n := range []int{7, 1500} {
		m.texts[n][0].text += "\n(word299) word298, word297 " + strings.Repeat("x", 100) + " word296"
	}
	whole := m.segment(1, 2000)
	merged, err := search.Merge([][]byte{m.segment(1, 900), m.segment(901, 2000)}, nil)
	if err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(whole, merged) {
		t.Error("a merge makes another segment")
	}
	for _, text := range []string{
		"word299) word298, word297", "299) word298, word29", "xx word296", " word298, word297 xx", "word297 " + strings.Repeat("x", 100) + " w",
	} {
		q := search.Query{Text: text, Fields: search.Text}
		sure, maybe := find(t, whole, q)
		check(t, "phrase", q, sure, maybe, m.scan(q))
		if len(maybe) > 40 {
			t.Errorf("%q: %d messages are to be looked at", text, len(maybe))
		}
	}
}
