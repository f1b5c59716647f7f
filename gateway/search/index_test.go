package search_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/centerleap/postern/gateway"
	"github.com/centerleap/postern/gateway/search"
)

// letter is a message's text in one field.
type letter struct {
	field search.Fields
	text  string
}

// mail is messages by number, some of which the index does not know whole.
type mail struct {
	numbers []gateway.MessageNumber
	texts   [][]letter
	hidden  [][]letter // not added: the fields are to be looked at
}

var fields = []search.Fields{search.From, search.To, search.Cc, search.Bcc, search.Subject, search.Header, search.Body}

// pieces are what random texts are made of: many share letters, so that parts of them
// are found in others.
var pieces = []string{
	"a", "ab", "aba", "Abba", "b", "ß", "É", "e\u0301", "\u03a3\u03af\u03c3", "x1", "007", " ", " ", ", ", "-", "\n", "漢", "漢字", "字仮名かな", "ภาษาไทย", "한국어",
	strings.Repeat("ab", 40), strings.Repeat("xyz", 70), strings.Repeat("é1", 50), "\xff", "\x00",
}

func randomText(r *rand.Rand, most int) string {
	var b strings.Builder
	for range r.IntN(most) {
		b.WriteString(pieces[r.IntN(len(pieces))])
	}
	return b.String()
}

func randomMail(r *rand.Rand, first gateway.MessageNumber, n int) (m mail) {
	at := first - 1
	for range n {
		at += gateway.MessageNumber(1 + r.IntN(3))
		var texts, hidden []letter
		for range r.IntN(5) {
			l := letter{fields[r.IntN(len(fields))], randomText(r, 8)}
			if texts = append(texts, l); r.IntN(20) == 0 {
				texts, hidden = texts[:len(texts)-1], append(hidden, l)
			}
		}
		m.numbers, m.texts, m.hidden = append(m.numbers, at), append(m.texts, texts), append(m.hidden, hidden)
	}
	return m
}

func (m *mail) segment(first, last gateway.MessageNumber) []byte {
	b := search.NewBuilder(first)
	for i, n := range m.numbers {
		if n < first || n > last {
			continue
		}
		b.Begin(n)
		for _, l := range m.texts[i] {
			b.Add(l.field, l.text)
		}
		for _, l := range m.hidden[i] {
			b.Look(l.field)
		}
	}
	return b.Segment(last)
}

// scan is what a query means.
func (m *mail) scan(q search.Query) (all []gateway.MessageNumber) {
	for i, n := range m.numbers {
		if slices.ContainsFunc(append(slices.Clone(m.texts[i]), m.hidden[i]...), func(l letter) bool {
			text := l.text
			if q.AnySpace {
				text = strings.Join(strings.Fields(text), " ")
			}
			return l.field&q.Fields != 0 && search.Contains(text, q.Text)
		}) {
			all = append(all, n)
		}
	}
	return all
}

// randomQuery cuts a text out of a message, or makes one.
func (m *mail) randomQuery(r *rand.Rand) search.Query {
	q := search.Query{Fields: search.Fields(1 + r.IntN(int(search.Text)))}
	if r.IntN(3) == 0 {
		q.Fields = fields[r.IntN(len(fields))]
	}
	if i := r.IntN(len(m.texts)); r.IntN(4) > 0 && len(m.texts[i]) > 0 {
		if text := m.texts[i][r.IntN(len(m.texts[i]))].text; text != "" {
			from := r.IntN(len(text))
			q.Text = text[from : from+1+r.IntN(min(len(text)-from, 90))] // it may cut a character in two
			if words := strings.Fields(q.Text); len(words) > 1 && r.IntN(2) == 0 {
				q.Text, q.AnySpace = strings.Join(words, " "), true
			}
			return q
		}
	}
	q.Text = randomText(r, 4)
	return q
}

func find(t testing.TB, raw []byte, q search.Query) (sure, maybe []gateway.MessageNumber) {
	t.Helper()
	s, err := search.Open(bytes.NewReader(raw), int64(len(raw)))
	if err == nil {
		sure, maybe, err = s.Find(bytes.NewReader(raw), q)
	}
	if err != nil {
		t.Fatal(err)
	}
	return sure, maybe
}

