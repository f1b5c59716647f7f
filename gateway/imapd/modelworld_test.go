package imapd_test

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
)

// world is the naive model: it notes what every client has asked for and what it was
// told, and says whether a state can have come of that. Time is a counter: what ended
// before something else began was before it; all else may have been in any order.
type world struct {
	mu     sync.Mutex
	now    int64
	tokens int
	mails  map[string]*mail   // by token, which stands in the subject
	places map[place]*entry   // what somebody knows to have been there
	boxes  map[uint32]*folder // by UIDVALIDITY
}

// place is a message in a mailbox, for ever.
type place struct{ validity, uid uint32 }

// mail is a message that was made.
type mail struct {
	must  int  // made without telling where: each is in a place that nobody knew
	may   int  // may have been made, by a client that did not hear the answer
	bound int  // places that were found and nobody knew of
	dirty bool // copies of it may stand in places that nobody knows: flags are anything
}

// entry is what is known of a place.
type entry struct {
	token string
	flags map[string][]write
	found bool   // nobody was told that it is there
	any   bool   // it began with any flags
	left  []span // removals of this entry alone
	gone  int64  // when it was known to have left; 0: never
	by    string // who knew that
}

// folder is a mailbox and what was done to all of it.
type folder struct {
	expunges []span
	deletes  []span
}

// span is when something was done. sure says that it was; to is then when that was
// known. What may yet happen has no end.
type span struct {
	from, to int64
	sure     bool
}

type write struct {
	span
	on bool
}

func newWorld() *world {
	return &world{mails: make(map[string]*mail), places: make(map[place]*entry), boxes: make(map[uint32]*folder)}
}

// begin is the time at which something is about to be asked for.
func (w *world) begin() int64 {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.now++
	return w.now
}

// ended is the span of what began at from; mu is held.
func (w *world) ended(from int64, sure bool) span {
	if !sure {
		return span{from, math.MaxInt64, false}
	}
	w.now++
	return span{from, w.now, true}
}

// newToken names a message that is about to be made.
func (w *world) newToken() string {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.tokens++
	token := fmt.Sprintf("m%d", w.tokens)
	w.mails[token] = &mail{}
	return token
}

// made notes a new message; at is its place, or zero where nobody said. A message that
// may have been made is one of which nobody heard.
func (w *world) made(token string, from int64, at place, flags []string, sure bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	m := w.mails[token]
	switch {
	case !sure:
		m.may++
		m.dirty = true
	case at == place{}:
		m.must++
	default:
		e := w.told(token, at)
		e.any = false
		for _, f := range flags {
			e.flags[f] = append(e.flags[f], write{span{from, from, true}, true})
		}
	}
}

// told is the entry of a place that the server named; a client may have met it before.
func (w *world) told(token string, at place) *entry {
	e := w.places[at]
	if e == nil {
		e = &entry{token: token, flags: make(map[string][]write)}
		w.places[at] = e
	} else if e.found {
		e.found = false
		w.mails[e.token].bound--
	}
	return e
}

// copied notes that a message stands in another place, too. to is zero where nobody said.
func (w *world) copied(src, to place) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	token := w.places[src].token
	if to == (place{}) {
		w.mails[token].may++
		w.mails[token].dirty = true
		return nil
	}
	e := w.told(token, to)
	if e.any = true; e.token != token {
		return fmt.Errorf("UID %d of %d is a copy of message %s and was %s", to.uid, to.validity, token, e.token)
	}
	return nil
}

// met notes that a client whose view is at least as new as since read which message
// stands in a place.
func (w *world) met(at place, token string, since int64) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if e := w.places[at]; e != nil {
		if e.token != token {
			return fmt.Errorf("UID %d of %d was message %s and is %s", at.uid, at.validity, e.token, token)
		}
		if e.gone > 0 && e.gone < since {
			return fmt.Errorf("UID %d of %d, message %s, is back; it had left by %s", at.uid, at.validity, token, e.by)
		}
		return nil
	}
	m := w.mails[token]
	if m == nil {
		return fmt.Errorf("UID %d of %d is message %q, which nobody made", at.uid, at.validity, token)
	}
	m.bound++ // the answer that names its place may still be on its way to another client
	w.places[at] = &entry{token: token, flags: make(map[string][]write), any: m.dirty || m.bound > m.must, found: true}
	return nil
}

// stored notes a change of flags of some places.
func (w *world) stored(from int64, at []place, op string, flags []string, sure bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	when := w.ended(from, sure)
	for _, p := range at {
		e := w.places[p]
		if e == nil {
			continue
		}
		for _, f := range modelFlags {
			named := slices.Contains(flags, f)
			if named || op == "FLAGS" {
				e.flags[f] = append(e.flags[f], write{when, named && op != "-FLAGS"})
			}
		}
	}
}

