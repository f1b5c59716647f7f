package store_test

import (
	"bytes"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/centerleap/postern/gateway"
	"github.com/centerleap/postern/store/engine"
)

// subFlags is where pages lie, as keys.go has it.
const subFlags = 0x1b

// under returns what lies in a sub-space.
func (w *world) under(sub byte) map[string][]byte {
	w.Helper()
	all := make(map[string][]byte)
	w.ok(w.engine.View(w.ctx(), func(r engine.Reader) error {
		return r.Scan(engine.Prefix([]byte{sub}), func(k, v []byte) error {
			all[string(k)] = bytes.Clone(v)
			return nil
		})
	}))
	return all
}

// manyOf is inboxOf for so many that copies have to do.
func (w *world) manyOf(a *gateway.Account, n int) (at gateway.Selection, uids []uint32) {
	w.Helper()
	at, uids = w.inboxOf(a, min(n, 10))
	for len(uids) < n {
		moved, err := w.Copy(w.ctx(), of(a), at, uids[:min(len(uids), n-len(uids))], at.Mailbox, false)
		w.ok(err)
		for _, m := range moved {
			uids = append(uids, m.To)
		}
	}
	return at, uids
}

// A change of many neighbours writes a page for each 256 of them, and no entry; a change
// of few writes those few.
func TestFlagsOfMany(t *testing.T) {
	w := newWorld(t)
	at, uids := w.manyOf(w.ann, 1000)
	before := w.under(subEntry)
	flag := func(uids []uint32, c gateway.FlagChange, pages int, records int) {
		t.Helper()
		was, had := w.under(subEntry), w.under(subFlags)
		_, err := w.Flag(w.ctx(), of(w.ann), at, uids, c)
		w.ok(err)
		written := func(was, is map[string][]byte) (n int) {
			for k, v := range is {
				if !bytes.Equal(was[k], v) {
					n++
				}
			}
			return n
		}
		if p, r := written(had, w.under(subFlags)), written(was, w.under(subEntry)); p != pages || r != records {
			t.Errorf("a change of %d wrote %d pages and %d entries, want %d and %d", len(uids), p, r, pages, records)
		}
	}
	flag(uids, gateway.FlagChange{Add: gateway.Flagged}, 4, 0)
	if !maps.EqualFunc(before, w.under(subEntry), bytes.Equal) {
		t.Error("entries were written besides")
	}
	flag(uids[100:103], gateway.FlagChange{Add: gateway.Seen}, 0, 3)
	flag([]uint32{1, 2, 300, 600, 900}, gateway.FlagChange{Add: gateway.Draft}, 0, 5)
	flag(uids[200:300], gateway.FlagChange{Remove: gateway.Flagged}, 2, 0)
	long := strings.Repeat("x", 60)
	flag(uids[:8], gateway.FlagChange{AddLabels: []string{long + "1", long + "2", long + "3", long + "4", long + "5"}}, 0, 8)
	w.fits()
	w.reopen()
	w.fits()
	for _, e := range w.entries(at) {
		flagged := e.UID < 201 || e.UID > 300
		if e.Flags.Has(gateway.Flagged) != flagged || e.Flags.Has(gateway.Seen) != (e.UID > 100 && e.UID < 104) || len(e.Labels) == 5 != (e.UID < 9) {
			t.Fatalf("got %+v", e)
		}
	}
}

// flagged is a mailbox with a model of what it should hold.
type flagged struct {
	*world
	*rand.Rand
	at   gateway.Selection
	want map[uint32]gateway.Entry
}

// pick returns some UIDs in order: neighbours, or from everywhere.
func (f *flagged) pick() (uids []uint32) {
	all := slices.Sorted(maps.Keys(f.want))
	if len(all) == 0 {
		return nil
	}
	if f.IntN(3) == 0 {
		for range 1 + f.IntN(20) {
			uids = append(uids, all[f.IntN(len(all))])
		}
		slices.Sort(uids)
		return slices.Compact(uids)
	}
	from := f.IntN(len(all))
	return all[from:min(len(all), from+1+f.IntN(400))]
}

func (f *flagged) change() gateway.FlagChange {
	c := gateway.FlagChange{Add: gateway.Flags(f.IntN(32)), Remove: gateway.Flags(f.IntN(32)), Replace: f.IntN(4) == 0}
	switch f.IntN(6) {
	case 0:
		c.AddLabels = []string{fmt.Sprint("label", f.IntN(3))}
	case 1:
		c.RemoveLabels = []string{"label1", strings.Repeat("long", 70)}
	case 2:
		c.AddLabels = []string{strings.Repeat("long", 70)}
	}
	return c
}