// check holds an answer to what the query means: nothing sure that does not match, and
// nothing that matches left out.
func check(t testing.TB, what string, q search.Query, sure, maybe, want []gateway.MessageNumber) {
	t.Helper()
	for _, n := range sure {
		if !slices.Contains(want, n) {
			t.Fatalf("%s: %q in %b: message %d is said to match", what, q.Text, q.Fields, n)
		}
	}
	for _, n := range want {
		if !slices.Contains(sure, n) && !slices.Contains(maybe, n) {
			t.Fatalf("%s: %q in %b: message %d is left out", what, q.Text, q.Fields, n)
		}
	}
	for _, list := range [][]gateway.MessageNumber{sure, maybe} {
		if !slices.IsSorted(list) || len(slices.Compact(slices.Clone(list))) != len(list) {
			t.Fatalf("%s: out of order: %v", what, list)
		}
	}
	if slices.ContainsFunc(sure, func(n gateway.MessageNumber) bool { return slices.Contains(maybe, n) }) {
		t.Fatalf("%s: a number is in both lists", what)
	}
}

// An index and a scan agree on whatever mail and query, in one segment and in many, and
// in what is merged of them.
func TestIndexAgreesWithScan(t *testing.T) {
	for seed := range uint64(60) {
		r := rand.New(rand.NewPCG(seed, 1))
		m := randomMail(r, 5, 40)
		last := m.numbers[len(m.numbers)-1] + 2
		whole := m.segment(5, last)
		var parts [][]byte
		for from := gateway.MessageNumber(5); from <= last; {
			to := min(last, from+gateway.MessageNumber(r.IntN(30)))
			parts = append(parts, m.segment(from, to))
			from = to + 1
		}
		merged, err := search.Merge(parts, nil)
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(merged, whole) {
			t.Fatalf("seed %d: merged from %d parts is another segment than the one built at once", seed, len(parts))
		}
		for range 60 {
			q := m.randomQuery(r)
			want := m.scan(q)
			sure, maybe := find(t, whole, q)
			check(t, fmt.Sprint("seed ", seed), q, sure, maybe, want)
		}
	}
}

// What is left out of a merge is found no more, and the rest as before.
func TestMergeLeavesOut(t *testing.T) {
	r := rand.New(rand.NewPCG(7, 7))
	m := randomMail(r, 1, 200)
	kept := func(n gateway.MessageNumber) bool { return n%3 != 0 }
	merged, err := search.Merge([][]byte{m.segment(1, 150), m.segment(151, 900)}, kept)
	if err != nil {
		t.Fatal(err)
	}
	left := mail{}
	for i, n := range m.numbers {
		if kept(n) {
			left.numbers, left.texts, left.hidden = append(left.numbers, n), append(left.texts, m.texts[i]), append(left.hidden, m.hidden[i])
		}
	}
	if !bytes.Equal(merged, left.segment(1, 900)) {
		t.Error("it is another segment than that of what is left")
	}
	if none, err := search.Merge([][]byte{merged}, func(gateway.MessageNumber) bool { return false }); err != nil || len(none) != len(search.NewBuilder(1).Segment(900)) {
		t.Errorf("of nothing: %d bytes, %v", len(none), err)
	}
	if _, err := search.Merge([][]byte{m.segment(151, 900), m.segment(1, 150)}, nil); !errors.Is(err, search.ErrDamaged) {
		t.Errorf("in the wrong order: %v", err)
	}
}

