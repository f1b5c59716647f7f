// Package storetest holds every engine to the contract of package engine: one
// suite, one crash harness, one set of benchmarks.
//
//	func TestEngine(t *testing.T) { storetest.Run(t, open) }
package storetest

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"testing"
	"time"

	"github.com/centerleap/postern/store/engine"
)

// Opener opens, or opens again, the engine in dir. now decides what has expired.
type Opener func(t testing.TB, dir string, now func() time.Time) engine.Engine

// Run is the suite.
func Run(t *testing.T, open Opener) {
	for _, c := range []struct {
		name string
		run  func(*testing.T, *fixture)
	}{
		{"order and ranges", testRanges},
		{"own writes", testOwnWrites},
		{"own writes in scans", testOwnScans},
		{"snapshot", testSnapshotIsolation},
		{"failing closure", testFailingClosure},
		{"group", testGroup},
		{"expiry", testExpiry},
		{"delete range", testDeleteRange},
		{"one counter", testCounter},
		{"reserved keys", testReserved},
		{"too large", testTooLarge},
		{"feed over a restart", testFeed},
		{"feed trimmed", testFeedTrimmed},
		{"feed wake", testFeedWake},
		{"many feeds", testManyFeeds},
		{"lease", testLease},
		{"bodies", testBodies},
		{"many bodies", testManyBodies},
		{"bodies dropped", testBodiesDropped},
		{"bodies apart", testBodyDomains},
		{"cancel", testCancel},
		{"cancel at any time", testCancelAnyTime},
		{"close", testClose},
		{"copy", testSnapshotCopy},
		{"random operations", testRandom},
	} {
		t.Run(c.name, func(t *testing.T) {
			f := &fixture{T: t, open: open, dir: t.TempDir(), clock: time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)}
			f.start()
			t.Cleanup(f.stop)
			c.run(t, f)
		})
	}
}

// fixture is one engine, its folder and its clock.
type fixture struct {
	*testing.T
	open  Opener
	dir   string
	clock time.Time
	e     engine.Engine
}

func (f *fixture) start() { f.e = f.open(f.T, f.dir, func() time.Time { return f.clock }) }

func (f *fixture) stop() {
	f.Helper()
	if err := f.e.Close(); err != nil {
		f.Errorf("Close: %v", err)
	}
}

func (f *fixture) restart() {
	f.Helper()
	f.stop()
	f.start()
}

// update runs fn in domain 1 and fails the test if it fails.
func (f *fixture) update(fn func(engine.Tx) error) engine.Commit {
	f.Helper()
	c, err := f.e.Update(f.Context(), engine.Op{Domain: 1, Fn: fn})
	if err != nil {
		f.Fatalf("Update: %v", err)
	}
	return c
}

func (f *fixture) set(pairs ...string) {
	f.Helper()
	f.update(func(tx engine.Tx) error {
		for i := 0; i < len(pairs); i += 2 {
			tx.Set(k(pairs[i]), []byte(pairs[i+1]))
		}
		return nil
	})
}

// get returns the value of a key, or "-" when there is none.
func (f *fixture) get(key string) (v string) {
	f.Helper()
	err := f.e.View(f.Context(), func(r engine.Reader) error {
		v = value(f, r, key)
		return nil
	})
	if err != nil {
		f.Fatalf("View: %v", err)
	}
	return v
}

func value(f *fixture, r engine.Reader, key string) string {
	b, err := r.Get(k(key))
	if errors.Is(err, engine.ErrNotFound) {
		return "-"
	} else if err != nil {
		f.Errorf("Get %s: %v", key, err)
	}
	return string(b)
}

// k puts a test's key into a sub-space that is free for all.
func k(s string) []byte { return append([]byte{0x70, 0, 0, 0, 1}, s...) }

func unk(b []byte) string { return string(b[5:]) }

// scan collects "key=value" over a range of test keys.
func scan(f *fixture, r engine.Reader, rng engine.Range) (out []string) {
	f.Helper()
	err := r.Scan(rng, func(key, v []byte) error {
		if rng.KeysOnly {
			out = append(out, unk(key))
		} else {
			out = append(out, unk(key)+"="+string(v))
		}
		return nil
	})
	if err != nil {
		f.Errorf("Scan: %v", err)
	}
	return out
}

// want notes a difference. It does not end the test: it is called inside
// closures too, which run on the engine's goroutine.
func (f *fixture) want(got, want any, what string) {
	f.Helper()
	if g, w := fmt.Sprint(got), fmt.Sprint(want); g != w && !f.Failed() {
		f.Errorf("%s: got %s, want %s", what, g, w)
	}
}

func number(b []byte) uint64 {
	if len(b) != 8 {
		return 0
	}
	return binary.BigEndian.Uint64(b)
}

func u64(v uint64) []byte { return binary.BigEndian.AppendUint64(nil, v) }

// store seals a body of the given size and links it n times in one commit.
func (f *fixture) body(size, links int) (engine.BlobRef, []byte) {
	f.Helper()
	w, err := f.e.Blobs().Create(f.Context(), 1, int64(size))
	if err != nil {
		f.Fatal(err)
	}
	defer w.Close()
	data := bytes.Repeat([]byte("0123456789abcdef"), size/16+1)[:size]
	if _, err := w.Write(data); err != nil {
		f.Fatal(err)
	}
	ref, err := w.Seal()
	if err != nil {
		f.Fatal(err)
	}
	f.update(func(tx engine.Tx) error {
		for range links {
			if err := tx.Link(ref); err != nil {
				return err
			}
		}
		return nil
	})
	return ref, data
}

func (f *fixture) read(ref engine.BlobRef, off, n int64) ([]byte, error) {
	r, err := f.e.Blobs().Open(f.Context(), ref, off, n)
	if err != nil {
		return nil, err
	}
	defer r.Close()
	return io.ReadAll(r)
}

var background = context.Background()
