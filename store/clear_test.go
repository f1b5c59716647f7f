package store_test

import (
	"errors"
	"testing"
	"time"

	"github.com/centerleap/postern/gateway"
	"github.com/centerleap/postern/store"
	"github.com/centerleap/postern/store/engine"
)

// What is deleted is deleted, though the store refuses to clear what it leaves: that is
// done later, and somebody is told that there is something to do.
func TestClearedLater(t *testing.T) {
	w := newWorld(t)
	h, p := w.hook(nil), w.follower("agent", nil)
	w.deliver(w.ann, "<1@x.test>")
	_, err := w.tell(h.ID, "no", w.clock.Add(time.Hour), 500)
	w.ok(err)
	told := toldOf(w.next(w.cursor(&p).Next))
	told.Error, told.Again = "no", w.clock.Add(time.Hour)
	w.ok(w.handled(&p, told))
	for name, tt := range map[string]struct {
		id     gateway.ID
		remove func(*store.Store) error
		find   func() error
	}{
		"webhook": {
			h.ID, func(s *store.Store) error { return s.DeleteWebhook(w.ctx(), inside(w.ours.ID), h.ID) },
			func() error { return second(w.Webhook(w.ctx(), inside(w.ours.ID), h.ID)) },
		},
		"plugin": {
			p.ID, func(s *store.Store) error { return s.DeletePlugin(w.ctx(), inside(w.ours.ID), p.ID) },
			func() error { return second(w.Plugin(w.ctx(), inside(w.ours.ID), p.ID)) },
		},
	} {
		t.Run(name, func(t *testing.T) {
			s, err := store.New(&dying{w.engine, 1}, w.cfg)
			w.ok(err)
			if err := tt.remove(s); err != nil {
				t.Errorf("it is deleted, and that is %v", err)
			}
			if err := tt.find(); gateway.KindOf(err) != gateway.NotFound || err == nil {
				t.Errorf("it is found: %v", err)
			}
			select {
			case <-s.Uncleared():
			default:
				t.Error("nobody is told that something is left")
			}
			if n := w.ofWebhook(tt.id); n == 0 {
				t.Fatal("nothing is left: the test shows nothing")
			}
			w.fits()
			w.ok(second(w.FinishDeletions(w.ctx(), system)))
			if n := w.ofWebhook(tt.id); n != 0 {
				t.Errorf("%d keys are left", n)
			}
			w.ok(w.engine.View(w.ctx(), func(r engine.Reader) error {
				_, err := r.Get(append([]byte{0x51, 0, 0, 0, byte(w.ours.ID)}, tt.id[:]...))
				if !errors.Is(err, engine.ErrNotFound) {
					t.Errorf("the mark is left: %v", err)
				}
				return nil
			}))
		})
	}
}

// A folder that is deleted is so whatever becomes of what it remembered: that expires.
func TestDeletedFolderForgottenLater(t *testing.T) {
	w := newWorld(t)
	sc := of(w.ann)
	box, err := w.CreateMailbox(w.ctx(), sc, w.ours.ID, w.ann.ID, "Old")
	w.ok(err)
	from, uids := w.inboxOf(w.ann, 1)
	at := gateway.Selection{Domain: from.Domain, Account: from.Account, Mailbox: box.ID}
	w.ok(second(w.Copy(w.ctx(), sc, from, uids, box.ID, false)))
	w.ok(second(w.ExpungeAll(w.ctx(), sc, at, []uint32{1}, false)))
	s, err := store.New(&dying{w.engine, 1}, w.cfg)
	w.ok(err)
	if err := s.DeleteMailbox(w.ctx(), sc, at); err != nil {
		t.Errorf("it is deleted, and that is %v", err)
	}
	if n := w.vanishedKeys(); n != 1 {
		t.Fatalf("%d records are left: the test shows nothing", n)
	}
	w.fits()
	w.clock = w.clock.Add(gateway.VanishedRetention + time.Second)
	if n := w.vanishedKeys(); n != 0 {
		t.Errorf("%d records of a folder that is gone", n)
	}
}
