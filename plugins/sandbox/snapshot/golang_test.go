package snapshot

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"
)

// golang is testdata/guest, a plugin in Go, built once, with its globals exported.
var golang = sync.OnceValues(func() ([]byte, error) {
	dir, err := os.MkdirTemp("", "guest")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)
	out := filepath.Join(dir, "guest.wasm")
	build := exec.Command("go", "build", "-buildmode=c-shared", "-ldflags=-s -w", "-o", out, "./testdata/guest")
	build.Env = append(os.Environ(), "GOOS=wasip1", "GOARCH=wasm", "GOFLAGS=")
	if text, err := build.CombinedOutput(); err != nil {
		return nil, fmt.Errorf("%w: %s", err, text)
	}
	return os.ReadFile(out)
})

// newGoPlant makes instances of it, of an image that is taken after its warm rounds.
func newGoPlant(t testing.TB, k *Keeper) *plant {
	t.Helper()
	wasm, err := golang()
	if err != nil {
		t.Fatal(err)
	}
	wasm, globals := exporting(wasm)
	p := newPlant(t, k, wasm, globals)
	first := p.bare()
	defer first.close()
	first.memory.NoteData()
	first.must("_initialize")
	first.must("postern_init")
	for before := uint32(0); before != first.module.Memory().Size(); {
		before = first.module.Memory().Size()
		first.must("work", 40)
	}
	first.must("postern_init") // forgets what the warm rounds left
	p.take(first)
	return p
}

// A plugin in Go, with its heap, collector and maps, starts every call from the image,
// on instances that never ran its start.
func TestGo(t *testing.T) {
	for _, way := range ways {
		t.Run(way.name, func(t *testing.T) {
			p := newGoPlant(t, newTestKeeper(t, way.cfg))
			guests, r := []*guest{p.guest(), p.guest()}, rand.New(rand.NewPCG(12, 13))
			for range p.many(2000, 200) {
				i := r.IntN(len(guests))
				g := guests[i]
				err := g.instance.Run(func() error {
					if n := g.must("before"); n != 0 {
						t.Fatalf("it remembers %d calls or fields", n)
					}
					if r.IntN(20) == 0 {
						g.must("hoard", r.Uint32N(8<<20))
					}
					if n, fields := int32(g.must("work", 30)), int32(30); n < fields {
						t.Fatalf("work gave %d, want %d", n, fields)
					}
					return nil
				})
				if err == nil {
					g.fresh()
					continue
				}
				if !errors.Is(err, ErrGrown) {
					t.Fatal(err)
				}
				g.close() // it grew
				guests[i] = p.guest()
			}
			for _, g := range guests {
				g.close()
			}
		})
	}
}
