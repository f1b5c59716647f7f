package store_test

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/centerleap/postern/gateway"
	"github.com/centerleap/postern/gateway/threading"
)

// placed files a message for an account, dated at, in the conversation of a choice. Its
// subject is its own, and it answers nothing unless parents say so.
func (w *world) placed(a *gateway.Account, at time.Time, choice gateway.ThreadChoice, parents ...string) *gateway.Message {
	w.Helper()
	ref, done := w.blob(a.Domain, "placed")
	defer done()
	id := newID()
	c := content("<"+id.String()+"@x.test>", "subject "+id.String(), at)
	c.References = parents
	w.ok(w.Deliver(w.ctx(), inside(a.Domain), &gateway.Filing{
		Message: &gateway.Message{Arrived: w.clock, Blob: ref, Content: c}, Facts: threading.Facts(&c, w.clock),
		Copies: []gateway.Copy{{Account: a.ID, ID: id, Folder: gateway.Inbox, Thread: choice}},
	}))
	m, err := w.Message(w.ctx(), of(a), id)
	w.ok(err)
	return m
}

// together are the emails of the conversation that an id leads to.
func (w *world) together(a *gateway.Account, thread gateway.ID) (ids []gateway.ID) {
	w.Helper()
	th, all, err := w.Thread(w.ctx(), of(a), thread, 0, 1000)
	w.ok(err)
	if th.Count != len(all) {
		w.Errorf("a conversation of %d lists %d", th.Count, len(all))
	}
	for i, m := range all {
		if m.Position != i || m.Thread != th.ID {
			w.Errorf("%s is number %d of %s", m.ID, m.Position, m.Thread)
		}
		ids = append(ids, m.ID)
	}
	return ids
}

// What a plugin merges and takes goes where its message goes; what is another account's,
// or gone, stays as it is.
func TestThreadMoves(t *testing.T) {
	w := newWorld(t)
	day := func(n int) time.Time { return w.clock.Add(time.Duration(n-30) * 24 * time.Hour) }
	one, two, three := w.placed(w.ann, day(1), gateway.ThreadChoice{}), w.placed(w.ann, day(2), gateway.ThreadChoice{}), w.placed(w.ann, day(3), gateway.ThreadChoice{})
	hers, theirs := w.placed(w.eve, day(1), gateway.ThreadChoice{}), w.placed(w.spy, day(1), gateway.ThreadChoice{})
	foreign := []gateway.ID{hers.Thread, theirs.Thread, newID(), hers.ID}

	merged := w.placed(w.ann, day(0), gateway.ThreadChoice{Join: three.Thread, Merge: append([]gateway.ID{one.Thread, one.Thread, three.Thread}, foreign...)})
	if got, want := w.together(w.ann, one.Thread), []gateway.ID{merged.ID, one.ID, three.ID}; merged.Thread != three.Thread || !slices.Equal(got, want) {
		t.Errorf("joined and merged: %v in %s, want %v", got, merged.Thread, want)
	}
	started := w.placed(w.ann, day(9), gateway.ThreadChoice{Merge: []gateway.ID{two.Thread}})
	if got := w.together(w.ann, two.Thread); started.Thread == two.Thread || !slices.Equal(got, []gateway.ID{two.ID, started.ID}) {
		t.Errorf("merged into a new one: %v", got)
	}
	split := w.placed(w.ann, day(5), gateway.ThreadChoice{New: true, Take: append([]gateway.ID{one.ID, two.ID, one.ID, newID(), theirs.ID}, foreign...)})
	if got := w.together(w.ann, split.Thread); !slices.Equal(got, []gateway.ID{one.ID, two.ID, split.ID}) {
		t.Errorf("split: %v", got)
	}
	if got := w.together(w.ann, three.Thread); !slices.Equal(got, []gateway.ID{merged.ID, three.ID}) {
		t.Errorf("what is left: %v", got)
	}
	follows := w.placed(w.ann, day(6), gateway.ThreadChoice{}, one.Content.MessageID)
	if follows.Thread != split.Thread {
		t.Error("an answer to a mail that was taken does not follow it")
	}
	if both := w.placed(w.ann, day(6), gateway.ThreadChoice{}, three.Content.MessageID, one.Content.MessageID); both.Thread != split.Thread {
		t.Errorf("an answer that names what was parted is in %s, and undoes it", both.Thread)
	}
	if both := w.placed(w.ann, day(6), gateway.ThreadChoice{}, one.Content.MessageID, three.Content.MessageID); both.Thread != three.Thread {
		t.Errorf("an answer to what was left is in %s, and undoes it", both.Thread)
	}
	all := w.placed(w.ann, day(7), gateway.ThreadChoice{New: true, Take: w.together(w.ann, three.Thread)})
	if got := w.together(w.ann, three.Thread); len(got) != 4 || got[3] != all.ID || got[0] != merged.ID {
		t.Errorf("the emptied one leads to: %v", got)
	}
	for _, a := range []struct {
		of *gateway.Account
		m  *gateway.Message
	}{{w.eve, hers}, {w.spy, theirs}} {
		if got := w.together(a.of, a.m.Thread); !slices.Equal(got, []gateway.ID{a.m.ID}) {
			t.Errorf("another account's: %v", got)
		}
	}
	w.fits()
}

