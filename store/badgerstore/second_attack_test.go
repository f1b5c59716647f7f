package badgerstore

import (
	"bytes"
	"context"
	"crypto/rand"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/centerleap/postern/store/engine"
)

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

// A closure that did not fit, and waits behind somebody who is alone, is answered when
// the store closes, also if its caller has left.
func TestHeldClose(t *testing.T) {
	s := openSmall(t, t.TempDir())
	big := func(name string) func(tx engine.Tx) error {
		return func(tx engine.Tx) error {
			for i := range 2 {
				tx.Set(fmt.Append([]byte("0"), name, i), make([]byte, 700<<10))
			}
			return nil
		}
	}
	started, release := make(chan bool), make(chan bool)
	go func() {
		_, _ = s.Update(t.Context(), engine.Op{Domain: 1, Fn: func(tx engine.Tx) error { close(started); <-release; return big("a")(tx) }})
	}()
	<-started
	inside, proceed := make(chan bool), make(chan bool)
	go func() { _ = s.committer.alone(t.Context(), func() error { close(inside); <-proceed; return nil }) }()
	until(t, "somebody who wants to be alone", func() bool { return s.committer.alones.Load() == 1 })
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() {
		_, err := s.Update(ctx, engine.Op{Domain: 1, Fn: big("b")})
		done <- err
	}()
	until(t, "a closure in the queue", func() bool { return len(s.committer.queue) == 1 })
	close(release)
	<-inside
	if s.committer.held == nil {
		t.Fatal("nothing is held")
	}
	cancel()
	closed := make(chan error, 1)
	go func() { closed <- s.Close() }()
	<-s.committer.closing
	close(proceed)
	within(t, 20*time.Second, "Close", func() { <-closed })
	within(t, 20*time.Second, "the held Update", func() { <-done })
}

// What was merged while a view saw it is found by the Compact after the view.
func TestCompactForgetsMerged(t *testing.T) {
	dir := t.TempDir()
	s := openSmall(t, dir)
	defer s.Close()
	noise := func(n int) []byte {
		b := make([]byte, n)
		_, _ = rand.Read(b)
		return b
	}
	secret := noise(200)
	write := func(fn func(tx engine.Tx)) {
		t.Helper()
		if _, err := s.Update(t.Context(), engine.Op{Domain: 1, Fn: func(tx engine.Tx) error { fn(tx); return nil }}); err != nil {
			t.Fatal(err)
		}
	}
	for i := range 20 {
		write(func(tx engine.Tx) { tx.Set(fmt.Appendf([]byte{0x31}, "%04d", i), noise(500<<10)) })
	}
	write(func(tx engine.Tx) { tx.Set([]byte{0x32, 1}, secret) })
	began, end, ended := make(chan bool), make(chan bool), make(chan bool)
	go func() {
		defer close(ended)
		_ = s.View(context.Background(), func(engine.Reader) error { close(began); <-end; return nil })
	}()
	<-began
	s.index.views.forget(s.index.db)
	write(func(tx engine.Tx) { tx.Delete([]byte{0x32, 1}) })
	for s.index.newestOnly() { // until Badger merges beside the view
		if err := s.committer.alone(t.Context(), func() error { return s.index.flush(t.Context()) }); err != nil {
			t.Fatal(err)
		}
	}
	until(t, "the merge", func() bool { return !s.index.newestOnly() })
	close(end)
	<-ended
	if err := s.Compact(t.Context()); err != nil {
		t.Fatal(err)
	}
	all, err := filepath.Glob(filepath.Join(dir, "*", "*"))
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range all {
		if b, _ := os.ReadFile(p); bytes.Contains(b, secret) {
			t.Error("what was deleted is in", p)
		}
	}
}

// With little room, dead segments are collected somewhere between floor and reserve,
// on a small disk too.
func TestCollectOnSmallDisk(t *testing.T) {
	var free atomic.Int64
	const total = 1800 << 20
	free.Store(total)
	s, err := Open(Config{Dir: t.TempDir(), Log: quiet, segment: 1 << 20, space: func() (int64, int64, error) { return free.Load(), total, nil }})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	var refs []engine.BlobRef
	for i := range 40 {
		refs = append(refs, body(t, s, bytes.Repeat([]byte{byte(i)}, 100<<10)))
	}
	_, err = s.Update(t.Context(), engine.Op{Domain: 1, Frees: true, Fn: func(tx engine.Tx) error {
		for _, r := range refs {
			if err := tx.Unlink(r); err != nil {
				return err
			}
		}
		return nil
	}})
	if err != nil {
		t.Fatal(err)
	}
	for f := s.space.reserve - 1; f > s.space.floor()+1; f -= 8 << 20 {
		free.Store(f)
		s.space.look()
		if err := s.collect(t.Context(), 0); err != nil {
			t.Fatal(err)
		}
		for _, i := range s.log.Segments() {
			if i.Collected {
				return
			}
		}
	}
	t.Errorf("nothing was collected; reserve %d, floor %d, room to flush %d MiB", s.space.reserve>>20, s.space.floor()>>20, int64(flushRoom)>>20)
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
