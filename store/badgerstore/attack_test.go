package badgerstore

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"hash/crc32"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/centerleap/postern/store/engine"
	"github.com/centerleap/postern/store/seglog"
)

// within fails the test if fn takes longer than d: then it hangs.
func within(t *testing.T, d time.Duration, what string, fn func()) {
	t.Helper()
	done := make(chan struct{})
	go func() { fn(); close(done) }()
	select {
	case <-done:
	case <-time.After(d):
		t.Fatalf("%s takes longer than %v", what, d)
	}
}

// until waits for something that comes soon.
func until(t *testing.T, what string, fn func() bool) {
	t.Helper()
	for end := time.Now().Add(10 * time.Second); !fn(); time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("%s never comes", what)
		}
	}
}

// A body that goes again in the group that brought it can't be read in the log.
func TestBodyOfOneGroup(t *testing.T) {
	dir := t.TempDir()
	s := openSmall(t, dir)
	kept, gone := []byte("the body that stays"), []byte("the body that is gone")
	var refs [2]engine.BlobRef
	for i, b := range [][]byte{gone, kept} {
		w, err := s.Blobs().Create(t.Context(), 1, 0)
		if err != nil {
			t.Fatal(err)
		}
		defer w.Close()
		if _, err := w.Write(b); err != nil {
			t.Fatal(err)
		}
		if refs[i], err = w.Seal(); err != nil {
			t.Fatal(err)
		}
	}
	_, err := s.Update(t.Context(), engine.Op{Domain: 1, Fn: func(tx engine.Tx) error {
		return errors.Join(tx.Link(refs[0]), tx.Link(refs[1]), tx.Unlink(refs[0]))
	}})
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Blobs().Check(t.Context(), refs[1]); err != nil {
		t.Error(err)
	}
	log, err := os.ReadFile(filepath.Join(dir, "log", "seg-00000001"))
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Contains(log, kept) || bytes.Contains(log, gone) {
		t.Errorf("the log holds the body that stays: %v, and that which is gone: %v", bytes.Contains(log, kept), bytes.Contains(log, gone))
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	s = openSmall(t, dir)
	defer s.Close()
	if err := s.Blobs().Check(t.Context(), refs[1]); err != nil {
		t.Error(err)
	}
	if _, err := s.Blobs().Open(t.Context(), refs[0], 0, -1); !errors.Is(err, engine.ErrNotFound) {
		t.Errorf("the body that is gone: %v", err)
	}
}

// Groups that reach the index together do so as one: where two wrote a key, it holds
// what the later one wrote, and the deletions too.
func TestMerged(t *testing.T) {
	list := func(pairs ...string) (all []keyed) {
		for i := 0; i < len(pairs); i += 2 {
			all = append(all, keyed{[]byte(pairs[i]), cell{value: []byte(pairs[i+1]), deleted: pairs[i+1] == ""}})
		}
		return all
	}
	rows := []struct{ a, b, want []keyed }{
		{nil, nil, nil},
		{nil, list("k", "1"), list("k", "1")},
		{list("k", "1"), nil, list("k", "1")},
		{list("a", "1", "b", "1", "d", "1"), list("b", "2", "c", "2"), list("a", "1", "b", "2", "c", "2", "d", "1")},
		{list("a", "1", "b", "1"), list("a", ""), list("a", "", "b", "1")},
		{list("b", ""), list("a", "2", "b", "2", "c", ""), list("a", "2", "b", "2", "c", "")},
	}
	for _, r := range rows {
		if got := merged(r.a, r.b); fmt.Sprint(got) != fmt.Sprint(r.want) {
			t.Errorf("%v and %v are %v, want %v", r.a, r.b, got, r.want)
		}
	}
}

// A body is read inside a View while somebody closes the store: both end.
func TestReadBodyInViewBesideClose(t *testing.T) {
	s := openSmall(t, t.TempDir())
	ref := body(t, s, text(1))
	inside, proceed := make(chan struct{}), make(chan struct{})
	viewed, closed := make(chan error, 1), make(chan error, 1)
	go func() {
		viewed <- s.Blobs().Each(context.Background(), 1, func(engine.BlobRef, uint32) error {
			close(inside)
			<-proceed
			return s.Blobs().Check(context.Background(), ref)
		})
	}()
	<-inside
	go func() { closed <- s.Close() }()
	until(t, "Close", func() bool { // is waiting for the View
		if s.life.enter() == nil {
			s.life.leave()
			return false
		}
		return true
	})
	close(proceed)
	within(t, 5*time.Second, "a body read inside Each beside Close", func() {
		if err := <-viewed; err != nil && !errors.Is(err, engine.ErrClosed) {
			t.Error(err)
		}
		if err := <-closed; err != nil {
			t.Error(err)
		}
	})
}

// Compact returns nil only when what was deleted before it is gone, also when
// writers fill segments while it waits for the collector.
func TestCompactBesideWriters(t *testing.T) {
	dir := t.TempDir()
	s := openSmall(t, dir)
	defer s.Close()
	gone := body(t, s, text(1))
	link(t, s, func(tx engine.Tx) error { return tx.Unlink(gone) })
	s.collecting.Lock() // the collector's loop is at work
	done := make(chan error, 1)
	go func() { done <- s.Compact(t.Context()) }()
	until(t, "the new segment", func() bool { return len(s.log.Segments()) > 1 && s.log.Segments()[0].Sealed })
	until(t, "the flush", func() bool { return s.index.flushed() >= s.log.Segments()[0].Last-1 })
	for i := range 300 { // two segments more
		body(t, s, text(1000+i))
	}
	s.collecting.Unlock()
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	if in := grep(t, dir, text(1)[:2000]); len(in) > 0 {
		t.Errorf("Compact returned nil, and the deleted body is still in %v", in)
	}
}

// Compact that can't give anything back for want of room says so.
func TestCompactWithoutRoom(t *testing.T) {
	var free atomic.Int64
	free.Store(10 << 30)
	dir := t.TempDir()
	s, err := Open(Config{Dir: dir, Log: quiet, segment: 1 << 20, Reserve: 1 << 30, space: func() (int64, int64, error) { return free.Load(), 20 << 30, nil }})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	gone := body(t, s, text(1))
	link(t, s, func(tx engine.Tx) error { return tx.Unlink(gone) })
	free.Store(10 << 20)
	s.space.look()
	if err := s.Compact(t.Context()); err == nil && len(grep(t, dir, text(1)[:2000])) > 0 {
		t.Error("Compact returned nil on a full disk, and the deleted body is still there")
	}
}

// A deleted value is out of the index's files too, whatever views were open.
func TestCompactForgetsValues(t *testing.T) {
	for _, viewed := range []bool{false, true} {
		t.Run(fmt.Sprintf("view %v", viewed), func(t *testing.T) {
			dir := t.TempDir()
			s := openSmall(t, dir)
			defer s.Close()
			secret := make([]byte, 3000) // can't be compressed
			_, _ = rand.NewChaCha8([32]byte{}).Read(secret)
			link(t, s, func(tx engine.Tx) error { tx.Set([]byte("\x70secret"), secret); return nil })
			release, began := make(chan struct{}), make(chan struct{})
			ended := make(chan error, 1)
			if viewed {
				go func() {
					ended <- s.View(context.Background(), func(r engine.Reader) error {
						close(began)
						<-release
						v, err := r.Get([]byte("\x70secret"))
						if err == nil && !bytes.Equal(v, secret) {
							err = errors.New("the view sees another value")
						}
						return err
					})
				}()
				<-began
			}
			link(t, s, func(tx engine.Tx) error { tx.Delete([]byte("\x70secret")); return nil })
			ctx, cancel := context.WithTimeout(t.Context(), map[bool]time.Duration{false: time.Minute, true: time.Second}[viewed])
			defer cancel()
			if err := s.Compact(ctx); err == nil {
				if in := grep(t, dir, secret[100:2000]); len(in) > 0 {
					t.Errorf("Compact returned nil, and the deleted value is still in %v", in)
				}
			} else if !viewed {
				t.Error(err)
			}
			if viewed {
				close(release)
				if err := <-ended; err != nil {
					t.Error(err)
				}
			}
		})
	}
}

// Two calls of Compact at once hurt neither each other nor Close.
func TestCompactTwice(t *testing.T) {
	s := openSmall(t, t.TempDir())
	for i := range 5 {
		body(t, s, text(i))
	}
	var all sync.WaitGroup
	for range 2 {
		all.Go(func() {
			if err := s.Compact(context.Background()); err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
	if err := s.Close(); err != nil {
		t.Error(err)
	}
}

// Whoever leads has its answer when its own group is durable, also when others keep
// the line busy with what does not fit.
func TestLeaderIsAnswered(t *testing.T) {
	s := open(t, t.TempDir(), time.Now).(*Store)
	defer s.Close()
	value := make([]byte, 900<<10)
	var worst atomic.Int64
	var all sync.WaitGroup
	end := time.Now().Add(1500 * time.Millisecond)
	for n := range 8 {
		all.Go(func() {
			for time.Now().Before(end) {
				began := time.Now()
				var ran atomic.Int64
				_, err := s.Update(context.Background(), engine.Op{Domain: 1, Fn: func(tx engine.Tx) error {
					tx.Set(fmt.Appendf(nil, "\x70%d", n), value)
					ran.Store(int64(time.Since(began)))
					return nil
				}})
				if err != nil {
					t.Error(err)
					return
				}
				took := int64(time.Since(began)) - ran.Load() // since its closure ran
				for w := worst.Load(); took > w && !worst.CompareAndSwap(w, took); w = worst.Load() {
				}
			}
		})
	}
	all.Wait()
	if w := time.Duration(worst.Load()); w > 700*time.Millisecond {
		t.Errorf("somebody waited %v for the answer to a closure that had run", w)
	}
}

// A context that has ended before Update: nothing runs.
func TestCancelledBefore(t *testing.T) {
	s := openSmall(t, t.TempDir())
	defer s.Close()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	ran := 0
	for range 64 {
		if _, err := s.Update(ctx, engine.Op{Domain: 1, Fn: func(engine.Tx) error { ran++; return nil }}); !errors.Is(err, context.Canceled) && err != nil {
			t.Fatal(err)
		}
	}
	if ran > 0 {
		t.Errorf("%d of 64 closures ran after their context had ended", ran)
	}
}

// When a group can't be put into the index, those after it are not either: an index
// with a hole would show, and after the next start keep, a state that never was.
func TestIndexFails(t *testing.T) {
	s := openSmall(t, t.TempDir())
	defer s.Close()
	made := func(sequence uint64, key string) *group {
		g := &group{over: new(overlay), ended: make(chan struct{}), sequence: sequence}
		g.base, g.end = s.index.begin()
		g.end()
		g.over.put([]byte(key), cell{value: []byte("v")})
		return g
	}
	at := s.index.applied()
	first, second := made(at+1, strings.Repeat("k", 70_000)), made(at+2, "\x70second")
	for _, g := range []*group{first, second} { // both durable before the first one failed
		s.committer.applying <- g
		<-g.ended
	}
	if s.failed.Load() == nil {
		t.Fatal("the first group is applied")
	}
	if got := s.index.applied(); got != at {
		t.Errorf("the index says that it has group %d, and group %d failed", got, at+1)
	}
}

// A change larger than a value may be is refused, or it stays.
func TestLargeChange(t *testing.T) {
	dir := t.TempDir()
	s := open(t, dir, time.Now).(*Store)
	change := bytes.Repeat([]byte("change "), 190_000)
	_, err := s.Update(t.Context(), engine.Op{Domain: 1, Fn: func(tx engine.Tx) error { tx.Emit(change); return nil }})
	if err != nil {
		if !errors.Is(err, engine.ErrTooLarge) {
			t.Error(err)
		}
		s.Close()
		return
	}
	if err := s.committer.alone(t.Context(), func() error { return s.index.flush(t.Context()) }); err != nil {
		t.Fatal(err)
	}
	check := func(s *Store, when string) {
		f := s.Feed(1, 0)
		defer f.Close()
		if c, err := f.Next(t.Context(), 10); err != nil || len(c) != 1 || !bytes.Equal(c[0].Payload, change) {
			t.Errorf("%s: %d changes, %.80v", when, len(c), err)
		}
	}
	check(s, "before")
	var out bytes.Buffer
	if err := s.Snapshot(t.Context(), &out); err != nil {
		t.Errorf("%.80v", err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if err := Restore(&out, filepath.Join(t.TempDir(), "copy"), quiet); err != nil {
		t.Errorf("restoring: %.80v", err)
	}
	s, err = Open(Config{Dir: dir, Log: quiet})
	if err != nil {
		t.Fatalf("the store can't be opened any more: %.200v", err)
	}
	defer s.Close()
	check(s, "after")
}

// A lease with a long name is refused, or it is there after the next start.
func TestLongLease(t *testing.T) {
	dir := t.TempDir()
	s := openSmall(t, dir)
	name := strings.Repeat("n", 70_000)
	_, leased := s.Lease(t.Context(), name, time.Minute)
	if err := set(t, s, "a"); err != nil {
		t.Errorf("an Update after the lease: %.80v", err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	s, err := Open(Config{Dir: dir, Log: quiet, segment: 1 << 20})
	if err != nil {
		t.Fatalf("the store can't be opened any more: %.200v", err)
	}
	defer s.Close()
	if leased != nil {
		return
	}
	l, err := s.Lease(t.Context(), name, time.Minute)
	if err != nil || l.Epoch() != 2 {
		t.Errorf("the lease was granted, and its record is lost: %.80v", err)
	}
}

// Many tiny bodies in a segment don't keep it from being collected.
func TestTinyBodies(t *testing.T) {
	s := open(t, t.TempDir(), time.Now).(*Store)
	defer s.Close()
	const bodies = 22_600 // of which the records don't fit into one commit
	g := seglog.Scanned{Sequence: 1}
	for from := 0; from < bodies; from += 5000 { // as if they were in the log
		link(t, s, func(et engine.Tx) error {
			for i := from; i < min(from+5000, bodies); i++ {
				rec := &blobRecord{refs: 1, place: seglog.Pos{Segment: 1, Offset: uint32(1000 + i*32)}}
				rec.ref = engine.BlobRef{Domain: 1, ID: 1<<32 | uint64(i+1), Size: 1, CRC32C: crc32.Checksum([]byte{1}, castagnoli)}
				et.(*tx).putBlob(rec)
				at := rec.place
				at.Offset -= bodyHead
				g.Records = append(g.Records, seglog.Record{Type: recordBody, Payload: append(blobKey(1, rec.ref.ID)[1:], 1), Pos: at})
			}
			return nil
		})
	}
	m := mover{store: s, ctx: t.Context(), began: time.Now().Add(time.Hour)} // no rest after the first commit
	err := m.group(g)
	if err == nil {
		err = m.flush()
	}
	if err != nil || m.kept != bodies {
		t.Errorf("%d of %d are moved: %v", m.kept, bodies, err)
	}
}

// After a Repair that lost the newest boot record, new bodies don't get the numbers
// of bodies that are there.
func TestRepairBoot(t *testing.T) {
	dir := t.TempDir()
	s := openSmall(t, dir)
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	s = openSmall(t, dir)
	from := s.log.Head() // the group that counted this opening
	small, large := body(t, s, text(1)), body(t, s, bytes.Repeat(text(2), 100))
	image := clone(t, dir)
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	var at seglog.Pos
	cfg := seglog.Config{FS: seglog.Dir(filepath.Join(image, logFolder)), Log: quiet, SegmentSize: 1 << 20}
	if err := seglog.Check(cfg, func(g seglog.Scanned) error {
		if g.Sequence == from {
			at = g.Records[0].Pos
		}
		return nil
	}, nil); err != nil {
		t.Fatal(err)
	}
	if err := flip(filepath.Join(image, logFolder, fmt.Sprintf("seg-%08d", at.Segment)), int64(at.Offset)+3, 1); err != nil {
		t.Fatal(err)
	}
	if s, err := Open(Config{Dir: image, Log: quiet, segment: 1 << 20}); err == nil {
		s.Close()
		t.Fatal("the damage isn't found")
	}
	if _, err := Repair(t.Context(), Config{Dir: image, Log: quiet, segment: 1 << 20}, func(f Finding) { t.Log(f.What) }, nil); err != nil {
		t.Fatal(err)
	}
	r := open(t, image, time.Now).(*Store)
	defer r.Close()
	t.Log("boot before and after:", s.Boot(), r.Boot())
	if !bytes.Equal(readBody(t, r, small), text(1)) {
		t.Fatal("the repair lost the body")
	}
	for i := range 3 { // new ones, of both kinds
		body(t, r, text(10+i))
		body(t, r, bytes.Repeat(text(20+i), 100))
	}
	for _, ref := range []engine.BlobRef{small, large} {
		if err := r.Blobs().Check(t.Context(), ref); err != nil {
			t.Errorf("new bodies took the place of body %x: %v", ref.ID, err)
		}
	}
}

// A reader of the feed never passes over a change in silence, also not when changes
// in the middle have expired before those around them.
func TestFeedGap(t *testing.T) {
	dir := t.TempDir()
	var now atomic.Int64
	now.Store(time.Now().UnixMilli())
	emit := func(s *Store) {
		link(t, s, func(tx engine.Tx) error { tx.Emit([]byte("c")); return nil })
	}
	clock := func() time.Time { return time.UnixMilli(now.Load()) }
	s, err := Open(Config{Dir: dir, Log: quiet, Now: clock, segment: 1 << 20})
	if err != nil {
		t.Fatal(err)
	}
	emit(s)
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	s, err = Open(Config{Dir: dir, Log: quiet, Now: clock, segment: 1 << 20, FeedRetention: time.Hour})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	emit(s)
	now.Add((2 * time.Hour).Milliseconds())
	emit(s)
	f := s.Feed(1, 0)
	defer f.Close()
	last := uint64(0)
	for {
		changes, err := f.Next(t.Context(), 10)
		if errors.Is(err, engine.ErrTrimmed) {
			return
		} else if err != nil {
			t.Fatal(err)
		}
		if len(changes) == 0 {
			break
		}
		for _, c := range changes {
			if c.Sequence != last+1 {
				t.Errorf("change %d follows %d without an error", c.Sequence, last)
			}
			last = c.Sequence
		}
	}
}

// A view that is held sees its moment, whatever is written, flushed and compacted.
func TestLongView(t *testing.T) {
	s := openSmall(t, t.TempDir())
	defer s.Close()
	at := func(i int) []byte { return fmt.Appendf(nil, "\x70key %04d", i) }
	fill := func(v byte) {
		link(t, s, func(tx engine.Tx) error {
			for i := range 800 {
				if v != 0 && i%3 == 0 {
					tx.Delete(at(i))
				} else {
					tx.Set(at(i), bytes.Repeat([]byte{v}, 500))
				}
			}
			return nil
		})
	}
	fill(0)
	err := s.View(t.Context(), func(r engine.Reader) error {
		for v := range byte(6) {
			fill(v + 1)
		}
		if err := s.committer.alone(t.Context(), func() error { return s.index.flush(t.Context()) }); err != nil {
			return err
		}
		if err := s.index.compact(); err != nil {
			return err
		}
		n := 0
		err := r.Scan(engine.Prefix([]byte("\x70key")), func(k, v []byte) error {
			if !bytes.Equal(k, at(n)) || len(v) != 500 || v[0] != 0 || v[499] != 0 {
				return fmt.Errorf("%q is number %d, with %d", k, n, v[0])
			}
			n++
			return nil
		})
		if err == nil && n != 800 {
			err = fmt.Errorf("%d keys", n)
		}
		return err
	})
	if err != nil {
		t.Error(err)
	}
}

// At most none is none.
func TestDeleteRangeNone(t *testing.T) {
	s := openSmall(t, t.TempDir())
	defer s.Close()
	if err := set(t, s, "a"); err != nil {
		t.Fatal(err)
	}
	link(t, s, func(tx engine.Tx) error {
		n, err := tx.DeleteRange([]byte{0x70}, []byte{0x71}, 0)
		if n > 0 {
			t.Errorf("%d keys are deleted where at most 0 may be", n)
		}
		return err
	})
}

// After Close everything fails with ErrClosed.
func TestAfterClose(t *testing.T) {
	s := openSmall(t, t.TempDir())
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	ctx := t.Context()
	_, create := s.Blobs().Create(ctx, 1, 0)
	_, large := s.Blobs().Create(ctx, 1, 1<<20)
	_, next := s.Feed(1, 0).Next(ctx, 1)
	_, lease := s.Lease(ctx, "n", time.Second)
	for what, err := range map[string]error{
		"Create": create, "Create of a large one": large, "Next": next, "Lease": lease, "Update": set(t, s, "a"), "Snapshot": s.Snapshot(ctx, new(bytes.Buffer)),
		"Compact": s.Compact(ctx), "Erase": s.Erase(ctx, 1), "View": s.View(ctx, func(engine.Reader) error { return nil }),
	} {
		if !errors.Is(err, engine.ErrClosed) {
			t.Errorf("%s: %v", what, err)
		}
	}
}

// gate is a log whose writes can be held, and then fail.
type gate struct {
	seglog.FS
	held atomic.Pointer[chan error]
}

func (g *gate) Create(name string) (seglog.File, error) {
	f, err := g.FS.Create(name)
	return gateFile{f, g}, err
}

func (g *gate) Open(name string) (seglog.File, error) {
	f, err := g.FS.Open(name)
	return gateFile{f, g}, err
}

type gateFile struct {
	seglog.File
	gate *gate
}

func (f gateFile) WriteAt(b []byte, off int64) (int, error) {
	if held := f.gate.held.Load(); held != nil && !bytes.HasPrefix(b, make([]byte, 64)) && !bytes.HasPrefix(b, []byte("postern")) { // not the filler's
		if err := <-*held; err != nil {
			return 0, err
		}
	}
	return f.File.WriteAt(b, off)
}

// A group that was gathered on top of one that the disk refused fails with it, all of
// it, and a body that both linked can be linked again.
func TestFullCascade(t *testing.T) {
	dir := t.TempDir()
	if err := os.MkdirAll(filepath.Join(dir, logFolder), 0o700); err != nil {
		t.Fatal(err)
	}
	disk := &gate{FS: seglog.Dir(filepath.Join(dir, logFolder))}
	s, err := Open(Config{Dir: dir, Log: quiet, fs: disk, segment: 1 << 20})
	if err != nil {
		t.Fatal(err)
	}
	var refs []engine.BlobRef
	for _, n := range []int{1, 60} { // a small one and a file
		w, err := s.Blobs().Create(t.Context(), 1, 0)
		if err != nil {
			t.Fatal(err)
		}
		defer w.Close()
		if _, err := w.Write(bytes.Repeat(text(n), n)); err != nil {
			t.Fatal(err)
		}
		ref, err := w.Seal()
		if err != nil {
			t.Fatal(err)
		}
		refs = append(refs, ref)
	}
	hold := make(chan error)
	disk.held.Store(&hold)
	var all sync.WaitGroup
	var ran [3]atomic.Bool
	var errs [3]error
	up := func(i int, fn func(engine.Tx) error) {
		all.Go(func() {
			_, errs[i] = s.Update(context.Background(), engine.Op{Domain: 1, Fn: func(tx engine.Tx) error {
				defer ran[i].Store(true)
				tx.Emit([]byte("c"))
				return fn(tx)
			}})
		})
		until(t, "the closure", ran[i].Load)
	}
	up(0, func(tx engine.Tx) error { return errors.Join(tx.Link(refs[0]), tx.Link(refs[1])) })
	up(1, func(tx engine.Tx) error { return errors.Join(tx.Link(refs[0]), tx.Unlink(refs[1])) })
	hold <- syscall.ENOSPC
	disk.held.Store(nil)
	all.Wait()
	for i, err := range errs[:2] {
		if !errors.Is(err, engine.ErrFull) {
			t.Errorf("group %d: %v, want ErrFull", i, err)
		}
	}
	until(t, "room", func() bool {
		_, err := s.Update(t.Context(), engine.Op{Domain: 1, Fn: func(tx engine.Tx) error {
			tx.Emit([]byte("later"))
			return errors.Join(tx.Link(refs[0]), tx.Link(refs[1]))
		}})
		return err == nil
	})
	for range 2 {
		n := 0
		if err := s.Blobs().Each(t.Context(), 1, func(ref engine.BlobRef, references uint32) error {
			if n++; references != 1 {
				t.Errorf("body %d has %d references", ref.ID, references)
			}
			return nil
		}); err != nil || n != 2 {
			t.Errorf("%d bodies, %v", n, err)
		}
		for _, ref := range refs {
			if err := s.Blobs().Check(t.Context(), ref); err != nil {
				t.Error(err)
			}
		}
		f := s.Feed(1, 0)
		if c, err := f.Next(t.Context(), 10); err != nil || len(c) != 1 || string(c[0].Payload) != "later" {
			t.Errorf("feed: %v, %v", c, err)
		}
		f.Close()
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
		s = openSmall(t, dir)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
}

// child runs a test in a process of its own, where it may die. It returns false in
// that process.
func child(t *testing.T, args ...string) (cmd *exec.Cmd, parent bool) {
	t.Helper()
	if os.Getenv("ATTACK_CHILD") == t.Name() {
		return nil, false
	}
	cmd = exec.CommandContext(t.Context(), os.Args[0], "-test.run=^"+t.Name()+"$")
	cmd.Env = append(append(os.Environ(), "ATTACK_CHILD="+t.Name()), args...)
	return cmd, true
}

// Close beside Compact, wherever that is, waits for it or makes it fail.
func TestCompactBesideClose(t *testing.T) {
	if cmd, parent := child(t); parent {
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Errorf("%v: %.400s", err, out)
		}
		return
	}
	dir := t.TempDir()
	s := openSmall(t, dir)
	noise := rand.NewChaCha8([32]byte{})
	for i := range 16 {
		v := make([]byte, 200<<10)
		_, _ = noise.Read(v)
		link(t, s, func(tx engine.Tx) error { tx.Set(fmt.Appendf(nil, "\x70%d", i), v); return nil })
	}
	done := make(chan error, 1)
	go func() { done <- s.Compact(context.Background()) }()
	until(t, "the snapshot of the index", func() bool {
		tmp, err := filepath.Glob(filepath.Join(dir, logFolder, snapshotPrefix+"*.tmp"))
		return err == nil && len(tmp) > 0
	})
	within(t, 10*time.Second, "Close beside Compact", func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	within(t, 10*time.Second, "Compact beside Close", func() {
		if err := <-done; err != nil && !errors.Is(err, engine.ErrClosed) && !errors.Is(err, context.Canceled) {
			t.Error(err)
		}
	})
	if err := openSmall(t, dir).Close(); err != nil {
		t.Error(err)
	}
}

// A kill at any moment of collecting loses no body and no change, and brings none
// back.
func TestKillCollector(t *testing.T) {
	if _, parent := child(t); !parent {
		killedCollector(t, os.Getenv("ATTACK_DIR"))
		return
	}
	dir := t.TempDir()
	linked, unsure := map[int]engine.BlobRef{}, map[int]bool{}
	gone := map[int]engine.BlobRef{}
	next := 0
	rounds := 1
	_, _ = fmt.Sscan(os.Getenv("ATTACK_ROUNDS"), &rounds)
	for round := range rounds {
		cmd, _ := child(t, "ATTACK_DIR="+dir, fmt.Sprint("ATTACK_FROM=", next))
		out, err := cmd.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		lines := bufio.NewScanner(out)
		var kill *time.Timer
		for lines.Scan() {
			if kill == nil {
				kill = time.AfterFunc(time.Duration(400+rand.IntN(600))*time.Millisecond, func() { _ = cmd.Process.Kill() })
			}
			var what string
			var i int
			var ref engine.BlobRef
			var sum []byte
			if n, _ := fmt.Sscanf(lines.Text(), "%s %d %d %d %d %x", &what, &i, &ref.ID, &ref.Size, &ref.CRC32C, &sum); n != 6 || len(sum) != 32 {
				if !strings.HasPrefix(lines.Text(), "=== ") && !strings.HasPrefix(lines.Text(), "collected") {
					t.Log(lines.Text())
				}
				continue
			}
			ref.Domain, ref.SHA256 = 1, [32]byte(sum)
			next = max(next, i+1)
			switch what {
			case "linked":
				linked[i] = ref
			case "unlink":
				unsure[i] = true
			case "gone":
				gone[i] = ref
				delete(linked, i)
				delete(unsure, i)
			}
		}
		_ = cmd.Wait()
		if kill != nil {
			kill.Stop()
		}
		s := openKilled(t, dir)
		collected := 0
		for _, seg := range s.log.Segments() {
			if seg.Collected {
				collected++
			}
		}
		t.Logf("round %d: %d linked, %d gone, %d stubs, segments %d", round, len(linked), len(gone), collected, len(s.log.Segments()))
		for i, ref := range linked {
			if err := s.Blobs().Check(t.Context(), ref); err != nil && !unsure[i] {
				t.Errorf("round %d: body %d: %v", round, i, err)
			}
		}
		for i, ref := range gone {
			if err := s.Blobs().Check(t.Context(), ref); !errors.Is(err, engine.ErrNotFound) {
				t.Errorf("round %d: body %d is back: %v", round, i, err)
			}
		}
		f, n := s.Feed(1, 0), uint64(0)
		head, _ := f.Head(t.Context())
		for {
			c, err := f.Next(t.Context(), 500)
			if err != nil {
				t.Fatal(err)
			}
			if len(c) == 0 {
				break
			}
			for _, c := range c {
				if n++; c.Sequence != n {
					t.Fatalf("change %d is number %d", c.Sequence, n)
				}
			}
		}
		f.Close()
		if n != head {
			t.Errorf("the feed ends with %d of %d", n, head)
		}
		for i := range unsure {
			if s.Blobs().Check(t.Context(), linked[i]) != nil {
				gone[i] = linked[i]
				delete(linked, i)
			}
			delete(unsure, i)
		}
		sameLives(t, s)
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
		if n := 0; round == rounds-1 {
			_, err := Verify(t.Context(), Config{Dir: dir, Log: quiet, segment: 2 << 20}, func(f Finding) { n++; t.Errorf("Verify: %s", f.What) })
			if err != nil || n > 0 {
				t.Fatal(err)
			}
		}
	}
}

func openKilled(t *testing.T, dir string) *Store {
	t.Helper()
	s, err := Open(Config{Dir: dir, Log: quiet, segment: 2 << 20})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// sameLives compares the counters of live bytes with what the records say.
func sameLives(t *testing.T, s *Store) {
	t.Helper()
	want := map[uint32]int64{}
	err := s.View(t.Context(), func(r engine.Reader) error {
		if err := r.Scan(engine.Prefix([]byte{engine.SubBlob}), func(k, v []byte) error {
			domain, id, _ := blobKeyID(k)
			rec, err := decodeBlob(domain, id, v)
			if err == nil && !rec.inFile {
				want[rec.place.Segment] += rec.ref.Size
			}
			return err
		}); err != nil {
			return err
		}
		for _, seg := range s.log.Segments() {
			n, err := readU64(r, liveKey(seg.Number))
			if err != nil {
				return err
			}
			if int64(n) != want[seg.Number] {
				t.Errorf("segment %d: %d bytes live, the counter says %d", seg.Number, want[seg.Number], n)
			}
		}
		return nil
	})
	if err != nil {
		t.Error(err)
	}
}

func killedCollector(t *testing.T, dir string) {
	s := openKilled(t, dir)
	from := 0
	_, _ = fmt.Sscan(os.Getenv("ATTACK_FROM"), &from)
	var all sync.WaitGroup
	var out sync.Mutex
	say := func(what string, i int, ref engine.BlobRef) {
		out.Lock()
		defer out.Unlock()
		fmt.Printf("%s %d %d %d %d %x\n", what, i, ref.ID, ref.Size, ref.CRC32C, ref.SHA256)
	}
	for n := range 4 {
		all.Go(func() {
			refs := map[int]engine.BlobRef{}
			for i := from + n; ; i += 4 {
				content := text(i)
				if i%40 == 0 {
					content = bytes.Repeat(content, 50)
				}
				w, err := s.Blobs().Create(t.Context(), 1, 0)
				if err != nil {
					t.Error(err)
					return
				}
				_, _ = w.Write(content)
				ref, err := w.Seal()
				if err == nil {
					_, err = s.Update(t.Context(), engine.Op{Domain: 1, Fn: func(tx engine.Tx) error { tx.Emit(text(i)[:20]); return tx.Link(ref) }})
				}
				if err != nil {
					t.Error(err)
					return
				}
				w.Close()
				say("linked", i, ref)
				refs[i] = ref
				for j, ref := range refs {
					if len(refs) < 30 {
						break
					}
					say("unlink", j, ref)
					if _, err := s.Update(t.Context(), engine.Op{Domain: 1, Fn: func(tx engine.Tx) error { tx.Emit(text(j)[:20]); return tx.Unlink(ref) }}); err != nil {
						t.Error(err)
						return
					}
					say("gone", j, ref)
					delete(refs, j)
				}
				time.Sleep(time.Millisecond)
			}
		})
	}
	for {
		err := s.committer.alone(t.Context(), func() error { return s.index.flush(t.Context()) })
		if err == nil {
			err = s.collect(t.Context(), ^uint32(0))
		}
		if err != nil {
			fmt.Println("collect:", err)
			os.Exit(3)
		}
		fmt.Println("collected")
		time.Sleep(200 * time.Millisecond)
	}
}

// An answer that rests on a group that was lost is not given: what the closure saw
// never was.
func TestAnswerOnLostGroup(t *testing.T) {
	dir := t.TempDir()
	if err := os.MkdirAll(filepath.Join(dir, logFolder), 0o700); err != nil {
		t.Fatal(err)
	}
	disk := &gate{FS: seglog.Dir(filepath.Join(dir, logFolder))}
	s, err := Open(Config{Dir: dir, Log: quiet, fs: disk, segment: 1 << 20})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	hold := make(chan error)
	disk.held.Store(&hold)
	errExists := errors.New("exists")
	create := func(ran *atomic.Bool) chan error {
		done := make(chan error, 1)
		go func() {
			_, err := s.Update(context.Background(), engine.Op{Domain: 1, Fn: func(tx engine.Tx) error {
				defer ran.Store(true)
				if _, err := tx.Get([]byte("\x70name")); err == nil {
					return errExists
				}
				tx.Set([]byte("\x70name"), nil)
				return nil
			}})
			done <- err
		}()
		until(t, "the closure", ran.Load)
		return done
	}
	var one, two atomic.Bool
	first := create(&one)
	second := create(&two)
	hold <- syscall.ENOSPC
	disk.held.Store(nil)
	if err := <-first; !errors.Is(err, engine.ErrFull) {
		t.Fatalf("the first: %v", err)
	}
	if err := <-second; !errors.Is(err, engine.ErrFull) && !has(t, s, "name") {
		t.Errorf("the second is told %q of a name that isn't there", err)
	}
}

// Close beside many callers: everybody has an answer, and what was acknowledged is
// there at the next start.
func TestCloseBesideUpdates(t *testing.T) {
	dir := t.TempDir()
	for round := range 2 {
		s := openSmall(t, dir)
		var all sync.WaitGroup
		var mu sync.Mutex
		var acked []string
		for n := range 40 {
			all.Go(func() {
				for i := 0; ; i++ {
					ctx, cancel := context.WithTimeout(context.Background(), time.Duration(rand.IntN(5000))*time.Microsecond)
					k := fmt.Sprintf("%d/%d/%d", round, n, i)
					ran := false
					_, err := s.Update(ctx, engine.Op{Domain: uint32(n), Fn: func(tx engine.Tx) error {
						ran = true
						tx.Emit([]byte(k))
						tx.Set([]byte("\x70"+k), make([]byte, rand.IntN(2000)))
						if i%7 == 3 {
							panic("a closure panics")
						}
						return nil
					}})
					cancel()
					switch {
					case err == nil:
						mu.Lock()
						acked = append(acked, k)
						mu.Unlock()
					case errors.Is(err, engine.ErrClosed):
						return
					case errors.Is(err, context.DeadlineExceeded) && ran:
						t.Errorf("%s ran, and was told %v", k, err)
					case !errors.Is(err, context.DeadlineExceeded) && !strings.Contains(err.Error(), "panicked"):
						t.Error(err)
						return
					}
				}
			})
		}
		time.Sleep(100 * time.Millisecond)
		within(t, 10*time.Second, "Close", func() {
			if err := s.Close(); err != nil {
				t.Error(err)
			}
		})
		within(t, 10*time.Second, "an Update beside Close", all.Wait)
		s = openSmall(t, dir)
		for _, k := range acked {
			if !has(t, s, k) {
				t.Errorf("%s was acknowledged and is gone", k)
			}
		}
		for n := range uint32(40) {
			f, want := s.Feed(n, 0), uint64(1)
			c, err := f.Next(t.Context(), 1<<20)
			head, _ := f.Head(t.Context())
			for _, c := range c {
				if c.Sequence != want {
					t.Errorf("domain %d: change %d instead of %d", n, c.Sequence, want)
				}
				want++
			}
			if err != nil || head != want-1 {
				t.Errorf("domain %d: head %d, last %d, %v", n, head, want-1, err)
			}
			f.Close()
		}
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
	}
}

// A store that can't be opened leaves no file open and no goroutine behind.
func TestFailedOpen(t *testing.T) {
	dir := t.TempDir()
	s := openSmall(t, dir)
	for i := range 20 {
		body(t, s, text(i))
	}
	image := clone(t, dir)
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	fds := func() int {
		all, err := os.ReadDir("/proc/self/fd")
		if err != nil {
			skip(t, err.Error())
		}
		return len(all)
	}
	if err := flip(filepath.Join(image, logFolder, "seg-00000001"), 4000, 1); err != nil {
		t.Fatal(err)
	}
	before, routines := fds(), runtime.NumGoroutine()
	for range 5 {
		if s, err := Open(Config{Dir: image, Log: quiet, segment: 1 << 20}); err == nil {
			s.Close()
			t.Fatal("it is opened")
		}
	}
	until(t, "the end of the goroutines", func() bool { return runtime.NumGoroutine() <= routines })
	if after := fds(); after > before {
		t.Errorf("%d files are open, there were %d", after, before)
	}
}

// Compact on a disk without room doesn't end the process: Badger writes through maps
// of sparse files, and the kernel's answer to that is a signal.
func TestCompactFullDisk(t *testing.T) {
	cmd, parent := child(t)
	if parent {
		dir := mount(t, "tmpfs")
		cmd.Env = append(cmd.Env, "ATTACK_DIR="+dir)
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Errorf("%v: %.400s", err, out)
		}
		return
	}
	dir := os.Getenv("ATTACK_DIR")
	s := open(t, filepath.Join(dir, "store"), time.Now).(*Store)
	gone := body(t, s, text(1))
	link(t, s, func(tx engine.Tx) error { return tx.Unlink(gone) })
	fill(t, filepath.Join(dir, "hog"))
	if err := os.Truncate(filepath.Join(dir, "hog"), fileSize(t, filepath.Join(dir, "hog"))-(8<<20)); err != nil {
		t.Fatal(err)
	}
	s.space.look()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	if err := s.Compact(ctx); !errors.Is(err, engine.ErrFull) {
		t.Errorf("Compact without room: %v", err)
	}
	if err := os.Remove(filepath.Join(dir, "hog")); err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Error(err)
	}
}

func fileSize(t *testing.T, path string) int64 {
	t.Helper()
	info, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	return info.Size()
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
