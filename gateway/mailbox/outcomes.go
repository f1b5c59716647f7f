package mailbox

import (
	"maps"
	"slices"
	"sync"

	"github.com/centerleap/postern/gateway"
)

// What events said, and what commits of our own readers made, of a selected mailbox.

// pending is what events said of the mailbox and the rows do not show yet.
type pending struct {
	uids    map[uint32]bool
	known   map[uint32]Row // how some of them stood right after the event
	sets    [][]update     // how whole sets of rows that there are stood after theirs
	uidNext uint32
	highest uint64
	box     bool // the mailbox itself changed
}

// outcomes are what commits of our own readers made of entries, by their sequence, so that
// nobody reads them again.
type outcomes struct {
	sync.Mutex
	by map[uint64][]update
}

// maxOutcomes is how many are kept until their event is seen. Ours: those of commits that
// run at the same time.
const maxOutcomes = 64

// note takes entries, which nobody changes any more.
func (o *outcomes) note(entries []update) {
	o.Lock()
	defer o.Unlock()
	for len(entries) > 0 {
		seq, n := entries[0].ModSeq, 1
		for n < len(entries) && entries[n].ModSeq == seq {
			n++
		}
		if before, known := o.by[seq]; known {
			o.by[seq] = append(slices.Clip(before), entries[:n]...)
		} else if len(o.by) < maxOutcomes {
			o.by[seq] = entries[:n:n]
		}
		entries = entries[n:]
	}
}

// take returns the outcome of an event, and forgets those that come too late.
func (o *outcomes) take(seq uint64) []update {
	o.Lock()
	defer o.Unlock()
	known := o.by[seq]
	maps.DeleteFunc(o.by, func(s uint64, _ []update) bool { return s <= seq })
	return known
}

// whole reports whether all that an event is about is known, and rows of all that.
func (b *shared) whole(e *gateway.Event, known []update) bool {
	n := len(known)
	return n > 0 && n == len(e.UIDs) && e.UID == 0 && known[n-1].UID < b.now.Load().uidNext &&
		slices.EqualFunc(e.UIDs, known, func(uid uint32, u update) bool { return u.UID == uid })
}

func (p *pending) note(e *gateway.Event, known []update) {
	if p.uids == nil {
		p.uids, p.known = make(map[uint32]bool), make(map[uint32]Row)
	}
	uids := e.UIDs
	if e.UID != 0 {
		uids = append(uids, e.UID)
	}
	for _, uid := range uids {
		p.uids[uid] = true
		p.uidNext = max(p.uidNext, uid+1)
		delete(p.known, uid)
	}
	for _, after := range known {
		if p.uids[after.UID] {
			p.known[after.UID] = after.Row
		}
	}
}

// applySets takes over sets of which everything is known. What is pending besides them is
// looked up after it was noted, and so is no older.
func (b *shared) applySets(p *pending) {
	now := b.now.Load()
	for _, set := range p.sets {
		now = now.with(set, 0, 0)
	}
	if len(p.uids) == 0 && !p.box {
		now.highest = max(now.highest, p.highest)
	}
	b.now.Store(now)
	p.sets = nil
}

// tell notes how an entry stands after a commit, if somebody reads the mailbox. Whoever
// was quicker to look has read it; so nobody waits for this.
func (s *selected) tell(at gateway.Selection, e *gateway.Entry) {
	s.mu.Lock()
	b := s.by[at]
	if b != nil && b.readers == 0 {
		b = nil
	}
	s.mu.Unlock()
	if b != nil {
		b.outcomes.note([]update{{b.row(e), true}})
	}
}
