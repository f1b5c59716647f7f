package badgerstore

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/centerleap/postern/store/engine"
	"github.com/centerleap/postern/store/seglog"
)

// sample is a store that is looked at again after damage was done to a copy of it.
type sample struct {
	closed  string // its folder after a clean end
	crashed string // its folder as a kill leaves it
	refs    []engine.BlobRef
}

const sampleSize = 24

func key(i int) []byte { return fmt.Appendf([]byte{0x70, 0, 0, 0, 1}, "key %03d", i) }

func sampleText(i int) []byte {
	if i == 5 {
		return bytes.Repeat([]byte("a large body. "), 30_000) // a file
	}
	return text(i)[:700+i]
}

func makeSample(t *testing.T) *sample {
	t.Helper()
	m := &sample{closed: t.TempDir(), crashed: filepath.Join(t.TempDir(), "crashed")}
	s, err := Open(Config{Dir: m.closed, Log: quiet, segment: 1 << 20})
	if err != nil {
		t.Fatal(err)
	}
	for i := range sampleSize {
		w, err := s.Blobs().Create(t.Context(), 1, 0)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := w.Write(sampleText(i)); err != nil {
			t.Fatal(err)
		}
		ref, err := w.Seal()
		if err != nil {
			t.Fatal(err)
		}
		link(t, s, func(tx engine.Tx) error {
			tx.Set(key(i), fmt.Append(nil, "value ", i))
			tx.Emit(key(i))
			return tx.Link(ref)
		})
		m.refs = append(m.refs, ref)
		if err := w.Close(); err != nil {
			t.Fatal(err)
		}
		if i == sampleSize/2 { // so that there are tables, a checkpoint and a memtable
			if err := s.committer.alone(t.Context(), func() error { s.checkpoint(); return s.index.flush(t.Context()) }); err != nil {
				t.Fatal(err)
			}
			if err := s.committer.alone(t.Context(), func() error { s.checkpoints.bytes = 1; s.checkpoint(); return nil }); err != nil {
				t.Fatal(err)
			}
		}
	}
	copyDir(t, m.closed, m.crashed)
	trim(t, m.crashed)
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	return m
}

func copyDir(t testing.TB, from, to string) {
	t.Helper()
	err := filepath.WalkDir(from, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(from, path)
		if err != nil {
			return err
		}
		if d.IsDir() {
			return os.MkdirAll(filepath.Join(to, rel), 0o700)
		}
		return copyFile(path, filepath.Join(to, rel))
	})
	if err != nil {
		t.Fatal(err)
	}
}

// trim cuts the zeros off the logs that Badger maps, tens of megabytes each: nobody
// reads those files, and they are copied hundreds of times.
func trim(t testing.TB, dir string) {
	t.Helper()
	logs, err := filepath.Glob(filepath.Join(dir, indexFolder, "*.mem"))
	if err != nil || len(logs) == 0 {
		t.Fatal(logs, err)
	}
	for _, path := range logs {
		b, err := os.ReadFile(path)
		if err == nil {
			err = os.Truncate(path, int64(len(bytes.TrimRight(b, "\x00"))))
		}
		if err != nil {
			t.Fatal(err)
		}
	}
}

// copyFile leaves out what is zero, so that sparse files stay so.
func copyFile(from, to string) error {
	b, err := os.ReadFile(from)
	if err != nil {
		return err
	}
	f, err := os.Create(to)
	if err != nil {
		return err
	}
	kept := bytes.TrimRight(b, "\x00")
	_, err = f.Write(kept)
	return errors.Join(err, f.Truncate(int64(len(b))), f.Close())
}

// outcome says what became of a damaged copy: it is refused, or all is there, or
// what is hit says so. Anything else is a silent loss.
func (m *sample) outcome(t *testing.T, dir string) (refused bool, silent error) {
	t.Helper()
	s, err := Open(Config{Dir: dir, Log: quiet, segment: 1 << 20})
	if err != nil {
		return true, nil
	}
	defer s.Close()
	for i, ref := range m.refs {
		err := s.View(t.Context(), func(r engine.Reader) error {
			v, err := r.Get(key(i))
			if err == nil && string(v) != fmt.Sprint("value ", i) {
				err = fmt.Errorf("value %q", v)
			}
			return err
		})
		if err != nil {
			return false, fmt.Errorf("key %d: %w", i, err)
		}
		r, err := s.Blobs().Open(t.Context(), ref, 0, -1)
		var b []byte
		if err == nil {
			b, err = io.ReadAll(r)
			r.Close()
		}
		if errors.Is(err, engine.ErrDamaged) {
			continue // loud enough: nobody takes it for the body
		}
		if err != nil || !bytes.Equal(b, sampleText(i)) {
			return false, fmt.Errorf("body %d: %d bytes, %w", i, len(b), err)
		}
	}
	feed := s.Feed(1, 0)
	defer feed.Close()
	if changes, err := feed.Next(t.Context(), 100); err != nil || len(changes) != len(m.refs) {
		return false, fmt.Errorf("feed: %d changes, %w", len(changes), err)
	}
	return false, nil
}

