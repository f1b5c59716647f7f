package store_test

import (
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/centerleap/postern/gateway"
	"github.com/centerleap/postern/store/engine"
)

// newestOf is the highest UID in a mailbox.
func (w *world) newestOf(at gateway.Selection) uint32 {
	w.Helper()
	all := w.entries(at)
	return all[len(all)-1].UID
}

// head is a mailbox as it stands.
func (w *world) head(at gateway.Selection) gateway.Mailbox {
	w.Helper()
	box, _, err := w.Entries(w.ctx(), system, at)
	w.ok(err)
	return box
}

// vanishedKeys counts what mailboxes remember of what left them.
func (w *world) vanishedKeys() (n int) {
	w.Helper()
	w.ok(w.engine.View(w.ctx(), func(r engine.Reader) error {
		return r.Scan(engine.Prefix([]byte{0x1f}), func(_, _ []byte) error { n++; return nil })
	}))
	return n
}

// expand lists the UIDs of runs.
func expand(runs []gateway.UIDRange) (uids []uint32) {
	for _, r := range runs {
		for uid := r.First; uid <= r.Last; uid++ {
			uids = append(uids, uid)
		}
	}
	return uids
}

// Whatever takes an entry out of a mailbox, it is remembered from every state before.
func TestVanished(t *testing.T) {
	w := newWorld(t)
	at, uids := w.inboxOf(w.ann, 8)
	place := func(uid uint32) gateway.Place {
		return gateway.Place{Domain: at.Domain, Account: at.Account, Mailbox: at.Mailbox, UID: uid}
	}
	type state struct {
		modseq uint64
		uids   []uint32
	}
	states := []state{{w.head(at).ModSeq, uids}}
	for _, take := range []func() error{
		func() error { return second(w.ExpungeAll(w.ctx(), of(w.ann), at, []uint32{2, 3, 4}, false)) },
		func() error { return w.Expunge(w.ctx(), of(w.ann), place(7)) },
		func() error { return second(w.Copy(w.ctx(), of(w.ann), at, []uint32{1, 5}, 6, true)) },
		func() error {
			return second(w.Change(w.ctx(), of(w.ann), place(8), gateway.FlagChange{Add: gateway.Seen}, gateway.Trash))
		},
		func() error {
			return second(w.Flag(w.ctx(), of(w.ann), at, []uint32{6}, gateway.FlagChange{Add: gateway.Seen}))
		},
		func() error { return second(w.Copy(w.ctx(), of(w.ann), at, []uint32{6}, at.Mailbox, true)) }, // to itself
	} {
		w.ok(take())
		var left []uint32
		for _, e := range w.entries(at) {
			left = append(left, e.UID)
		}
		states = append(states, state{w.head(at).ModSeq, left})
	}
	now := states[len(states)-1].uids
	for i, st := range states {
		var want []uint32
		for _, uid := range st.uids {
			if !slices.Contains(now, uid) {
				want = append(want, uid)
			}
		}
		runs, all, err := w.Vanished(w.ctx(), of(w.ann), at, st.modseq)
		if err != nil || !all || !slices.Equal(expand(runs), want) {
			t.Errorf("since state %d: %v, %t, %v; want %v", i, runs, all, err, want)
		}
	}
	if runs, all, err := w.Vanished(w.ctx(), of(w.ann), at, 1<<64-1); len(runs) != 0 || !all || err != nil {
		t.Errorf("since the end of time: %v, %t, %v", runs, all, err)
	}
	w.fits()
	w.reopen()
	w.fits()
}

// What is not remembered any more, or never was, is never answered in part.
func TestVanishedForgotten(t *testing.T) {
	w := newWorld(t, func(w *world) { w.cfg.Limits = gateway.DefaultLimits(); w.cfg.Limits.VanishedRuns = 20 })
	at, uids := w.inboxOf(w.ann, 40)
	began := w.head(at).ModSeq
	take := func(uid uint32) uint64 {
		t.Helper()
		w.ok(second(w.ExpungeAll(w.ctx(), of(w.ann), at, []uint32{uid}, false)))
		return w.head(at).ModSeq
	}
	knows := func(since uint64, want bool, runs int) {
		t.Helper()
		got, all, err := w.Vanished(w.ctx(), of(w.ann), at, since)
		if err != nil || all != want || len(got) != runs {
			t.Errorf("since %d: %v, %t, %v; want %t and %d runs", since, got, all, err, want, runs)
		}
	}
	knows(began-1, false, 0) // a mailbox that never lost anything can't tell
	knows(began, true, 0)
	first := take(uids[0])
	w.clock = w.clock.Add(gateway.VanishedRetention / 2)
	second := take(uids[2])
	knows(began, true, 2)
	knows(0, false, 0)
	w.clock = w.clock.Add(gateway.VanishedRetention/2 + time.Second) // the first is forgotten
	knows(began, false, 0)
	knows(first-1, false, 0)
	knows(first, true, 1)
	w.clock = w.clock.Add(gateway.VanishedRetention) // and now the second
	knows(first, false, 0)
	knows(second, true, 0)
	w.fits()
	w.clock = w.clock.Add(-2 * gateway.VanishedRetention) // clocks go back: the newest goes first
	third := take(uids[4])
	w.clock = w.clock.Add(2 * gateway.VanishedRetention)
	fourth := take(uids[6])
	knows(second, false, 0)
	knows(third, true, 1)
	for i := range 22 { // more than is told one by one
		take(uids[39-i])
	}
	knows(fourth, false, 0) // they touch in the end, and were 22
	knows(w.head(at).ModSeq-5, true, 1)
	w.fits()
}

