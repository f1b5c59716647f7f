package sandbox

import (
	"context"
	"errors"
	"math"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/tetratelabs/wazero"
	"github.com/tetratelabs/wazero/api"

	"github.com/centerleap/postern/plugins/sandbox/rewrite"
	"github.com/centerleap/postern/sdk/abi"
)

const (
	i32 = api.ValueTypeI32
	i64 = api.ValueTypeI64
)

// function is one that a module may import. Its signature has i for i32 and I for i64,
// results behind a colon.
type function struct {
	name, sig string
	answer    func(*one) (int64, error)
}

// types of its arguments and results.
func (f *function) types() (params, results []api.ValueType) {
	list := func(s string) (types []api.ValueType) {
		for _, c := range s {
			types = append(types, map[rune]api.ValueType{'i': i32, 'I': i64}[c])
		}
		return types
	}
	in, out, _ := strings.Cut(f.sig, ":")
	return list(in), list(out)
}

// one is the use of one import: its arguments, and the instance's memory.
type one struct {
	*call
	memory api.Memory
	args   []uint64 // the answer takes the place of the first
}

// imports are the functions of postern_v1; package abi says what they mean. An answer
// that may be an error is an i32, or an i64 that is else never negative.
var imports = slices.Concat(reading, remembering, reaching)

// reading are those about the message, and the verdict.
var reading = []function{
	{"event", "ii:i", func(u *one) (int64, error) {
		doc, err := u.host.Event()
		return give(u, 0, doc, err)
	}},
	{"get", "iiii:i", func(u *one) (int64, error) {
		path, err := u.text(0, maxName)
		if err != nil {
			return 0, err
		}
		v, err := u.host.Get(path)
		return give(u, 2, v, err)
	}},
	{"header", "iiiii:i", func(u *one) (int64, error) {
		name, err := u.text(0, maxName)
		if err != nil {
			return 0, err
		}
		v, err := u.host.Header(name, int(api.DecodeI32(u.args[2])))
		return give(u, 3, v, err)
	}},
	{"header_count", "ii:i", func(u *one) (int64, error) {
		name, err := u.text(0, maxName)
		if err != nil {
			return 0, err
		}
		n, err := u.host.HeaderCount(name)
		return int64(n), err
	}},
	{"part", "iIii:i", func(u *one) (int64, error) {
		n, err := u.part(int(api.DecodeI32(u.args[0])), int64(u.args[1]), u.bytes(2))
		return int64(n), err
	}},
	{"verdict", "ii:i", func(u *one) (int64, error) {
		return 0, u.host.Verdict(u.bytes(0)) // also one that is too large: the host must know of it
	}},
	{"log", "iii:", func(u *one) (int64, error) {
		u.log(int(api.DecodeI32(u.args[0])), u.bytes(1))
		return 0, nil
	}},
	{"config", "iiii:i", func(u *one) (int64, error) {
		key, err := u.text(0, maxName)
		if err != nil {
			return 0, err
		}
		v, err := u.host.Config(key)
		return give(u, 2, v, err)
	}},
	{"now", ":I", func(u *one) (int64, error) { return u.host.Now(), nil }},
}

// maxName bounds paths, names of header fields and keys, in bytes; ours.
const maxName = 1 << 10

// Weights of imports, in fuel. What they do is not counted otherwise, and time is
// looked at once in some slices: so that few of them are used in between. Ours: an event
// document takes 50 us, and the longest question of WASI, which names all of memory, 15 ms.
const (
	weightImport = 1 << 10
	weightWASI   = 1 << 12
)

// offered are all functions that a module may import, by the module they come from.
var offered = map[string][]function{abi.Module: imports, wasiModule: wasi}

// offers are the same for whoever checks modules.
func offers() map[string]map[string]rewrite.Import {
	all := map[string]map[string]rewrite.Import{}
	for from, functions := range offered {
		all[from] = make(map[string]rewrite.Import, len(functions))
		for i := range functions {
			params, results := functions[i].types()
			weight := int64(weightImport)
			if from == wasiModule {
				weight = weightWASI
			}
			all[from][functions[i].name] = rewrite.Import{Params: params, Results: results, Weight: weight}
		}
	}
	return all
}

// exports are the types of what a module may offer itself.
func exports() map[string]rewrite.Import {
	all := map[string]rewrite.Import{initialize: {}, abi.Init: {Results: []api.ValueType{i32}}}
	for _, hook := range abi.Hooks {
		all[abi.Export(hook)] = rewrite.Import{Results: []api.ValueType{i32}}
	}
	return all
}

