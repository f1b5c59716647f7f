package rewrite

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
)

// segments counts those of a module.
func segments(t testing.TB, wasm []byte) int {
	t.Helper()
	all, err := Sections(wasm)
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range all {
		if s.ID == sectionData {
			n, _ := s.in.u32()
			return int(n)
		}
	}
	return 0
}

// Segments that follow each other closely become one, the others stay as they are.
func TestJoined(t *testing.T) {
	module := func(b *builder) *builder { return b.fn("f", "", "", "") }
	passive := func(b *builder, s string) *builder {
		b.data = append(b.data, slices.Concat([]byte{1}, sized([]byte(s))))
		return b
	}
	long := &builder{memory: ops(1, 40, 41)}
	for i := range int32(20_000) { // 101 bytes apart: the zeros are bounded
		long.text(i*101+64, "x")
	}
	for _, tt := range []struct {
		name string
		b    *builder
		want int
	}{
		{"none", &builder{}, 0},
		{"one", (&builder{}).text(8, "a"), 1},
		{"touching", (&builder{}).text(8, "ab").text(10, "c"), 1},
		{"a gap", (&builder{}).text(8, "ab").text(10+maxGap, "c"), 1},
		{"a larger gap", (&builder{}).text(8, "ab").text(11+maxGap, "c"), 2},
		{"many", (&builder{}).text(8, "ab").text(20, "c").text(30, "d").text(1000, "e").text(1010, "f"), 2},
		{"going back", (&builder{}).text(100, "ab").text(50, "c").text(60, "d"), 1},
		{"overlapping", (&builder{}).text(100, "abcd").text(102, "x").text(106, "y"), 3},
		{"the same place", (&builder{}).text(100, "ab").text(100, "cd"), 2},
		{"a gap that was written before", (&builder{}).text(50, "xxxxxxxxxx").text(40, "a").text(44, "b").text(58, "c"), 4},
		{"in any order", (&builder{}).text(50, "xxxx").text(40, "a").text(60, "b").text(700, "c").text(0, "d"), 2},
		{"an empty one", (&builder{}).text(8, "a").text(9, "").text(10, "b"), 1},
		{"the end of memory", (&builder{}).text(131070, "a").text(131071, "b"), 1},
		{"with a passive one", passive((&builder{}).text(8, "a").text(9, "b"), "x"), 3},
		{"named by code", (&builder{counted: true}).text(8, "a").text(9, "b").fn("g", "", "", "", num(0), num(0), num(0), ops(opMisc, miscMemoryInit, 0, 0)), 2},
		{"counted", (&builder{counted: true}).text(8, "a").text(9, "b"), 1},
		{"more zeros than may be", long, 20_000 - maxGaps/100},
	} {
		t.Run(tt.name, func(t *testing.T) {
			wasm := module(tt.b).bytes()
			out, _ := mustRewrite(t, wasm)
			if got := segments(t, out); got != tt.want {
				t.Errorf("%d segments, want %d", got, tt.want)
			}
			if got, want := start(t, out, 1<<40, 1<<16).state(nil), start(t, wasm, 0, 0).state(nil); got != want {
				t.Errorf("memory %s, want %s", got, want)
			}
		})
	}
}

// Whatever segments there are, in whatever order: memory is the same, and nothing that
// was uploaded is written to.
func TestJoinedRandomly(t *testing.T) {
	r, fewer := rand.New(rand.NewPCG(8, 9)), 0
	for i := range 300 {
		b, at := &builder{}, int32(0)
		for range 1 + r.IntN(40) {
			if at += int32(r.IntN(300)); i%3 == 1 && r.IntN(8) == 0 {
				at = r.Int32N(20_000)
			}
			n := r.IntN(40)
			b.text(at, strings.Repeat(fmt.Sprint(r.IntN(10)), n))
			if at += int32(n); r.IntN(10) == 0 {
				at -= int32(min(n, 3))
			}
		}
		wasm := b.fn("f", "", "", "").bytes()
		kept := slices.Clone(wasm)
		out, _ := mustRewrite(t, wasm)
		if !bytes.Equal(wasm, kept) {
			t.Fatal("the module that was uploaded changed")
		}
		if got, want := start(t, out, 1<<40, 1<<16).state(nil), start(t, wasm, 0, 0).state(nil); got != want {
			t.Fatalf("round %d: memory %s, want %s", i, got, want)
		}
		if segments(t, out) < segments(t, wasm) {
			fewer++
		}
	}
	if fewer < 150 {
		t.Errorf("only %d modules have fewer segments", fewer)
	}
}
