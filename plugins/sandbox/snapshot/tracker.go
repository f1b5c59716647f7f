package snapshot

// tracker knows which pages of a memory that an image covers are the instance's own.
// The kernel makes one its own when it is first written, and it stays so until it is
// dropped: so what is copied back is every page ever written, and what must be noticed
// is that there are new ones.
//
// For that the kernel is asked how often the thread faulted, before and after a call.
// A page can only become private by a fault that succeeds, of a part in the file as of
// zeros outside of it, and the kernel counts that for the thread which touched it,
// whether the guest wrote, the host, or the kernel on behalf of the host (a read into
// the memory). If the count stood still there is no new
// page. If it moved, for any reason, the map of all pages is read. What the count can't
// know of is a write by another thread: hence the goroutine is pinned to its thread,
// or the tracker is told to be unsure.
type tracker struct {
	kernel kernel
	page   int           // bytes
	list   []uint32      // pages that are its own, by number
	known  bits          // the same
	zeros  bits          // pages that are zero in the image
	most   int           // of list, before the pages are dropped
	calls  int           // since they were
	before int           // faults of the thread
	unsure bool          // the count does not tell all
	buf    []byte        // for the map of pages
	found  [64]scanRange // for what the kernel finds in it
}

// scanRange is pages in a row, by address: Linux's struct page_region.
type scanRange struct {
	start, end uint64
	_          uint64 // categories: as was asked for
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

func newTracker(k kernel, size int, zeros bits) *tracker {
	pages := size / k.pageSize()
	return &tracker{
		kernel: k, page: k.pageSize(),
		known: newBits(pages), zeros: zeros,
		most: max(pages/4, minDrop), calls: settle,
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
	t.putBack(memory, image)
	return nil
}

// mostCleared is how many pages are cleared at once: all of a program's threads may have to
// wait for it. Ours, 20 us.
const mostCleared = 64

// putBack makes the instance's own pages what they are in the image. Those that are zero
// there are cleared, some in a row at once: a page of the image that nobody has read
// takes no memory, and reading is half of copying.
func (t *tracker) putBack(memory, image []byte) {
	for i := 0; i < len(t.list); i++ {
		at := int(t.list[i]) * t.page
		if !t.zeros.has(int(t.list[i])) {
			copy(memory[at:at+t.page], image[at:at+t.page])
			continue
		}
		end, most := at+t.page, at+mostCleared*t.page
		for i+1 < len(t.list) && end < most && int(t.list[i+1])*t.page == end && t.zeros.has(int(t.list[i+1])) {
			end += t.page
			i++
		}
		clear(memory[at:end])
	}
}

// bits is a set of pages, by number.
type bits []uint64

func newBits(pages int) bits { return make(bits, (pages+63)/64) }

func (b bits) has(page int) bool { return b[page/64]&(1<<(page%64)) != 0 }

func (b bits) add(page int) { b[page/64] |= 1 << (page % 64) }

// add notes a page as the instance's own.
func (t *tracker) add(page int) {
	if !t.known.has(page) {
		t.known.add(page)
		t.list = append(t.list, uint32(page))
	}
}

// forget is called when all pages are the image's again.
func (t *tracker) forget() {
	clear(t.known)
	t.list = t.list[:0]
	t.calls = 0
}
