package snapshot

import (
	"bytes"
	"context"
	"errors"
	"math/rand/v2"
	"os"
	"strings"
	"testing"

	"github.com/tetratelabs/wazero"
	"github.com/tetratelabs/wazero/api"
	"go.uber.org/goleak"
)

// compiled keeps what was compiled for all tests: with the race detector a plugin in Go
// takes many seconds.
var compiled = wazero.NewCompilationCache()

func TestMain(m *testing.M) {
	goleak.VerifyTestMain(m, goleak.Cleanup(func(code int) {
		if err := compiled.Close(context.Background()); err != nil {
			panic(err)
		}
		os.Exit(code)
	}))
}

// each runs a test in every way.
func each(t *testing.T, test func(t *testing.T, p *plant)) {
	t.Helper()
	for _, way := range ways {
		t.Run(way.name, func(t *testing.T) { test(t, newTestPlant(t, way.cfg)) })
	}
}

// After every call memory and globals are those of the image, whatever changed them.
func TestRun(t *testing.T) {
	each(t, func(t *testing.T, p *plant) {
		for _, a := range actions {
			t.Run(a.name, func(t *testing.T) {
				g, r := p.guest(), rand.New(rand.NewPCG(1, 2))
				defer g.close()
				for range 20 {
					g.run(func() { a.do(g, r) })
				}
			})
		}
	})
}

// Whatever an instance did before it was attached is gone.
func TestAttachUsed(t *testing.T) {
	each(t, func(t *testing.T, p *plant) {
		g := p.bare()
		defer g.close()
		g.must("fill", 0, 0xee, size)
		g.must("set", 77)
		g.attach()
		g.fresh()
		g.run(func() { g.must("poke", 300_000, 1) })
	})
}

// A call that does not end well spoils its instance, and no other.
func TestRunEnds(t *testing.T) {
	each(t, func(t *testing.T, p *plant) {
		stopped := errors.New("stopped by the host")
		asked := context.WithValue(t.Context(), pokeKey{}, poke(func(m api.Memory, at, v uint32) {
			m.WriteByte(at, byte(v))
			panic(stopped)
		}))
		for _, tt := range []struct {
			name string
			do   func(g *guest) error
			want error // nil: none of ours
		}{
			{"a trap", func(g *guest) error { _, err := g.ask(t.Context(), "fall", 9, 9); return err }, nil},
			{"an end by the host", func(g *guest) error { _, err := g.ask(asked, "ask", 9, 9); return err }, stopped},
			{"growth", func(g *guest) error { g.must("poke", 9, 9); g.must("grow", 1); return nil }, ErrGrown},
			{"growth that the guest wrote to", func(g *guest) error { g.must("grow", 3); g.must("fill", size, 9, 3*wasmPage); return nil }, ErrGrown},
			{"closed meanwhile", func(g *guest) error { g.close(); return nil }, ErrFreed},
		} {
			t.Run(tt.name, func(t *testing.T) {
				g := p.guest()
				err := g.instance.Run(func() error { return tt.do(g) })
				if err == nil || tt.want != nil && !errors.Is(err, tt.want) {
					t.Fatalf("%v, want %v", err, tt.want)
				}
				again := g.instance.Run(func() error { t.Error("a spoiled instance was called"); return nil })
				if !errors.Is(again, err) {
					t.Errorf("then %v, want %v", again, err)
				}
				g.close()
				next := p.guest()
				defer next.close()
				next.fresh()
				next.run(func() { next.must("poke", 9, 9) })
			})
		}
	})
}

// A guest that is refused growth has not grown.
func TestRefusedGrowth(t *testing.T) {
	each(t, func(t *testing.T, p *plant) {
		g := p.guest()
		defer g.close()
		g.run(func() {
			if got := g.must("grow", moduleMost); int32(got) != -1 {
				t.Errorf("it grew beyond its maximum: %d", got)
			}
		})
	})
}

// A call that panics spoils its instance, and its goroutine is free to leave its thread.
func TestRunPanics(t *testing.T) {
	each(t, func(t *testing.T, p *plant) {
		g := p.guest()
		defer g.close()
		func() {
			defer func() {
				if recover() == nil {
					t.Error("the panic was lost")
				}
			}()
			_ = g.instance.Run(func() error { panic("the host is broken") })
		}()
		if g.instance.pinned {
			t.Error("the goroutine is still pinned")
		}
		if err := g.instance.Run(func() error { return nil }); !errors.Is(err, ErrUnfinished) {
			t.Errorf("%v, want %v", err, ErrUnfinished)
		}
	})
}

// A reset that forgets something is found by the check, with where it is.
func TestCheck(t *testing.T) {
	each(t, func(t *testing.T, p *plant) {
		deaf := &deafGlobal{moduleGlobal{kind: 0x7f, v: 1}}
		g := p.bare()
		defer g.close()
		p.image.Close()
		g.globals = append(g.globals, deaf)
		p.take(g)
		g.attach()
		err := g.instance.Run(func() error { deaf.v = 5; return nil })
		diff, ok := errors.AsType[*DiffError](err)
		if !ok || diff.Global != 4 || diff.Got != 5 || diff.Want != 1 || !strings.Contains(err.Error(), "global 4 is 0x5") {
			t.Errorf("a lost global: %v", err)
		}
	})
	g := newTestPlant(t, Config{Portable: true}).guest()
	defer g.close()
	g.must("poke", 5000, 77)
	g.must("poke", 5001, 78)
	diff, ok := errors.AsType[*DiffError](g.instance.compare())
	if !ok || diff.Global != -1 || diff.Offset != 5000 || diff.Got != 77 || diff.Want != 0 || !strings.Contains(diff.Error(), "byte 0x1388 of") {
		t.Errorf("a lost byte: %v", diff)
	}
}

