package sandbox

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"slices"
	"strings"
	"syscall"

	"github.com/tetratelabs/wazero"
)

// vouched is the cache, if what it has of a module may be read; nil if not.
func (e *Engine) vouched(code []byte) wazero.CompilationCache {
	if e.cache != nil && e.cfg.Vouch != nil && e.cfg.Vouch(compiledNames(code)) != nil {
		return nil
	}
	return e.cache
}

// processorBits bounds what wazero's names of files say of the processor: 3 bits in 1.12.
const processorBits = 4

// compiledNames are the names that wazero may give to the file of a module's compiled code:
// by what the module is, and by what the processor can do, which it does not say.
func compiledNames(code []byte) (names []string) {
	const endsByItself = 0 // the engine need not stop it
	id := sha256.Sum256(append(slices.Clip(code), endsByItself))
	for processor := range uint64(1 << processorBits) {
		sum := sha256.Sum256(binary.LittleEndian.AppendUint64(append(id[:], "WAZEVO"...), processor))
		names = append(names, hex.EncodeToString(sum[:]))
	}
	return names
}

// cacheFault starts wazero's errors about what is in the files of its cache.
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
