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
	from    uint64 // ms; no key of the index is before it
	lowered uint64 // how often a commit has added keys
}

// begin is where a walk may begin. It has to be asked before the view is opened.
func (f *fronts) begin(index int) front {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.by[index]
}

// raise notes that a view had nothing before a time, unless a commit has added keys since
// begin: the view may not have seen them.
func (f *fronts) raise(index int, begun front, to uint64) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if now := &f.by[index]; now.lowered == begun.lowered {
		now.from = max(now.from, to)
	}
}

// lower notes that a commit that has ended added a key.
func (f *fronts) lower(index int, to uint64) {
	f.mu.Lock()
	defer f.mu.Unlock()
	now := &f.by[index]
	now.from, now.lowered = min(now.from, to), now.lowered+1
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