// What a mailbox remembers goes with it.
func TestVanishedErased(t *testing.T) {
	w := newWorld(t)
	box, err := w.CreateMailbox(w.ctx(), of(w.ann), w.ours.ID, w.ann.ID, "Short")
	w.ok(err)
	at, uids := w.inboxOf(w.ann, 3)
	w.ok(second(w.Copy(w.ctx(), of(w.ann), at, uids, box.ID, false)))
	short := gateway.Selection{Domain: at.Domain, Account: at.Account, Mailbox: box.ID}
	w.ok(second(w.ExpungeAll(w.ctx(), of(w.ann), short, []uint32{1, 2, 3}, false)))
	w.ok(second(w.ExpungeAll(w.ctx(), of(w.ann), at, uids, false)))
	if n := w.vanishedKeys(); n != 2 {
		t.Errorf("%d are remembered, want 2", n)
	}
	w.ok(w.DeleteMailbox(w.ctx(), of(w.ann), short))
	if n := w.vanishedKeys(); n != 1 {
		t.Errorf("%d are remembered, want that of the inbox", n)
	}
	if _, _, err := w.Vanished(w.ctx(), of(w.ann), short, 0); gateway.KindOf(err) != gateway.NotFound {
		t.Errorf("a mailbox that is gone: %v", err)
	}
	w.fits()
}

// Of conditional changes on one mod-sequence exactly one wins, and all say who lost.
func TestFlagUnchanged(t *testing.T) {
	w := newWorld(t)
	at, uids := w.inboxOf(w.ann, 4)
	const writers = 8
	for round := range 20 {
		since, wins, errs := w.head(at).ModSeq, make([]int, len(uids)), make(chan error, writers)
		type outcome struct {
			after  []gateway.Entry
			others []uint32
		}
		all := make(chan outcome, writers)
		for i := range writers {
			c := gateway.FlagChange{AddLabels: []string{string(rune('a'+i)) + string(rune('a'+round))}}
			go func() {
				after, others, err := w.FlagUnchanged(w.ctx(), of(w.ann), at, uids, c, since)
				all <- outcome{after, others}
				errs <- err
			}()
		}
		for range writers {
			o := <-all
			w.ok(<-errs)
			if len(o.after)+len(o.others) != len(uids) {
				t.Fatalf("%d changed and %d left of %d", len(o.after), len(o.others), len(uids))
			}
			for _, e := range o.after {
				wins[slices.Index(uids, e.UID)]++
			}
		}
		for i, n := range wins {
			if n != 1 {
				t.Fatalf("round %d: %d won on %d", round, n, uids[i])
			}
		}
	}
	after, others, err := w.FlagUnchanged(w.ctx(), of(w.ann), at, append(uids, 99), gateway.FlagChange{Add: gateway.Seen}, 0)
	if err != nil || len(after) != 0 || !slices.Equal(others, uids) {
		t.Errorf("since 0: %v, %v, %v", after, others, err)
	}
}

func TestMergeUIDs(t *testing.T) {
	for range 200 {
		var in []gateway.UIDRange
		want := map[uint32]bool{}
		for range rand.IntN(8) {
			r := gateway.UIDRange{First: rand.Uint32N(30) + 1}
			r.Last = r.First + rand.Uint32N(6)
			in = append(in, r)
			for uid := r.First; uid <= r.Last; uid++ {
				want[uid] = true
			}
		}
		out := gateway.MergeUIDs(slices.Clone(in))
		got := expand(out)
		if len(got) != len(want) || !slices.IsSorted(got) || slices.ContainsFunc(got, func(uid uint32) bool { return !want[uid] }) {
			t.Fatalf("%v became %v", in, out)
		}
		for i := 1; i < len(out); i++ {
			if out[i].First <= out[i-1].Last+1 {
				t.Fatalf("%v became %v: two touch", in, out)
			}
		}
	}
}

// The check of the whole store sees what can't be so.
func TestVanishedChecked(t *testing.T) {
	w := newWorld(t)
	at, uids := w.inboxOf(w.ann, 3)
	w.ok(second(w.ExpungeAll(w.ctx(), of(w.ann), at, uids[:1], false)))
	w.fits()
	var k, v []byte
	w.ok(w.engine.View(w.ctx(), func(r engine.Reader) error {
		return r.Scan(engine.Prefix([]byte{0x1f}), func(key, value []byte) error {
			k, v = slices.Clone(key), slices.Clone(value)
			return nil
		})
	}))
	for name, change := range map[string]func() ([]byte, []byte){
		"an entry that is there":  func() ([]byte, []byte) { return k, append(slices.Clone(v[:len(v)-2]), 2, 0) },
		"a UID not given yet":     func() ([]byte, []byte) { return k, append(slices.Clone(v[:len(v)-2]), 9, 0) },
		"runs that can't be read": func() ([]byte, []byte) { return k, append(slices.Clone(v[:len(v)-2]), 0x80, 0x80) },
		"a change that was not":   func() ([]byte, []byte) { return append(slices.Clone(k[:len(k)-1]), 0xff), v },
	} {
		key, value := change()
		set := func(key, value []byte) {
			_, err := w.engine.Update(w.ctx(), engine.Op{Domain: uint32(w.ours.ID), Fn: func(t engine.Tx) error {
				if value == nil {
					t.Delete(key)
				} else {
					t.Set(key, value)
				}
				return nil
			}})
			w.ok(err)
		}
		set(key, value)
		var found []string
		_, err := w.Check(w.ctx(), system, func(what string) { found = append(found, what) })
		w.ok(err)
		if len(found) == 0 {
			t.Errorf("%s: nothing was found", name)
		}
		set(key, nil)
		set(k, v)
	}
	w.fits()
}
