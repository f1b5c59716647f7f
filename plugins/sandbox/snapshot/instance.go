package snapshot

import (
	"bytes"
	"fmt"
	"runtime"
)

// Instance is an instance whose state is that of an image before every call.
type Instance struct {
	image   *Image
	memory  *Memory
	globals []Global
	pages   *tracker // nil: the whole memory is copied
	pinned  bool     // its goroutine, to its thread
	spoiled error
}

// Run makes a call, and then puts back what it changed. It returns nil if the instance
// can be used again. Any error means that it must be closed: that of call, as it is,
// when the guest trapped or was stopped; ErrGrown, ErrFreed or a *DiffError when the
// call itself went well, and its answer stands; the system's. It costs no allocation.
//
// During call only its goroutine writes to the memory, and stays on one thread, unless
// Unpin is called. Between two calls nobody writes to it.
func (n *Instance) Run(call func() error) error {
	if n.spoiled != nil {
		return n.spoiled
	}
	n.spoiled = ErrUnfinished
	if n.pages != nil {
		runtime.LockOSThread()
		n.pinned = true
		defer n.Unpin()
		n.pages.begin()
	}
	err := call()
	if err == nil {
		err = n.reset()
	}
	n.spoiled = err
	return err
}

// Unpin lets the goroutine of the running call leave its thread, and others write to the
// memory until the call ends. An import calls it before it waits for something, or hands
// the memory to another goroutine. The reset then looks at every page.
func (n *Instance) Unpin() {
	if n.pinned {
		n.pinned = false
		n.pages.unsure = true
		runtime.UnlockOSThread()
	}
}

// Faults is how often the thread of the running call has had the kernel find a page of
// memory since the call began; 0 if the call has let go of its thread, or the system does
// not tell.
func (n *Instance) Faults() int {
	if !n.pinned || n.pages.unsure {
		return 0
	}
	now, err := n.pages.kernel.faults()
	if err != nil {
		return 0
	}
	return now - n.pages.before
}

// Pinned reports whether the running call has its thread for itself: all the time, where
// the whole memory is copied.
func (n *Instance) Pinned() bool { return n.pages == nil || n.pinned }

// Private is how many bytes of its memory are its own, not shared with other instances
// of its image.
func (n *Instance) Private() int64 {
	if n.pages == nil {
		return int64(len(n.memory.b))
	}
	return int64(len(n.pages.list)) * int64(n.pages.page)
}

func (n *Instance) reset() error {
	switch {
	case n.memory.freed:
		return ErrFreed
	case len(n.memory.b) != len(n.image.memory):
		return ErrGrown
	case n.pages == nil:
		copy(n.memory.b, n.image.memory)
	default:
		if err := n.pages.reset(n.memory.b, n.image.memory); err != nil {
			return err
		}
	}
	n.setGlobals()
	if n.image.keeper.check {
		return n.compare()
	}
	return nil
}

func (n *Instance) setGlobals() {
	for i, g := range n.globals {
		g.Set(n.image.globals[i])
	}
}

// DiffError is a reset that failed to put something back: a fault of this package. Only
// a Keeper that checks finds it.
type DiffError struct {
	Global    int // its number; -1: a byte of memory
	Offset    int // in memory
	Got, Want uint64
}

func (e *DiffError) Error() string {
	if e.Global >= 0 {
		return fmt.Sprintf("snapshot: global %d is %#x after a reset, not %#x", e.Global, e.Got, e.Want)
	}
	return fmt.Sprintf("snapshot: byte %#x of the memory is %#x after a reset, not %#x", e.Offset, e.Got, e.Want)
}

// compare finds the first global or byte that is not as in the image.
func (n *Instance) compare() error {
	for i, g := range n.globals {
		if got, want := g.Get(), n.image.globals[i]; got != want {
			return &DiffError{Global: i, Got: got, Want: want}
		}
	}
	got, want := n.memory.b, n.image.memory
	if bytes.Equal(got, want) {
		return nil
	}
	at := 0
	for got[at] == want[at] {
		at++
	}
	return &DiffError{Global: -1, Offset: at, Got: uint64(got[at]), Want: uint64(want[at])}
}
