package badgerstore

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"sync/atomic"
	"testing"
	"time"

	"github.com/dgraph-io/badger/v4"

	"github.com/centerleap/postern/store/engine"
)

// openSmall opens a store with small segments, so that there are many.
func openSmall(t testing.TB, dir string) *Store {
	t.Helper()
	s, err := Open(Config{Dir: dir, Log: quiet, segment: 1 << 20})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// body puts a body of its own text into domain 1.
func body(t testing.TB, s *Store, text []byte) engine.BlobRef {
	t.Helper()
	w, err := s.Blobs().Create(t.Context(), 1, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer w.Close()
	if _, err := w.Write(text); err != nil {
		t.Fatal(err)
	}
	ref, err := w.Seal()
	if err != nil {
		t.Fatal(err)
	}
	link(t, s, func(tx engine.Tx) error { return tx.Link(ref) })
	return ref
}

func link(t testing.TB, s *Store, fn func(engine.Tx) error) {
	t.Helper()
	if _, err := s.Update(t.Context(), engine.Op{Domain: 1, Frees: true, Fn: fn}); err != nil {
		t.Fatal(err)
	}
}

func text(i int) []byte { return bytes.Repeat(fmt.Appendf(nil, "body number %06d. ", i), 400) } // 7,600 bytes

func readBody(t testing.TB, s *Store, ref engine.BlobRef) []byte {
	t.Helper()
	r, err := s.Blobs().Open(t.Context(), ref, 0, -1)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	b, err := io.ReadAll(r)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// grep looks for text in every file of a folder.
func grep(t testing.TB, dir string, text []byte) (in []string) {
	t.Helper()
	err := filepath.WalkDir(dir, func(path string, d os.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		b, err := os.ReadFile(path)
		if bytes.Contains(b, text) {
			in = append(in, path)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return in
}

// Compact gives back what is dead, keeps what lives, and the store can still be
// rebuilt, while readers and writers go on.
func TestReclaim(t *testing.T) {
	dir := t.TempDir()
	s := openSmall(t, dir)
	refs := make(map[int]engine.BlobRef)
	for i := range 600 {
		refs[i] = body(t, s, text(i))
	}
	for i := range 600 {
		if i%10 != 0 {
			link(t, s, func(tx engine.Tx) error { return tx.Unlink(refs[i]) })
			delete(refs, i)
		}
	}
	if err := set(t, s, "a"); err != nil {
		t.Fatal(err)
	}
	if len(grep(t, dir, text(7)[:2000])) == 0 {
		t.Fatal("the deleted body can't be found even before")
	}
	stop, done := make(chan struct{}), make(chan struct{})
	go func() { // a reader and a writer beside it
		defer close(done)
		for i := 1000; ; i++ {
			select {
			case <-stop:
				return
			case <-time.After(20 * time.Millisecond):
			}
			n := rand.IntN(60) * 10
			if !bytes.Equal(readBody(t, s, refs[n]), text(n)) {
				t.Errorf("body %d differs", n)
			}
			body(t, s, text(i))
		}
	}()
	before := size(t, dir)
	if err := s.Compact(t.Context()); err != nil {
		t.Fatal(err)
	}
	close(stop)
	<-done
	if after := size(t, dir); after > before/2 {
		t.Errorf("%d bytes before, %d after", before, after)
	}
	for range 2 { // as it is, then with the index rebuilt from the snapshot and the log
		for i, ref := range refs {
			if !bytes.Equal(readBody(t, s, ref), text(i)) {
				t.Errorf("body %d differs", i)
			}
		}
		if !has(t, s, "a") {
			t.Error("the key is gone")
		}
		for _, i := range []int{1, 7, 599} {
			if in := grep(t, dir, text(i)[:2000]); len(in) > 0 {
				t.Errorf("deleted body %d is still in %v", i, in)
			}
		}
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
		if err := os.RemoveAll(filepath.Join(dir, indexFolder)); err != nil {
			t.Fatal(err)
		}
		s = openSmall(t, dir)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
}

// The collector takes segments by itself once half is dead and nobody needs them.
func TestCollect(t *testing.T) {
	dir := t.TempDir()
	s := openSmall(t, dir)
	defer s.Close()
	var refs []engine.BlobRef
	for i := range 400 {
		refs = append(refs, body(t, s, text(i)))
	}
	for i := range 390 {
		link(t, s, func(tx engine.Tx) error { return tx.Unlink(refs[i]) })
	}
	collected := func() (n int) {
		if err := s.collect(t.Context(), 0); err != nil {
			t.Fatal(err)
		}
		for _, seg := range s.log.Segments() {
			if seg.Collected {
				n++
			}
		}
		return n
	}
	if n := collected(); n != 0 {
		t.Fatalf("%d segments are collected before the tables reach behind them", n)
	}
	if err := s.committer.alone(t.Context(), func() error { return s.index.flush(t.Context()) }); err != nil {
		t.Fatal(err)
	}
	if n := collected(); n == 0 {
		t.Fatal("nothing is collected")
	}
	for i := 390; i < 400; i++ {
		if !bytes.Equal(readBody(t, s, refs[i]), text(i)) {
			t.Errorf("body %d differs", i)
		}
	}
}

// A copy that is being taken holds the collector up, and is whole.
func TestCopyWhileCollecting(t *testing.T) {
	dir := t.TempDir()
	s := openSmall(t, dir)
	defer s.Close()
	var refs []engine.BlobRef
	for i := range 300 {
		refs = append(refs, body(t, s, text(i)))
	}
	out := &slow{entered: make(chan struct{}), release: make(chan struct{})}
	copied := make(chan error, 1)
	go func() { copied <- s.Snapshot(t.Context(), out) }()
	<-out.entered
	for _, ref := range refs {
		link(t, s, func(tx engine.Tx) error { return tx.Unlink(ref) })
	}
	ctx, cancel := context.WithTimeout(t.Context(), 500*time.Millisecond)
	defer cancel()
	if err := s.Compact(ctx); err == nil {
		t.Error("segments are collected while a copy reads them")
	}
	close(out.release)
	if err := <-copied; err != nil {
		t.Fatal(err)
	}
	if err := s.Compact(t.Context()); err != nil {
		t.Fatal(err)
	}
	there := filepath.Join(t.TempDir(), "copy")
	if err := Restore(&out.Buffer, there, quiet); err != nil {
		t.Fatal(err)
	}
	c := openSmall(t, there)
	defer c.Close()
	for i, ref := range refs {
		if !bytes.Equal(readBody(t, c, ref), text(i)) {
			t.Fatalf("body %d differs in the copy", i)
		}
	}
}

// slow blocks its first write until it is released.
type slow struct {
	bytes.Buffer
	entered, release chan struct{}
	begun            bool
}

func (s *slow) Write(b []byte) (int, error) {
	if !s.begun {
		s.begun = true
		close(s.entered)
		<-s.release
	}
	return s.Buffer.Write(b)
}

func size(t testing.TB, dir string) (n int64) {
	t.Helper()
	err := filepath.WalkDir(filepath.Join(dir, logFolder), func(_ string, d os.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		info, err := d.Info()
		if err == nil {
			n += info.Size()
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// When the disk is nearly full, space comes back without waiting for anything.
func TestCollectWhenLow(t *testing.T) {
	var free atomic.Int64
	free.Store(10 << 30)
	s, err := Open(Config{Dir: t.TempDir(), Log: quiet, segment: 1 << 20, Reserve: 1 << 30, space: func() (int64, int64, error) { return free.Load(), 20 << 30, nil }})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	var refs []engine.BlobRef
	for i := range 400 {
		refs = append(refs, body(t, s, text(i)))
	}
	free.Store(800 << 20)
	s.space.look()
	if _, err := s.Blobs().Create(t.Context(), 1, 0); !errors.Is(err, engine.ErrFull) || s.Health().Writable {
		t.Errorf("a new body while the disk is nearly full: %v", err)
	}
	link(t, s, func(tx engine.Tx) error {
		for _, ref := range refs[:390] {
			if err := tx.Unlink(ref); err != nil {
				return err
			}
		}
		return nil
	})
	before := size(t, s.cfg.Dir)
	if err := s.collect(t.Context(), 0); err != nil {
		t.Fatal(err)
	}
	if after := size(t, s.cfg.Dir); after > before/2 {
		t.Errorf("%d bytes before, %d after", before, after)
	}
	free.Store(1040 << 20)
	s.space.look()
	if s.Health().Writable {
		t.Error("a little over the reserve ends it: it would go on and off")
	}
	free.Store(1 << 40)
	s.space.look()
	if err := set(t, s, "a"); err != nil || !s.Health().Writable {
		t.Errorf("there is room again: %v", err)
	}
}

// What was merged while a view saw it is found by the Compact after the view.
func TestCompactForgetsMerged(t *testing.T) {
	dir := t.TempDir()
	s := openSmall(t, dir)
	defer s.Close()
	random := rand.NewChaCha8([32]byte{1})
	noise := func(n int) []byte {
		b := make([]byte, n)
		_, _ = random.Read(b)
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
	t.Errorf("nothing was collected; reserve %d, floor %d, room to flush %d MiB", s.space.reserve>>20, s.space.floor()>>20, s.index.shape.flushRoom()>>20)
}

// A flush ends when all is in tables that was written before it, also if no group was.
func TestFlush(t *testing.T) {
	s := open(t, t.TempDir(), time.Now).(*Store)
	defer s.Close()
	if err := set(t, s, "k"); err != nil {
		t.Fatal(err)
	}
	for n := 1; n <= 3; n++ {
		err := s.committer.alone(t.Context(), func() error {
			return errors.Join(s.index.rewrite([]byte("\x70k")), s.index.flush(t.Context()))
		})
		if err != nil {
			t.Fatal(err)
		}
		if got := len(s.index.db.Tables()); got != n {
			t.Errorf("%d tables after %d flushes", got, n)
		}
	}
	if left := s.index.marks(t); left != 0 {
		t.Errorf("%d marks are left", left)
	}
}

// A flush ends also when a machine's clock went back behind the mark of one before.
func TestFlushAfterClockWentBack(t *testing.T) {
	s := open(t, t.TempDir(), time.Now).(*Store)
	defer s.Close()
	ahead := binary.BigEndian.AppendUint64(bytes.Clone(markPrefix), ^uint64(time.Now().Add(time.Hour).UnixNano()))
	for what, before := range map[string]func(*badger.Txn) error{
		"one that ended":       func(txn *badger.Txn) error { return txn.Delete(ahead) },
		"one that was cut off": func(txn *badger.Txn) error { return txn.Set(ahead, []byte{plain}) },
	} {
		ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
		err := s.committer.alone(ctx, func() error { return errors.Join(s.index.again(before), s.index.flush(ctx)) })
		if cancel(); err != nil {
			t.Errorf("after %s: %v", what, err)
		}
	}
}

// marks counts the marks of flushes that a view sees.
func (x *index) marks(t *testing.T) (n int) {
	t.Helper()
	r, end := x.begin()
	defer end()
	c := newCursor(r, engine.Prefix(markPrefix))
	defer c.close()
	for ; c.valid(); c.next() {
		n++
	}
	return n
}
