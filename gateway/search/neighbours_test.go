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

// Of mail of few words each has all pairs of them; where three follow each other is known
// still. Messages of many words among it, or beside it, lose none of theirs.
func TestPhraseOfFewWords(t *testing.T) {
	r := rand.New(rand.NewPCG(5, 2))
	text := func(n, of int) string {
		var words []string
		for range n {
			words = append(words, fmt.Sprint("word", r.IntN(of)))
		}
		return strings.Join(words, []string{" ", ", ", "\n"}[r.IntN(3)])
	}
	var m mail
	for n := range 1500 {
		texts := []letter{{search.Body, text(600, 32)}}
		switch n % 10 {
		case 7:
			texts = append(texts, letter{search.Body, text(60, 32)}) // of two texts
		case 8:
			texts = []letter{{search.Body, text(100, 40)}} // none
		}
		m.numbers = append(m.numbers, gateway.MessageNumber(n+1))
		m.texts, m.hidden = append(m.texts, texts), append(m.hidden, nil)
	}
	whole := m.segment(1, 1500)
	merged, err := search.Merge([][]byte{m.segment(1, 700), m.segment(701, 1500)}, nil)
	if err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(whole, merged) {
		t.Error("a merge makes another segment")
	}
	found, looked := 0, 0
	for range 300 {
		line := strings.FieldsFunc(m.texts[r.IntN(1500)][0].text, func(c rune) bool { return c == ' ' || c == ',' || c == '\n' })
		from := r.IntN(len(line) - 5)
		q := search.Query{Text: strings.Join(line[from:from+3+r.IntN(3)], pickSpace(r)), Fields: search.Body}
		q.Text = q.Text[r.IntN(3) : len(q.Text)-r.IntN(2)]
		sure, maybe := find(t, whole, q)
		want := m.scan(q)
		check(t, "phrase", q, sure, maybe, want)
		found, looked = found+len(want), looked+len(maybe)
	}
	if unknown := 300 * 1500 / 5; looked > found+unknown/2 {
		t.Errorf("%d messages are looked at for %d", looked, found)
	}
}

func pickSpace(r *rand.Rand) string { return []string{" ", ", ", "\n"}[r.IntN(3)] }