// A conversation that would be over the limit takes no more.
func TestThreadMovesAreBounded(t *testing.T) {
	w := newWorld(t, func(w *world) { w.cfg.Limits = gateway.DefaultLimits(); w.cfg.Limits.ThreadMessages = 4 })
	var ids []gateway.ID
	first := w.placed(w.ann, w.clock, gateway.ThreadChoice{})
	for range 2 {
		ids = append(ids, w.placed(w.ann, w.clock, gateway.ThreadChoice{Join: first.Thread}).ID)
	}
	other := w.placed(w.ann, w.clock, gateway.ThreadChoice{New: true, Merge: []gateway.ID{first.Thread}})
	if n := len(w.together(w.ann, other.Thread)); n != 4 {
		t.Errorf("%d emails where 4 may be", n)
	}
	for range 3 {
		ids = append(ids, w.placed(w.ann, w.clock, gateway.ThreadChoice{New: true}).ID)
	}
	full := w.placed(w.ann, w.clock, gateway.ThreadChoice{New: true, Take: ids})
	if n := len(w.together(w.ann, full.Thread)); n != 4 {
		t.Errorf("%d emails where 4 may be", n)
	}
	again := w.placed(w.ann, w.clock, gateway.ThreadChoice{Join: full.Thread})
	if again.Thread == full.Thread {
		t.Error("one that is full is joined")
	}
	w.fits()
}

// Whatever is joined, merged, split and deleted, in any order: emails are together that
// were put together, and the store fits.
func TestThreadMovesInAnyOrder(t *testing.T) {
	for seed := range uint64(4) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			w, r := newWorld(t), rand.New(rand.NewPCG(seed, 1))
			groups := make(map[gateway.ID]int) // emails, by what they belong to
			threads := make(map[gateway.ID]gateway.ID)
			var ids []gateway.ID
			some := func() (list []gateway.ID) {
				for range r.IntN(4) {
					list = append(list, ids[r.IntN(len(ids))])
				}
				return append(list, newID())
			}
			for n := range 120 {
				var choice gateway.ThreadChoice
				group := n
				if len(ids) > 0 {
					at := ids[r.IntN(len(ids))]
					switch r.IntN(5) {
					case 0:
						choice.Join, group = threads[at], groups[at]
					case 1:
						choice.Join, group = threads[at], groups[at]
						for _, id := range some() {
							choice.Merge = append(choice.Merge, threads[id])
							if old, known := groups[id]; known {
								regroup(groups, old, group)
							}
						}
					case 2:
						choice.New, choice.Take = true, some()
						for _, id := range choice.Take {
							if _, known := groups[id]; known {
								groups[id] = n
							}
						}
					case 3: // one goes
						m, err := w.Message(w.ctx(), of(w.ann), at)
						w.ok(err)
						w.ok(w.Expunge(w.ctx(), of(w.ann), gateway.Place{Domain: m.Domain, Account: m.Account, Mailbox: m.Entries[0].Mailbox, UID: m.Entries[0].UID}))
						delete(groups, at)
						ids = slices.DeleteFunc(ids, func(id gateway.ID) bool { return id == at })
						continue
					}
				}
				m := w.placed(w.ann, w.clock.Add(-time.Duration(r.IntN(1000))*time.Minute), choice)
				ids, groups[m.ID] = append(ids, m.ID), group
				for _, id := range ids {
					m, err := w.Message(w.ctx(), of(w.ann), id)
					w.ok(err)
					threads[id] = m.Thread
				}
			}
			for _, id := range ids {
				var want []gateway.ID
				for _, o := range ids {
					if groups[o] == groups[id] {
						want = append(want, o)
					}
				}
				if got := w.together(w.ann, threads[id]); len(got) != len(want) || slices.ContainsFunc(want, func(o gateway.ID) bool { return !slices.Contains(got, o) }) {
					t.Fatalf("%s is with %v, want %v", id, got, want)
				}
			}
			w.fits()
		})
	}
}

func regroup(groups map[gateway.ID]int, from, to int) {
	for id, g := range groups {
		if g == from {
			groups[id] = to
		}
	}
}
