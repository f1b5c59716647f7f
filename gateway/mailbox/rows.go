package mailbox

import (
	"cmp"
	"iter"
	"slices"
	"time"

	"github.com/centerleap/postern/gateway"
)

// Row is an entry as all readers of a selected mailbox share it, in 56 bytes. Nobody may
// change it.
type Row struct {
	Message  gateway.MessageNumber
	ModSeq   uint64
	Keywords *Keywords // nil: none
	UID      uint32
	Flags    gateway.Flags

	gone    bool   // expunged, and the one reader whose rows these are does not know
	size    uint32 // bytes
	saved   int64  // unix ms; 0: not kept
	arrived int64  // unix ms; 0: neither it nor size is kept with the entry
}

// Stored returns INTERNALDATE and RFC822.SIZE; false if only the message knows them.
func (r *Row) Stored() (arrived time.Time, size int64, ok bool) {
	return time.UnixMilli(r.arrived).UTC(), int64(r.size), r.arrived != 0
}

// entry is the row as an entry of a mailbox.
func (r *Row) entry(m gateway.MailboxID) gateway.Entry {
	e := gateway.Entry{Mailbox: m, UID: r.UID, Message: r.Message, ModSeq: r.ModSeq, Flags: r.Flags}
	if r.Keywords != nil {
		e.Labels = r.Keywords.Names
	}
	if r.saved != 0 {
		e.Saved = time.UnixMilli(r.saved).UTC()
	}
	if r.arrived != 0 {
		e.Arrived, e.Size, _ = r.Stored()
	}
	return e
}

// Keywords are those of an entry. Entries that have the same share one.
type Keywords struct {
	Names []string
	Text  string // the names as a list of flags has them, with a space before each
}

// page is neighbouring rows. What other goroutines may see of one never changes.
type page []Row

// pageRows is how many rows a page has at most, and so what a change of one copies: 14 KiB.
const pageRows = 256

// rows is a mailbox at one moment, by UID. It never changes: what comes next shares the
// pages that stayed. So a reader that is told nothing for long holds no more than what
// changed since. The last page is apart, since it alone grows: an arrival copies no list
// of pages.
type rows struct {
	full    []page // all before the last, of which none is empty
	first   []int  // the number of the first row of each of these
	last    page
	len     int
	uidNext uint32
	highest uint64 // no change up to it is missing
}

// build returns rows made of pages, of which none is empty.
func build(pages []page, uidNext uint32, highest uint64) *rows {
	r := &rows{uidNext: uidNext, highest: highest}
	if n := len(pages); n > 0 {
		r.last = pages[n-1]
		r.fill(pages[:n-1])
	}
	return r
}

// fill sets the pages before the last, and counts.
func (r *rows) fill(full []page) {
	r.full, r.first, r.len = full, make([]int, len(full), len(full)+1), 0
	for i, p := range full {
		r.first[i] = r.len
		r.len += len(p)
	}
	r.len += len(r.last)
}

// page returns a page; the last is that behind the full ones.
func (r *rows) page(i int) page {
	if i < len(r.full) {
		return r.full[i]
	}
	return r.last
}

// lastAt is the number of the first row of the last page.
func (r *rows) lastAt() int { return r.len - len(r.last) }

// pages yields all pages, each with the number of its first row.
func (r *rows) pages() iter.Seq2[int, page] {
	return func(yield func(int, page) bool) {
		for i, p := range r.full {
			if !yield(r.first[i], p) {
				return
			}
		}
		yield(r.lastAt(), r.last)
	}
}

// place returns the page that holds a number, and the row's place in it.
func (r *rows) place(i int) (p, at int) {
	if last := r.lastAt(); i >= last {
		return len(r.full), i - last
	}
	p, exact := slices.BinarySearch(r.first, i)
	if !exact {
		p--
	}
	return p, i - r.first[p]
}

// find returns the number of the first row with at least this UID.
func (r *rows) find(uid uint32) (i int, exact bool) {
	first := r.lastAt()
	p, _ := slices.BinarySearchFunc(r.full, uid, func(p page, uid uint32) int { return cmp.Compare(p.newest(), uid) })
	if p < len(r.full) {
		first = r.first[p]
	}
	at, exact := slices.BinarySearchFunc(r.page(p), uid, byUID)
	return first + at, exact
}

// row returns the row of a UID, or nil.
func (r *rows) row(uid uint32) *Row {
	i, exact := r.find(uid)
	if !exact {
		return nil
	}
	p, at := r.place(i)
	return &r.page(p)[at]
}