// Damage to any file of the index, of any kind, is repaired from the log.
func TestDamagedIndex(t *testing.T) {
	m := makeSample(t)
	for name, from := range map[string]string{"closed": m.closed, "crashed": m.crashed} {
		if refused, err := m.outcome(t, clone(t, from)); refused || err != nil {
			t.Fatalf("%s, undamaged: refused %v, %v", name, refused, err)
		}
		entries, err := os.ReadDir(filepath.Join(from, indexFolder))
		if err != nil {
			t.Fatal(err)
		}
		kinds := make(map[string]bool)
		for _, e := range entries {
			kinds[filepath.Ext(e.Name())] = true
			for what, harm := range harms(t, filepath.Join(from, indexFolder, e.Name())) {
				t.Run(name+"/"+e.Name()+"/"+what, func(t *testing.T) {
					dir := clone(t, from)
					if err := harm(filepath.Join(dir, indexFolder, e.Name())); err != nil {
						t.Fatal(err)
					}
					if refused, err := m.outcome(t, dir); refused || err != nil {
						t.Errorf("refused %v, %v", refused, err)
					}
				})
			}
		}
		if !kinds[".sst"] || !kinds[""] || name == "crashed" && (!kinds[".mem"] || !kinds[".vlog"]) {
			t.Errorf("%s: not every kind of file is there: %v", name, kinds)
		}
	}
}

func clone(t *testing.T, from string) (dir string) {
	t.Helper()
	dir = filepath.Join(t.TempDir(), "copy")
	copyDir(t, from, dir)
	return dir
}

// harms are the ways to damage one file: a flipped bit at some places, an end cut
// off, no bytes, no file.
func harms(t *testing.T, path string) map[string]func(path string) error {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	used := len(bytes.TrimRight(b, "\x00"))
	out := map[string]func(string) error{
		"removed": os.Remove,
		"emptied": func(p string) error { return os.Truncate(p, 0) },
	}
	if used == 0 {
		return out
	}
	steps := 12
	if testing.Short() {
		steps = 3
	}
	for i := range steps {
		at := i * (used - 1) / steps
		out[fmt.Sprintf("flipped at %d", at)] = func(p string) error { return flip(p, int64(at), 1<<(i%8)) }
	}
	for _, n := range []int{used - 1, used - 3, used / 2} {
		out[fmt.Sprintf("cut at %d", n)] = func(p string) error { return os.Truncate(p, int64(max(0, n))) }
	}
	return out
}

func flip(path string, at int64, bit byte) error {
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		return err
	}
	b := make([]byte, 1)
	_, err = f.ReadAt(b, at)
	if err == nil {
		b[0] ^= bit
		_, err = f.WriteAt(b, at)
	}
	return errors.Join(err, f.Close())
}

// A file of the index that is there in an older state is found out too.
func TestOldIndexFiles(t *testing.T) {
	m := makeSample(t)
	dir := clone(t, m.closed)
	older, err := os.ReadFile(filepath.Join(m.crashed, indexFolder, "MANIFEST"))
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, indexFolder, "MANIFEST"), older, 0o600); err != nil {
		t.Fatal(err)
	}
	if refused, err := m.outcome(t, dir); refused || err != nil {
		t.Errorf("an older MANIFEST: refused %v, %v", refused, err)
	}
	dir = clone(t, m.closed)
	if err := os.RemoveAll(filepath.Join(dir, indexFolder)); err != nil {
		t.Fatal(err)
	}
	if refused, err := m.outcome(t, dir); refused || err != nil {
		t.Errorf("no index: refused %v, %v", refused, err)
	}
}

