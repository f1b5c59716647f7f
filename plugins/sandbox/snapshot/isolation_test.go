package snapshot

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"sync"
	"testing"
)

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
