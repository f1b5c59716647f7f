package snapshot

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
)

// Image is the state of a warm instance, for all instances of the same module.
type Image struct {
	keeper  *Keeper
	memory  []byte // not to be written
	globals []uint64
	stored  stored // where memory lies; nil: on the heap
	zeros   bits   // pages of it that are zero
	data    []part // that a module writes when it is set up

	mu     sync.Mutex
	users  int // memories attached to it
	closed bool
}

// errAttached is an instance that has an image.
var errAttached = errors.New("snapshot: the memory has an image already")

// Take makes an image of a warm instance: of its memory and of all its mutable globals,
// always in the same order. The instance stays as it is; Attach makes it one of those
// that are reset.
//
// An image must not hold what a message left in an instance: so it is taken before any
// is passed to it, and fails once the instance is attached. It also fails with ErrFreed,
// and for a global that is a vector, of which wazero shows one half, or a reference,
// which means nothing to another instance.
func (k *Keeper) Take(m *Memory, globals []Global) (*Image, error) {
	switch {
	case m.freed:
		return nil, ErrFreed
	case m.image != nil:
		return nil, errAttached
	}
	i := &Image{keeper: k, globals: make([]uint64, len(globals)), data: m.data}
	for n, g := range globals {
		if !number(g.Type()) {
			return nil, fmt.Errorf("snapshot: global %d has the type %#x, which can't be kept", n, g.Type())
		}
		i.globals[n] = g.Get()
	}
	if k.kernel != nil && len(m.b) > 0 {
		var err error
		i.zeros = zerosOf(m.b, k.kernel.pageSize())
		if i.stored, err = k.kernel.store(m.b, fileParts(i.zeros, len(m.b)/k.kernel.pageSize())); err == nil {
			i.memory = i.stored.view()
			return i, nil
		}
		k.log.LogAttrs(context.Background(), slog.LevelWarn, "a plugin's image can't be shared", slog.Any("err", err))
	}
	i.stored, i.zeros, i.memory = nil, nil, bytes.Clone(m.b)
	return i, nil
}

// zerosOf finds the pages that are zero.
func zerosOf(content []byte, page int) bits {
	zero, zeros := make([]byte, page), newBits(len(content)/page)
	for n := range len(content) / page {
		if bytes.Equal(content[n*page:(n+1)*page], zero) {
			zeros.add(n)
		}
	}
	return zeros
}

// number reports whether a type is i32, i64, f32 or f64. Source: WebAssembly Core
// Specification 2.0, section 5.3.1, "Number Types".
func number(t byte) bool { return t >= 0x7c && t <= 0x7f }

// Size is the size of the memory in bytes. An instance must have it to be attached.
func (i *Image) Size() uint64 { return uint64(len(i.memory)) }

// Attach gives an instance the state of the image, whatever it did before. globals are
// those of Take, of this instance. After an error the instance must be closed: ErrFreed,
// ErrGrown if its memory has not the size of the image, or the system's.
func (i *Image) Attach(m *Memory, globals []Global) (*Instance, error) {
	switch {
	case m.freed:
		return nil, ErrFreed
	case len(m.b) != len(i.memory):
		return nil, ErrGrown
	case len(globals) != len(i.globals):
		return nil, fmt.Errorf("snapshot: the image has %d globals, the instance %d", len(i.globals), len(globals))
	case m.image != nil:
		return nil, errAttached
	}
	if err := i.enter(); err != nil {
		return nil, err
	}
	m.image = i
	n := &Instance{image: i, memory: m, globals: globals}
	if i.stored == nil || m.all == nil {
		copy(m.b, i.memory)
	} else {
		if err := i.stored.cover(m.b); err != nil {
			return nil, err
		}
		n.pages = newTracker(i.keeper.kernel, len(m.b), i.zeros)
	}
	n.setGlobals()
	return n, nil
}

// Close frees the image as soon as the last memory attached to it is freed. No other
// can be attached.
func (i *Image) Close() error {
	i.mu.Lock()
	defer i.mu.Unlock()
	if i.closed {
		return nil
	}
	i.closed = true
	return i.free()
}

func (i *Image) enter() error {
	i.mu.Lock()
	defer i.mu.Unlock()
	if i.closed {
		return ErrFreed
	}
	i.users++
	return nil
}

func (i *Image) leave() {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.users--
	if err := i.free(); err != nil {
		i.keeper.log.LogAttrs(context.Background(), slog.LevelWarn, "a plugin's image was not freed", slog.Any("err", err))
	}
}

// free gives the memory back if nobody has it any more.
func (i *Image) free() error {
	if !i.closed || i.users > 0 {
		return nil
	}
	i.memory = nil
	if i.stored == nil {
		return nil
	}
	return i.stored.close()
}
