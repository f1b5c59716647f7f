package store_test

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/centerleap/postern/gateway"
	"github.com/centerleap/postern/store"
	"github.com/centerleap/postern/store/engine"
)

// nearlyFull is an engine on a disk that has room for what frees some.
type nearlyFull struct{ engine.Engine }

func (nearlyFull) err() error { return fmt.Errorf("%w: a test", engine.ErrFull) }

func (n nearlyFull) Update(ctx context.Context, op engine.Op) (engine.Commit, error) {
	if !op.Frees {
		return engine.Commit{}, n.err()
	}
	return n.Engine.Update(ctx, op)
}

func (n nearlyFull) Blobs() engine.Blobs { return fullBlobs{n.Engine.Blobs(), n} }

type fullBlobs struct {
	engine.Blobs
	disk nearlyFull
}

func (b fullBlobs) Create(context.Context, uint32, int64) (engine.BlobWriter, error) {
	return nil, b.disk.err()
}

// fill leaves room on the disk for what frees some.
func (w *world) fill() {
	w.Helper()
	var err error
	w.Store, err = store.New(nearlyFull{w.engine}, w.cfg)
	w.ok(err)
}

// On a disk that is nearly full mail can be deleted, the queue drains and keys
// end; whatever adds something is told to come back.
func TestNearlyFull(t *testing.T) {
	w := newWorld(t)
	at, uids := w.inboxOf(w.ann, 5)
	place := func(i int) gateway.Place {
		return gateway.Place{Domain: at.Domain, Account: at.Account, Mailbox: at.Mailbox, UID: uids[i]}
	}
	sc, trash := of(w.ann), gateway.Selection{Domain: at.Domain, Account: at.Account, Mailbox: 4}
	box, err := w.CreateMailbox(w.ctx(), sc, at.Domain, at.Account, "Empty")
	w.ok(err)
	key := &gateway.Key{ID: newID(), Level: gateway.LevelDomain, Domain: w.ours.ID, Digest: gateway.Secret("k").Digest()}
	w.ok(w.CreateKey(w.ctx(), system, key))
	for range 2 {
		_, err = w.accept(inside(w.ours.ID), "ann@ours.test", "x@y.test")
		w.ok(err)
	}
	leased, err := w.LeaseDue(w.ctx(), system, 1, time.Minute)
	w.ok(err)
	plugins := [2]gateway.Plugin{w.install("kept", "code", nil), w.install("gone", "code", nil)}
	ref, done := w.blob(w.ours.ID, "sealed before")
	defer done()
	message := gateway.Message{ID: newID(), Arrived: w.clock, Blob: ref, Content: content("<new@x.test>", "new", w.clock)}

	w.fill()
	off, on := false, true
	for what, err := range map[string]error{
		"body":           second(w.CreateBlob(w.ctx(), sc, w.ours.ID, 0)),
		"deliver":        w.Deliver(w.ctx(), inside(w.ours.ID), &gateway.Filing{Message: &message, Copies: []gateway.Copy{{Account: w.ann.ID, ID: newID(), Folder: gateway.Inbox}}}),
		"accept":         second(w.AcceptAll(w.ctx(), inside(w.ours.ID), nil, nil)),
		"append":         second(w.Append(w.ctx(), sc, at, &gateway.Appending{Message: &message})),
		"copy":           second(w.Copy(w.ctx(), sc, at, uids[:1], trash.Mailbox, false)),
		"folder":         second(w.CreateMailbox(w.ctx(), sc, at.Domain, at.Account, "New")),
		"account":        w.CreateAccount(w.ctx(), system, &gateway.Account{Domain: w.ours.ID, Email: "new@ours.test"}),
		"domain":         w.CreateDomain(w.ctx(), system, &gateway.Domain{UUID: newID(), Name: "new.test"}),
		"key":            w.CreateKey(w.ctx(), system, &gateway.Key{ID: newID(), Level: gateway.LevelInstance}),
		"log":            w.AddActivity(w.ctx(), system, []gateway.Activity{{Protocol: "rest"}}),
		"plugin":         third(w.InstallPlugin(w.ctx(), inside(w.ours.ID), &gateway.Plugin{ID: newID(), Domain: w.ours.ID, Name: "new", Code: ref}, true)),
		"enabled plugin": second(w.ChangePlugin(w.ctx(), inside(w.ours.ID), plugins[0].ID, gateway.PluginChange{Enabled: &on})),
	} {
		if e := gateway.AsError(err); e.Kind != gateway.Unavailable || e.Retry != time.Minute {
			t.Errorf("%s: %v, retry after %v; want unavailable, and a minute", what, err, e.Retry)
		}
	}
	if r := gateway.Unavailable.Reply(); r.Status != 503 || r.SMTP != 452 || r.Enhanced != [3]int{4, 3, 1} || r.IMAP != "UNAVAILABLE" {
		t.Errorf("a full disk is told as %+v", r)
	}

	_, err = w.Change(w.ctx(), sc, place(0), gateway.FlagChange{Add: gateway.Seen}, gateway.Trash)
	w.ok(err)
	w.ok(w.Expunge(w.ctx(), sc, place(1)))
	_, err = w.Flag(w.ctx(), sc, at, uids[2:3], gateway.FlagChange{Add: gateway.Deleted})
	w.ok(err)
	if gone, err := w.ExpungeAll(w.ctx(), sc, at, uids, true); err != nil || len(gone) != 1 {
		t.Errorf("expunged %v, %v", gone, err)
	}
	if moved, err := w.Copy(w.ctx(), sc, at, uids[3:4], trash.Mailbox, true); err != nil || len(moved) != 1 {
		t.Errorf("moved %v, %v", moved, err)
	}
	w.ok(w.DeleteMailbox(w.ctx(), sc, gateway.Selection{Domain: at.Domain, Account: at.Account, Mailbox: box.ID}))
	_, err = w.ChangePlugin(w.ctx(), inside(w.ours.ID), plugins[0].ID, gateway.PluginChange{Enabled: &off})
	w.ok(err)
	w.ok(w.DeletePlugin(w.ctx(), inside(w.ours.ID), plugins[1].ID))
	w.ok(w.TouchKeys(w.ctx(), system, []gateway.KeyUse{{Domain: w.ours.ID, ID: key.ID, At: w.clock}}))
	_, err = w.UpdateKey(w.ctx(), system, key.ID, func(k *gateway.Key) error { k.RevokedAt = w.clock; return nil })
	w.ok(err)
	w.ok(w.Finish(w.ctx(), system, gateway.Attempt{Delivery: leased[0], Outcome: gateway.Outcome{State: gateway.DeliveryDelivered, Code: 250}}))
	if again, err := w.LeaseDue(w.ctx(), system, 10, time.Minute); err != nil || len(again) != 1 {
		t.Errorf("leased %d, %v; want the other one", len(again), err)
	}
	w.ok(w.engine.Close())
	w.open()
	w.fill()
	w.ok(w.Reclaim(w.ctx(), system))
	if again, err := w.LeaseDue(w.ctx(), system, 10, time.Minute); err != nil || len(again) != 1 {
		t.Errorf("after a restart: leased %d, %v", len(again), err)
	}
	if len(w.entries(at)) != 1 || len(w.entries(trash)) != 2 {
		t.Errorf("%d left, %d in Trash, want 1 and 2", len(w.entries(at)), len(w.entries(trash)))
	}
}
