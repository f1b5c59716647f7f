package snapshot

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"strings"
	"sync"
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

const size = modulePages * wasmPage

// Two actions that touch every page.
const (
	everything = "everything filled"
	allRead    = "all read"
)

// actions are the ways in which a call can change its instance.
var actions = []struct {
	name string
	do   func(g *guest, r *rand.Rand)
}{
	{"nothing", func(*guest, *rand.Rand) {}},
	{"a byte", func(g *guest, r *rand.Rand) { g.must("poke", r.Uint32N(size), r.Uint32()) }},
	{"the first and the last byte", func(g *guest, r *rand.Rand) {
		g.must("poke", 0, 1+r.Uint32N(255))
		g.must("poke", size-1, 1+r.Uint32N(255))
	}},
	{"some pages", func(g *guest, r *rand.Rand) {
		for range 1 + r.IntN(20) {
			g.must("poke", r.Uint32N(size), r.Uint32())
		}
	}},
	{"a filled piece", func(g *guest, r *rand.Rand) {
		at, n := piece(r)
		g.must("fill", at, r.Uint32(), n)
	}},
	{everything, func(g *guest, r *rand.Rand) { g.must("fill", 0, 1+r.Uint32N(255), size) }},
	{"a piece moved", func(g *guest, r *rand.Rand) {
		at, n := piece(r)
		g.must("copy", at, r.Uint32N(size-n+1), n)
	}},
	{"a segment copied", func(g *guest, r *rand.Rand) { g.must("init", r.Uint32N(size-15), 0, 15) }},
	{allRead, func(g *guest, _ *rand.Rand) { g.must("count", 1, size) }},
	{"globals", func(g *guest, r *rand.Rand) { g.must("set", r.Uint32()) }},
	{"the host writes", func(g *guest, r *rand.Rand) {
		g.through(r, func(m api.Memory, at, v uint32) { m.WriteByte(at, byte(v)) })
	}},
	{"the host writes much", func(g *guest, r *rand.Rand) {
		at, n := piece(r)
		g.through(r, func(m api.Memory, _, v uint32) { m.Write(at, bytes.Repeat([]byte{byte(v)}, int(n))) })
	}},
	{"the host waits for another goroutine that writes", func(g *guest, r *rand.Rand) {
		g.through(r, func(m api.Memory, at, v uint32) {
			m.WriteByte(at/2, byte(v)) // before it leaves the thread
			g.instance.Unpin()
			g.instance.Unpin() // or twice
			done := make(chan struct{})
			go func() {
				defer close(done)
				m.WriteByte(at, byte(v))
			}()
			<-done
			m.WriteByte(size-1-at, byte(v)) // and on whatever thread it is now
		})
	}},
}

// through calls the guest, which calls the host.
func (g *guest) through(r *rand.Rand, do poke) {
	g.Helper()
	if _, err := g.ask(context.WithValue(context.Background(), pokeKey{}, do), "ask", r.Uint32N(size), 1+r.Uint32N(255)); err != nil {
		g.Fatal(err)
	}
}

// piece is some part of the memory, as often small as large.
func piece(r *rand.Rand) (at, n uint32) {
	n = r.Uint32N(uint32(1) << (1 + r.IntN(19)))
	return r.Uint32N(size - n + 1), n
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

// many is a number of calls: all of them with CI=true, if pages are shared. To copy
// whole memories is simple, and slow with the race detector.
func (p *plant) many(all, short int) int {
	if os.Getenv("CI") == "true" && p.keeper.kernel != nil {
		return all
	}
	return short
}

// 100,000 calls on one instance, each of any kind, each seeing nothing of the others.
// The memory is compared here, and not by the check, which touches every page.
func TestRunOften(t *testing.T) {
	each(t, func(t *testing.T, p *plant) {
		p.keeper.check = false
		g, r := p.guest(), rand.New(rand.NewPCG(3, 4))
		defer g.close()
		want := g.must("get")
		for range p.many(100_000, 1_000) {
			a := actions[r.IntN(len(actions))]
			if (a.name == everything || a.name == allRead) && r.IntN(50) > 0 {
				a = actions[0] // or little else would matter
			}
			g.run(func() {
				if got := g.must("get"); got != want {
					t.Fatalf("the globals give %#x, want %#x", got, want)
				}
				a.do(g, r)
			})
		}
	})
}

// What one call hides in every byte and global, the next can't find, on the same
// instance or on others; neither could a call that failed in between.
func TestSecrets(t *testing.T) {
	each(t, func(t *testing.T, p *plant) {
		const secret = 0xa5
		guests := []*guest{p.guest(), p.guest()}
		was, other := guests[0].must("get"), guests[1]
		for range 50 {
			g := guests[0]
			g.run(func() {
				g.must("fill", 0, secret, size)
				g.must("set", secret)
				if n := g.must("count", secret, size); n != size {
					t.Fatalf("%d bytes were hidden, want %d", n, size)
				}
				if n := other.must("count", secret, size); n != 0 {
					t.Fatalf("another instance sees %d bytes", n)
				}
			})
			g.run(func() {
				if n := g.must("count", secret, size); n != 0 {
					t.Errorf("the next call sees %d bytes", n)
				}
				if got := g.must("get"); got != was {
					t.Errorf("the globals give %#x, want %#x", got, was)
				}
			})
		}
		for _, g := range guests {
			g.close()
		}
	})
}

// Instances side by side, each with a secret of its own; some of them trap and are
// replaced.
func TestSideBySide(t *testing.T) {
	each(t, func(t *testing.T, p *plant) {
		var all sync.WaitGroup
		for i := range 16 {
			all.Go(func() {
				g, r, mine := p.guest(), rand.New(rand.NewPCG(uint64(i), 5)), uint32(200+i)
				defer func() { g.close() }()
				for range p.many(100, 40) {
					if r.IntN(10) == 0 {
						if err := g.instance.Run(func() error { _, err := g.ask(t.Context(), "fall", 7, mine); return err }); err == nil {
							t.Error("a trap was not seen")
						}
						g.close()
						g = p.guest()
					}
					err := g.instance.Run(func() error {
						at, n := piece(r)
						if n, err := g.ask(t.Context(), "count", 200+r.Uint32N(16), size); n != 0 || err != nil {
							return errors.Join(err, fmt.Errorf("%d bytes of another call", n))
						}
						_, err := g.ask(t.Context(), "fill", at, mine, n)
						return err
					})
					if err != nil {
						t.Error(err)
						return
					}
				}
			})
		}
		all.Wait()
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