// A bit flipped in any record of the log is never a silent loss: neither with the
// index nor without it. Verify finds it, and Repair saves all that isn't hit.
func TestDamagedLog(t *testing.T) {
	m := makeSample(t)
	var places []seglog.Pos
	err := seglog.Check(seglog.Config{FS: seglog.Dir(filepath.Join(m.closed, logFolder)), Log: quiet, SegmentSize: 1 << 20}, func(g seglog.Scanned) error {
		for _, r := range g.Records {
			places = append(places, r.Pos)
		}
		return nil
	}, func(d *seglog.DamageError) { t.Error(d) })
	if err != nil || len(places) < 2*sampleSize {
		t.Fatal(len(places), err)
	}
	if testing.Short() {
		places = places[:6]
	}
	for i, at := range places {
		for _, withIndex := range []bool{true, false} {
			t.Run(fmt.Sprintf("record %d, index %v", i, withIndex), func(t *testing.T) {
				dir := clone(t, m.closed)
				if err := flip(filepath.Join(dir, logFolder, "seg-00000001"), int64(at.Offset)+int64(i%7), 1<<(i%8)); err != nil {
					t.Fatal(err)
				}
				if !withIndex {
					if err := os.RemoveAll(filepath.Join(dir, indexFolder)); err != nil {
						t.Fatal(err)
					}
				}
				refused, err := m.outcome(t, clone(t, dir))
				if err != nil || !refused && !withIndex {
					t.Fatalf("refused %v, %v", refused, err)
				}
				if i%4 != 0 { // opening and copying again and again takes its time
					return
				}
				m.repair(t, dir, withIndex, sampleSize-1)
			})
		}
	}
}

// repair checks that Verify names the damage, and that Repair saves at least so
// many bodies and names the others.
func (m *sample) repair(t *testing.T, dir string, withIndex bool, whole int) {
	t.Helper()
	var found []string
	note := func(f Finding) { found = append(found, f.What) }
	if _, err := Verify(t.Context(), Config{Dir: dir, Log: quiet, segment: 1 << 20}, note); err != nil || len(found) == 0 {
		t.Fatalf("Verify: %v, %v", found, err)
	}
	found = nil
	if _, err := Repair(t.Context(), Config{Dir: dir, Log: quiet, segment: 1 << 20}, note, nil); err != nil || len(found) == 0 {
		t.Fatalf("Repair: %v, %v", found, err)
	}
	s, err := Open(Config{Dir: dir, Log: quiet})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	keys, bodies := 0, 0
	for i, ref := range m.refs {
		if s.View(t.Context(), func(r engine.Reader) error { _, err := r.Get(key(i)); return err }) == nil {
			keys++
		}
		if s.blobs.Check(t.Context(), ref) == nil {
			bodies++
		}
	}
	if keys < sampleSize-1 || bodies < whole || withIndex && keys < sampleSize {
		t.Errorf("after the repair %d keys and %d bodies of %d are there; it said %v", keys, bodies, sampleSize, found)
	}
	if keys+bodies < 2*sampleSize && !strings.Contains(strings.Join(found, "\n"), "lost") {
		t.Errorf("%d keys, %d bodies, and the loss isn't named: %v", keys, bodies, found)
	}
	if err := set(t, s, "goes on"); err != nil {
		t.Error(err)
	}
	found = nil
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := Verify(t.Context(), Config{Dir: dir, Log: quiet}, note); err != nil || len(found) > 0 {
		t.Errorf("Verify after the repair: %v, %v", found, err)
	}
}

// A log that lost its end is not taken for a whole one.
func TestLostEnd(t *testing.T) {
	m := makeSample(t)
	path := func(dir string) string { return filepath.Join(dir, logFolder, "seg-00000001") }
	b, err := os.ReadFile(path(m.closed))
	if err != nil {
		t.Fatal(err)
	}
	used := int64(len(bytes.TrimRight(b, "\x00")))
	for _, lose := range []int64{1, 600, 20_000} {
		dir := clone(t, m.closed)
		if err := os.Truncate(path(dir), used-lose); err != nil {
			t.Fatal(err)
		}
		if refused, err := m.outcome(t, clone(t, dir)); !refused {
			t.Errorf("the last %d bytes are gone, and it is opened: %v", lose, err)
		}
		m.repair(t, dir, true, 0)
	}
	dir := clone(t, m.closed)
	if err := os.Remove(path(dir)); err != nil {
		t.Fatal(err)
	}
	if refused, _ := m.outcome(t, dir); !refused {
		t.Error("the log is gone, and the store is opened")
	}
}
