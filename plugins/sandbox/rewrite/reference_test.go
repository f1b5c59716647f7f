package rewrite

import (
	"math/rand/v2"
	"testing"
)

// walked is a module of two functions, and the same with each instruction counted.
func walked(seed uint64, size int) (wasm, counted []byte) {
	w := &walker{Rand: rand.New(rand.NewPCG(seed, 4))}
	shapes := []struct{ in, out string }{{"i", "i"}, {"iI", "I"}, {"", "iI"}, {"fi", "if"}, {"v", "v"}, {"r", ""}}
	plain, other := &builder{}, &builder{}
	for _, s := range shapes {
		plain.typ(s.in, s.out)
		other.typ(s.in, s.out)
		w.of = append(w.of, signature{types(s.in), types(s.out)})
	}
	const locals = "iiiIfFvre"
	for i, name := range []string{"f", "g"} {
		code, more := w.function(w.of[i], types(locals), size)
		plain.fn(name, shapes[i].in, shapes[i].out, locals, code)
		other.fn(name, shapes[i].in, shapes[i].out, locals, more)
	}
	for _, b := range []*builder{plain, other} {
		b.global(i32, 1, num(0)...).global(i64, 1, num64(0)...).global(i64, 1, num64(0)...).export("count", 3, walkCount).export("far", 3, walkLong).table(0, 1, 0)
	}
	return plain.bytes(), other.bytes()
}

// Whatever a function does: what runs of it was paid for, to the instruction; nothing runs
// for long without a check; and it does what it did before.
func FuzzPaid(f *testing.F) {
	for seed := range uint64(100) {
		f.Add(seed, uint8(seed*5))
	}
	f.Fuzz(func(t *testing.T, seed uint64, size uint8) {
		wasm, counted := walked(seed, 20+int(size))
		out, _, err := Module(wasm, testConfig())
		if err != nil {
			t.Fatalf("what was generated is refused: %v", err)
		}
		for _, arg := range []uint64{0, 1, 3} {
			ref, g := start(t, counted, 0, 0), start(t, out, walkMost, 1)
			want, wantFault := ref.call("f", arg)
			got, fault := g.call("f", arg)
			number := func(g *guest, name string) int64 { return int64(g.instance.ExportedGlobal(name).Get()) }
			ran, used := number(ref, "count"), walkMost-g.left-g.have()
			switch {
			case g.longest > 8*longRegion:
				t.Fatalf("%d of fuel between two checks", g.longest)
			case number(g, "far") > number(ref, "far"):
				t.Fatalf("%q: it came to %d, and has paid to come to %d", fault, number(g, "far"), number(ref, "far"))
			case fault == "depth":
			case fault == "fuel":
				if ran < walkMost/16 {
					t.Fatalf("paid more than %d for %d", walkMost, ran)
				}
			case fault != wantFault || fault == "" && !same(g.instance.ExportedFunction("f").Definition().ResultTypes(), got, want):
				t.Fatalf("%v %q, want %v %q", got, fault, want, wantFault)
			case fault == "" && used < ran:
				t.Fatalf("paid %d for %d", used, ran)
			}
		}
	})
}

// What is generated has what the rewrite looks for.
func TestWalked(t *testing.T) {
	direct, loops := 0, 0
	for seed := range uint64(100) {
		wasm, _ := walked(seed, 20+int(uint8(seed*5)))
		_, info := mustRewrite(t, wasm)
		direct, loops = direct+info.Jumps, loops+info.Loops
	}
	if direct < 20 || loops < 200 {
		t.Errorf("%d direct jumps and %d loops in 100 modules", direct, loops)
	}
	t.Logf("%d direct jumps and %d loops", direct, loops)
}
