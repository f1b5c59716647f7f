package rewrite

import (
	"slices"
	"testing"
)

// goTo is how Go's compiler writes a jump: the number of the place, the local that has it,
// and back to the head of the loop, so many blocks away.
func goTo(place, blocks uint32) []byte {
	return slices.Concat(num(int32(place)), ins(opLocalSet, 0), ins(opBr, blocks))
}

// tableOf begins a loop with blocks around a table of jumps by local 0.
func tableOf(blocks int, to ...byte) []byte {
	return slices.Concat(ops(opLoop, emptyBlock), slices.Repeat(ops(opBlock, emptyBlock), blocks),
		ins(opLocalGet, 0), ops(opBrTable, byte(len(to)-1)), to, ops(opEnd))
}

// Jumps through a table that lead ahead become direct ones, all others are checked; both
// lead to where they did.
func TestJumps(t *testing.T) {
	noted := func(digit int32) []byte { // in local 1, which is what the function leaves
		return slices.Concat(ins(opLocalGet, 1), num(10), ops(0x6c), num(digit), ops(opI32Add), ins(opLocalSet, 1))
	}
	when := func(digits int32, code []byte) []byte { // local 1 has no more than these
		return slices.Concat(ins(opLocalGet, 1), num(digits), ops(0x49, opIf, emptyBlock), code, ops(opEnd)) // i32.lt_u
	}
	tests := []struct {
		name    string
		code    []byte
		want    uint32
		direct  int
		endless bool
	}{
		{"ahead", slices.Concat(tableOf(3, 0, 1, 2), goTo(2, 2), ops(opEnd), noted(1), ops(opEnd), noted(2), ops(opEnd)), 2, 1, false},
		{"to the next", slices.Concat(tableOf(3, 0, 1, 2), goTo(1, 2), ops(opEnd), noted(1), ops(opEnd), noted(2), ops(opEnd)), 12, 1, false},
		{"to the last for all other numbers", slices.Concat(tableOf(3, 0, 1, 2), goTo(7, 2), ops(opEnd), noted(1), ops(opEnd), noted(2), ops(opEnd)), 2, 1, false},
		{"to a number below zero", slices.Concat(tableOf(2, 0, 1), goTo(0xffffffff, 1), ops(opEnd), noted(2), ops(opEnd)), 2, 1, false},
		{
			"back", slices.Concat(tableOf(2, 0, 1), noted(1), ops(opEnd), noted(2), when(1000, goTo(0, 1)), ops(opEnd)),
			1212, 0, false,
		},
		{
			"ahead and back", slices.Concat(tableOf(3, 0, 1, 2), when(10, goTo(2, 3)), ops(opEnd), noted(1), ops(opEnd), noted(2), when(100, goTo(1, 1)), ops(opEnd)),
			212, 1, false,
		},
		{
			"where the numbers are in another order", slices.Concat(tableOf(3, 2, 1, 0), noted(1), goTo(1, 2), ops(opEnd), noted(2), goTo(0, 1), ops(opEnd), noted(3), when(1000, goTo(2, 1)), ops(opEnd)),
			3123, 2, false,
		},
		{"by another local", slices.Concat(tableOf(2, 0, 1), when(100, slices.Concat(noted(1), num(1), ins(opLocalSet, 2), ins(opBr, 2))), ops(opEnd), noted(2), ops(opEnd)), 1112, 0, false},
		{
			"with something between", slices.Concat(tableOf(2, 0, 1), num(1), ins(opLocalSet, 0), ops(opNop), ins(opBr, 1), ops(opEnd), noted(2), ops(opEnd)),
			2, 0, false,
		},
		{"on a condition", slices.Concat(tableOf(2, 0, 1), num(1), ins(opLocalSet, 0), num(1), ins(opBrIf, 1), noted(1), ops(opEnd), noted(2), ops(opEnd)), 2, 0, false},
		{"where something is before the table", slices.Concat(ops(opLoop, emptyBlock), noted(1), tableOf(2, 0, 1)[2:], goTo(1, 1), ops(opEnd), noted(2), ops(opEnd)), 112, 0, false},

		{"back for ever", slices.Concat(tableOf(1, 0), goTo(0, 0), ops(opEnd)), 0, 0, true},
		{"ahead and back for ever", slices.Concat(tableOf(3, 0, 1, 2), goTo(2, 2), ops(opEnd), goTo(2, 1), ops(opEnd), goTo(1, 0), ops(opEnd)), 0, 2, true},
		{"for ever, by a number that is larger", slices.Concat(tableOf(2, 1, 0), goTo(0, 1), ops(opEnd), goTo(1, 0), ops(opEnd)), 0, 1, true},
		{"for ever, on a condition", slices.Concat(tableOf(2, 0, 1), goTo(1, 1), ops(opEnd), num(0), ins(opLocalSet, 0), num(1), ins(opBrIf, 0), ops(opEnd)), 0, 1, true},
		{"by the table itself", slices.Concat(tableOf(1, 1, 0), ops(opEnd)), 0, 0, true},
		{"by another table", slices.Concat(tableOf(2, 0, 1), goTo(1, 1), ops(opEnd), num(0), ins(opLocalSet, 0), num(0), ops(opBrTable, 0, 0), ops(opEnd)), 0, 1, true},
		{
			"behind the block of another loop", slices.Concat(tableOf(2, 0, 1), ops(opEnd), // both blocks are closed, and the inner loop's stand where they did
				ops(opLoop, emptyBlock, opBlock, emptyBlock, opBlock, emptyBlock), ins(opLocalGet, 1), ops(opBrTable, 0, 0, opEnd),
				goTo(0, 2), ops(opEnd, opEnd), ops(opEnd)), 0, 0, true,
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			wasm := (&builder{}).fn("f", "", "i", "iii", tt.code, ins(opLocalGet, 1)).bytes()
			out, info := mustRewrite(t, wasm)
			if info.Jumps != tt.direct {
				t.Errorf("%d jumps are direct, want %d", info.Jumps, tt.direct)
			}
			g := start(t, out, 1<<20, 1<<10)
			if got, fault := g.call("f"); tt.endless != (fault == "fuel") || !tt.endless && uint32(got[0]) != tt.want {
				t.Errorf("%v %s, want %d", got, fault, tt.want)
			}
			if tt.endless {
				return
			}
			if got, fault := start(t, wasm, 0, 0).call("f"); fault != "" || uint32(got[0]) != tt.want {
				t.Errorf("unmodified: %v %s, want %d", got, fault, tt.want)
			}
		})
	}
}