// What a query of each form gets: exact answers where the index has them, and little to
// look at else.
func TestFind(t *testing.T) {
	long := strings.Repeat("0123456789", 30)
	texts := []letter{
		1: {search.Body, "Hello, world"},
		2: {search.Body, "Othello's words"},
		3: {search.Subject, "hello"},
		4: {search.Body, "東京都の天気"},
		5: {search.Body, "京都"},
		6: {search.Body, "sum=" + long + "END"},
		7: {search.Header, "X-Word: hello"},
		8: {search.Body, "world, hello wor"},
		9: {search.Body, "中"},
	}
	b := search.NewBuilder(1)
	for n, l := range texts[1:] {
		b.Begin(gateway.MessageNumber(n + 1))
		b.Add(l.field, l.text)
	}
	b.Begin(10)
	b.Look(search.Body)
	raw := b.Segment(10)
	for _, tt := range []struct {
		text        string
		in          search.Fields
		sure, maybe string
	}{
		{"hello", search.Body, "[1 2 8]", "[10]"},
		{"HELL", search.Subject, "[3]", "[]"},
		{"hello", search.Text, "[1 2 3 7 8]", "[10]"},
		{"hello", search.Header, "[7]", "[]"},
		{"hello", search.From | search.Cc, "[]", "[]"},
		{"hello, wor", search.Body, "[]", "[1 2 8 10]"},
		{"lo, world", search.Body, "[]", "[1 8 10]"},
		{" hello ", search.Body, "[]", "[1 8 10]"},
		{"京", search.Body, "[4 5]", "[10]"},
		{"京都", search.Body, "[4 5]", "[10]"},
		{"東京都", search.Body, "[]", "[4 10]"},
		{"中", search.Body, "[9]", "[10]"},
		{"901234", search.Body, "[6]", "[10]"},
		{long[7:90], search.Body, "[]", "[6 10]"},
		{"89END", search.Body, "[6]", "[10]"},
		{"=012", search.Body, "[]", "[6 10]"},
		{"?!", search.Body, "[]", "[1 2 3 4 5 6 7 8 9 10]"},
		{"", search.Subject, "[]", "[1 2 3 4 5 6 7 8 9 10]"},
		{"nothing", search.Body, "[]", "[10]"},
		{"hello", 0, "[]", "[]"},
	} {
		sure, maybe := find(t, raw, search.Query{Text: tt.text, Fields: tt.in})
		if fmt.Sprint(sure) != tt.sure || fmt.Sprint(maybe) != tt.maybe {
			t.Errorf("%q in %b: sure %v, want %s; maybe %v, want %s", tt.text, tt.in, sure, tt.sure, maybe, tt.maybe)
		}
	}
}

// Whatever byte of a segment is another one, it answers as before or says that it is
// damaged; also when the reading fails.
func TestDamage(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 3))
	m := randomMail(r, 1, 30)
	raw := m.segment(1, 100)
	q := search.Query{Text: "ab", Fields: search.Text}
	sure, maybe := find(t, raw, q)
	noticed := 0
	for i := range raw {
		bad := slices.Clone(raw)
		bad[i] ^= 1 << (i % 8)
		s, err := search.Open(bytes.NewReader(bad), int64(len(bad)))
		if err == nil {
			var gotSure, gotMaybe []gateway.MessageNumber
			gotSure, gotMaybe, err = s.Find(bytes.NewReader(bad), q)
			if err == nil && (!slices.Equal(gotSure, sure) || !slices.Equal(gotMaybe, maybe)) {
				t.Fatalf("byte %d: another answer", i)
			}
		}
		if err != nil {
			if noticed++; !errors.Is(err, search.ErrDamaged) {
				t.Fatalf("byte %d: %v", i, err)
			}
		}
		if _, err := search.Merge([][]byte{bad}, nil); !errors.Is(err, search.ErrDamaged) {
			t.Fatalf("byte %d: merged: %v", i, err)
		}
	}
	if noticed < len(raw)/2 {
		t.Errorf("%d of %d were noticed", noticed, len(raw))
	}
	for n := range raw {
		if _, err := search.Open(bytes.NewReader(raw[:n]), int64(n)); !errors.Is(err, search.ErrDamaged) {
			t.Fatalf("cut to %d: %v", n, err)
		}
	}
	if _, err := search.Open(bytes.NewReader(raw[:50]), int64(len(raw))); !errors.Is(err, io.EOF) {
		t.Errorf("cut while it is read: %v", err)
	}
}
