package store_test

import (
	"encoding/binary"
	"fmt"
	"strings"
	"testing"

	"github.com/centerleap/postern/gateway"
	"github.com/centerleap/postern/store"
	"github.com/centerleap/postern/store/engine"
)

// keysOfAccount counts the keys that name an account behind its domain.
func (w *world) keysOfAccount(a *gateway.Account) (n int, some []string) {
	w.Helper()
	w.ok(w.engine.View(w.ctx(), func(r engine.Reader) error {
		return r.Scan(engine.Range{}, func(k, v []byte) error {
			at := func(b []byte, i int, v uint32) bool { return len(b) >= i+4 && binary.BigEndian.Uint32(b[i:]) == v }
			ours := at(k, 1, uint32(a.Domain))
			byAccount := strings.ContainsRune("\x04\x09\x0a\x10\x12\x13\x14\x18\x19\x1a\x1c\x1d\x1e\x1f\x35\x72\x75", rune(k[0])) && at(k, 5, uint32(a.ID))
			byID := (k[0] == 0x16 || k[0] == 0x74) && at(k, 21, uint32(a.ID))
			toIt := (k[0] == 0x05 || k[0] == 0x11) && at(v, 0, uint32(a.ID))
			if ours && (byAccount || byID || toIt) {
				n++
				some = append(some, fmt.Sprintf("%x", k))
			}
			return nil
		})
	}))
	return n, some[:min(len(some), 5)]
}

// full gives an account some of everything, and returns its key.
func (w *world) full(a *gateway.Account) gateway.ID {
	w.Helper()
	for i := range 30 {
		w.deliver(a, fmt.Sprintf("<%d@x.test>", i))
		sent, done := w.acceptance(of(a), a.Email, "x@y.test", "z@y.test") // queued
		sent.Effects.Steps = []gateway.Step{{Name: "filter"}}
		_, err := w.Accept(w.ctx(), of(a), sent)
		w.ok(err)
		done()
	}
	_, err := w.CreateMailbox(w.ctx(), of(a), a.Domain, a.ID, "Projects")
	w.ok(err)
	w.deliver(a, "<gone@x.test>")
	at := gateway.Selection{Domain: a.Domain, Account: a.ID, Mailbox: 1}
	_, err = w.ExpungeAll(w.ctx(), of(a), at, []uint32{w.newestOf(at)}, false)
	w.ok(err)
	w.ok(second(w.Flag(w.ctx(), of(a), at, []uint32{2, 3, 4, 5, 6}, gateway.FlagChange{Add: gateway.Flagged}))) // in a page
	w.ok(w.addSegment(a, 1, 7))
	w.ok(w.addSegment(a, 8, 20))
	p := w.install("of "+a.Email, "its code", a)
	w.ok(w.RemindPlugins(w.ctx(), inside(a.Domain), gateway.Effects{KV: []gateway.PluginWrite{write(&p, "k", "v")}}))
	w.ok(w.SetPluginCounters(w.ctx(), inside(a.Domain), a.Domain, []gateway.PluginCounter{{Plugin: p.ID, Key: "n", Value: 1}}))
	w.ok(w.AddPluginLines(w.ctx(), inside(a.Domain), a.Domain, []gateway.PluginLine{{Plugin: p.ID, At: w.clock, Text: "said"}}))
	k := &gateway.Key{ID: newID(), Level: gateway.LevelAccount, Domain: a.Domain, Account: a.ID, Digest: gateway.Secret(a.Email).Digest()}
	w.ok(w.CreateKey(w.ctx(), inside(a.Domain), k))
	return k.ID
}

