// Package hostile is the modules that the plugin runtime is attacked with: what tests
// install, and nobody else. It knows what each does to itself, nothing of gateways.
//
// They are written instruction by instruction, since no compiler says what they say.
package hostile

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"math"
	"slices"
	"strings"

	"github.com/centerleap/postern/sdk/abi"
)

// Module is one attack, on the inbound hook.
type Module struct {
	Name string
	Wasm []byte
	// Fails is what the reason of the failure holds; empty for one that does nothing
	// forbidden, and then gives the mail Label.
	Fails, Label string
}

// Permissions are those that the modules ask for.
var Permissions = []string{abi.PermitHeaders, abi.PermitKV, abi.PermitReply, abi.PermitSend, abi.PermitHTTP, abi.PermitThreadRead}

const (
	inbound = "postern_inbound"
	wasi    = "wasi_snapshot_preview1"

	page = 64 << 10
	most = 512 // pages: 32 MiB, the memory a call may have
)

// How a call ends, as the runtime tells it.
const (
	fuel     = "fuel"
	deadline = "deadline"
	depth    = "depth"
	trap     = "trap"
	status   = "status"
	pointer  = "pointer"
	asked    = "host calls"
	refused  = "its verdict is refused"
)

// Modules are all attacks but those below.
func Modules() []Module { return slices.Concat(runaways(), bombs(), floods(), verdicts()) }

func hook(code ...[]byte) *assembler { return (&assembler{}).function(inbound, ":i", 0, code...) }

// runaways do not end by themselves, or not well.
func runaways() []Module {
	less := slices.Concat([]byte{0x20, 0}, i32(1), []byte{0x6b}, call(0)) // itself, of its argument less one
	tree := (&assembler{}).function("", "i:", 0, []byte{0x20, 0, 0x45}, when([]byte{0x0f}), less, less).
		function(inbound, ":i", 0, i32(60), call(0), i32(0))
	table := hook(i32(0), []byte{0x11, 0, 0})
	table.table = slices.Concat([]byte{1, 0}, i32(0), []byte{0x0b, 1, 0})
	jumps := slices.Concat([]byte{0x0e}, number(4000), bytes.Repeat([]byte{0, 1}, 2000), []byte{1})
	storm := hook(loop([]byte{0x02, 0x40}, bump, jumps, []byte{0x0b}), i32(0))
	storm.globals = 1
	return []Module{
		{Name: "endless loop", Wasm: hook(loop(), i32(0)).bytes(), Fails: fuel},
		{Name: "tree of calls", Wasm: tree.bytes(), Fails: fuel},
		{Name: "recursion", Wasm: hook(call(0)).bytes(), Fails: depth},
		{Name: "recursion through a table", Wasm: table.bytes(), Fails: depth},
		{Name: "exhausted stack", Wasm: (&assembler{}).function(inbound, ":i", 1000, call(0)).bytes(), Fails: depth},
		{Name: "storm of branches", Wasm: storm.bytes(), Fails: fuel},
		{Name: "trap at once", Wasm: hook(unreachable).bytes(), Fails: trap},
		{Name: "status", Wasm: hook(i32(3)).bytes(), Fails: status},
		{Name: "exit", Wasm: (&assembler{}).imported(wasi, "proc_exit", "i:").function(inbound, ":i", 0, i32(0), call(0), i32(0)).bytes(), Fails: status},
		{Name: "slow but legal", Wasm: speaking("slow", &assembler{globals: 1}, times(5_000_000)).bytes(), Label: "slow"},
	}
}