// moduleGlobal is a global without a module.
type moduleGlobal struct {
	kind byte
	v    uint64
}

func (g *moduleGlobal) Type() byte   { return g.kind }
func (g *moduleGlobal) Get() uint64  { return g.v }
func (g *moduleGlobal) Set(v uint64) { g.v = v }

// deafGlobal can't be set.
type deafGlobal struct{ moduleGlobal }

func (g *deafGlobal) Set(uint64) {}

// What can't be kept is refused when the image is taken, and what does not fit when an
// instance is attached.
func TestRefused(t *testing.T) {
	each(t, func(t *testing.T, p *plant) {
		for kind, ok := range map[byte]bool{0x7f: true, 0x7e: true, 0x7d: true, 0x7c: true, 0x7b: false, 0x70: false, 0x6f: false} {
			g := p.bare()
			image, err := p.keeper.Take(g.memory, []Global{&moduleGlobal{kind: kind}})
			if (err == nil) != ok {
				t.Errorf("a global of type %#x: %v", kind, err)
			}
			if err == nil {
				image.Close()
			}
			g.close()
		}
		small, grown, closed, taken := p.keeper.Memory(size), p.bare(), p.bare(), p.guest()
		small.Reallocate(wasmPage)
		grown.must("grow", 1)
		closed.close()
		defer small.Free()
		defer grown.close()
		defer taken.close()
		for _, tt := range []struct {
			name    string
			memory  *Memory
			globals []Global
			want    string
		}{
			{"smaller", small, taken.globals, ErrGrown.Error()},
			{"larger", grown.memory, grown.globals, ErrGrown.Error()},
			{"freed", closed.memory, closed.globals, ErrFreed.Error()},
			{"other globals", taken.memory, taken.globals[1:], "the image has 4 globals, the instance 3"},
			{"attached", taken.memory, taken.globals, "has an image already"},
		} {
			if _, err := p.image.Attach(tt.memory, tt.globals); err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("%s: %v, want %q", tt.name, err, tt.want)
			}
		}
		if _, err := p.keeper.Take(closed.memory, nil); !errors.Is(err, ErrFreed) {
			t.Errorf("an image of a freed memory: %v", err)
		}
		if _, err := p.keeper.Take(taken.memory, taken.globals); !errors.Is(err, errAttached) {
			t.Errorf("an image of an instance that had calls: %v", err)
		}
	})
}

// An image that is closed stays as long as instances use it, and takes no others.
func TestCloseImage(t *testing.T) {
	each(t, func(t *testing.T, p *plant) {
		g, late := p.guest(), p.bare()
		defer late.close()
		for range 2 {
			if err := p.image.Close(); err != nil {
				t.Error(err)
			}
		}
		g.run(func() { g.must("fill", 0, 1, size) })
		if _, err := p.image.Attach(late.memory, late.globals); !errors.Is(err, ErrFreed) {
			t.Errorf("attached to a closed image: %v", err)
		}
		g.close()
		g.memory.Free() // a second time
		if p.image.memory != nil || p.image.users != 0 {
			t.Errorf("the image was not freed: %d users", p.image.users)
		}
	})
}

// A memory grows to its maximum in steps, keeps what is in it, is zero beyond, and
// never shrinks.
func TestMemory(t *testing.T) {
	for _, way := range ways {
		t.Run(way.name, func(t *testing.T) {
			m := newTestKeeper(t, way.cfg).Memory(10 * wasmPage)
			for pages := 1; pages <= 10; pages++ {
				b := m.Reallocate(uint64(pages) * wasmPage)
				if len(b) != pages*wasmPage {
					t.Fatalf("%d bytes, want %d pages", len(b), pages)
				}
				for i := range pages {
					if want := byte(i + 1); i < pages-1 && b[i*wasmPage+5] != want {
						t.Errorf("page %d was lost", i)
					}
				}
				if last := b[(pages-1)*wasmPage:]; !bytes.Equal(last, make([]byte, wasmPage)) {
					t.Errorf("page %d is not zero", pages-1)
				}
				b[(pages-1)*wasmPage+5] = byte(pages)
			}
			if m.Reallocate(11*wasmPage) != nil || m.Reallocate(wasmPage) != nil {
				t.Error("it grew beyond its maximum, or shrank")
			}
			m.Free()
			if m.Reallocate(10*wasmPage) != nil {
				t.Error("it was used after it was freed")
			}
			empty := newTestKeeper(t, way.cfg).Memory(0)
			defer empty.Free()
			if b := empty.Reallocate(0); len(b) != 0 {
				t.Errorf("%d bytes of none", len(b))
			}
		})
	}
}