// removed notes that entries were to be removed.
func (w *world) removed(from int64, at []place, sure bool, by string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	when := w.ended(from, sure)
	for _, p := range at {
		if e := w.places[p]; e != nil {
			if e.left = append(e.left, when); sure && e.gone == 0 {
				e.gone, e.by = when.to, by
			}
		}
	}
}

// expunged notes an EXPUNGE of a mailbox, or its DELETE.
func (w *world) expunged(validity uint32, from int64, sure, deleted bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	f := w.box(validity)
	if when := w.ended(from, sure); deleted {
		f.deletes = append(f.deletes, when)
	} else {
		f.expunges = append(f.expunges, when)
	}
}

func (w *world) box(validity uint32) *folder {
	if w.boxes[validity] == nil {
		w.boxes[validity] = &folder{}
	}
	return w.boxes[validity]
}

// mayBeDeleted reports whether somebody has begun to delete a mailbox.
func (w *world) mayBeDeleted(validity uint32) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return len(w.box(validity).deletes) > 0
}

// sawGone notes that a client was told that a message has left.
func (w *world) sawGone(at place, by string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if e := w.places[at]; e != nil && e.gone == 0 {
		w.now++
		e.gone, e.by = w.now, by
	}
}

// possible says what is wrong with a state of all mailboxes at rest.
func (w *world) possible(all map[uint32]*truth) error {
	since := w.begin()
	for validity, t := range all {
		for i, uid := range t.uids {
			at := place{validity, uid}
			if err := w.met(at, t.tokens[i], since); err != nil {
				return fmt.Errorf("%s: %w", t.name, err)
			}
			if err := w.flagsPossible(at, t.flags[i]); err != nil {
				return fmt.Errorf("%s: UID %d: %w", t.name, uid, err)
			}
		}
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	for at, e := range w.places {
		t := all[at.validity]
		if (t == nil || !slices.Contains(t.uids, at.uid)) && !w.mayBeGone(at, e) {
			return fmt.Errorf("UID %d of %d, message %s, is lost: nobody removed it", at.uid, at.validity, e.token)
		}
		if t != nil && slices.ContainsFunc(w.box(at.validity).deletes, func(s span) bool { return s.sure }) {
			return fmt.Errorf("%s is back although it was deleted", t.name)
		}
	}
	for token, m := range w.mails {
		if m.bound < m.must || m.bound > m.must+m.may {
			return fmt.Errorf("message %s is in %d places that nobody was told of; want %d to %d", token, m.bound, m.must, m.must+m.may)
		}
	}
	return nil
}

// flagsPossible says what is wrong with the flags of an entry at rest: each must be as a
// change left it that no other change came after.
func (w *world) flagsPossible(at place, flags []string) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	e := w.places[at]
	if e == nil {
		return fmt.Errorf("nobody put a message there")
	}
	for _, f := range modelFlags {
		on := slices.ContainsFunc(flags, func(g string) bool { return strings.EqualFold(f, g) })
		last := int64(-1) // the latest begin of a change to the opposite that surely was
		for _, wr := range e.flags[f] {
			if wr.sure && wr.on != on {
				last = max(last, wr.from)
			}
		}
		ok := last < 0 && (e.any || !on)
		for _, wr := range e.flags[f] {
			ok = ok || wr.on == on && wr.to >= last
		}
		if !ok {
			return fmt.Errorf("%s is %v, and nobody left it so: %+v", f, on, e.flags[f])
		}
	}
	return nil
}

// mayBeGone reports whether somebody may have removed an entry; mu is held.
func (w *world) mayBeGone(at place, e *entry) bool {
	f := w.box(at.validity)
	if len(e.left) > 0 || len(f.deletes) > 0 {
		return true
	}
	for _, x := range f.expunges {
		if e.any {
			return true
		}
		for _, wr := range e.flags[`\Deleted`] {
			if wr.on && wr.from <= x.to {
				return true
			}
		}
	}
	return false
}

// somewhere is a place in the inbox, whose UIDVALIDITY is the first.
func (w *world) somewhere(rng *rand.Rand) (place, bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	var all []uint32
	for at, e := range w.places {
		if at.validity == 1 && e.gone == 0 && len(e.left) == 0 {
			all = append(all, at.uid)
		}
	}
	if len(all) == 0 {
		return place{}, false
	}
	slices.Sort(all)
	return place{1, all[rng.IntN(len(all))]}, true
}
