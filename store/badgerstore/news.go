package badgerstore

import (
	"encoding/binary"
	"errors"

	"github.com/centerleap/postern/store/engine"
)

// Changes of one domain that follow each other in one group are one cell: each would
// cost the index as much as a record does. Its key has the last one's sequence, so
// whoever looks for a sequence finds the run that holds it, and how many they are. A
// change that is alone is a cell of its own, as all were before.

const (
	// maxChange is the largest change, in bytes, as large as a value may be.
	maxChange = maxValue
	// maxRun is where a run of changes ends, in bytes.
	maxRun = 32 << 10
)

// news are the changes of a group, by domain, in order.
type news struct {
	byDomain map[uint32][]run
	bytes    int64 // as overlay counts them
	runs     int
}

// run is some changes in a row.
type run struct {
	last    uint64 // sequence
	size    int
	changes [][]byte
}

// cells is how many cells they will be.
func (n *news) cells() int { return n.runs }

// newsCost is what a change costs at most, besides its bytes: its length, and a key.
const newsCost = 24 + entryCost

// news is how many bytes a closure's changes take, as overlay counts them.
func (t *tx) news() (size int64) {
	for _, c := range t.changes {
		size += int64(len(c)) + newsCost
	}
	return size
}

// add takes the changes of a closure that is in the group.
func (n *news) add(t *tx) {
	if t.erased != 0 {
		delete(n.byDomain, t.erased)
	}
	if len(t.changes) == 0 {
		return
	}
	if n.byDomain == nil {
		n.byDomain = make(map[uint32][]run)
	}
	runs, first := n.byDomain[t.domain], t.seq-uint64(len(t.changes))+1
	for i, c := range t.changes {
		// A domain that was erased between two closures begins anew.
		if k := len(runs) - 1; k >= 0 && runs[k].last+1 == first+uint64(i) && runs[k].size+len(c) <= maxRun {
			runs[k].changes = append(runs[k].changes, c)
			runs[k].size += len(c)
			runs[k].last = first + uint64(i)
			continue
		}
		runs = append(runs, run{last: first + uint64(i), size: len(c), changes: [][]byte{c}})
		n.runs++
	}
	n.byDomain[t.domain] = runs
	n.bytes += t.news()
}

// write puts them into the group's overlay.
func (n *news) write(o *overlay, exp int64) {
	for domain, runs := range n.byDomain {
		for _, r := range runs {
			if len(r.changes) == 1 {
				o.put(feedKey(domain, r.last), cell{value: r.changes[0], exp: exp})
				continue
			}
			o.put(feedRunKey(domain, r.last, len(r.changes)), cell{value: r.encode(), exp: exp})
		}
	}
}

func (r *run) encode() []byte {
	b := make([]byte, 0, r.size+binary.MaxVarintLen32*len(r.changes))
	for _, c := range r.changes {
		b = append(binary.AppendUvarint(b, uint64(len(c))), c...)
	}
	return b
}

var errRun = errors.New("a run of changes is damaged")

// eachChange calls fn for every change in a cell of the feed, oldest first, until fn
// says that it has enough. The payload is of v.
func eachChange(k, v []byte, fn func(engine.Change) (more bool)) error {
	last := binary.BigEndian.Uint64(k[5:])
	if len(k) == 13 {
		fn(engine.Change{Sequence: last, Payload: v})
		return nil
	}
	if len(k) != 17 {
		return errRun
	}
	n := uint64(binary.BigEndian.Uint32(k[13:]))
	if n == 0 || n > last {
		return errRun
	}
	for seq := last - n + 1; seq <= last; seq++ {
		var c []byte
		var ok bool
		if c, v, ok = lengthed(v); !ok {
			return errRun
		}
		if !fn(engine.Change{Sequence: seq, Payload: c}) {
			return nil
		}
	}
	if len(v) > 0 {
		return errRun
	}
	return nil
}
