// Package snapshot gives every call of a WebAssembly instance fresh state at the price
// of a function call: it takes an image of a warm instance, and after each call puts
// back what the call changed. plugins/sandbox calls it. It does not know wazero: it is
// the linear memory of an instance, and is handed the instance's mutable globals.
//
// An image is memory and globals. Tables, and segments that were dropped, are not part
// of it: whoever validates modules refuses those that change them at run time.
//
// There are two ways behind one face. The portable one copies the whole memory back.
// On Linux the image lies in a sealed file in memory that every instance maps
// privately, so the kernel copies a page when it is first written, and only pages that
// were ever written are copied back. Long runs of zeros are in no file (parts.go). How
// what was written is found is told in tracker.go, what is asked of the kernel in kernel.go.
package snapshot

import (
	"context"
	"errors"
	"log/slog"
)

// Why an instance can't be used again, beside errors of its call and of the system.
var (
	// ErrGrown: its memory has another size than the image, and can't shrink.
	ErrGrown = errors.New("snapshot: the memory grew")
	// ErrFreed: it was closed.
	ErrFreed = errors.New("snapshot: the memory was freed")
	// ErrUnfinished: its call never returned, for it panicked.
	ErrUnfinished = errors.New("snapshot: the call did not return")
)

// Global is a mutable global of an instance; wazero's api.MutableGlobal is one.
type Global interface {
	Type() byte // as the binary format has it
	Get() uint64
	Set(v uint64)
}

// Config of a Keeper.
type Config struct {
	Log      *slog.Logger // default: slog.Default()
	Portable bool         // copy whole memories, whatever the system can do
	// Check compares memory and globals with the image after every reset. It is for
	// tests: it costs as much as copying all.
	Check bool
}

// Keeper makes memories and takes images of them. It may be used by many goroutines at
// once; a Memory and an Instance by one at a time.
type Keeper struct {
	log    *slog.Logger
	check  bool
	kernel kernel // nil: whole memories are copied
}

// New makes a Keeper. It tries out what the copy-on-write way needs; where that is not
// to be had it says so in the log, and copies whole memories.
func New(cfg Config) *Keeper {
	if cfg.Portable {
		return newKeeper(cfg, nil, nil)
	}
	k, err := newKernel()
	return newKeeper(cfg, k, err)
}

func newKeeper(cfg Config, k kernel, err error) *Keeper {
	if cfg.Log == nil {
		cfg.Log = slog.Default()
	}
	if err != nil {
		cfg.Log.LogAttrs(context.Background(), slog.LevelWarn, "plugins are reset by copying their whole memory", slog.Any("err", err))
		k = nil
	}
	return &Keeper{log: cfg.Log, check: cfg.Check, kernel: k}
}

// Close frees what images shared. Close them first; memories may be freed later.
func (k *Keeper) Close() error {
	if k.kernel == nil {
		return nil
	}
	return k.kernel.close()
}
