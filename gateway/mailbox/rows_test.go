package mailbox

import (
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/centerleap/postern/gateway"
)

// flat is rows as a list.
func (r *rows) flat() (all []Row) {
	for first, p := range r.pages() {
		if first != len(all) {
			panic("a page does not begin where the one before it ends")
		}
		all = append(all, p...)
	}
	return all
}

// naive is what with does, to a list.
func naive(all []Row, updates []update, uidNext uint32) (next []Row) {
	next = slices.Clone(all)
	for _, u := range updates {
		at, known := slices.BinarySearchFunc(next, u.UID, byUID)
		switch {
		case known && !u.here:
			next = slices.Delete(next, at, at+1)
		case known && u.ModSeq > next[at].ModSeq:
			next[at] = u.Row
		case !known && u.here && u.UID >= uidNext:
			next = append(next, u.Row)
		}
	}
	return next
}

// randomUpdates are some that arrive, some that change, and some that go.
func randomUpdates(r *rand.Rand, uidNext *uint32, modSeq *uint64) (updates []update) {
	*modSeq++
	if r.IntN(3) == 0 {
		share := 1 + r.IntN(40)
		for uid := uint32(1); uid < *uidNext; uid++ {
			if r.IntN(share) == 0 {
				u := update{Row{UID: uid, ModSeq: *modSeq - uint64(r.IntN(2)), Flags: gateway.Flags(r.IntN(4))}, r.IntN(3) > 0}
				updates = append(updates, u)
			}
		}
	}
	for range r.IntN(120) {
		updates = append(updates, update{Row{UID: *uidNext, ModSeq: *modSeq}, r.IntN(10) > 0})
		*uidNext += 1 + uint32(r.IntN(2))
	}
	return updates
}

// Rows agree with a plain list through whatever happens, over many pages, and what readers
// hold from before stays as it was; what they are told leads from one to the other.
func TestRowsAgreeWithList(t *testing.T) {
	for seed := range uint64(12) {
		r := rand.New(rand.NewPCG(seed, 44))
		uidNext, modSeq := uint32(1), uint64(1)
		now, list := build(nil, 1, 0), []Row(nil)
		var held []*rows
		var lists [][]Row
		for step := range 60 {
			before := uidNext
			updates := randomUpdates(r, &uidNext, &modSeq)
			now, list = now.with(updates, uidNext, modSeq), naive(list, updates, before)
			if got := now.flat(); !slices.Equal(got, list) || now.len != len(list) {
				t.Fatalf("seed %d, step %d: %d rows, counted as %d, want %d", seed, step, len(got), now.len, len(list))
			}
			for i := range list {
				p, at := now.place(i)
				if n, known := now.find(list[i].UID); n != i || !known || now.page(p)[at] != list[i] {
					t.Fatalf("seed %d, step %d: row %d is found as %d, %v", seed, step, i, n, known)
				}
			}
			held, lists = append(held, now), append(lists, list)
			old := r.IntN(len(held))
			if got := told(held[old], now); got != toldOfLists(lists[old], list) {
				t.Fatalf("seed %d, from step %d to %d: told %+v, want %+v", seed, old, step, got, toldOfLists(lists[old], list))
			}
		}
		for i, was := range held {
			if !slices.Equal(was.flat(), lists[i]) {
				t.Fatalf("seed %d: the rows of step %d are others by now", seed, i)
			}
		}
	}
}

// tale is what News of a change comes to.
type tale struct{ gone, changed, exists int }

func told(old, now *rows) tale {
	n, _ := differ(old, now, true)
	return tale{len(n.Gone), len(n.Changed), n.Exists}
}

func toldOfLists(old, now []Row) (t tale) {
	t.exists = -1
	for _, o := range old {
		at, known := slices.BinarySearchFunc(now, o.UID, byUID)
		if !known {
			t.gone++
		} else if now[at].ModSeq > o.ModSeq {
			t.changed++
		}
	}
	if len(now) > len(old)-t.gone {
		t.exists = len(now)
	}
	return t
}

// An arrival costs the same whatever the mailbox holds.
func BenchmarkArrival(b *testing.B) {
	now := build(nil, 1, 0)
	for uid := range uint32(100_000) {
		now = now.with([]update{{Row{UID: uid + 1, ModSeq: uint64(uid)}, true}}, uid+2, uint64(uid))
	}
	b.ReportAllocs()
	for b.Loop() {
		uid := now.uidNext
		next := now.with([]update{{Row{UID: uid, ModSeq: uint64(uid)}, true}}, uid+1, uint64(uid))
		if n, _ := differ(now, next, true); n.Exists != next.len {
			b.Fatalf("told of %d, want %d", n.Exists, next.len)
		}
		now = next
	}
}
