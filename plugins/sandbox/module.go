package sandbox

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"

	"github.com/tetratelabs/wazero"

	"github.com/centerleap/postern/sdk/abi"
)

// initialize is what a reactor exports to be made ready, as those of Go are.
const initialize = "_initialize"

// Module is a compiled module that is ready to be asked. Calls run side by side, each
// on an instance that nobody else has meanwhile.
type Module struct {
	engine  *Engine
	runtime wazero.Runtime
	code    wazero.CompiledModule
	twice   bool              // the engine counts it once too often: see unwritten
	globals []string          // names of all that can change: fuel and depth come first
	wide    int64             // values that one of its functions has at once
	hooks   map[string]string // the functions that answer them, by their names
	warms   bool              // it can be asked before its image is taken
	images  images
	calls   sync.WaitGroup
	slow    atomic.Bool // it has the kernel find pages all the time: see slowSlice
}

// Exports reports whether the module answers a hook.
func (m *Module) Exports(hook string) bool { return m.exports(abi.Export(hook)) }

func (m *Module) exports(name string) bool {
	_, ok := m.code.ExportedFunctions()[name]
	return ok
}

// MemoryBytes is how much memory each call begins with, at the moment.
func (m *Module) MemoryBytes() int64 { return int64(m.images.current().Size()) }

// Close waits for running calls and frees the module. No call may start any more.
func (m *Module) Close(ctx context.Context) error {
	m.calls.Wait()
	m.engine.pool.drop(m, nil)
	var err error
	if m.images.image != nil {
		err = m.images.image.Close()
	}
	if m.code != nil { // with a cache, the runtime would leave it in memory
		err = errors.Join(err, m.code.Close(ctx))
		if m.twice {
			err = errors.Join(err, m.code.Close(ctx))
		}
	}
	return errors.Join(err, m.runtime.Close(ctx))
}
