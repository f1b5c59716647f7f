package badgerstore

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/centerleap/postern/store/engine"
	"github.com/centerleap/postern/store/seglog"
	"github.com/centerleap/postern/store/storetest"
)

func TestMain(m *testing.M) {
	storetest.CrashChild(crashOpen) // returns unless this process is a child to be killed
	fullChild()                     // or one that fills a disk
	goleak.VerifyTestMain(m, goleak.IgnoreTopFunction("github.com/golang/glog.(*fileSink).flushDaemon"),
		// Badger leaves these behind when it refuses to open damaged files.
		goleak.IgnoreTopFunction("github.com/dgraph-io/badger/v4.(*DB).monitorCache"),
		goleak.IgnoreTopFunction("github.com/dgraph-io/ristretto/v2/z.(*AllocatorPool).freeupAllocators"))
}

var background = context.Background()

var quiet = slog.New(slog.DiscardHandler)

func open(t testing.TB, dir string, now func() time.Time) engine.Engine {
	t.Helper()
	s, err := Open(Config{Dir: dir, Log: quiet, Now: now})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func crashOpen(dir string) (engine.Engine, error) {
	return Open(Config{Dir: dir, Log: quiet})
}

func TestEngine(t *testing.T)      { storetest.Run(t, open) }
func BenchmarkEngine(b *testing.B) { storetest.Bench(b, open) }

// TestKill: what was acknowledged before a kill -9 is there after it.
func TestKill(t *testing.T) { storetest.Crash(t, crashOpen) }

func set(t testing.TB, s *Store, key string) error {
	t.Helper()
	_, err := s.Update(t.Context(), engine.Op{Domain: 1, Fn: func(tx engine.Tx) error {
		tx.Set([]byte("\x70"+key), []byte("v"))
		return nil
	}})
	return err
}

func has(t testing.TB, s *Store, key string) bool {
	t.Helper()
	err := s.View(t.Context(), func(r engine.Reader) error {
		_, err := r.Get([]byte("\x70" + key))
		return err
	})
	if err != nil && !errors.Is(err, engine.ErrNotFound) {
		t.Fatal(err)
	}
	return err == nil
}

func TestSecondProcess(t *testing.T) {
	dir := t.TempDir()
	s := open(t, dir, time.Now).(*Store)
	defer s.Close()
	_, err := Open(Config{Dir: dir, Log: quiet})
	if err == nil || !strings.Contains(err.Error(), "in use by another process (pid ") {
		t.Errorf("a second Open: %v", err)
	}
	if err := set(t, s, "a"); err != nil {
		t.Errorf("the first one is hurt: %v", err)
	}
}

// faultFS is a folder whose disk can be told to fail.
type faultFS struct {
	seglog.FS
	write, sync atomic.Pointer[error]
}

func newFaultFS(t *testing.T, dir string) *faultFS {
	t.Helper()
	dir = filepath.Join(dir, logFolder)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	return &faultFS{FS: seglog.Dir(dir)}
}

func (f *faultFS) Create(name string) (seglog.File, error) { return f.file(f.FS.Create(name)) }
func (f *faultFS) Open(name string) (seglog.File, error)   { return f.file(f.FS.Open(name)) }

func (f *faultFS) file(inner seglog.File, err error) (seglog.File, error) {
	if err != nil {
		return nil, err
	}
	return faultFile{inner, f}, nil
}

type faultFile struct {
	seglog.File
	fs *faultFS
}

func (f faultFile) WriteAt(b []byte, off int64) (int, error) {
	if err := f.fs.write.Load(); err != nil {
		return 0, *err
	}
	return f.File.WriteAt(b, off)
}

func (f faultFile) Sync() error {
	if err := f.fs.sync.Load(); err != nil {
		return *err
	}
	return f.File.Sync()
}

// After a failed sync nothing is acknowledged, reads go on, and the next start
// is clean.
func TestSyncFails(t *testing.T) {
	dir := t.TempDir()
	disk := newFaultFS(t, dir)
	boom := syscall.EIO
	s, err := Open(Config{Dir: dir, Log: quiet, fs: disk})
	if err != nil {
		t.Fatal(err)
	}
	if err := set(t, s, "before"); err != nil {
		t.Fatal(err)
	}
	var eio error = boom
	disk.sync.Store(&eio)
	for _, key := range []string{"during", "after"} {
		if err := set(t, s, key); !errors.Is(err, engine.ErrReadOnly) {
			t.Errorf("%s: %v, want ErrReadOnly", key, err)
		}
		disk.sync.Store(nil) // the disk is well again, but nobody knows what it holds
	}
	if !has(t, s, "before") || has(t, s, "during") || has(t, s, "after") {
		t.Error("reads are wrong")
	}
	if h := s.Health(); h.Writable || !errors.Is(h.Err, boom) {
		t.Errorf("Health: %+v", h)
	}
	if _, err := s.Blobs().Create(t.Context(), 1, 0); !errors.Is(err, engine.ErrReadOnly) {
		t.Errorf("Create: %v", err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	s = open(t, dir, time.Now).(*Store)
	defer s.Close()
	if !has(t, s, "before") || set(t, s, "later") != nil {
		t.Error("the next start is not clean")
	}
}

// A disk that is full for the log is no failure: it ends when there is room.
func TestLogFull(t *testing.T) {
	dir := t.TempDir()
	disk := newFaultFS(t, dir)
	s, err := Open(Config{Dir: dir, Log: quiet, fs: disk})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	var enospc error = syscall.ENOSPC
	disk.write.Store(&enospc)
	if err := set(t, s, "during"); !errors.Is(err, engine.ErrFull) {
		t.Errorf("on a full disk: %v, want ErrFull", err)
	}
	if s.Health().Writable || has(t, s, "during") {
		t.Error("the store says that all is well")
	}
	disk.write.Store(nil)
	deadline := time.Now().Add(10 * time.Second)
	for set(t, s, "after") != nil {
		if time.Now().After(deadline) {
			t.Fatal("it doesn't recover")
		}
		time.Sleep(50 * time.Millisecond)
	}
	if !has(t, s, "after") || has(t, s, "during") {
		t.Error("reads are wrong")
	}
}

func TestNewerVersion(t *testing.T) {
	dir := t.TempDir()
	s := open(t, dir, time.Now).(*Store)
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, versionFile), []byte(fmt.Sprintln(version+1)), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(Config{Dir: dir, Log: quiet}); err == nil || !strings.Contains(err.Error(), "newer") {
		t.Errorf("Open of a newer store: %v", err)
	}
}

// A snapshot restored elsewhere holds every record and body, and damage in it
// is found.
func TestRestore(t *testing.T) {
	s := open(t, t.TempDir(), time.Now).(*Store)
	defer s.Close()
	refs := make(map[int]engine.BlobRef)
	for _, size := range []int{1000, 1 << 20} {
		refs[size] = putBody(t, s, size)
	}
	if err := set(t, s, "a"); err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	if err := s.Snapshot(t.Context(), &out); err != nil {
		t.Fatal(err)
	}
	dir := filepath.Join(t.TempDir(), "copy")
	if err := Restore(bytes.NewReader(out.Bytes()), dir, quiet); err != nil {
		t.Fatal(err)
	}
	c := open(t, dir, time.Now).(*Store)
	defer c.Close()
	for size, ref := range refs {
		if err := c.Blobs().Check(t.Context(), ref); err != nil {
			t.Errorf("body of %d bytes: %v", size, err)
		}
	}
	if !has(t, c, "a") || c.Boot() <= s.Boot() {
		t.Errorf("record there: %v, boot %d after %d", has(t, c, "a"), c.Boot(), s.Boot())
	}
	damaged := bytes.Clone(out.Bytes())
	damaged[len(damaged)/2] ^= 1
	for name, b := range map[string][]byte{"flipped": damaged, "cut": out.Bytes()[:out.Len()-40], "other": []byte("hello")} {
		if err := Restore(bytes.NewReader(b), filepath.Join(t.TempDir(), name), quiet); err == nil {
			t.Errorf("a %s snapshot is restored without an error", name)
		}
	}
	if err := Restore(bytes.NewReader(out.Bytes()), dir, quiet); err == nil {
		t.Error("a folder with a store is overwritten")
	}
}

func putBody(t testing.TB, s *Store, size int) engine.BlobRef {
	t.Helper()
	w, err := s.Blobs().Create(t.Context(), 1, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer w.Close()
	if _, err := w.Write(bytes.Repeat([]byte("x"), size)); err != nil {
		t.Fatal(err)
	}
	ref, err := w.Seal()
	if err != nil {
		t.Fatal(err)
	}
	_, err = s.Update(context.Background(), engine.Op{Domain: 1, Fn: func(tx engine.Tx) error { return tx.Link(ref) }})
	if err != nil {
		t.Fatal(err)
	}
	return ref
}

// Files of bodies that no commit named are gone after the next start, and so is
// everything that was being written.
func TestSweep(t *testing.T) {
	dir := t.TempDir()
	s := open(t, dir, time.Now).(*Store)
	kept := putBody(t, s, 1<<20)
	w, err := s.Blobs().Create(t.Context(), 1, 1<<20)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.Write(make([]byte, 1<<20)); err != nil {
		t.Fatal(err)
	}
	if _, err := w.Seal(); err != nil { // and never closed, as after a crash
		t.Fatal(err)
	}
	if n := countFiles(t, dir); n != 2 {
		t.Fatalf("%d files before, want 2", n)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	s = open(t, dir, time.Now).(*Store)
	defer s.Close()
	if n := countFiles(t, dir); n != 1 {
		t.Errorf("%d files after, want 1", n)
	}
	if err := s.Blobs().Check(t.Context(), kept); err != nil {
		t.Error(err)
	}
}

func countFiles(t *testing.T, dir string) (n int) {
	t.Helper()
	err := filepath.WalkDir(filepath.Join(dir, "bodies"), func(_ string, d os.DirEntry, err error) error {
		if err == nil && !d.IsDir() {
			n++
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// A view sees the groups that the index lacks above it, the newest first, and none that
// it has.
func TestViewAboveIndex(t *testing.T) {
	s := open(t, t.TempDir(), time.Now).(*Store)
	defer s.Close()
	for _, k := range []string{"a", "b", "c"} {
		if err := set(t, s, k); err != nil {
			t.Fatal(err)
		}
	}
	if err := s.viewIndex(t.Context(), func(*reader) error { return nil }); err != nil { // the index has them
		t.Fatal(err)
	}
	coming := func(sequence uint64, cells map[string]cell) *group {
		g := &group{sequence: sequence, over: new(overlay)}
		for k, c := range cells {
			g.over.put([]byte("\x70"+k), c)
		}
		return g
	}
	val := func(v string) cell { return cell{value: []byte(v)} }
	err := s.View(t.Context(), func(er engine.Reader) error {
		r := er.(*reader)
		r.above([]*group{
			coming(r.at+2, map[string]cell{"a": val("2"), "d": val("2"), "e": {value: []byte("2"), exp: r.now}}),
			coming(r.at+1, map[string]cell{"a": val("1"), "b": {deleted: true}, "e": val("1")}),
			coming(r.at, map[string]cell{"c": val("old"), "x": val("old")}),
		})
		const want = "a2cvd2"
		for _, reverse := range []bool{false, true} {
			var pairs []string
			rng := engine.Prefix([]byte{0x70})
			rng.Reverse = reverse
			if err := r.Scan(rng, func(k, v []byte) error { pairs = append(pairs, string(k[1:])+string(v)); return nil }); err != nil {
				return err
			}
			if reverse {
				slices.Reverse(pairs)
			}
			if got := strings.Join(pairs, ""); got != want {
				t.Errorf("reverse %v: %q, want %q", reverse, got, want)
			}
		}
		got := ""
		for _, k := range []string{"a", "b", "c", "d", "e", "x"} {
			v, err := r.Get([]byte("\x70" + k))
			if err == nil {
				got += k + string(v)
			} else if !errors.Is(err, engine.ErrNotFound) {
				return err
			}
		}
		if got != want {
			t.Errorf("one by one: %q, want %q", got, want)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}