func (f *flagged) step() {
	f.Helper()
	uids, took := f.pick(), func(some []gateway.Entry) {
		for _, e := range some {
			f.want[e.UID] = e
		}
	}
	if len(uids) == 0 {
		return
	}
	gone := func(uids []uint32) {
		for _, uid := range uids {
			delete(f.want, uid)
		}
	}
	place := gateway.Place{Domain: f.at.Domain, Account: f.at.Account, Mailbox: f.at.Mailbox, UID: uids[0]}
	switch f.IntN(12) {
	default:
		after, err := f.Flag(f.ctx(), of(f.ann), f.at, uids, f.change())
		f.ok(err)
		took(after)
	case 0, 1:
		box := f.head(f.at)
		known := gateway.Known{ModSeq: box.ModSeq - uint64(f.IntN(2)), Entries: make([]gateway.Entry, len(uids))}
		for i, uid := range uids {
			known.Entries[i] = f.want[uid]
		}
		after, _, err := f.FlagKnown(f.ctx(), of(f.ann), f.at, known, f.change(), 1<<64-1)
		f.ok(err)
		took(after)
	case 2, 3:
		e, err := f.Change(f.ctx(), of(f.ann), place, f.change(), "")
		f.ok(err)
		took([]gateway.Entry{e})
	case 4:
		uids = uids[:min(len(uids), 30)]
		f.ok(second(f.ExpungeAll(f.ctx(), of(f.ann), f.at, uids, false)))
		gone(uids)
	case 5:
		f.ok(f.Expunge(f.ctx(), of(f.ann), place))
		gone(uids[:1])
	case 6: // to itself: new UIDs, the same flags
		uids = uids[:min(len(uids), 30)]
		moved, err := f.Copy(f.ctx(), of(f.ann), f.at, uids, f.at.Mailbox, true)
		f.ok(err)
		for i, e := range f.all()[len(f.want)-len(moved):] {
			was := f.want[moved[i].From]
			if e.UID != moved[i].To || e.Flags != was.Flags || !slices.Equal(e.Labels, was.Labels) {
				f.Fatalf("%+v became %+v", was, e)
			}
			f.want[e.UID] = e
		}
		gone(uids)
	case 7:
		f.reopen()
	}
}

func (f *flagged) all() []gateway.Entry { f.Helper(); return f.entries(f.at) }

// compare looks at all entries, in each of the ways to read them.
func (f *flagged) compare(what string) {
	f.Helper()
	same := func(got gateway.Entry, want gateway.Entry) bool {
		return got.UID == want.UID && got.ModSeq == want.ModSeq && got.Flags == want.Flags && slices.Equal(got.Labels, want.Labels) && got.Message == want.Message
	}
	all := f.all()
	if len(all) != len(f.want) {
		f.Fatalf("%s: %d entries, want %d", what, len(all), len(f.want))
	}
	for _, e := range all {
		if !same(e, f.want[e.UID]) {
			f.Fatalf("%s: got %+v, want %+v", what, e, f.want[e.UID])
		}
	}
	_, some, err := f.EntriesAt(f.ctx(), of(f.ann), f.at, f.pick())
	f.ok(err)
	l, err := f.List(f.ctx(), of(f.ann), gateway.ListQuery{Domain: f.at.Domain, Account: f.at.Account, Mailbox: f.at.Mailbox, Limit: 30})
	f.ok(err)
	for _, m := range l.Messages {
		some = append(some, m.Entries...)
	}
	if len(all) > 0 {
		m, err := f.MessageByUID(f.ctx(), of(f.ann), gateway.Place{Domain: f.at.Domain, Account: f.at.Account, Mailbox: f.at.Mailbox, UID: all[0].UID})
		f.ok(err)
		some = append(some, m.Entries...)
	}
	for _, e := range some {
		if !same(e, f.want[e.UID]) {
			f.Fatalf("%s: read alone %+v, want %+v", what, e, f.want[e.UID])
		}
	}
}

// Whatever changes flags, and however they are read, they are as the last change left
// them; and what pages say of an entry goes with it.
func TestFlagsAnyway(t *testing.T) {
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	w := newWorld(t)
	f := &flagged{world: w, Rand: rand.New(rand.NewPCG(seed, 0)), want: make(map[uint32]gateway.Entry)}
	f.at, _ = w.manyOf(w.ann, 700)
	for _, e := range f.all() {
		f.want[e.UID] = e
	}
	for n := range 150 {
		f.step()
		f.compare(fmt.Sprint("after step ", n))
	}
	if len(w.under(subFlags)) == 0 {
		t.Fatal("there is no page: the test shows nothing")
	}
	w.fits()
	w.ok(second(w.ExpungeAll(w.ctx(), of(w.ann), f.at, slices.Sorted(maps.Keys(f.want)), false)))
	if left := w.under(subFlags); len(left) > 0 {
		t.Errorf("%d pages are left of entries that are gone", len(left))
	}
	w.fits()
}

// The check of the whole store sees flags of what is not there, and pages that can't be
// read.
func TestFlagPagesChecked(t *testing.T) {
	w := newWorld(t)
	at, uids := w.inboxOf(w.ann, 8)
	w.ok(second(w.Flag(w.ctx(), of(w.ann), at, uids, gateway.FlagChange{Add: gateway.Flagged})))
	w.fits()
	for k, v := range w.under(subFlags) {
		for name, damaged := range map[string][]byte{
			"an entry that is not there": append(slices.Clone(v[:len(v)-1]), 9),
			"no page":                    v[:len(v)-1],
		} {
			set := func(value []byte) {
				_, err := w.engine.Update(w.ctx(), engine.Op{Domain: uint32(w.ours.ID), Fn: func(t engine.Tx) error { t.Set([]byte(k), value); return nil }})
				w.ok(err)
			}
			set(damaged)
			var found []string
			if _, err := w.Check(w.ctx(), system, func(what string) { found = append(found, what) }); err == nil && len(found) == 0 {
				t.Errorf("%s: nothing was found", name)
			}
			set(v)
		}
	}
	w.fits()
}
