package snapshot

// kernel is what the copy-on-write way needs of a system.
type kernel interface {
	pageSize() int // bytes
	// reserve takes address space without memory; release gives it back, with all that
	// was mapped over it.
	reserve(size uint64) ([]byte, error)
	release(all []byte) error
	// commit makes a part of it memory that is zero.
	commit(part []byte) error
	// populate finds pages for all of a committed part that has none.
	populate(part []byte) error
	// store keeps a copy of content, for many to map. Outside of parts it is zero, and need
	// not be kept.
	store(content []byte, parts []part) (stored, error)
	// faults counts the page faults of the thread that calls.
	faults() (int, error)
	// private adds to t the pages of a covered memory that are no longer those of what
	// was stored, and not the one page of zeros that all share who only read.
	private(memory []byte, t *tracker) error
	// drop makes them all those of what was stored again.
	drop(memory []byte) error
	close() error
}

// stored is content in the kernel's keeping that can't change any more.
type stored interface {
	view() []byte // may only be read
	// cover puts it in place of what memory held. What is written there later stays
	// in that memory.
	cover(memory []byte) error
	// close frees it as soon as no memory is covered by it.
	close() error
}