func isHook(export string) bool {
	return slices.ContainsFunc(abi.Hooks, func(hook string) bool { return abi.Export(hook) == export })
}

// instantiateImports offers them to a runtime.
func instantiateImports(ctx context.Context, r wazero.Runtime) error {
	for from, functions := range offered {
		b := r.NewHostModuleBuilder(from)
		for i := range functions {
			f := &functions[i]
			params, results := f.types()
			b.NewFunctionBuilder().WithGoModuleFunction(f.called(from == abi.Module, results), params, results).Export(f.name)
		}
		if _, err := b.Instantiate(ctx); err != nil {
			return err
		}
	}
	return nil
}

// called is what a module runs when it calls f.
func (f *function) called(counts bool, results []api.ValueType) api.GoModuleFunc {
	return func(ctx context.Context, m api.Module, stack []uint64) {
		c := ctx.(*call)
		if counts {
			c.spend()
		}
		c.one = one{call: c, memory: m.Memory(), args: stack}
		answer := c.use(&c.one, f.answer)
		switch {
		case len(results) == 0:
		case results[0] == i64:
			stack[0] = uint64(answer)
		default:
			stack[0] = api.EncodeI32(int32(min(answer, math.MaxInt32)))
		}
	}
}

// use answers one question. What the module may not handle ends the call.
func (c *call) use(u *one, answer func(*one) (int64, error)) int64 {
	c.inside = true // if answer panics, the host did
	n, err := answer(u)
	c.inside = false
	if errno, ok := errors.AsType[abi.Errno](err); ok {
		return int64(errno)
	}
	if err != nil {
		c.stop(&HostError{Err: err})
	}
	return n
}

// errPointer is the end of a call that named what it does not have.
var errPointer = &CallError{Reason: ReasonPointer, Detail: "it passed memory that it does not have"}

// bytes is the memory that two arguments name, from the i-th on. It is the module's
// own: it is valid during this answer alone.
func (u *one) bytes(i int) []byte { return u.at(uint32(u.args[i]), uint32(u.args[i+1])) }

// at is n bytes of memory.
func (u *one) at(ptr, n uint32) []byte {
	b, ok := u.memory.Read(ptr, n)
	if !ok {
		u.stop(errPointer)
	}
	return b
}

// smallPart is how many bytes of a part are copied once more, rather than that the
// module's whole memory is looked at after the call: both take about 2 us.
const smallPart = 16 << 10

// largePiece is how many bytes are moved at once: nobody else gets the thread meanwhile,
// as during a slice; ours, 20 us.
const largePiece = 256 << 10

// part reads bytes of a part. Whoever reads for the host may do so on another thread:
// that must not write to memory that is watched, or it has to be said.
func (u *one) part(part int, off int64, p []byte) (read int, err error) {
	if len(p) <= smallPart {
		if u.piece == nil {
			u.piece = make([]byte, smallPart)
		}
		n, err := u.host.Part(part, off, u.piece[:len(p)])
		copy(p, u.piece[:n])
		return n, err
	}
	u.unpin()
	for whole := true; whole && read < len(p); {
		next := p[read:min(read+largePiece, len(p))]
		n, err := u.host.Part(part, off+int64(read), next)
		if _, handled := errors.AsType[abi.Errno](err); handled && read > 0 {
			break // who asks for the rest is told
		}
		if err != nil {
			return 0, err
		}
		read, whole = read+n, n == len(next)
		u.over()
	}
	return read, nil
}

// text is the text that two arguments name.
func (u *one) text(i, most int) (string, error) {
	b := u.bytes(i)
	if len(b) > most {
		return "", abi.BadArgument
	}
	if known, ok := u.names[string(b)]; ok {
		return known, nil
	}
	if !utf8.Valid(b) {
		return "", abi.BadArgument
	}
	name := string(b)
	if u.names != nil && len(u.names) < keptNames && len(name) <= keptName {
		u.names[name] = name
	}
	return name, nil
}

// An instance keeps so many names that it asked for, of so many bytes at most: it asks
// for the same in every call. Ours.
const (
	keptNames = 32
	keptName  = 64
)

// give copies v to where two arguments say, as far as there is room, and answers
// its whole length.
func give[T string | []byte](u *one, i int, v T, err error) (int64, error) {
	room := u.bytes(i)
	if err != nil {
		return 0, err
	}
	if len(v) > math.MaxInt32 {
		return 0, abi.TooLarge
	}
	copy(room, v)
	return int64(len(v)), nil
}
