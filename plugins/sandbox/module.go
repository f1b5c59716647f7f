package sandbox

import (
	"context"
	"errors"
	"sync"

	"github.com/tetratelabs/wazero"

	"github.com/centerleap/postern/sdk/abi"
)

// initialize is what a reactor exports to be made ready, as those of Go are.
const initialize = "_initialize"

// Module is a compiled module. Calls run side by side, each on an instance of its
// own.
type Module struct {
	engine  *Engine
	runtime wazero.Runtime
	code    wazero.CompiledModule
	calls   sync.WaitGroup
}

// Exports reports whether the module answers a hook.
func (m *Module) Exports(hook string) bool {
	_, ok := m.code.ExportedFunctions()[abi.Export(hook)]
	return ok
}

// Close waits for running calls and frees the module. No call may start any more.
func (m *Module) Close(ctx context.Context) error {
	m.calls.Wait()
	var err error
	if m.code != nil { // with a cache, the runtime would leave it in memory
		err = m.code.Close(ctx)
	}
	return errors.Join(err, m.runtime.Close(ctx))
}
