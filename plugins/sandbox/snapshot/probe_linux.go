package snapshot

import (
	"bytes"
	"errors"
	"fmt"
	"runtime"
	"slices"
)

// probeSize is two pages of WebAssembly, so two pages of any kernel at least.
const probeSize = 2 * wasmPage

// probe shows on a small memory that writing makes a page private, that it is seen to,
// by count and by map, and that it can be undone. Half of it lies in a file. Containers,
// other systems that speak Linux's calls, and filters of calls fail here.
func (k *linux) probe() error {
	if wasmPage%k.page != 0 {
		return fmt.Errorf("the kernel's pages have %d bytes", k.page)
	}
	memory, err := k.reserve(probeSize)
	if err != nil {
		return err
	}
	defer func() { _ = k.release(memory) }()
	if err := k.commit(memory); err != nil {
		return err
	}
	memory[wasmPage], memory[probeSize-1] = 1, 2
	s, err := k.store(memory, []part{{wasmPage / k.page, probeSize / k.page}})
	if err != nil {
		return err
	}
	defer func() { _ = s.close() }()
	memory[0] = 3 // which is to be gone
	if err := s.cover(memory); err != nil {
		return err
	}
	return k.probeWrites(memory, s.view())
}

func (k *linux) probeWrites(memory, image []byte) error {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	t := newTracker(k, len(memory), newBits(len(memory)/k.page))
	if err := k.probeReads(memory, image, t); err != nil {
		return err
	}
	for _, at := range []int{wasmPage - 1, probeSize - 1, 0} {
		was := memory[at]
		t.begin()
		memory[at]++
		now, err := k.faults()
		if err != nil || t.unsure || now == t.before {
			return errors.Join(errors.New("page faults are not counted"), err)
		}
		if err := k.private(memory, t); err != nil {
			return err
		}
		if !slices.Equal(t.list, []uint32{uint32(at / k.page)}) {
			return errors.New("the map of pages does not show what was written")
		}
		if image[at] != was {
			return errors.New("a private mapping is shared")
		}
		if err := k.drop(memory); err != nil {
			return err
		}
		t.forget()
		if err := k.probeReads(memory, image, t); err != nil {
			return err
		}
	}
	return nil
}

// probeReads reads all of a memory that is as its image is.
func (k *linux) probeReads(memory, image []byte, t *tracker) error {
	if !bytes.Equal(memory, image) {
		return errors.New("a private mapping shows something else")
	}
	if err := k.private(memory, t); err != nil {
		return err
	}
	if len(t.list) > 0 {
		return errors.New("the map of pages shows what was only read as private")
	}
	return nil
}
