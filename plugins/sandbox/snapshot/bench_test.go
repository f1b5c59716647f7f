package snapshot

import (
	"bytes"
	"fmt"
	"testing"
)

// A call costs no allocation, whatever way it is reset.
func TestAllocations(t *testing.T) {
	each(t, func(t *testing.T, p *plant) {
		g := p.guest()
		defer g.close()
		call := func() {
			if err := g.instance.Run(func() error { _, err := g.ask(t.Context(), "poke", 5, 5); return err }); err != nil {
				t.Fatal(err)
			}
		}
		call()
		if n := testing.AllocsPerRun(1000, call); n != 0 {
			t.Errorf("%v allocations a call", n)
		}
	})
}

// loose is a memory of 8 MiB without a module, attached to its image, as that of a
// plugin in Go is. Every so many bytes there is something in it.
func loose(b *testing.B, cfg Config, each int) (*Memory, *Instance) {
	b.Helper()
	k := newTestKeeper(b, cfg)
	m := k.Memory(64 << 20)
	content := m.Reallocate(8 << 20)
	for at := 0; at < len(content); at += each {
		content[at+9] = byte(at>>13) | 1
	}
	globals := make([]Global, 12)
	for i := range globals {
		globals[i] = &moduleGlobal{kind: 0x7f}
	}
	image, err := k.Take(m, globals)
	if err != nil {
		b.Fatal(err)
	}
	n, err := image.Attach(m, globals)
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() {
		m.Free()
		if err := image.Close(); err != nil {
			b.Error(err)
		}
	})
	return m, n
}

// Run with a call that writes a byte to so many pages, of 8 MiB: nothing but the reset
// takes time.
func BenchmarkRun(b *testing.B) {
	for _, way := range []struct {
		name string
		cfg  Config
	}{{"copy on write", Config{}}, {"portable", Config{Portable: true}}} {
		for _, pages := range []int{0, 4, 50, 400, 1000} {
			b.Run(fmt.Sprintf("%s/%d pages", way.name, pages), func(b *testing.B) {
				m, n := loose(b, way.cfg, 8192)
				call := func() error {
					for i := range pages {
						m.b[i*8192+1] = 7
					}
					return nil
				}
				b.ReportAllocs()
				for b.Loop() {
					if err := n.Run(call); err != nil {
						b.Fatal(err)
					}
				}
				for i := range pages {
					if m.b[i*8192+1] != 0 {
						b.Fatalf("page %d was not reset", i)
					}
				}
			})
		}
	}
}

// The map of the pages of 8 MiB is read after every call: of an image that lies in its
// file as a whole, and of one of zeros alone, whether all of it was read before or not.
func BenchmarkRunScan(b *testing.B) {
	for _, of := range []struct {
		name string
		each int
		read bool
	}{{"file", 8192, false}, {"file read", 8192, true}, {"zeros", 8 << 20, false}, {"zeros read", 8 << 20, true}} {
		b.Run(of.name, func(b *testing.B) {
			m, n := loose(b, Config{}, of.each)
			if of.read && bytes.Count(m.b, []byte{0}) == 0 {
				b.Fatal("it has no zeros")
			}
			call := func() error { m.b[1]++; n.Unpin(); return nil }
			b.ReportAllocs()
			for b.Loop() {
				if err := n.Run(call); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// What it would cost to drop 1,000 own pages after every call, rather than copy them.
func BenchmarkRunDrop(b *testing.B) {
	m, n := loose(b, Config{}, 8192)
	call := func() error {
		for i := range 1000 {
			m.b[i*8192+1] = 7
		}
		n.pages.calls = settle
		return nil
	}
	b.ReportAllocs()
	for b.Loop() {
		if err := n.Run(call); err != nil {
			b.Fatal(err)
		}
	}
	if n := len(n.pages.list); n != 0 {
		b.Errorf("%d pages were not dropped", n)
	}
}

// A call of a plugin in Go: without a reset, with one, on all memory copied, and on an
// instance of its own.
func BenchmarkGo(b *testing.B) {
	for _, way := range []struct {
		name string
		cfg  Config
	}{{"copy on write", Config{}}, {"portable", Config{Portable: true}}} {
		p := newGoPlant(b, newTestKeeper(b, way.cfg))
		for _, work := range []string{"before", "work"} {
			b.Run(way.name+"/"+work, func(b *testing.B) {
				g := p.guest()
				defer g.close()
				b.ReportAllocs()
				for b.Loop() {
					if err := g.instance.Run(func() error { _, err := g.ask(b.Context(), work, 10); return err }); err != nil {
						b.Fatal(err)
					}
				}
				if t := g.instance.pages; t != nil {
					b.ReportMetric(float64(len(t.list)), "pages")
				}
			})
		}
		b.Run(way.name+"/attach", func(b *testing.B) {
			for b.Loop() {
				g := p.guest()
				g.must("before")
				g.close()
			}
		})
	}
	b.Run("fresh", func(b *testing.B) {
		p := newGoPlant(b, newTestKeeper(b, Config{}))
		for b.Loop() {
			g := p.bare()
			g.must("_initialize")
			g.must("before")
			g.close()
		}
	})
}
