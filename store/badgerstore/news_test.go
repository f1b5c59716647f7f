package badgerstore

import (
	"bytes"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/centerleap/postern/store/engine"
)

// Changes of many closures that share groups, some of which fail, are read one by one
// or many at once in order and without a gap, also after a restart and a rebuild.
func TestRunsOfChanges(t *testing.T) {
	dir := t.TempDir()
	s := open(t, dir, time.Now).(*Store)
	var mu sync.Mutex
	want := make(map[string]string) // by domain and sequence
	var clients sync.WaitGroup
	for i := range 16 {
		clients.Go(func() {
			rng := rand.New(rand.NewPCG(1, uint64(i)))
			for range 60 {
				domain, fails := uint32(1+rng.IntN(2)), rng.IntN(5) == 0
				var emitted map[string]string
				_, err := s.Update(t.Context(), engine.Op{Domain: domain, Fn: func(tx engine.Tx) error {
					emitted = make(map[string]string)
					for range rng.IntN(4) {
						size := rng.IntN(60)
						if rng.IntN(20) == 0 {
							size = maxRun - 20 + rng.IntN(40)
						}
						c := bytes.Repeat([]byte{byte(rng.Uint32())}, size)
						emitted[fmt.Sprint(domain, " ", tx.Emit(c))] = string(c)
					}
					if fails {
						return errRun
					}
					return nil
				}})
				if fails != errors.Is(err, errRun) {
					t.Error(err)
				}
				if fails {
					continue
				}
				mu.Lock()
				maps.Copy(want, emitted)
				mu.Unlock()
			}
		})
	}
	clients.Wait()
	read := func(when string) {
		t.Helper()
		got := 0
		for domain := range uint32(2) {
			for _, most := range []int{1, 3, 1000} {
				f := s.Feed(domain+1, 0)
				for last := uint64(0); ; {
					some, err := f.Next(t.Context(), most)
					if err != nil || len(some) > most {
						t.Fatal(when, len(some), err)
					}
					if len(some) == 0 {
						break
					}
					for _, c := range some {
						if last++; c.Sequence != last || want[fmt.Sprint(domain+1, " ", last)] != string(c.Payload) {
							t.Fatalf("%s, %d at once: change %d of domain %d comes as %d", when, most, last, domain+1, c.Sequence)
						}
						got++
					}
				}
				f.Close()
			}
		}
		if got != 3*len(want) {
			t.Errorf("%s: %d changes were read, want %d", when, got, 3*len(want))
		}
	}
	read("as they were written")
	runs := 0
	err := s.View(t.Context(), func(r engine.Reader) error {
		return r.Scan(engine.Prefix(ownKey(engine.SubFeed, 1)), func(k, _ []byte) error {
			if len(k) == 17 {
				runs++
			}
			return nil
		})
	})
	if err != nil || runs == 0 {
		t.Errorf("%d runs: the test shows nothing; %v", runs, err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	s = open(t, dir, time.Now).(*Store)
	read("after a restart")
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if err := os.RemoveAll(filepath.Join(dir, indexFolder)); err != nil {
		t.Fatal(err)
	}
	s = open(t, dir, time.Now).(*Store)
	defer s.Close()
	read("after a rebuild")
}

// Whoever emits beside the erasing of a domain finds a feed that can be read.
func TestErasedRun(t *testing.T) {
	s := openSmall(t, t.TempDir())
	defer s.Close()
	emit := func(n int) {
		_, err := s.Update(t.Context(), engine.Op{Domain: 7, Fn: func(tx engine.Tx) error {
			for range n {
				tx.Emit([]byte("x"))
			}
			return nil
		}})
		if err != nil {
			t.Error(err)
		}
	}
	erase := func(sub byte) error {
		return s.own(t.Context(), func(x *tx) error { _, err := x.erase(sub, 7); return err })
	}
	emit(5)
	if err := erase(engine.SubFeed); err != nil {
		t.Fatal(err)
	}
	started, release := make(chan bool), make(chan bool)
	var clients sync.WaitGroup
	queue := func(n int, fn func()) {
		clients.Go(fn)
		until(t, "a closure in the queue", func() bool { return len(s.committer.queue) == n })
	}
	clients.Go(func() {
		_, _ = s.Update(t.Context(), engine.Op{Domain: 1, Fn: func(tx engine.Tx) error {
			close(started)
			<-release
			tx.Set([]byte("0k"), nil)
			return nil
		}})
	})
	<-started
	queue(1, func() { emit(1) })
	queue(2, func() { _ = erase(engine.SubMeta) })
	queue(3, func() { emit(2) })
	close(release)
	clients.Wait()
	f := s.Feed(7, 0)
	defer f.Close()
	if got, err := f.Next(t.Context(), 10); err != nil || len(got) != 2 || got[0].Sequence != 1 {
		t.Error("the feed afterwards:", got, err)
	}
}

// Nobody asks for no changes in earnest, and nothing is missing then.
func TestNextZero(t *testing.T) {
	s := openSmall(t, t.TempDir())
	defer s.Close()
	if _, err := s.Update(t.Context(), engine.Op{Domain: 7, Fn: func(tx engine.Tx) error { tx.Emit([]byte("x")); return nil }}); err != nil {
		t.Fatal(err)
	}
	f := s.Feed(7, 0)
	defer f.Close()
	if got, err := f.Next(t.Context(), 0); err != nil || len(got) != 0 {
		t.Error(got, err)
	}
}

// What is no run is an error, and never a panic or another change.
func FuzzEachChange(f *testing.F) {
	r := run{last: 9, changes: [][]byte{[]byte("a"), nil, []byte("ccc")}}
	f.Add(feedRunKey(1, 9, 3), r.encode())
	f.Add(feedRunKey(1, 9, 1<<31), r.encode())
	f.Add(feedRunKey(1, 2, 3), r.encode())
	f.Add(feedKey(1, 9), []byte("alone"))
	f.Fuzz(func(t *testing.T, k, v []byte) {
		if len(k) < 13 {
			return
		}
		n := 0
		_ = eachChange(k, v, func(c engine.Change) bool {
			if n++; n > len(v)+1 {
				t.Fatal("more changes than bytes")
			}
			return true
		})
	})
}