// Of an account that is deleted nothing is left but its revoked keys; its neighbour
// does not notice, and its address is free.
func TestDeleteAccount(t *testing.T) {
	w := newWorld(t)
	gone, kept := w.full(w.ann), w.full(w.eve)
	if n, _ := w.keysOfAccount(w.ann); n < 300 {
		t.Fatalf("%d keys before: the test shows nothing", n)
	}
	before, _ := w.keysOfAccount(w.eve)
	for name, sc := range map[string]gateway.Scope{"another domain": inside(w.them.ID), "the account itself": of(w.ann)} {
		if err := w.CloseAccount(w.ctx(), sc, w.ours.ID, w.ann.ID); gateway.KindOf(err) != gateway.NotFound || err == nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	w.ok(w.EraseAccount(w.ctx(), system, w.ours.ID, w.ann.ID)) // it is not closed
	w.ok(w.CloseAccount(w.ctx(), inside(w.ours.ID), w.ours.ID, w.ann.ID))
	w.closed(gone)
	w.ok(w.EraseAccount(w.ctx(), inside(w.ours.ID), w.ours.ID, w.ann.ID))
	w.ok(w.EraseAccount(w.ctx(), inside(w.ours.ID), w.ours.ID, w.ann.ID)) // a second one has nothing to do
	if n, some := w.keysOfAccount(w.ann); n > 0 {
		t.Errorf("%d keys are left, such as %v", n, some)
	}
	if after, _ := w.keysOfAccount(w.eve); after != before {
		t.Errorf("the neighbour has %d keys, had %d", after, before)
	}
	if all, err := w.Plugins(w.ctx(), inside(w.ours.ID)); err != nil || len(all) != 1 {
		t.Errorf("plugins: %d, %v", len(all), err)
	}
	if due, err := w.LeaseDue(w.ctx(), system, 1000, 1); err != nil || len(due) != 60 {
		t.Errorf("%d deliveries wait, want the neighbour's: %v", len(due), err)
	}
	if k, err := w.Key(w.ctx(), inside(w.ours.ID), kept); err != nil || !k.RevokedAt.IsZero() {
		t.Errorf("the neighbour's key: %+v, %v", k, err)
	}
	w.fits()
	again := w.account(w.ours, "ann")
	if again.ID == w.ann.ID || w.used(again) != 0 {
		t.Errorf("the new account is number %d with %d bytes", again.ID, w.used(again))
	}
	w.reopen()
	w.fits()
}

// closed looks for ways into ann, whose deletion has begun.
func (w *world) closed(key gateway.ID) {
	w.Helper()
	w.fits()
	sc := inside(w.ours.ID)
	at := gateway.Selection{Domain: w.ours.ID, Account: w.ann.ID, Mailbox: 1}
	ref, done := w.blob(w.ours.ID, "late")
	defer done()
	late := &gateway.Message{ID: newID(), Arrived: w.clock, Blob: ref, Content: content("<late@x.test>", "late", w.clock)}
	for what, err := range map[string]error{
		"Account":     second(w.Account(w.ctx(), sc, w.ours.ID, w.ann.Email)),
		"alias":       second(w.Account(w.ctx(), sc, w.ours.ID, "ann.alias@ours.test")),
		"AccountByID": second(w.AccountByID(w.ctx(), sc, w.ours.ID, w.ann.ID)),
		"Append":      second(w.Append(w.ctx(), of(w.ann), at, &gateway.Appending{Message: late})),
		"folder":      second(w.CreateMailbox(w.ctx(), of(w.ann), w.ours.ID, w.ann.ID, "late")),
		"Deliver":     w.Deliver(w.ctx(), sc, &gateway.Filing{Message: late, Copies: []gateway.Copy{{Account: w.ann.ID, ID: newID(), Folder: gateway.Inbox}}}),
		"key":         w.CreateKey(w.ctx(), sc, &gateway.Key{ID: newID(), Level: gateway.LevelAccount, Domain: w.ours.ID, Account: w.ann.ID}),
		"Close":       w.CloseAccount(w.ctx(), sc, w.ours.ID, w.ann.ID),
	} {
		if gateway.KindOf(err) != gateway.NotFound || err == nil {
			w.Errorf("%s: %v, want not found", what, err)
		}
	}
	for _, addr := range []string{w.ann.Email, "ann.alias@ours.test"} {
		err := w.CreateAccount(w.ctx(), sc, &gateway.Account{Domain: w.ours.ID, Email: addr})
		if gateway.KindOf(err) != gateway.InvalidState {
			w.Errorf("%s is made again: %v", addr, err)
		}
	}
	if _, err := w.accept(sc, w.ann.Email, "x@y.test"); gateway.KindOf(err) != gateway.InvalidState {
		w.Errorf("it is sent as: %v", err)
	}
	_, err := w.UpdateDomain(w.ctx(), system, w.ours.ID, func(d *gateway.Domain) error { d.CatchAll = true; return nil })
	w.ok(err)
	if err := w.Deliver(w.ctx(), sc, &gateway.Filing{Message: late, Copies: []gateway.Copy{{Address: w.ann.Email, ID: newID(), Folder: gateway.Inbox}}}); gateway.KindOf(err) != gateway.NotFound || err == nil {
		w.Errorf("with catch-all: %v", err)
	}
	if k, err := w.Key(w.ctx(), sc, key); err != nil || k.RevokedAt.IsZero() {
		w.Errorf("its key: %+v, %v", k, err)
	}
}

// A deletion of an account that dies is finished at the next start.
func TestAccountDeletionCutShort(t *testing.T) {
	w := newWorld(t)
	key := w.full(w.ann)
	for calls := 0; ; calls++ { // it dies after ever more commits
		s, err := store.New(&dying{w.engine, calls}, w.cfg)
		w.ok(err)
		err = s.CloseAccount(w.ctx(), system, w.ours.ID, w.ann.ID)
		if err == nil {
			err = s.EraseAccount(w.ctx(), system, w.ours.ID, w.ann.ID)
		} else if gateway.KindOf(err) == gateway.NotFound {
			_, err = s.FinishDeletions(w.ctx(), system)
		}
		w.fits()
		if err == nil {
			t.Logf("%d commits", calls)
			break
		}
		if calls > 1000 {
			t.Fatal("it never ends")
		}
	}
	if n, some := w.keysOfAccount(w.ann); n > 0 {
		t.Errorf("%d keys are left, such as %v", n, some)
	}
	if k, err := w.Key(w.ctx(), system, key); err != nil || k.RevokedAt.IsZero() {
		t.Errorf("its key: %+v, %v", k, err)
	}
	w.account(w.ours, "ann")
}
