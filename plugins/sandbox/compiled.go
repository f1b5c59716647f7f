package sandbox

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"syscall"
)

// moduleID is what wazero takes a module for.
type moduleID [sha256.Size]byte

func idOf(code []byte) moduleID {
	const endsByItself = 0 // the engine need not stop it
	return sha256.Sum256(append(slices.Clip(code), endsByItself))
}

// turns has one at a time compile the same module, or read what was compiled of it. wazero
// lets others have what it reads before all of it is there: it would lack the code that calls
// begin with, and whoever called it would end the process.
type turns struct {
	mu    sync.Mutex
	taken map[moduleID]chan struct{} // closed when it is somebody else's turn
}

// take waits for the turn, which the caller gives back.
func (t *turns) take(ctx context.Context, id moduleID) (leave func(), err error) {
	for {
		t.mu.Lock()
		other, taken := t.taken[id]
		if !taken {
			mine := make(chan struct{})
			t.taken[id] = mine
			t.mu.Unlock()
			return func() { t.leave(id, mine) }, nil
		}
		t.mu.Unlock()
		select {
		case <-other:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}

func (t *turns) leave(id moduleID, mine chan struct{}) {
	t.mu.Lock()
	delete(t.taken, id)
	t.mu.Unlock()
	close(mine)
}

// vouch has it seen to that what the cache has of a module may be read.
func (e *Engine) vouch(id moduleID) error {
	if e.cfg.Vouch == nil {
		return nil
	}
	if err := e.cfg.Vouch(compiledNames(id)); err != nil {
		return fmt.Errorf("%s%w", cacheFault, err)
	}
	return nil
}

// processorBits bounds what wazero's names of files say of the processor: 3 bits in 1.12.
const processorBits = 4

// compiledNames are the names that wazero may give to the file of a module's compiled code:
// by what the module is, and by what the processor can do, which it does not say.
func compiledNames(id moduleID) (names []string) {
	for processor := range uint64(1 << processorBits) {
		sum := sha256.Sum256(binary.LittleEndian.AppendUint64(append(id[:], "WAZEVO"...), processor))
		names = append(names, hex.EncodeToString(sum[:]))
	}
	return names
}

// cacheFault starts wazero's errors about what is in the files of its cache, and ours.
const cacheFault = "compilationcache: "

// ofCache reports whether an error is about the files of the cache: no module's fault.
func ofCache(err error) bool {
	_, disk := errors.AsType[syscall.Errno](err)
	return disk || err != nil && strings.HasPrefix(err.Error(), cacheFault)
}

// unwritten reports whether a module was compiled, and only its file could not be written:
// for a full disk, or a folder that somebody cleared. wazero then keeps it in memory, counted
// for nobody, and would do so for good.
func unwritten(err error) bool {
	const written = ".tmp" // the end of a file's name until it is whole
	_, disk := errors.AsType[syscall.Errno](err)
	return disk && strings.Contains(err.Error(), written)
}
