package badgerstore

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/centerleap/postern/store/engine"
)

// A feed that had all does not read again until something is committed, and then misses
// nothing.
func TestFeedCurrent(t *testing.T) {
	s := open(t, t.TempDir(), time.Now)
	emit := func(domain uint32, n int) {
		t.Helper()
		if _, err := s.Update(t.Context(), engine.Op{Domain: domain, Fn: func(tx engine.Tx) error {
			for range n {
				tx.Emit([]byte("change"))
			}
			return nil
		}}); err != nil {
			t.Fatal(err)
		}
	}
	f := s.Feed(1, 0)
	defer f.Close()
	steps := []struct {
		name string
		do   func()
		most int
		want int
	}{
		{"nothing yet", func() {}, 10, 0},
		{"its own", func() { emit(1, 3) }, 10, 3},
		{"again", func() {}, 10, 0},
		{"another domain's", func() { emit(2, 1) }, 10, 0},
		{"as many as it asked for", func() { emit(1, 4) }, 2, 2},
		{"and the others", func() {}, 2, 2},
		{"none are left", func() {}, 2, 0},
		{"from the start again", func() { f.Seek(0) }, 10, 7},
		{"what came while it was current", func() { emit(1, 1) }, 10, 1},
	}
	for _, st := range steps {
		st.do()
		if got, err := f.Next(t.Context(), st.most); err != nil || len(got) != st.want {
			t.Errorf("%s: %d changes, %v; want %d", st.name, len(got), err, st.want)
		}
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := f.Next(t.Context(), 1); !errors.Is(err, engine.ErrClosed) {
		t.Errorf("closed: %v", err)
	}
}

// What was committed a moment ago is read from the groups on their way into the index, if
// they reach back to where the reader stands.
func TestFeedFromMemory(t *testing.T) {
	s := open(t, t.TempDir(), time.Now).(*Store)
	defer func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	}()
	never := time.Now().Add(time.Hour).UnixMilli()
	for _, runs := range [][]run{
		{{last: 7, changes: [][]byte{[]byte("5"), []byte("6"), []byte("7")}}},
		{{last: 8, changes: [][]byte{[]byte("8")}}, {last: 10, changes: [][]byte{[]byte("9"), []byte("10")}}},
	} {
		g := &group{over: new(overlay), ended: make(chan struct{})}
		for _, domain := range []uint32{1, 2} {
			n := news{byDomain: map[uint32][]run{domain: runs}}
			n.write(g.over, never)
		}
		s.pending.add(g)
		defer close(g.ended)
	}
	tests := []struct {
		name  string
		after uint64
		most  int
		want  string
		found bool
		all   bool
	}{
		{"what went into the index is not there", 3, 10, "5 6 7 8 9 10", false, true},
		{"all", 4, 10, "5 6 7 8 9 10", true, true},
		{"from the middle of a run", 6, 10, "7 8 9 10", true, true},
		{"up to the middle of a run", 7, 2, "8 9", true, false},
		{"none are left", 10, 10, "", false, true},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			f := s.Feed(1, tt.after).(*feed)
			defer f.Close()
			p := pull{feed: f, most: tt.most}
			if err := p.fromMemory(); err != nil {
				t.Fatal(err)
			}
			var got []string
			for i, c := range p.out {
				got = append(got, string(c.Payload))
				if c.Sequence != p.out[0].Sequence+uint64(i) {
					t.Errorf("change %d has the sequence %d", i, c.Sequence)
				}
			}
			if s := strings.Join(got, " "); s != tt.want || p.found() != tt.found || p.all != tt.all {
				t.Errorf("got %q, found %t, all %t; want %q, %t, %t", s, p.found(), p.all, tt.want, tt.found, tt.all)
			}
		})
	}
}
