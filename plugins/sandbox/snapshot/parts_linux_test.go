package snapshot

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"strings"
	"testing"
	"unsafe"

	"golang.org/x/sys/unix"
)

// mapping is what a part of a memory is mapped to, in bytes from its start.
type mapping struct {
	from, end, offset int
	image             bool // a file of an image, at an offset; else no file
	own               int  // bytes of it that are neither shared nor the image's
}

// mappingsOf are all that a memory consists of.
func mappingsOf(t testing.TB, memory []byte) (all []mapping) {
	t.Helper()
	smaps, err := os.ReadFile("/proc/self/smaps")
	if err != nil {
		t.Fatal(err)
	}
	start := uint64(uintptr(unsafe.Pointer(unsafe.SliceData(memory))))
	inside := false
	for line := range strings.Lines(string(smaps)) {
		var from, end, offset uint64
		var mode string
		if n, _ := fmt.Sscanf(line, "%x-%x %s %x", &from, &end, &mode, &offset); n == 4 {
			if inside = from >= start && end <= start+uint64(len(memory)); inside {
				all = append(all, mapping{from: int(from - start), end: int(end - start), offset: int(offset), image: strings.Contains(line, "postern-image")})
			}
			continue
		}
		kib := 0
		if n, _ := fmt.Sscanf(line, "Anonymous: %d kB", &kib); inside && n == 1 {
			all[len(all)-1].own = kib << 10
		}
	}
	return all
}

// checkParts holds the mappings of a memory to its image: what has something in it is
// mapped from the file, the rest is not, and there are few.
func checkParts(t *testing.T, g *guest) (outside int) {
	t.Helper()
	page := g.keeper.kernel.pageSize()
	all, parts := mappingsOf(t, g.memory.b), fileParts(g.image.zeros, len(g.memory.b)/page)
	if len(all) > 2*mostZeros+1 {
		t.Errorf("the memory has %d mappings, want %d at most", len(all), 2*mostZeros+1)
	}
	at := 0
	for _, m := range all {
		if m.from != at {
			t.Fatalf("nothing is mapped from %#x to %#x", at, m.from)
		}
		at = m.end
		if !m.image {
			outside += m.end - m.from
			continue
		}
		if want := (part{m.from / page, m.end / page}); len(parts) == 0 || parts[0] != want || m.offset != m.from {
			t.Fatalf("%v is mapped from %#x of the file, of %v", want, m.offset, parts)
		}
		parts = parts[1:]
	}
	if at != len(g.memory.b) || len(parts) > 0 {
		t.Errorf("of %#x bytes, %#x are mapped, and %v are not", len(g.memory.b), at, parts)
	}
	return outside
}

// An instance of a plugin in Go has the zeros of its image outside of the file, in a
// bounded number of mappings; and however much of it is read or written, the file never
// takes more memory than what has something in it.
func TestGoParts(t *testing.T) {
	p := newGoPlant(t, newTestKeeper(t, Config{Check: true}))
	if p.keeper.kernel == nil {
		t.Fatal("this Linux can't share pages")
	}
	g := p.guest()
	defer g.close()
	outside := checkParts(t, g)
	t.Logf("%d KiB of %d lie outside of the file", outside>>10, p.image.Size()>>10)
	if outside < int(p.image.Size())/8 {
		t.Errorf("only %d of %d bytes lie outside of the file", outside, p.image.Size())
	}
	for range 3 {
		g.run(func() {
			g.must("work", 30)
			for at := range g.memory.b {
				if at%1024 == 0 {
					g.memory.b[at]++
				}
			}
		})
		checkParts(t, g)
	}
	var of unix.Stat_t
	if err := unix.Fstat(int(p.image.stored.(*memoryFile).f.Fd()), &of); err != nil {
		t.Fatal(err)
	}
	const block = 512
	if takes, most := of.Blocks*block, int64(p.image.Size())-int64(outside); takes > most || takes == 0 {
		t.Errorf("the file takes %d bytes of memory, want %d at most", takes, most)
	}
}

// What an instance is said to have of its own is what the kernel counts, of both kinds of
// parts, and after many pages were dropped.
func TestPrivate(t *testing.T) {
	p, f := withKernel(t)
	g, r := p.guest(), rand.New(rand.NewPCG(16, 17))
	defer g.close()
	for range 200 {
		a := actions[r.IntN(len(actions))]
		g.run(func() { a.do(g, r) })
		own := 0
		for _, m := range mappingsOf(t, g.memory.b) {
			own += m.own
		}
		if int64(own) != g.instance.Private() {
			t.Fatalf("after %s: the kernel counts %d bytes, %d are known", a.name, own, g.instance.Private())
		}
	}
	if f.dropped == 0 {
		t.Error("nothing was ever dropped")
	}
}

