package storetest

import (
	"bytes"
	"errors"
	"fmt"
	"testing"

	"github.com/centerleap/postern/store/engine"
)

// Sizes on both sides of what engines may treat differently.
var bodySizes = []int{0, 1, 5000, 256 << 10, 256<<10 + 1, 3 << 20}

func testBodies(_ *testing.T, f *fixture) {
	refs := make([]engine.BlobRef, len(bodySizes))
	for i, size := range bodySizes {
		var data []byte
		refs[i], data = f.body(size, 2)
		f.want(refs[i].Size, size, "size")
		f.checkBody(refs[i], data)
	}
	f.restart()
	for i, size := range bodySizes {
		data := bytes.Repeat([]byte("0123456789abcdef"), size/16+1)[:size]
		f.checkBody(refs[i], data)
		f.unlink(refs[i])
		f.checkBody(refs[i], data) // one link is left
		f.update(func(tx engine.Tx) error { return tx.Link(refs[i]) })
		f.unlink(refs[i])
		f.unlink(refs[i])
		f.checkGone(refs[i])
	}
	f.restart()
	for _, ref := range refs {
		f.checkGone(ref)
	}
}

func (f *fixture) unlink(ref engine.BlobRef) {
	f.Helper()
	f.update(func(tx engine.Tx) error { return tx.Unlink(ref) })
}

func (f *fixture) checkBody(ref engine.BlobRef, data []byte) {
	f.Helper()
	if err := f.e.Blobs().Check(f.Context(), ref); err != nil {
		f.Fatalf("Check: %v", err)
	}
	size := int64(len(data))
	for _, r := range [][2]int64{{0, -1}, {0, size}, {size / 2, -1}, {size / 3, size / 4}, {size, -1}, {0, size + 100}} {
		got, err := f.read(ref, r[0], r[1])
		if err != nil {
			f.Fatalf("Open %v: %v", r, err)
		}
		end := size
		if r[1] >= 0 {
			end = min(size, r[0]+r[1])
		}
		if !bytes.Equal(got, data[r[0]:end]) {
			f.Fatalf("range %v of %d bytes: %d other bytes", r, size, len(got))
		}
	}
}

func (f *fixture) checkGone(ref engine.BlobRef) {
	f.Helper()
	if _, err := f.read(ref, 0, -1); !errors.Is(err, engine.ErrNotFound) {
		f.Fatalf("a body without links is read: %v", err)
	}
	_, err := f.e.Update(f.Context(), engine.Op{Domain: 1, Fn: func(tx engine.Tx) error { return tx.Link(ref) }})
	if !errors.Is(err, engine.ErrNotFound) {
		f.Fatalf("a body without links is linked: %v", err)
	}
}

// testBodiesDropped: a body is there between Seal and Close, and not after,
// unless a commit linked it; a failed commit links nothing.
func testBodiesDropped(_ *testing.T, f *fixture) {
	for _, size := range bodySizes {
		w, err := f.e.Blobs().Create(f.Context(), 1, 0)
		if err != nil {
			f.Fatal(err)
		}
		if _, err := w.Write(make([]byte, size)); err != nil {
			f.Fatal(err)
		}
		ref, err := w.Seal()
		if err != nil {
			f.Fatal(err)
		}
		got, err := f.read(ref, 0, -1)
		f.want(fmt.Sprint(len(got), err), fmt.Sprint(size, nil), "sealed")
		if _, err := w.Write([]byte("more")); err == nil {
			f.Error("a sealed body grows")
		}
		_, err = f.e.Update(f.Context(), engine.Op{Domain: 1, Fn: func(tx engine.Tx) error {
			return errors.Join(tx.Link(ref), errors.New("on purpose"))
		}})
		if err == nil {
			f.Fatal("no error")
		}
		f.want(w.Close(), nil, "Close")
		f.want(w.Close(), nil, "Close again")
		f.checkGone(ref)
	}
}

func testBodyDomains(_ *testing.T, f *fixture) {
	for _, size := range []int{100, 1 << 20} {
		ref, _ := f.body(size, 1)
		foreign := ref
		foreign.Domain = 2
		if _, err := f.read(foreign, 0, -1); !errors.Is(err, engine.ErrNotFound) {
			f.Errorf("read under another domain: %v", err)
		}
		for _, r := range []engine.BlobRef{ref, foreign} {
			_, err := f.e.Update(f.Context(), engine.Op{Domain: 2, Fn: func(tx engine.Tx) error { return tx.Link(r) }})
			if !errors.Is(err, engine.ErrNotFound) {
				f.Errorf("linked from another domain: %v", err)
			}
		}
	}
}

// testSnapshotCopy: a copy taken while others write is one moment's.
func testSnapshotCopy(t *testing.T, f *fixture) {
	var out bytes.Buffer
	f.body(1<<20, 1)
	f.set("a", "1")
	if err := f.e.Snapshot(f.Context(), &out); err != nil {
		t.Fatalf("Snapshot: %v", err)
	}
	if out.Len() < 1<<20 {
		t.Errorf("a snapshot of %d bytes holds no body of 1 MiB", out.Len())
	}
}

// testManyBodies: many are read at once, wherever each lies, over a restart too; those
// that are gone are passed over, and an error ends it.
func testManyBodies(_ *testing.T, f *fixture) {
	var refs []engine.BlobRef
	want := make(map[int][]byte)
	for i, size := range append(bodySizes, 5000, 6000, 7000) {
		ref, data := f.body(size, 1)
		refs, want[i] = append(refs, ref), data
	}
	w, err := f.e.Blobs().Create(f.Context(), 1, 0)
	if err != nil {
		f.Fatal(err)
	}
	if _, err := w.Write([]byte("not linked yet")); err != nil {
		f.Fatal(err)
	}
	sealed, err := w.Seal()
	if err != nil {
		f.Fatal(err)
	}
	refs, want[len(refs)] = append(refs, sealed), []byte("not linked yet")
	foreign := refs[2]
	foreign.Domain = 2
	refs = append(refs, foreign)
	f.unlink(refs[2])
	f.unlink(refs[5])
	delete(want, 2)
	delete(want, 5)
	f.checkBodies(refs, want)
	f.want(w.Close(), nil, "Close")
	delete(want, len(refs)-2)
	f.restart()
	f.checkBodies(refs, want)
	f.checkBodies(nil, nil)
	stop := errors.New("on purpose")
	for _, refs := range [][]engine.BlobRef{refs, refs[4:5]} {
		calls := 0
		err := f.e.Blobs().Read(f.Context(), refs, func(int, []byte) error { calls++; return stop })
		f.want(fmt.Sprint(err, calls), fmt.Sprint(stop, 1), "an error of fn")
	}
}

func (f *fixture) checkBodies(refs []engine.BlobRef, want map[int][]byte) {
	f.Helper()
	got := make(map[int][]byte)
	err := f.e.Blobs().Read(f.Context(), refs, func(i int, body []byte) error {
		if got[i] != nil {
			f.Errorf("body %d is shown twice", i)
		}
		got[i] = append([]byte{}, body...)
		return nil
	})
	if err != nil {
		f.Fatalf("Read: %v", err)
	}
	f.want(len(got), len(want), "bodies")
	for i := range want {
		if !bytes.Equal(got[i], want[i]) {
			f.Errorf("body %d has %d bytes, want %d", i, len(got[i]), len(want[i]))
		}
	}
}
