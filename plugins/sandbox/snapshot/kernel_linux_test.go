package snapshot

import (
	"bytes"
	"errors"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/tetratelabs/wazero/api"
)

// failing is a kernel that can't do some things.
type failing struct {
	kernel
	reserveErr, commitErr, storeErr, privateErr, faultsErr, dropErr, populateErr error
	dropped, populated                                                           int // droppings, bytes
}

func (f *failing) reserve(n uint64) ([]byte, error) {
	if f.reserveErr != nil {
		return nil, f.reserveErr
	}
	return f.kernel.reserve(n)
}

func (f *failing) commit(part []byte) error {
	return errors.Join(f.commitErr, f.kernel.commit(part))
}

func (f *failing) store(content []byte, parts []part) (stored, error) {
	if f.storeErr != nil {
		return nil, f.storeErr
	}
	return f.kernel.store(content, parts)
}

func (f *failing) populate(part []byte) error {
	if f.populateErr != nil {
		return f.populateErr
	}
	f.populated += len(part)
	return f.kernel.populate(part)
}

func (f *failing) private(memory []byte, t *tracker) error {
	return errors.Join(f.privateErr, f.kernel.private(memory, t))
}

func (f *failing) faults() (int, error) {
	n, err := f.kernel.faults()
	return n, errors.Join(f.faultsErr, err)
}

func (f *failing) drop(memory []byte) error {
	if f.dropErr != nil {
		return f.dropErr
	}
	f.dropped++
	return f.kernel.drop(memory)
}

// withKernel makes a plant whose kernel is ours to spoil.
func withKernel(t *testing.T) (*plant, *failing) {
	t.Helper()
	p := newTestPlant(t, Config{Check: true})
	if p.keeper.kernel == nil {
		t.Fatal("this Linux can't share pages")
	}
	f := &failing{kernel: p.keeper.kernel}
	p.keeper.kernel = f
	return p, f
}

// What the copy-on-write way needs is tried out at the start; without it memories are
// copied, and the log says so once.
func TestFallBack(t *testing.T) {
	short := filepath.Join(t.TempDir(), "pagemap")
	if err := os.WriteFile(short, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct{ name, pagemap, want string }{
		{"all is well", pagemapFile, ""},
		{"there is no map of pages", "/proc/self/nothing", "no such file"},
		{"it can't be read", short, "EOF"},
		{"it shows no page as private", "/dev/zero", "does not show what was written"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			k, err := openKernel(tt.pagemap)
			var log logs
			keeper := newKeeper(Config{Log: log.logger(), Check: true}, k, err)
			defer keeper.Close()
			if (keeper.kernel == nil) != (tt.want != "") {
				t.Errorf("fell back: %v (%v)", keeper.kernel == nil, err)
			}
			p := newPlant(t, keeper, module(), []string{globalName(0)})
			first := p.bare()
			p.take(first)
			first.close()
			for range 3 {
				g := p.guest()
				g.run(func() { g.must("fill", 0, 1, size) })
				g.close()
			}
			lines := strings.Count(log.String(), "\n")
			if tt.want == "" && lines != 0 || tt.want != "" && (lines != 1 || !strings.Contains(log.String(), tt.want)) {
				t.Errorf("logged %q, want %q", log.String(), tt.want)
			}
		})
	}
}

// Whatever the kernel refuses later, a memory is copied or its instance is spoiled.
func TestKernelFails(t *testing.T) {
	broken := errors.New("broken")
	for _, tt := range []struct {
		name  string
		spoil func(*failing)
		want  error
	}{
		{"address space for an instance", func(f *failing) { f.reserveErr = broken }, nil},
		{"a file for an image", func(f *failing) { f.storeErr = broken }, nil},
		{"both", func(f *failing) { f.reserveErr, f.storeErr = broken, broken }, nil},
		{"the count of faults", func(f *failing) { f.faultsErr = broken }, nil},
		{"the map of pages", func(f *failing) { f.privateErr = broken }, broken},
		{"dropping pages", func(f *failing) { f.dropErr = broken }, nil},
		{"finding pages beforehand", func(f *failing) { f.populateErr = broken }, nil},
		{"a file, and finding pages", func(f *failing) { f.storeErr, f.populateErr = broken, broken }, nil},
	} {
		t.Run(tt.name, func(t *testing.T) {
			p, f := withKernel(t)
			tt.spoil(f)
			p.renew(filled)
			g, r := p.guest(), rand.New(rand.NewPCG(6, 7))
			defer g.close()
			for range 20 {
				err := g.instance.Run(func() error {
					at, n := piece(r)
					g.must("fill", at, 1, n)
					g.must("fill", 0, 1, size/2)
					return nil
				})
				if !errors.Is(err, tt.want) {
					t.Fatalf("%v, want %v", err, tt.want)
				}
				if err != nil {
					return
				}
				g.fresh()
			}
		})
	}
	p, f := withKernel(t)
	g := p.guest()
	defer g.close()
	f.commitErr = broken
	g.run(func() {
		if got := g.must("grow", 1); int32(got) != -1 {
			t.Errorf("it grew to memory that is not there: %d", got)
		}
	})
}

