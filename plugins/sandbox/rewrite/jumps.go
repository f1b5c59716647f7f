package rewrite

import "slices"

// jumps is the table of jumps that a loop begins with. WebAssembly has no goto: Go's
// compiler makes of a function a loop around blocks in blocks and a table, sets a local to
// the number of a place, and goes back to the head of the loop, from where the table leads
// behind one of the blocks.
//
// Where it is plain that the place is ahead, the jump becomes one out of that block: it
// does the same, needs neither the table nor a check at the head, and leaves only the
// others to make a loop. Those pay for the head, and check, where they are; so does whoever
// comes to the loop from above.
type jumps struct {
	local uint32 // says where to
	to    []int  // places in frames of the blocks, by number; the last one is for all others
	head  int    // the region of the head
}

// prelude follows the instructions that such a loop begins with, each right behind the one
// before.
type prelude struct {
	loop  int // its place in frames
	to    int // where the blocks end so far; -1: there is no such loop
	local uint32
	got   int // where the local.get behind them ends
}

// aim follows the instructions by which a jump begins.
type aim struct {
	local, said uint32
	to          int // where they end
}

// preludes looks at a block or loop that has begun, whose type is empty.
func (b *body) preludes(op byte) {
	f := len(b.frames) - 1
	switch {
	case op == opLoop:
		b.prelude = prelude{loop: f, to: b.r.at, got: -1}
	case op == opBlock && b.prelude.to == b.at:
		b.frames[f].ahead = b.frames[b.prelude.loop].head
		b.prelude.to = b.r.at
	}
}

// tabled notes that the table of a loop has been read, whose labels lead to frames.
func (b *body) tabled(to []int) {
	p := &b.prelude
	if p.got != b.at || slices.Contains(to, p.loop) { // which nothing would check
		return
	}
	loop := &b.frames[p.loop]
	loop.jumps = &jumps{local: p.local, to: to, head: loop.head}
	head := &b.regions[loop.head]
	head.check, head.elsewhere = false, true
	head.cost -= weightCheck
	head.since = b.regions[head.before].since
}

// jump looks at a branch to the head of a loop that has a table.
func (b *body) jump(to int, op byte) {
	j := b.frames[to].jumps
	if j == nil {
		return
	}
	if op != opBr { // it would have to pay only where it goes
		b.checkHead(j)
		return
	}
	if b.aim.to == b.at && b.aim.local == j.local {
		at := j.to[min(int(b.aim.said), len(j.to)-1)]
		if at < len(b.frames) && b.frames[at].ahead == j.head {
			b.m.info.Jumps++
			b.edit(editIndex, uint32(len(b.frames)-1-at))
			return
		}
	}
	b.check(b.at - b.from)
	b.regions[b.now].pays = j.head
}

// checkHead has the head of a loop pay and check itself.
func (b *body) checkHead(j *jumps) {
	if head := &b.regions[j.head]; head.elsewhere {
		head.check, head.elsewhere = true, false
		head.cost += weightCheck
	}
}