func byUID(e Row, uid uint32) int { return cmp.Compare(e.UID, uid) }

// newest is the last UID of the page; 0 if it is empty.
func (p page) newest() uint32 {
	if len(p) == 0 {
		return 0
	}
	return p[len(p)-1].UID
}

// find returns the place of a UID in the page, at from or behind it. Those of a change are
// mostly neighbours.
func (p page) find(from int, uid uint32) (at int, known bool) {
	if from < len(p) && p[from].UID == uid {
		return from, true
	}
	at, known = slices.BinarySearchFunc(p[from:], uid, byUID)
	return from + at, known
}

// update is how one UID stands now.
type update struct {
	Row
	here bool // else only the UID says something: it is gone
}

// with returns rows after updates, which are in order, of each UID one. Of an entry that is known, only
// what is newer counts; one that is not counts only if no later one was known before.
// Only one goroutine may go on from given rows: it appends to the last page, and to the
// list of pages, in place.
func (r *rows) with(updates []update, uidNext uint32, highest uint64) *rows {
	next := &rows{full: r.full, first: r.first, last: r.last, len: r.len, uidNext: max(r.uidNext, uidNext), highest: max(r.highest, highest)}
	updates = next.change(updates)
	for _, u := range updates {
		if !u.here || u.UID < r.uidNext {
			continue
		}
		if len(next.last) >= pageRows {
			next.full, next.first = append(next.full, next.last), append(next.first, next.lastAt())
			next.last = make(page, 0, 8)
		}
		next.last = append(next.last, u.Row)
		next.len++
	}
	if len(next.full) > 2*(next.len/pageRows)+8 { // so many messages went that pages are nearly empty
		next = build(paged(slices.Concat(append(slices.Clip(next.full), next.last)...)), next.uidNext, next.highest)
	}
	return next
}

// change takes over the updates of rows that there are, and returns those behind them.
func (r *rows) change(updates []update) []update {
	within := func(p page) (some []update) {
		n, _ := slices.BinarySearchFunc(updates, p.newest()+1, func(u update, uid uint32) int { return cmp.Compare(u.UID, uid) })
		some, updates = updates[:n], updates[n:]
		return some
	}
	full := r.full
	if n := len(full); n > 0 && len(updates) > 0 && updates[0].UID <= full[n-1].newest() {
		full = make([]page, 0, n+1)
		for _, p := range r.full {
			if p = p.with(within(p)); len(p) > 0 {
				full = append(full, p)
			}
		}
	}
	before := len(r.last)
	r.last = r.last.with(within(r.last))
	if len(full) != len(r.full) || len(full) > 0 && &full[0] != &r.full[0] {
		r.fill(full)
	} else {
		r.len += len(r.last) - before
	}
	return updates
}

// paged cuts a list into pages.
func paged(all []Row) (pages []page) {
	for part := range slices.Chunk(all, pageRows) {
		pages = append(pages, part)
	}
	return pages
}

// with returns the page after updates of rows in it; itself if nothing is new.
func (p page) with(updates []update) page {
	next, gone, from := p, false, 0
	for i := range updates {
		u := &updates[i]
		at, known := p.find(from, u.UID)
		if from = at; !known {
			continue
		}
		if from++; u.here && u.ModSeq <= p[at].ModSeq {
			continue
		}
		if &next[0] == &p[0] {
			next = slices.Clone(p)
		}
		if next[at] = u.Row; !u.here {
			next[at].gone, gone = true, true
		}
	}
	if gone {
		next = slices.DeleteFunc(next, func(e Row) bool { return e.gone })
	}
	return next
}

// replaced returns rows of which some, that are there, stand as given; in order.
func (r *rows) replaced(by []update) *rows {
	full, last := slices.Clone(r.full), r.last
	for i, p := range full {
		full[i], by = p.replaced(by)
	}
	last, _ = last.replaced(by)
	return &rows{full: full, first: r.first, last: last, len: r.len, uidNext: r.uidNext, highest: r.highest}
}

// replaced returns the page with some rows as given; itself if none is in it. left are
// those behind it.
func (p page) replaced(by []update) (next page, left []update) {
	next = p
	for from := 0; len(by) > 0 && by[0].UID <= p.newest(); by = by[1:] {
		at, known := p.find(from, by[0].UID)
		if from = at; !known {
			continue
		}
		if from++; &next[0] == &p[0] {
			next = slices.Clone(p)
		}
		next[at] = by[0].Row
	}
	return next, by
}