// After each call the tracker knows exactly the pages that the map of pages shows as
// private: also those whose content is as it was, which the next call could write to
// without a fault, and not those that were only read.
func TestTracker(t *testing.T) {
	p, _ := withKernel(t)
	g, r := p.guest(), rand.New(rand.NewPCG(8, 9))
	defer g.close()
	for range 500 {
		a := actions[r.IntN(len(actions))]
		g.run(func() {
			a.do(g, r)
			at := r.Uint32N(size)
			g.must("poke", at, g.must("peek", at)) // what is there already
		})
		now := newTracker(p.keeper.kernel, size, newBits(size/p.keeper.kernel.pageSize()))
		if err := now.kernel.private(g.memory.b, now); err != nil {
			t.Fatal(err)
		}
		if known := g.instance.pages.known; !slices.Equal(now.known, known) {
			t.Fatalf("after %s: %b are private, %b are known", a.name, now.known, known)
		}
	}
}

// The kernel writes to the memory for the host, as in read(2): the fault is the
// thread's.
func TestKernelWrites(t *testing.T) {
	p, _ := withKernel(t)
	g, r := p.guest(), rand.New(rand.NewPCG(10, 11))
	defer g.close()
	file, err := os.Open("/dev/urandom")
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	for range 200 {
		g.run(func() {
			g.through(r, func(m api.Memory, at, _ uint32) {
				b, _ := m.Read(at, min(10_000, size-at))
				if _, err := file.Read(b); err != nil {
					t.Error(err)
				}
			})
			if bytes.Equal(g.memory.b, g.image.memory) {
				t.Error("nothing was written")
			}
		})
	}
}

// still counts no faults: what a thread sees of the writes of others.
type still struct{ kernel }

func (still) faults() (int, error) { return 1, nil }

// What another thread writes is put back if the call said so, and is found by the check
// if it did not.
func TestUnpin(t *testing.T) {
	for _, says := range []bool{true, false} {
		p, f := withKernel(t)
		f.kernel = still{f.kernel}
		g := p.guest()
		defer g.close()
		err := g.instance.Run(func() error {
			if says {
				g.instance.Unpin()
			}
			g.must("poke", 70_000, 5)
			return nil
		})
		if diff, bad := errors.AsType[*DiffError](err); bad == says || bad && (diff.Offset != 70_000 || diff.Got != 5) {
			t.Errorf("unpinned %v: %v", says, err)
		}
		if says {
			g.fresh()
		}
	}
}

// Calls that write to the same pages are seen without reading the map of pages.
func TestSteadyCalls(t *testing.T) {
	p, _ := withKernel(t)
	g := p.guest()
	defer g.close()
	reads := &countingKernel{kernel: p.keeper.kernel}
	g.instance.pages.kernel = reads
	const calls = 1000
	for range calls {
		g.run(func() {
			for page := range uint32(20) {
				g.must("poke", page*20_000, 1)
			}
		})
	}
	if reads.n == 0 || reads.n > calls/10 {
		t.Errorf("the map of pages was read %d times in %d calls", reads.n, calls)
	}
	if n := len(g.instance.pages.list); n != 20 {
		t.Errorf("%d pages are its own, want 20", n)
	}
}

// countingKernel counts how often the map of pages is read.
type countingKernel struct {
	kernel
	n int
}

func (c *countingKernel) private(memory []byte, t *tracker) error {
	c.n++
	return c.kernel.private(memory, t)
}

// Too many own pages are dropped at once, but not in every call of who always writes
// that many.
func TestDrop(t *testing.T) {
	p, f := withKernel(t)
	g := p.guest()
	defer g.close()
	pages := g.instance.pages
	g.run(func() { g.must("poke", 3, 1) })
	g.run(func() { g.must("fill", 0, 1, size/2) })
	if f.dropped != 1 || len(pages.list) != 0 {
		t.Errorf("dropped %d times, %d pages left", f.dropped, len(pages.list))
	}
	for range 5*settle + 1 {
		g.run(func() { g.must("fill", 0, 1, size/2) })
	}
	if f.dropped < 4 || f.dropped > 6 {
		t.Errorf("dropped %d times, want about once in %d calls", f.dropped, settle)
	}
	g.run(func() { g.must("count", 1, size) })
}