// What runs between two checks is bounded, whatever is jumped over: blocks that follow
// each other are checked now and then.
func TestChecksInLongFunctions(t *testing.T) {
	const blocks = 1000
	block := slices.Concat(ops(opBlock, emptyBlock), ins(opLocalGet, 0), ops(opBrIf, 0), slices.Repeat(slices.Concat(num(1), ops(opDrop)), 40), ops(opEnd))
	out, info := mustRewrite(t, (&builder{}).fn("f", "i", "", "", slices.Repeat(block, blocks)).bytes())
	if info.Checks < blocks*80/(2*longRegion) {
		t.Errorf("%d checks", info.Checks)
	}
	for _, skipped := range []uint64{0, 1} {
		g := start(t, out, 1<<20, 1)
		if _, fault := g.call("f", skipped); fault != "" {
			t.Fatal(fault)
		}
		used := 1<<20 - g.left - g.have()
		if g.ticks < int(used/(2*longRegion)) {
			t.Errorf("%d checks for %d of fuel", g.ticks, used)
		}
	}
}

// Whoever jumps back pays for what always comes behind the head, which he alone can.
func TestJumpsBackArePaid(t *testing.T) {
	const times, instructions = 1000, 13
	out, _ := mustRewrite(t, (&builder{}).fn("f", "", "", "ii", tableOf(2, 0, 1), ins(opLocalGet, 1), num(1), ops(opI32Add), ins(opLocalSet, 1), ops(opEnd),
		ins(opLocalGet, 1), num(times), ops(0x49, opIf, emptyBlock), goTo(0, 1), ops(opEnd, opEnd)).bytes())
	g := start(t, out, 1<<20, 1<<20)
	if _, fault := g.call("f"); fault != "" {
		t.Fatal(fault)
	}
	if used := 1<<20 - g.left - g.have(); used < times*instructions || used > 3*times*instructions {
		t.Errorf("fuel %d for %d instructions", used, times*instructions)
	}
}
