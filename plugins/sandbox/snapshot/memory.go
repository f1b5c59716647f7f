package snapshot

// wasmPage is the step in which memories grow, in bytes. Source: WebAssembly Core
// Specification 2.0, section 4.2.8, "Memory Instances".
const wasmPage = 64 << 10

// Memory is the linear memory of one instance; it is an experimental.LinearMemory of
// wazero. Its address space is reserved when it is made, and becomes memory as it grows.
type Memory struct {
	keeper *Keeper
	b      []byte // what the guest has
	all    []byte // what is reserved; nil: b is on the heap
	most   uint64
	bound  uint64 // not beyond most; see Bound
	image  *Image // what it is attached to
	data   []part // see NoteData and Expect
	freed  bool
}

// Memory makes the memory of a new instance, of no bytes yet and most bytes at most.
func (k *Keeper) Memory(most uint64) *Memory {
	m := &Memory{keeper: k, most: most, bound: most}
	if k.kernel != nil && most > 0 {
		if all, err := k.kernel.reserve(most); err == nil { // or do with the heap
			m.all = all
		}
	}
	return m
}

// Bound sets how large it may become from now on, of what it was made for. It may be
// larger already.
func (m *Memory) Bound(most uint64) { m.bound = min(most, m.most) }

// Reallocate makes it size bytes large, and returns it; nil if it can't be. It never
// shrinks.
func (m *Memory) Reallocate(size uint64) []byte {
	if m.freed || size > m.bound || size < uint64(len(m.b)) {
		return nil
	}
	switch {
	case size == uint64(len(m.b)):
	case m.all == nil:
		m.growHeap(size)
	case m.keeper.kernel.commit(m.all[len(m.b):size]) != nil:
		return nil
	default:
		first := len(m.b) == 0
		if m.b = m.all[:size:size]; first {
			m.populate()
		}
	}
	return m.b
}

// NoteData notes where its module has data. It is called when the module was set up, and
// nothing of it has run: only data was written so far. An image that is taken later knows.
func (m *Memory) NoteData() {
	if m.all == nil || len(m.b) == 0 {
		return
	}
	t := newTracker(m.keeper.kernel, len(m.b), nil)
	if m.keeper.kernel.private(m.b, t) == nil { // or it is not known, and nothing is lost
		m.data = runsOf(t.known, len(m.b)/t.page, 1)
	}
}

// Expect tells a memory of no bytes yet of which image it will be. The pages that its
// module's data is written to are then found by calls of the kernel: copying the data to
// pages that each have to be found would keep the thread for milliseconds.
func (m *Memory) Expect(i *Image) { m.data = i.data }

// populatePiece is how many bytes of pages are found at once; ours, some 100 us.
const populatePiece = 256 << 10

// populate has the kernel find the pages of its module's data. Where it does not, they are
// found when they are written.
func (m *Memory) populate() {
	page := m.keeper.kernel.pageSize()
	for _, p := range m.data {
		for at, end := p.first*page, min(p.end*page, len(m.b)); at < end; at += populatePiece {
			if m.keeper.kernel.populate(m.b[at:min(at+populatePiece, end)]) != nil {
				return
			}
		}
	}
}

// growHeap leaves room for as much again, or a guest that grows in small steps would
// have its memory copied at each. Nobody has written beyond the length of b.
func (m *Memory) growHeap(size uint64) {
	whole := m.b[:cap(m.b)]
	if size > uint64(len(whole)) {
		whole = make([]byte, max(size, min(2*size, m.most)))
		copy(whole, m.b)
	}
	m.b = whole[:size]
}

// Free gives it back; nobody may touch it any more. A second time does nothing.
func (m *Memory) Free() {
	if m.freed {
		return
	}
	m.freed = true
	if m.all != nil {
		_ = m.keeper.kernel.release(m.all) // it was mapped, so it can be unmapped
	}
	m.b, m.all = nil, nil
	if m.image != nil {
		m.image.leave()
	}
}
