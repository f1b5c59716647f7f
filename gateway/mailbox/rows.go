package mailbox

import (
	"cmp"
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
// changed since.
type rows struct {
	pages   []page
	first   []int // the number of the first row of each page
	len     int
	uidNext uint32
	highest uint64 // no change up to it is missing
}

// build returns rows made of pages, of which none is empty.
func build(pages []page, uidNext uint32, highest uint64) *rows {
	r := &rows{pages: pages, first: make([]int, len(pages)), uidNext: uidNext, highest: highest}
	for i, p := range pages {
		r.first[i] = r.len
		r.len += len(p)
	}
	return r
}

// place returns the page that holds a number, and the row's place in it.
func (r *rows) place(i int) (p, at int) {
	p, exact := slices.BinarySearch(r.first, i)
	if !exact {
		p--
	}
	return p, i - r.first[p]
}

// find returns the number of the first row with at least this UID.
func (r *rows) find(uid uint32) (i int, exact bool) {
	p, _ := slices.BinarySearchFunc(r.pages, uid, func(p page, uid uint32) int { return cmp.Compare(p[len(p)-1].UID, uid) })
	if p == len(r.pages) {
		return r.len, false
	}
	at, exact := slices.BinarySearchFunc(r.pages[p], uid, byUID)
	return r.first[p] + at, exact
}

// row returns the row of a UID, or nil.
func (r *rows) row(uid uint32) *Row {
	i, exact := r.find(uid)
	if !exact {
		return nil
	}
	p, at := r.place(i)
	return &r.pages[p][at]
}

func byUID(e Row, uid uint32) int { return cmp.Compare(e.UID, uid) }

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
// Only one goroutine may go on from given rows: it appends to the last page in place.
func (r *rows) with(updates []update, uidNext uint32, highest uint64) *rows {
	pages := make([]page, 0, len(r.pages)+1+len(updates)/pageRows)
	for _, p := range r.pages {
		n, _ := slices.BinarySearchFunc(updates, p[len(p)-1].UID+1, func(u update, uid uint32) int { return cmp.Compare(u.UID, uid) })
		if p = p.with(updates[:n]); len(p) > 0 {
			pages = append(pages, p)
		}
		updates = updates[n:]
	}
	for _, u := range updates {
		if !u.here || u.UID < r.uidNext {
			continue
		}
		n := len(pages)
		if n == 0 || len(pages[n-1]) >= pageRows {
			pages = append(pages, make(page, 0, 8))
			n++
		}
		pages[n-1] = append(pages[n-1], u.Row)
	}
	next := build(pages, max(r.uidNext, uidNext), max(r.highest, highest))
	if len(pages) > 2*(next.len/pageRows)+8 { // so many messages went that pages are nearly empty
		next = build(paged(slices.Concat(pages...)), next.uidNext, next.highest)
	}
	return next
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
	pages := slices.Clone(r.pages)
	for i, p := range pages {
		for from := 0; len(by) > 0 && by[0].UID <= p[len(p)-1].UID; by = by[1:] {
			at, known := p.find(from, by[0].UID)
			if from = at; !known {
				continue
			}
			if from++; &pages[i][0] == &p[0] {
				pages[i] = slices.Clone(p)
			}
			pages[i][at] = by[0].Row
		}
	}
	return &rows{pages: pages, first: r.first, len: r.len, uidNext: r.uidNext, highest: r.highest}
}
