package mailbox

import "slices"

// What differs between the rows that a reader was told of and those that stand now. Pages
// that both share are passed over, so that it costs as much as what changed.

// walk goes along two rows side by side, by UID.
type walk struct {
	old, now *rows
	page     [2]int // of old and of now
	at       [2]int // place in it
}

// next returns the rows of the next UID: old is nil if it is new, now if it is gone. A
// page that both share is returned as same instead. done says that nothing is left.
func (s *walk) next() (old, now *Row, same page, done bool) {
	o, n := s.rest(s.old, 0), s.rest(s.now, 1)
	switch {
	case len(o) == 0 && len(n) == 0:
		return nil, nil, nil, true
	case len(o) > 0 && len(n) > 0 && &o[0] == &n[0]:
		k := min(len(o), len(n))
		s.at[0] += k
		s.at[1] += k
		return nil, nil, o[:k:k], false
	case len(n) == 0 || len(o) > 0 && o[0].UID < n[0].UID:
		s.at[0]++
		return &o[0], nil, nil, false
	case len(o) == 0 || n[0].UID < o[0].UID:
		s.at[1]++
		return nil, &n[0], nil, false
	}
	s.at[0]++
	s.at[1]++
	return &o[0], &n[0], nil, false
}

// rest is what is left of the page where one side stands.
func (s *walk) rest(r *rows, side int) page {
	for s.page[side] <= len(r.full) {
		if p := r.page(s.page[side]); s.at[side] < len(p) {
			return p[s.at[side]:]
		}
		s.page[side]++
		s.at[side] = 0
	}
	return nil
}

// differ says what a reader of old has to be told to know now. Without expunge, those that
// are gone are not told of, and keep their numbers; lost says that there are some.
func differ(old, now *rows, expunge bool) (n News, lost bool) {
	n.Exists = -1
	s := walk{old: old, now: now}
	number, told, added := 0, 0, false                                                   // the row that comes next, as the reader counts and by old
	if k := len(old.full); k > 0 && k <= len(now.full) && &old.full[0] == &now.full[0] { // only the last page has grown
		s.page, number, told = [2]int{k, k}, old.lastAt(), old.lastAt()
	}
	for {
		o, e, same, done := s.next()
		switch {
		case done:
			slices.Reverse(n.Gone)
			slices.Reverse(n.UIDs)
			if added {
				n.Exists = number
			}
			return n, lost
		case same != nil:
			number += len(same)
			told += len(same)
			continue
		case o == nil:
			added = true
		case e == nil && expunge:
			n.Gone, n.UIDs = append(n.Gone, told), append(n.UIDs, o.UID)
			told++
			continue
		default:
			if e == nil {
				lost = true
			} else if e.ModSeq > o.ModSeq {
				n.Changed = append(n.Changed, number)
			}
			told++
		}
		number++
	}
}

// keep returns the rows of now with those of old that are gone, marked.
func keep(old, now *rows) *rows {
	var pages []page
	var own page // the last one, while it grows
	flush := func() {
		if len(own) > 0 {
			pages = append(pages, slices.Clip(own))
			own = nil
		}
	}
	for s := (walk{old: old, now: now}); ; {
		o, e, same, done := s.next()
		switch {
		case done:
			flush()
			return build(pages, now.uidNext, now.highest)
		case same != nil:
			flush()
			pages = append(pages, same)
			continue
		case e != nil:
			own = append(own, *e)
		default:
			own = append(own, *o)
			own[len(own)-1].gone = true
		}
		if len(own) == pageRows {
			flush()
		}
	}
}
