package sandbox

import (
	"context"
	"errors"
	"math"
	"slices"
	"unicode/utf8"

	"github.com/tetratelabs/wazero"
	"github.com/tetratelabs/wazero/api"
	"github.com/tetratelabs/wazero/imports/wasi_snapshot_preview1"

	"github.com/centerleap/postern/plugins/sandbox/rewrite"
	"github.com/centerleap/postern/sdk/abi"
)

const (
	i32 = api.ValueTypeI32
	i64 = api.ValueTypeI64
)

// one is the use of one import: its arguments, and the instance's memory.
type one struct {
	*call
	memory api.Memory
	args   []uint64
}

// imports are the functions of postern_v1; package abi says what they mean. A
// function's answer is an i32 but for now.
var imports = []struct {
	name    string
	params  []api.ValueType
	results []api.ValueType
	answer  func(*one) (int64, error)
}{
	{"event", []api.ValueType{i32, i32}, []api.ValueType{i32}, func(u *one) (int64, error) {
		doc, err := u.host.Event()
		return u.give(0, doc, err)
	}},
	{"get", []api.ValueType{i32, i32, i32, i32}, []api.ValueType{i32}, func(u *one) (int64, error) {
		path, err := u.text(0, maxName)
		if err != nil {
			return 0, err
		}
		v, err := u.host.Get(path)
		return u.give(2, []byte(v), err)
	}},
	{"header", []api.ValueType{i32, i32, i32, i32, i32}, []api.ValueType{i32}, func(u *one) (int64, error) {
		name, err := u.text(0, maxName)
		if err != nil {
			return 0, err
		}
		v, err := u.host.Header(name, int(api.DecodeI32(u.args[2])))
		return u.give(3, []byte(v), err)
	}},
	{"header_count", []api.ValueType{i32, i32}, []api.ValueType{i32}, func(u *one) (int64, error) {
		name, err := u.text(0, maxName)
		if err != nil {
			return 0, err
		}
		n, err := u.host.HeaderCount(name)
		return int64(n), err
	}},
	{"part", []api.ValueType{i32, i64, i32, i32}, []api.ValueType{i32}, func(u *one) (int64, error) {
		n, err := u.host.Part(int(api.DecodeI32(u.args[0])), int64(u.args[1]), u.bytes(2))
		return int64(n), err
	}},
	{"verdict", []api.ValueType{i32, i32}, []api.ValueType{i32}, func(u *one) (int64, error) {
		return 0, u.host.Verdict(u.bytes(0)) // also one that is too large: the host must know of it
	}},
	{"log", []api.ValueType{i32, i32, i32}, nil, func(u *one) (int64, error) {
		u.log(int(api.DecodeI32(u.args[0])), u.bytes(1))
		return 0, nil
	}},
	{"config", []api.ValueType{i32, i32, i32, i32}, []api.ValueType{i32}, func(u *one) (int64, error) {
		key, err := u.text(0, maxName)
		if err != nil {
			return 0, err
		}
		v, err := u.host.Config(key)
		return u.give(2, []byte(v), err)
	}},
	{"now", nil, []api.ValueType{i64}, func(u *one) (int64, error) { return u.host.Now(), nil }},
	{"kv_get", []api.ValueType{i32, i32, i32, i32}, []api.ValueType{i32}, func(u *one) (int64, error) {
		key, err := u.text(0, maxName)
		if err != nil {
			return 0, err
		}
		v, err := u.host.KVGet(key)
		return u.give(2, v, err)
	}},
	{"kv_put", []api.ValueType{i32, i32, i32, i32, i64}, []api.ValueType{i32}, func(u *one) (int64, error) {
		key, err := u.text(0, maxName)
		if err != nil {
			return 0, err
		}
		value := append([]byte(nil), u.bytes(2)...) // the module's memory is not the host's to keep
		return 0, u.host.KVPut(key, value, int64(u.args[4]))
	}},
}

// maxName bounds paths, names of header fields and keys, in bytes; ours.
const maxName = 1 << 10

// Weights of imports, in fuel. What they do is not counted otherwise, and time is
// looked at once a slice: so that many of them are used in between. Ours: an event
// document takes 50 us, and the longest question of WASI, which names all of memory, 15 ms.
const (
	weightImport = 1 << 10
	weightWASI   = 1 << 12
)

// offers are all functions that a module may import.
func offers(ctx context.Context) (map[string]map[string]rewrite.Import, error) {
	ours := make(map[string]rewrite.Import, len(imports))
	for _, f := range imports {
		ours[f.name] = rewrite.Import{Params: f.params, Results: f.results, Weight: weightImport}
	}
	r := wazero.NewRuntimeWithConfig(ctx, wazero.NewRuntimeConfigInterpreter())
	defer func() { _ = r.Close(ctx) }() // it ran nothing
	code, err := wasi_snapshot_preview1.NewBuilder(r).Compile(ctx)
	if err != nil {
		return nil, err
	}
	wasi := map[string]rewrite.Import{}
	for name, f := range code.ExportedFunctions() {
		wasi[name] = rewrite.Import{Params: f.ParamTypes(), Results: f.ResultTypes(), Weight: weightWASI}
	}
	return map[string]map[string]rewrite.Import{abi.Module: ours, wasi_snapshot_preview1.ModuleName: wasi}, nil
}

// exports are the types of what a module may offer itself.
func exports() map[string]rewrite.Import {
	all := map[string]rewrite.Import{initialize: {}}
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
	b := r.NewHostModuleBuilder(abi.Module)
	for _, f := range imports {
		b.NewFunctionBuilder().WithGoModuleFunction(api.GoModuleFunc(func(ctx context.Context, m api.Module, stack []uint64) {
			c := ctx.Value(callKey{}).(*call)
			answer := c.use(&one{call: c, memory: m.Memory(), args: append([]uint64(nil), stack...)}, f.answer)
			switch {
			case len(f.results) == 0:
			case f.results[0] == i64:
				stack[0] = uint64(answer)
			default:
				stack[0] = api.EncodeI32(int32(min(answer, math.MaxInt32)))
			}
		}), f.params, f.results).Export(f.name)
	}
	_, err := b.Instantiate(ctx)
	return err
}

// use answers one question. What the module may not handle ends the call.
func (c *call) use(u *one, answer func(*one) (int64, error)) int64 {
	c.spend()
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

// bytes is the memory that two arguments name, from the i-th on. It is the module's
// own: it is valid during this answer alone.
func (u *one) bytes(i int) []byte {
	b, ok := u.memory.Read(uint32(u.args[i]), uint32(u.args[i+1]))
	if !ok {
		u.stop(&CallError{Reason: ReasonPointer, Detail: "it passed memory that it does not have"})
	}
	return b
}

// text is the text that two arguments name.
func (u *one) text(i, most int) (string, error) {
	b := u.bytes(i)
	if len(b) > most || !utf8.Valid(b) {
		return "", abi.BadArgument
	}
	return string(b), nil
}

// give copies v to where two arguments say, as far as there is room, and answers
// its whole length.
func (u *one) give(i int, v []byte, err error) (int64, error) {
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