// bombs take all the memory there is, and write to it.
func bombs() []Module {
	whole := func(op ...byte) []byte {
		a := hook(loop(i32(0), i32(0), i32(most*page), op), i32(0))
		a.pages = most
		return a.bytes()
	}
	grow := slices.Concat([]byte{0x03, 0x40}, i32(1), []byte{0x40, 0}, i32(-1), []byte{0x47, 0x0d, 0, 0x0b})               // until it may not
	fill := slices.Concat(i32(page), i32(1), []byte{0x3f, 0}, i32(16), []byte{0x74}, i32(page), []byte{0x6b, 0xfc, 11, 0}) // but the first page
	return []Module{
		{Name: "memory.fill", Wasm: whole(0xfc, 11, 0), Fails: fuel},
		{Name: "memory.copy", Wasm: whole(0xfc, 10, 0, 0), Fails: fuel},
		{Name: "memory growth", Wasm: hook(grow, fill, unreachable).bytes(), Fails: trap},
		{Name: "memory growth, legal", Wasm: speaking("grown", &assembler{}, grow, fill).bytes(), Label: "grown"},
	}
}

// Spinners run on where fuel does not end them: one as no fuel would be enough for it, one
// as it uses little, all its time going into random numbers.
func Spinners() []Module {
	random := (&assembler{pages: most}).imported(wasi, "random_get", "ii:i").
		function(inbound, ":i", 0, loop(i32(0), i32(most*page), call(0), drop), i32(0))
	return []Module{
		{Name: "endless loop", Wasm: hook(loop(), i32(0)).bytes(), Fails: deadline},
		{Name: "random numbers", Wasm: random.bytes(), Fails: deadline},
	}
}

// floods ask, say or put without end.
func floods() []Module {
	again := func(module, fn, sig string, code ...[]byte) *assembler {
		return (&assembler{pages: 64}).imported(module, fn, sig).function(inbound, ":i", 0, loop(code...), i32(0))
	}
	iovec := string(binary.LittleEndian.AppendUint32(binary.LittleEndian.AppendUint32(nil, 4096), 1<<20))
	logger := (&assembler{globals: 1}).imported(abi.Module, "log", "iii:")
	// Each is of a name of its own, if that is text: the bytes of its number.
	counters := (&assembler{globals: 1}).imported(abi.Module, "kv_incr", "iiII:I").
		function(inbound, ":i", 0, loop(i32(0), bump, []byte{0x36, 2, 0}, i32(0), i32(4), i64(1), i64(0), call(0), drop), i32(0))
	const request, letter = `{"url":"http://127.0.0.1/"}`, `{"to":["a@flood.example"],"subject":"s","text":"t"}`
	lines := speaking("talkative", logger, times(5000, i32(1), i32(0), i32(page), call(0)))
	return []Module{
		{Name: "log flood", Wasm: again(abi.Module, "log", "iii:", i32(1), i32(0), i32(1<<20), call(0)).bytes(), Fails: asked},
		{Name: "log flood, legal", Wasm: lines.bytes(), Label: "talkative"},
		{Name: "print flood", Wasm: again(wasi, "fd_write", "iiii:i", i32(1), i32(0), i32(1), i32(8), call(0), drop).text(0, iovec).bytes(), Fails: asked},
		{Name: "host-call flood", Wasm: again(abi.Module, "now", ":I", call(0), drop).bytes(), Fails: asked},
		{Name: "KV flood", Wasm: again(abi.Module, "kv_put", "iiiiI:i", i32(0), i32(8), i32(0), i32(64<<10), i64(0), call(0), drop).bytes(), Fails: asked},
		{Name: "KV flood of deletions", Wasm: again(abi.Module, "kv_delete", "ii:i", i32(0), i32(8), call(0), drop).bytes(), Fails: asked},
		{Name: "KV flood of lists", Wasm: again(abi.Module, "kv_list", "iiiiii:i", i32(0), i32(0), i32(0), i32(0), i32(0), i32(1<<20), call(0), drop).bytes(), Fails: asked},
		{Name: "counter flood", Wasm: counters.bytes(), Fails: asked},
		{Name: "HTTP flood", Wasm: again(abi.Module, "http", "ii:i", i32(0), i32(len(request)), call(0), drop).text(0, request).bytes(), Fails: asked},
		{Name: "HTTP flood of reads", Wasm: again(abi.Module, "http_read", "iIii:i", i32(1), i64(0), i32(0), i32(1<<20), call(0), drop).bytes(), Fails: asked},
		{Name: "mail flood", Wasm: again(abi.Module, "send", "ii:i", i32(0), i32(len(letter)), call(0), drop).text(0, letter).bytes(), Fails: asked},
		{Name: "thread flood", Wasm: again(abi.Module, "thread", "ii:i", i32(0), i32(1<<20), call(0), drop).bytes(), Fails: asked},
		{Name: "part flood", Wasm: again(abi.Module, "part", "iIii:i", i32(0), i64(0), i32(0), i32(1<<20), call(0), drop).bytes(), Fails: asked},
		{Name: "verdict flood", Wasm: again(abi.Module, "verdict", "ii:i", i32(0), i32(1<<20), call(0), drop).bytes(), Fails: asked},
	}
}

