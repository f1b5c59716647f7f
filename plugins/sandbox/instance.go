package sandbox

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"time"

	"github.com/tetratelabs/wazero"
	"github.com/tetratelabs/wazero/api"
	"github.com/tetratelabs/wazero/experimental"

	"github.com/centerleap/postern/plugins/sandbox/rewrite"
	"github.com/centerleap/postern/plugins/sandbox/snapshot"
)

// instance is a module with memory. One call at a time runs on it.
type instance struct {
	module    api.Module
	memory    *snapshot.Memory
	globals   []snapshot.Global // all that can change: fuel and depth come first
	functions map[string]api.Function
	stacks    []reflect.Value   // the engine's, one for each of them
	stack     [1]uint64         // what functions return
	call      call              // that runs on it
	names     map[string]string // that it asked for
	of        *Module
	owner     Owner
	image     *image // what it starts every call from; nil while it is made ready
	state     *snapshot.Instance
	slice     int64     // of fuel: the next one
	since     time.Time // when it was last used,
	bytes     int64     // and what memory was its own then
}

// fuel and depth are what the meter sets.
func (in *instance) fuel() snapshot.Global  { return in.globals[0] }
func (in *instance) depth() snapshot.Global { return in.globals[1] }

// size is how much memory it has, in bytes.
func (in *instance) size() int64 { return int64(in.module.Memory().Size()) }

// mostSlice is the most fuel that it may get at once.
func (in *instance) mostSlice() int64 {
	most := int64(mostSlice)
	if in.size() > smallMemory {
		most = mostLarge
	}
	return max(leastSlice, min(most, mostMoved/max(in.of.wide, 1)))
}

// function is one that the module exports; nil if it does not.
func (in *instance) function(name string) api.Function {
	f := in.functions[name]
	if f == nil {
		if f = in.module.ExportedFunction(name); f != nil {
			in.functions[name] = f
			in.stacks = append(in.stacks, stackOf(f))
		}
	}
	return f
}

// stackOf is the stack that the engine keeps for a function from call to call. It grows with
// the deepest of them, up to megabytes, and the engine does not say how large it is.
func stackOf(f api.Function) reflect.Value { return reflect.ValueOf(f).Elem().FieldByName("stack") }

// private is how many bytes are its own, not shared with other instances.
func (in *instance) private() int64 {
	sum := in.state.Private()
	for _, s := range in.stacks {
		if s.IsValid() { // or this engine has another name for it
			sum += int64(s.Len()) * int64(s.Type().Elem().Size())
		}
	}
	return sum
}

// faults is how many pages of memory the kernel has found since its call began; 0 if
// nobody knows.
func (in *instance) faults() int {
	if in.state == nil {
		return 0
	}
	return in.state.Faults()
}

// pinned reports whether its call has its thread for itself; before there is an image, all have.
func (in *instance) pinned() bool { return in.state == nil || in.state.Pinned() }

// close frees it; it says nothing that one could act upon.
func (in *instance) close() { _ = in.module.Close(context.Background()) }

// bare makes an instance on which nothing has run, for an image, if there is one.
func (m *Module) bare(ctx context.Context, of *image) (_ *instance, err error) {
	in := &instance{of: m, functions: map[string]api.Function{}, slice: leastSlice}
	ctx = experimental.WithMemoryAllocator(context.WithoutCancel(ctx), experimental.MemoryAllocatorFunc(func(_, most uint64) experimental.LinearMemory {
		in.memory = m.engine.keeper.Memory(most)
		if of != nil {
			in.memory.Expect(of.Image)
		}
		return in.memory
	}))
	in.module, err = m.instantiate(ctx)
	if err != nil {
		if in.memory != nil {
			in.memory.Free() // wazero leaves it
		}
		return nil, err
	}
	for _, name := range m.globals {
		in.globals = append(in.globals, in.module.ExportedGlobal(name).(api.MutableGlobal))
	}
	return in, nil
}

// instantiate has the engine make one. Whatever it does not expect is an error as any other:
// where modules are loaded, nobody else would catch it.
func (m *Module) instantiate(ctx context.Context) (_ api.Module, err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("sandbox: the engine failed to make an instance: %v", p)
		}
	}()
	return m.runtime.InstantiateModule(ctx, m.code, wazero.NewModuleConfig().WithName("").WithStartFunctions())
}

// errNoRoom is a system that has no memory for another instance.
var errNoRoom = errors.New("sandbox: an instance can't be as large as its image")

// attached makes an instance that starts every call from an image.
func (m *Module) attached(ctx context.Context, owner Owner, from *image) (*instance, error) {
	in, err := m.bare(ctx, from)
	if err != nil {
		return nil, err
	}
	if more := int64(from.Size()) - in.size(); more > 0 {
		if _, ok := in.module.Memory().Grow(uint32(more / rewrite.PageBytes)); !ok {
			in.close()
			return nil, errNoRoom
		}
	}
	if in.state, err = from.Attach(in.memory, in.globals); err != nil {
		in.close()
		return nil, err
	}
	in.owner, in.image, in.names = owner, from, make(map[string]string)
	return in, nil
}
