package snapshot

import (
	"bytes"
	"errors"
	"fmt"
	"runtime"
)

// probeSize is two pages of WebAssembly, so two pages of any kernel at least.
const probeSize = 2 * wasmPage

// probe shows on a small memory that writing makes a page private, that it is seen to,
// by count and by map, and that it can be undone. Containers, other systems that speak
// Linux's calls, and filters of calls fail here.
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
	memory[0], memory[probeSize-1] = 1, 2
	s, err := k.store(memory)
	if err != nil {
		return err
	}
	defer func() { _ = s.close() }()
	if err := s.cover(memory); err != nil {
		return err
	}
	return k.probeWrites(memory, s.view())
}

func (k *linux) probeWrites(memory, image []byte) error {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	t := newTracker(k, len(memory), newBits(len(memory)/k.page))
	for range 2 {
		if !bytes.Equal(memory, image) { // and all of it has been read
			return errors.New("a private mapping shows something else")
		}
		if err := k.private(memory, t); err != nil {
			return err
		}
		if len(t.list) > 0 {
			return errors.New("the map of pages shows what was only read as private")
		}
		t.begin()
		memory[probeSize-1]++
		now, err := k.faults()
		if err != nil || t.unsure || now == t.before {
			return errors.Join(errors.New("page faults are not counted"), err)
		}
		if err := k.private(memory, t); err != nil {
			return err
		}
		if len(t.list) != 1 || int(t.list[0]) != probeSize/k.page-1 {
			return errors.New("the map of pages does not show what was written")
		}
		if image[probeSize-1] != 2 {
			return errors.New("a private mapping is shared")
		}
		if err := k.drop(memory); err != nil {
			return err
		}
		t.forget()
	}
	return nil
}