// verdicts can't be acted on.
func verdicts() (all []Module) {
	for _, v := range []struct{ name, doc string }{
		{"no verdict", "not JSON"},
		{"verdict of wrong types", `{"labels":5}`},
		{"verdict of an unknown action", `{"action":"explode"}`},
		{"verdict of another hook", `{"action":"deny"}`},
		{"verdict that is not permitted", `{"action":"discard"}`},
		{"verdict with a code of 250", `{"action":"reject","smtp":{"code":250}}`},
		{"verdict with two reply lines", `{"action":"reject","smtp":{"text":"no\r\n250 yes"}}`},
		{"verdict with a header injected", `{"headers":[{"op":"add","name":"X-A","value":"b\r\nBcc: c@d.example"}]}`},
		{"verdict with a protected header", `{"headers":[{"op":"add","name":"Received","value":"from nowhere"}]}`},
		{"verdict with a strange folder", `{"folder":"a\u0000b"}`},
	} {
		all = append(all, Module{Name: v.name, Wasm: saying(&assembler{}, v.doc, len(v.doc)).bytes(), Fails: refused})
	}
	huge := saying(&assembler{pages: most}, `{"reason":"`, 10<<20)
	return append(all, Module{Name: "huge verdict", Wasm: huge.bytes(), Fails: refused})
}

// at is where documents stand in memory.
const at = 16

// saying adds a hook that runs code, and then gives length bytes as its verdict.
func saying(a *assembler, doc string, length int, code ...[]byte) *assembler {
	verdict := len(a.imports)
	return a.imported(abi.Module, "verdict", "ii:i").text(at, doc).
		function(inbound, ":i", 0, slices.Concat(code...), i32(at), i32(length), call(verdict), drop, i32(0))
}

// speaking is saying for a label.
func speaking(label string, a *assembler, code ...[]byte) *assembler {
	doc := `{"labels":["` + label + `"]}`
	return saying(a, doc, len(doc), code...)
}

// Labeller does no harm: it gives each mail a label. Beside that it has functions of so
// many loops each, which nobody calls: they make it take long to compile.
func Labeller(label string, functions, loops int) []byte {
	a := speaking(label, &assembler{globals: 1})
	part := bytes.Repeat(slices.Concat([]byte{0x03, 0x40}, bump, []byte{0x0d, 0, 0x0b}), loops)
	for range functions {
		a.function("", ":", 0, part)
	}
	return a.bytes()
}

// Says does no harm by itself: it gives each mail that arrives a verdict.
func Says(doc string) []byte { return saying(&assembler{}, doc, len(doc)).bytes() }

// Sends has a mail sent for each that arrives; it fails if it may not.
func Sends(doc string) []byte {
	return (&assembler{}).imported(abi.Module, "send", "ii:i").text(at, doc).function(inbound, ":i", 0, i32(at), i32(len(doc)), call(0)).bytes()
}

