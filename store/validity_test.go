package store_test

import (
	"bytes"
	"path/filepath"
	"testing"
	"time"

	"github.com/centerleap/postern/gateway"
	"github.com/centerleap/postern/store/badgerstore"
)

// An address that comes again has mailboxes that no client takes for the former ones,
// RFC 9051 section 2.3.1.1: its account was deleted, or all of its domain.
func TestAddressComesAgain(t *testing.T) {
	w := newWorld(t)
	a := w.account(w.ours, "again")
	_, err := w.CreateMailbox(w.ctx(), of(a), a.Domain, a.ID, "Work")
	w.ok(err)
	for range 2 {
		was := w.validities(a)
		w.erase(a)
		a = w.account(w.ours, "again")
		w.above(was, a)
		_, err = w.CreateMailbox(w.ctx(), of(a), a.Domain, a.ID, "Work")
		w.ok(err)
	}
	was := w.validities(w.spy)
	w.clock = w.clock.Add(time.Minute)
	w.ok(w.DeleteDomain(w.ctx(), system, w.them.ID))
	w.ok(second(w.FinishDeletions(w.ctx(), system)))
	w.above(was, w.account(w.domain("theirs.test"), "spy"))
}

// A store that was restored twice from the same backup has numbers that neither the lost
// one nor the first restored one has given out, also where accounts and domains are made
// after it.
func TestRestoredGoesOnElsewhere(t *testing.T) {
	w := newWorld(t)
	var backup bytes.Buffer
	w.ok(w.engine.Snapshot(w.ctx(), &backup))
	seen := func() (all []map[string]uint32) {
		for _, a := range []*gateway.Account{w.ann, w.spy, w.account(w.ours, "later"), w.account(w.domain("later.test"), "later")} {
			_, err := w.CreateMailbox(w.ctx(), of(a), a.Domain, a.ID, "Later")
			w.ok(err)
			w.deliver(a, "<x@x.test>")
			all = append(all, w.validities(a))
		}
		return all
	}
	was, head := seen(), w.feedHead(w.ours.ID)
	for range 2 {
		w.ok(w.engine.Close())
		w.clock = w.clock.Add(time.Hour)
		w.disk.Dir = filepath.Join(t.TempDir(), "restored")
		w.ok(badgerstore.Restore(bytes.NewReader(backup.Bytes()), w.disk.Dir, w.disk.Log))
		w.open()
		w.ok(w.Restored(w.ctx(), system))
		now := seen()
		for i := range now {
			for name, v := range was[i] {
				if now[i][name] <= v {
					t.Errorf("account %d, %s has UIDVALIDITY %d, and had %d", i, name, now[i][name], v)
				}
			}
		}
		if to := w.feedHead(w.ours.ID); to <= head || to >= 1<<53 {
			t.Errorf("the sequence is %d, and had come to %d", to, head)
		}
		was, head = now, w.feedHead(w.ours.ID)
		w.fits()
	}
	if err := w.Restored(w.ctx(), inside(w.ours.ID)); gateway.KindOf(err) != gateway.NotFound {
		t.Errorf("a domain's scope: %v", err)
	}
}

// validities are those of an account's mailboxes by name.
func (w *world) validities(a *gateway.Account) map[string]uint32 {
	w.Helper()
	boxes, err := w.Mailboxes(w.ctx(), of(a), a.Domain, a.ID)
	w.ok(err)
	all := make(map[string]uint32)
	for _, m := range boxes {
		all[m.Name] = m.UIDValidity
	}
	return all
}

func (w *world) above(was map[string]uint32, a *gateway.Account) {
	w.Helper()
	for name, v := range w.validities(a) {
		if v <= was[name] {
			w.Errorf("%s of %s has UIDVALIDITY %d, and had %d", name, a.Email, v, was[name])
		}
	}
}

func (w *world) feedHead(d gateway.DomainID) uint64 {
	w.Helper()
	feed, err := w.Events(inside(d), d, 0)
	w.ok(err)
	defer feed.Close()
	head, err := feed.Head(w.ctx())
	w.ok(err)
	return head
}
