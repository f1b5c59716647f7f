package store

import (
	"encoding/binary"
	"sync"
)

// fronts remember where the queue's indexes begin. What is taken from a queue leaves
// marks of deletion in the store until it merges its tables, and they all lie before what
// is still there: walking over them was a quarter of the work of carrying mail that was
// due at once. A front is a time before which its index has no key. It is a hint of this
// process, which alone changes the store; at the start an index is walked whole.
type fronts struct {
	mu sync.Mutex
	by [len(timedIndexes)]front
}

type front struct {
	from  uint64            // ms; no key of the index is before it
	adds  uint64            // how many commits have added keys
	added [addsKnown]uint64 // the earliest key of each of the newest of them
}

// addsKnown is how many commits a walk may last and still move the front: while mail is
// carried there is one each millisecond or so, and a walk takes as long.
const addsKnown = 64

// begin is where a walk may begin, and how many commits had added keys by then. It has to
// be asked before the view is opened.
func (f *fronts) begin(index int) (from, adds uint64) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.by[index].from, f.by[index].adds
}

// raise notes that a view had nothing before a time. It may not have seen what commits
// have added since begin: those keys bound the front, too.
func (f *fronts) raise(index int, adds, to uint64) {
	f.mu.Lock()
	defer f.mu.Unlock()
	now := &f.by[index]
	if now.adds-adds > addsKnown {
		return
	}
	for ; adds < now.adds; adds++ {
		to = min(to, now.added[adds%addsKnown])
	}
	now.from = max(now.from, to)
}

// lower notes that a commit that has ended added keys, the earliest at a time.
func (f *fronts) lower(index int, to uint64) {
	f.mu.Lock()
	defer f.mu.Unlock()
	now := &f.by[index]
	now.added[now.adds%addsKnown] = to
	now.from, now.adds = min(now.from, to), now.adds+1
}

// timedPut is a key that a transaction adds to such an index: the earliest.
type timedPut struct {
	at  uint64
	any bool
}

// Set writes a key, and remembers what it adds to the queue's indexes.
func (t *tx) Set(key, value []byte) {
	if i := timedIndex(key[0]); i >= 0 {
		at := binary.BigEndian.Uint64(key[1:])
		if p := &t.timed[i]; !p.any || at < p.at {
			*p = timedPut{at, true}
		}
	}
	t.Tx.Set(key, value)
}

// timedIndexes are the sub-spaces that have a front.
var timedIndexes = [...]byte{subDue, subLease, subSiteDue, subIntentDue}

func timedIndex(sub byte) int {
	for i, s := range timedIndexes {
		if s == sub {
			return i
		}
	}
	return -1
}

// noteTimed lowers the fronts to what a transaction has added.
func (s *Store) noteTimed(t *tx) {
	for i, p := range t.timed {
		if p.any {
			s.fronts.lower(i, p.at)
		}
	}
}