// Pointers are modules that give an import memory which they do not have: each import
// that takes any, each of its arguments.
func Pointers() (all []Module) {
	for _, f := range []struct {
		name, sig string
		pointers  []int // what argument is one; the next is its length
	}{
		{"event", "ii:i", []int{0}},
		{"get", "iiii:i", []int{0, 2}},
		{"header", "iiiii:i", []int{0, 3}},
		{"header_count", "ii:i", []int{0}},
		{"part", "iIii:i", []int{2}},
		{"verdict", "ii:i", []int{0}},
		{"log", "iii:", []int{1}},
		{"config", "iiii:i", []int{0, 2}},
		{"kv_get", "iiii:i", []int{0, 2}},
		{"kv_put", "iiiiI:i", []int{0, 2}},
		{"kv_delete", "ii:i", []int{0}},
		{"kv_incr", "iiII:I", []int{0}},
		{"kv_list", "iiiiii:i", []int{0, 2, 4}},
		{"http", "ii:i", []int{0}},
		{"http_read", "iIii:i", []int{2}},
		{"send", "ii:i", []int{0}},
		{"thread", "ii:i", []int{0}},
	} {
		for _, p := range f.pointers {
			for _, bad := range [][2]int{{page, 1}, {page - 7, 8}, {-1, 1}, {0, -1}, {8, math.MaxInt32}} {
				called := fmt.Sprintf("%s, argument %d: %d bytes at %d", f.name, p, bad[1], bad[0])
				all = append(all, Module{Name: called, Wasm: pointing(f.name, f.sig, p, bad), Fails: pointer})
			}
		}
	}
	return all
}

func pointing(name, sig string, argument int, bad [2]int) []byte {
	var code []byte
	params, result, _ := strings.Cut(sig, ":")
	for i, kind := range params {
		v := 0
		if i == argument || i == argument+1 {
			v = bad[i-argument]
		}
		if kind == 'I' {
			code = append(code, i64(int64(v))...)
		} else {
			code = append(code, i32(v)...)
		}
	}
	if code = append(code, call(0)...); result != "" {
		code = append(code, drop...)
	}
	return (&assembler{}).imported(abi.Module, name, sig).function(inbound, ":i", 0, code, i32(0)).bytes()
}

// Leak is the label of mail in whose call Intruder found something of another call.
const Leak = "leak"

// Intruder looks at all its memory and its global for what a call before it wrote, and
// gives the mail a label if there is anything; else it writes that everywhere, and ends
// well, with a trap, a status, more memory or an exit, by chance.
func Intruder() []byte {
	const secret = -1515870811 // 0xa5a5a5a5
	const size = 2 * page
	a := (&assembler{globals: 1, pages: 2}).imported(abi.Module, "verdict", "ii:i").
		imported(wasi, "random_get", "ii:i").imported(wasi, "proc_exit", "i:")
	doc := `{"labels":["` + Leak + `"]}`
	tell := slices.Concat(i32(at), i32(len(doc)), call(0), drop, leave(0))
	is := func(end int, code ...[]byte) []byte {
		return slices.Concat([]byte{0x20, 1}, i32(end), equal, when(code...))
	}
	a.text(at, doc).function(inbound, ":i", 2,
		[]byte{0x23, 0}, when(tell),
		[]byte{0x03, 0x40, 0x20, 0, 0x28, 2, 0}, i32(secret), equal, when(tell),
		[]byte{0x20, 0, 0x41, 4, 0x6a, 0x22, 0}, i32(size), []byte{0x49, 0x0d, 0, 0x0b},
		i32(secret), []byte{0x24, 0}, i32(0), i32(secret&0xff), i32(size), []byte{0xfc, 11, 0},
		i32(0), i32(1), call(1), drop, i32(0), []byte{0x2d, 0, 0}, i32(15), []byte{0x71, 0x21, 1}, // one of sixteen
		i32(0), i32(secret&0xff), []byte{0x3a, 0, 0},
		is(1, unreachable), is(2, leave(3)), is(3, i32(1), []byte{0x40, 0}, drop), is(4, i32(0), call(2)),
		i32(0))
	return a.bytes()
}
