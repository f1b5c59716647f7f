package snapshot

// tracker knows which pages of a memory that an image covers are the instance's own.
// The kernel makes one its own when it is first written, and it stays so until it is
// dropped: so what is copied back is every page ever written, and what must be noticed
// is that there are new ones.
//
// For that the kernel is asked how often the thread faulted, before and after a call.
// A page can only become private by a fault that succeeds, and the kernel counts that
// for the thread which touched it, whether the guest wrote, the host, or the kernel on
// behalf of the host (a read into the memory). If the count stood still there is no new
// page. If it moved, for any reason, the map of all pages is read. What the count can't
// know of is a write by another thread: hence the goroutine is pinned to its thread,
// or the tracker is told to be unsure.
type tracker struct {
	kernel kernel
	page   int      // bytes
	list   []uint32 // pages that are its own, by number
	known  []uint64 // the same, a bit each
	most   int      // of list, before the pages are dropped
	calls  int      // since they were
	before int      // faults of the thread
	unsure bool     // the count does not tell all
	buf    []byte   // for the map of pages
}

const (
	// minDrop is how many own pages an instance may always have, however small its
	// memory: copying them back costs less than faulting a few of them in again.
	minDrop = 64
	// settle is how many calls there are at least between two droppings. Who writes to
	// many pages in every call would have each faulted in anew every time, which takes
	// ten times as long as copying it.
	settle = 100
)

func newTracker(k kernel, size int) *tracker {
	pages := size / k.pageSize()
	return &tracker{
		kernel: k, page: k.pageSize(),
		known: make([]uint64, (pages+63)/64),
		most:  max(pages/4, minDrop), calls: settle,
		buf: make([]byte, 4<<10),
	}
}

// begin is called on the thread that the call will stay on.
func (t *tracker) begin() {
	var err error
	t.before, err = t.kernel.faults()
	t.unsure = err != nil
}

// reset puts back what the call wrote. It is called on the same thread as begin, or
// t is unsure.
func (t *tracker) reset(memory, image []byte) error {
	if !t.unsure {
		now, err := t.kernel.faults()
		t.unsure = err != nil || now != t.before
	}
	if t.unsure {
		if err := t.kernel.private(memory, t); err != nil {
			return err
		}
	}
	t.calls++
	if len(t.list) > t.most && t.calls > settle && t.kernel.drop(memory) == nil {
		t.forget()
		return nil
	}
	for _, p := range t.list {
		at := int(p) * t.page
		copy(memory[at:at+t.page], image[at:at+t.page])
	}
	return nil
}

// add notes a page as the instance's own.
func (t *tracker) add(page int) {
	if bit := uint64(1) << (page % 64); t.known[page/64]&bit == 0 {
		t.known[page/64] |= bit
		t.list = append(t.list, uint32(page))
	}
}

// forget is called when all pages are the image's again.
func (t *tracker) forget() {
	clear(t.known)
	t.list = t.list[:0]
	t.calls = 0
}
