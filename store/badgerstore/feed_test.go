package badgerstore

import (
	"errors"
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
