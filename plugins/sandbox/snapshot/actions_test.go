package snapshot

import (
	"bytes"
	"context"
	"math/rand/v2"

	"github.com/tetratelabs/wazero/api"
)

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