// Zeros that are only read take no memory, are not copied back, and are noticed when they
// are written later.
func TestReadThenWritten(t *testing.T) {
	p, _ := withKernel(t)
	p.keeper.check = false
	g := p.guest()
	defer g.close()
	if outside := checkParts(t, g); outside == 0 {
		t.Fatal("no part lies outside of the file")
	}
	for _, read := range []string{"count", "poke"} {
		g.run(func() {
			if g.must("count", 0, size) == 0 {
				t.Error("nothing was read")
			}
			if read == "poke" {
				for _, m := range mappingsOf(t, g.memory.b) {
					g.must("poke", uint32(m.from), 9)
					g.must("poke", uint32(m.end-1), 9)
				}
			}
		})
		if none := g.instance.Private() == 0; none != (read == "count") {
			t.Errorf("after %s, %d bytes are its own", read, g.instance.Private())
		}
	}
}

// Two images of one module that differ in their parts, as when one is taken again; the
// old one is in use still.
func TestImagesDiffer(t *testing.T) {
	p, _ := withKernel(t)
	old, r := p.guest(), rand.New(rand.NewPCG(18, 19))
	defer old.close()
	earlier := p.image
	p.image = nil // its plant closes the next one only
	p.renew([]uint32{5, 180_000, 600_000, 601_000})
	defer earlier.Close()
	renewed := p.guest()
	defer renewed.close()
	for range 100 {
		a := actions[r.IntN(len(actions))]
		for _, g := range []*guest{old, renewed} {
			if err := g.instance.Run(func() error { a.do(g, r); return nil }); err != nil {
				t.Fatal(a.name, err) // the check compares
			}
		}
	}
	if renewed.must("peek", 600_000) != 3 || old.must("peek", 600_000) != 0 {
		t.Error("an instance has the other image")
	}
}

// A memory that grows keeps what is in both kinds of parts, and is zero beyond.
func TestGrowthKeeps(t *testing.T) {
	p, _ := withKernel(t)
	g := p.guest()
	defer g.close()
	places := []uint32{4096, 20_000, 120_001, size / 2, size - 1}
	err := g.instance.Run(func() error {
		for i, at := range places {
			g.must("poke", at, uint32(50+i))
		}
		g.must("grow", 2)
		for i, at := range places {
			if got := g.must("peek", at); got != uint32(50+i) {
				t.Errorf("at %d there is %d, want %d", at, got, 50+i)
			}
		}
		if n := g.must("count", 0, size+2*wasmPage) - g.must("count", 0, size); n != 2*wasmPage {
			t.Errorf("%d bytes are zero beyond, want %d", n, 2*wasmPage)
		}
		return nil
	})
	if !errors.Is(err, ErrGrown) {
		t.Error(err)
	}
}

// Where a module has data is known from what was written when it was set up. The pages of
// it, and no others, are there before it is written to the next instance.
func TestExpect(t *testing.T) {
	p, f := withKernel(t)
	page := f.pageSize()
	if want := []part{{4096 / page, 4096/page + 1}}; !slices.Equal(p.image.data, want) { // its segment, and nothing of what it did later
		t.Fatalf("the data is in %v, want %v", p.image.data, want)
	}
	g := p.guest()
	g.fresh()
	g.close()
	if f.populated != page {
		t.Errorf("%d bytes were populated for an instance, want %d", f.populated, page)
	}
	m := p.keeper.Memory(size)
	defer m.Free()
	p.image.data = []part{{0, 2}, {5, 200}}
	m.Expect(p.image)
	b := m.Reallocate(size / 2)
	own := 0
	for _, m := range mappingsOf(t, b) {
		own += m.own
	}
	if own != size/2-3*page || f.populated != page+own { // the rest of it is beyond its end
		t.Errorf("%d bytes are there, and %d were populated, want %d", own, f.populated-page, size/2-3*page)
	}
	if m.Reallocate(size); f.populated != page+own {
		t.Error("memory that grew was populated")
	}
}

// Before Linux 6.7 the whole map of pages is read, and an image lies in its file as a
// whole: what that map shows as private is what the kernel would find.
func TestOldKernel(t *testing.T) {
	p, f := withKernel(t)
	f.kernel.(*linux).scans = false
	p.renew(filled)
	g, r := p.guest(), rand.New(rand.NewPCG(14, 15))
	defer g.close()
	if all := mappingsOf(t, g.memory.b); len(all) != 1 || !all[0].image {
		t.Errorf("the memory is %v, want one mapping of the image", all)
	}
	for range 300 {
		a := actions[r.IntN(len(actions))]
		g.run(func() { a.do(g, r) })
		read, found := newTracker(p.keeper.kernel, size, nil), newTracker(p.keeper.kernel, size, nil)
		k := f.kernel.(*linux)
		if err := errors.Join(k.readMap(g.memory.b, read), k.scan(g.memory.b, found)); err != nil || !slices.Equal(read.list, found.list) {
			t.Fatalf("after %s: %v: %v are private, %v by the map", a.name, err, found.list, read.list)
		}
		if known := g.instance.pages.known; !slices.Equal(read.known, known) {
			t.Fatalf("after %s: %b are private, %b are known", a.name, read.known, known)
		}
	}
}
