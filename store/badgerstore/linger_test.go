package badgerstore

import (
	"bytes"
	"errors"
	"testing"

	"github.com/centerleap/postern/store/engine"
)

// TestComing: what a group may wait for is counted out whatever becomes of a body.
func TestComing(t *testing.T) {
	s := openSmall(t, t.TempDir())
	defer s.Close()
	coming := func(when string, want int64) {
		t.Helper()
		if n := s.blobs.coming.Load(); n != want {
			t.Errorf("%s: %d bodies are on their way, want %d", when, n, want)
		}
	}
	begin := func(size int) engine.BlobWriter {
		t.Helper()
		w, err := s.Blobs().Create(t.Context(), 1, 0)
		if err == nil {
			_, err = w.Write(bytes.Repeat([]byte{'b'}, size))
		}
		if err != nil {
			t.Fatal(err)
		}
		return w
	}
	slow := begin(10) // it never comes
	coming("begun", 1)
	large := begin(inlineMax + 1)
	coming("a large one besides", 1)
	body(t, s, []byte("whole"))
	coming("another was committed", 1)

	failed := begin(10)
	ref, err := failed.Seal()
	if err != nil {
		t.Fatal(err)
	}
	broken := errors.New("broken")
	if _, err := s.Update(t.Context(), engine.Op{Domain: 1, Fn: func(tx engine.Tx) error {
		return errors.Join(tx.Link(ref), broken)
	}}); !errors.Is(err, broken) {
		t.Fatal(err)
	}
	coming("its commit failed", 2)
	for _, w := range []engine.BlobWriter{failed, slow, large, slow} {
		if err := w.Close(); err != nil {
			t.Fatal(err)
		}
	}
	coming("all closed", 0)
}
