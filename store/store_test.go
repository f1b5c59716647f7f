package store_test

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/centerleap/postern/gateway"
	"github.com/centerleap/postern/gateway/threading"
	"github.com/centerleap/postern/store"
	"github.com/centerleap/postern/store/badgerstore"
	"github.com/centerleap/postern/store/engine"
)

// Scopes as the keys room makes them.
var system = gateway.NewScope(gateway.LevelInstance, 0, 0, gateway.ID{})

func inside(d gateway.DomainID) gateway.Scope {
	return gateway.NewScope(gateway.LevelDomain, d, 0, gateway.ID{})
}

func of(a *gateway.Account) gateway.Scope {
	return gateway.NewScope(gateway.LevelAccount, a.Domain, a.ID, gateway.ID{})
}

// world is a store with two domains.
type world struct {
	testing.TB
	*store.Store
	disk       badgerstore.Config
	cfg        store.Config
	engine     engine.Engine
	clock      time.Time
	ours, them *gateway.Domain
	ann, eve   *gateway.Account // of ours
	spy        *gateway.Account // of theirs
}

func newWorld(t testing.TB, options ...func(*world)) *world {
	t.Helper()
	w := &world{TB: t, clock: time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)}
	w.disk = badgerstore.Config{Dir: t.TempDir(), Log: slog.New(slog.DiscardHandler), Now: w.now}
	w.cfg = store.Config{Threading: threading.Rules{}, Now: w.now}
	for _, o := range options {
		o(w)
	}
	w.open()
	t.Cleanup(func() {
		if err := w.engine.Close(); err != nil {
			t.Error(err)
		}
	})
	w.ours, w.them = w.domain("ours.test"), w.domain("theirs.test")
	w.ann, w.eve, w.spy = w.account(w.ours, "ann"), w.account(w.ours, "eve"), w.account(w.them, "spy")
	return w
}

func (w *world) open() {
	w.Helper()
	e, err := badgerstore.Open(w.disk)
	if err != nil {
		w.Fatal(err)
	}
	w.engine = e
	if w.Store, err = store.New(e, w.cfg); err != nil {
		w.Fatal(err)
	}
}

func (w *world) reopen() {
	w.Helper()
	if err := w.engine.Close(); err != nil {
		w.Fatal(err)
	}
	w.open()
}

func (w *world) now() time.Time { return w.clock }

func (w *world) ctx() context.Context { return context.Background() }

func (w *world) ok(err error) {
	w.Helper()
	if err != nil {
		w.Fatal(err)
	}
}

func newID() gateway.ID { return gateway.ID(uuid.Must(uuid.NewV7())) }

func (w *world) domain(name string) *gateway.Domain {
	w.Helper()
	d := &gateway.Domain{UUID: newID(), Name: name, Status: gateway.DomainVerified}
	w.ok(w.CreateDomain(w.ctx(), system, d))
	return d
}

func (w *world) account(d *gateway.Domain, name string) *gateway.Account {
	w.Helper()
	a := &gateway.Account{Domain: d.ID, Email: name + "@" + d.Name, Aliases: []string{name + ".alias@" + d.Name}}
	w.ok(w.CreateAccount(w.ctx(), inside(d.ID), a))
	return a
}

// content is a message as the scanner would find it.
func content(id, subject string, at time.Time) gateway.Content {
	return gateway.Content{
		MessageID: id, Subject: subject, Date: at, From: []gateway.Address{{Addr: "peer@x.test"}}, TextPart: -1, HTMLPart: -1,
		Parts: []gateway.Part{{Parent: -1, Type: "text/plain"}}, Envelope: []byte("(e)"), BodyStructure: []byte("(b)"),
	}
}

func (w *world) blob(d gateway.DomainID, text string) (gateway.Blob, func()) {
	w.Helper()
	b, err := w.CreateBlob(w.ctx(), inside(d), d, 0)
	w.ok(err)
	_, err = io.WriteString(b, text)
	w.ok(err)
	ref, err := b.Seal()
	w.ok(err)
	return ref, func() { b.Close() }
}

// deliver files one message for an account and returns its id.
func (w *world) deliver(a *gateway.Account, msgid string) gateway.ID {
	w.Helper()
	ref, done := w.blob(a.Domain, "body of "+msgid)
	defer done()
	c := content(msgid, "subject", w.clock)
	id := newID()
	w.ok(w.Deliver(w.ctx(), inside(a.Domain), &gateway.Filing{
		Message: &gateway.Message{Arrived: w.clock, Blob: ref, Content: c}, Facts: threading.Facts(&c, w.clock),
		Copies: []gateway.Copy{{Account: a.ID, ID: id, Folder: gateway.Inbox}},
	}))
	return id
}

// accept sends one message from an account to some recipients.
func (w *world) accept(sc gateway.Scope, from string, recipients ...string) (gateway.ID, error) {
	w.Helper()
	a, done := w.acceptance(sc, from, recipients...)
	defer done()
	_, err := w.Accept(w.ctx(), sc, a)
	return a.Message.ID, err
}

// acceptance is what a mail makes durable; done lets its body go.
func (w *world) acceptance(sc gateway.Scope, from string, recipients ...string) (a *gateway.Acceptance, done func()) {
	w.Helper()
	ref, done := w.blob(sc.Domain(), "sent")
	id := newID()
	c := content("<"+id.String()+"@ours.test>", "sent", w.clock)
	a = &gateway.Acceptance{
		Message: &gateway.Message{ID: id, Arrived: w.clock, Blob: ref, Content: c, Key: sc.Key(), Recipients: recipients},
		From:    gateway.Address{Addr: from}, Facts: threading.Facts(&c, w.clock),
	}
	for _, r := range recipients {
		a.Deliveries = append(a.Deliveries, gateway.Delivery{ID: newID(), Recipient: r, State: gateway.DeliveryQueued, Due: w.clock})
	}
	return a, done
}

// Every read and write by an id of another domain, or another account, finds
// nothing and changes nothing.
func TestWalls(t *testing.T) {
	w := newWorld(t)
	id := w.deliver(w.ann, "<1@x.test>")
	m, err := w.Message(w.ctx(), of(w.ann), id)
	w.ok(err)
	at := gateway.Place{Domain: m.Domain, Account: m.Account, Mailbox: m.Entries[0].Mailbox, UID: m.Entries[0].UID}
	sel := gateway.Selection{Domain: m.Domain, Account: m.Account, Mailbox: at.Mailbox}
	key := &gateway.Key{ID: newID(), Level: gateway.LevelDomain, Domain: w.ours.ID, Digest: gateway.Secret("x").Digest()}
	w.ok(w.CreateKey(w.ctx(), inside(w.ours.ID), key))
	for name, s := range map[string]gateway.Scope{"their domain": inside(w.them.ID), "their account": of(w.spy), "neighbour": of(w.eve), "nobody": {}} {
		for what, err := range map[string]error{
			"MailboxNamed":  second(w.MailboxNamed(w.ctx(), s, m.Domain, m.Account, gateway.Inbox)),
			"Message":       second(w.Message(w.ctx(), s, id)),
			"MessageByUID":  second(w.MessageByUID(w.ctx(), s, at)),
			"List":          second(w.List(w.ctx(), s, gateway.ListQuery{Domain: m.Domain, Account: m.Account, Mailbox: at.Mailbox, Limit: 1})),
			"Walk":          second(w.Walk(w.ctx(), s, gateway.ListQuery{Domain: m.Domain, Account: m.Account, Mailbox: at.Mailbox, Limit: 1}, nil)),
			"Newest":        third(w.Newest(w.ctx(), s, m.Thread, 1)),
			"Conversation":  third(w.Conversation(w.ctx(), s, m.Thread, 1)),
			"Mailboxes":     second(w.Mailboxes(w.ctx(), s, m.Domain, m.Account)),
			"Thread":        third(w.Thread(w.ctx(), s, m.Thread, 0, 1)),
			"Change":        second(w.Change(w.ctx(), s, at, gateway.FlagChange{Add: gateway.Seen}, "")),
			"Expunge":       w.Expunge(w.ctx(), s, at),
			"Entries":       third(w.Entries(w.ctx(), s, sel)),
			"EntriesAt":     third(w.EntriesAt(w.ctx(), s, sel, []uint32{1})),
			"Messages":      second(w.Messages(w.ctx(), s, m.Domain, m.Account, []gateway.MessageNumber{m.Number}, true)),
			"Flag":          second(w.Flag(w.ctx(), s, sel, []uint32{1}, gateway.FlagChange{Add: gateway.Seen})),
			"FlagUnchanged": third(w.FlagUnchanged(w.ctx(), s, sel, []uint32{1}, gateway.FlagChange{Add: gateway.Seen}, 1)),
			"Vanished":      third(w.Vanished(w.ctx(), s, sel, 0)),
			"ExpungeAll":    second(w.ExpungeAll(w.ctx(), s, sel, []uint32{1}, false)),
			"Copy":          second(w.Copy(w.ctx(), s, sel, []uint32{1}, 2, true)),
			"Append":        second(w.Append(w.ctx(), s, sel, &gateway.Appending{Message: m})),
			"Create":        second(w.CreateMailbox(w.ctx(), s, m.Domain, m.Account, "x")),
			"Rename":        second(w.RenameMailbox(w.ctx(), s, sel, "x")),
			"Delete":        w.DeleteMailbox(w.ctx(), s, sel),
			"Subscribe":     w.SubscribeMailbox(w.ctx(), s, sel, true),
			"Deliveries":    second(w.Deliveries(w.ctx(), s, m.Domain, m.Account, m.Number)),
			"AccountByID":   second(w.AccountByID(w.ctx(), s, m.Domain, m.Account)),
			"Account":       second(w.Account(w.ctx(), s, m.Domain, w.ann.Email)),
			"Key":           second(w.Key(w.ctx(), s, key.ID)),
			"UpdateKey":     second(w.UpdateKey(w.ctx(), s, key.ID, func(*gateway.Key) error { return nil })),
			"UpdateDomain":  second(w.UpdateDomain(w.ctx(), s, w.ours.ID, func(*gateway.Domain) error { return nil })),
			"Deliver":       w.Deliver(w.ctx(), s, &gateway.Filing{Message: m, Copies: []gateway.Copy{{Account: w.ann.ID, ID: newID(), Folder: gateway.Inbox}}}),
			"LeaseDue":      second(w.LeaseDue(w.ctx(), s, 1, time.Minute)),
			"Overdue":       second(w.Overdue(w.ctx(), s, sel, w.clock, 1, 1)),
			"Lease":         second(w.Lease(w.ctx(), s, "x", time.Minute)),
			"Setting":       second(w.Setting(w.ctx(), s, "x")),
			"KeepSetting":   second(w.KeepSetting(w.ctx(), s, "x", "y")),
		} {
			if gateway.KindOf(err) != gateway.NotFound || err == nil {
				t.Errorf("%s, %s: %v, want not found", name, what, err)
			}
		}
		if found, err := w.MessagesByMessageID(w.ctx(), s, 0, "<1@x.test>"); len(found) > 0 {
			t.Errorf("%s finds the Message-ID: %v", name, err)
		}
		if s.Domain() != m.Domain {
			if _, err := w.OpenBlob(w.ctx(), s, m.Blob, 0, -1); gateway.KindOf(err) != gateway.NotFound {
				t.Errorf("%s opens the body: %v", name, err)
			}
		}
	}
	after, err := w.Message(w.ctx(), of(w.ann), id)
	w.ok(err)
	if after.Entries[0].Flags != 0 || after.Entries[0].UID != at.UID {
		t.Errorf("something changed: %+v", after.Entries)
	}
}

// All who ask at once for a setting that is made at its first use get the same one,
// and it stays.
func TestKeepSetting(t *testing.T) {
	w := newWorld(t)
	var wg sync.WaitGroup
	got := make([]string, 20)
	for i := range got {
		wg.Go(func() {
			v, err := w.KeepSetting(w.ctx(), system, "secret", fmt.Sprint("value ", i))
			if err != nil {
				t.Error(err)
			}
			got[i] = v
		})
	}
	wg.Wait()
	kept, err := w.Setting(w.ctx(), system, "secret")
	w.ok(err)
	for i, v := range got {
		if v != kept || !strings.HasPrefix(v, "value ") {
			t.Errorf("%d got %q, kept is %q", i, v, kept)
		}
	}
	if v, err := w.KeepSetting(w.ctx(), system, "secret", "another"); err != nil || v != kept {
		t.Errorf("%q, %v", v, err)
	}
}

func second[A any](_ A, err error) error        { return err }
func third[A, B any](_ A, _ B, err error) error { return err }

// After any mix of changes, counters equal a recount, every entry is listed once
// and bodies live exactly as long as something holds them.
func TestRecount(t *testing.T) {
	w := newWorld(t)
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	rnd := rand.New(rand.NewPCG(seed, 0))
	folders := []string{gateway.Inbox, gateway.Archive, gateway.Trash, gateway.Sent}
	var places []gateway.Place
	blobs := make(map[gateway.Place]gateway.Blob)
	for step := range 400 {
		w.clock = w.clock.Add(time.Duration(rnd.IntN(5)-1) * time.Second) // clocks go back, too
		switch n := len(places); {
		case n == 0 || rnd.IntN(3) == 0:
			m, err := w.Message(w.ctx(), of(w.ann), w.deliver(w.ann, fmt.Sprintf("<%d@x.test>", rnd.IntN(50))))
			w.ok(err)
			at := gateway.Place{Domain: m.Domain, Account: m.Account, Mailbox: m.Entries[0].Mailbox, UID: m.Entries[0].UID}
			places, blobs[at] = append(places, at), m.Blob
		case rnd.IntN(4) == 0:
			i := rnd.IntN(n)
			w.ok(w.Expunge(w.ctx(), of(w.ann), places[i]))
			if _, err := w.OpenBlob(w.ctx(), of(w.ann), blobs[places[i]], 0, -1); gateway.KindOf(err) != gateway.NotFound {
				t.Fatalf("step %d: the body of a message that is gone: %v", step, err)
			}
			places = slices.Delete(places, i, i+1)
		default:
			i := rnd.IntN(n)
			folder := ""
			if rnd.IntN(2) == 0 {
				folder = folders[rnd.IntN(len(folders))]
			}
			e, err := w.Change(w.ctx(), of(w.ann), places[i], gateway.FlagChange{Add: gateway.Flags(rnd.IntN(4)), Remove: gateway.Flags(rnd.IntN(4))}, folder)
			w.ok(err)
			b := blobs[places[i]]
			places[i].Mailbox, places[i].UID = e.Mailbox, e.UID
			blobs[places[i]] = b
		}
		if rnd.IntN(100) == 0 {
			w.reopen()
		}
	}
	w.recount(len(places))
}

func (w *world) recount(want int) {
	w.Helper()
	boxes, err := w.Mailboxes(w.ctx(), of(w.ann), w.ours.ID, w.ann.ID)
	w.ok(err)
	total := 0
	for _, box := range boxes {
		l, err := w.List(w.ctx(), of(w.ann), gateway.ListQuery{Domain: w.ours.ID, Account: w.ann.ID, Mailbox: box.ID, Limit: 10_000})
		w.ok(err)
		unseen, uids := int64(0), make(map[uint32]bool)
		for i, m := range l.Messages {
			e := m.Entries[0]
			if !e.Flags.Has(gateway.Seen) {
				unseen++
			}
			if uids[e.UID] || e.UID >= box.UIDNext || e.ModSeq > box.ModSeq {
				w.Errorf("%s: entry %+v with UIDNEXT %d, MODSEQ %d", box.Name, e, box.UIDNext, box.ModSeq)
			}
			uids[e.UID] = true
			if i > 0 && m.Arrived.After(l.Messages[i-1].Arrived) {
				w.Errorf("%s is not newest first", box.Name)
			}
			th, members, err := w.Thread(w.ctx(), of(w.ann), m.Thread, 0, 1000)
			if err != nil || th.Count != len(members) || members[m.Position].ID != m.ID {
				w.Errorf("thread of %s: %+v, %d members, position %d, %v", m.ID, th, len(members), m.Position, err)
			}
		}
		if int64(len(l.Messages)) != box.Total || unseen != box.Unseen {
			w.Errorf("%s: total %d and unseen %d, counted %d and %d", box.Name, box.Total, box.Unseen, len(l.Messages), unseen)
		}
		total += len(l.Messages)
	}
	if total != want {
		w.Errorf("%d messages, want %d", total, want)
	}
}

// A delivery is leased once, again when its lease ends or its process dies, and
// only its newest lease counts.
func TestQueue(t *testing.T) {
	w := newWorld(t)
	id, err := w.accept(inside(w.ours.ID), "ann@ours.test", "x@y.test", "z@y.test")
	w.ok(err)
	lease := func() []gateway.Delivery {
		t.Helper()
		l, err := w.LeaseDue(w.ctx(), system, 10, time.Minute)
		w.ok(err)
		return l
	}
	first := lease()
	if len(first) != 2 || len(lease()) != 0 {
		t.Fatalf("leased %d, then some again", len(first))
	}
	w.ok(w.Finish(w.ctx(), system, gateway.Attempt{Delivery: first[0], Outcome: gateway.Outcome{State: gateway.DeliveryDelivered, Code: 250}}))
	w.clock = w.clock.Add(2 * time.Minute)
	again := lease()
	if len(again) != 1 || again[0].ID != first[1].ID || again[0].Attempts != 2 {
		t.Fatalf("after the lease: %+v", again)
	}
	if err := w.Finish(w.ctx(), system, gateway.Attempt{Delivery: first[1], Outcome: gateway.Outcome{State: gateway.DeliveryDelivered}}); gateway.KindOf(err) != gateway.InvalidState {
		t.Errorf("a lost lease decides: %v", err)
	}
	w.reopen()
	if n := len(lease()); n != 0 {
		t.Fatalf("%d leases of a process that may live", n)
	}
	w.ok(w.Reclaim(w.ctx(), system))
	again = lease()
	if len(again) != 1 || again[0].Attempts != 3 {
		t.Fatalf("after a restart: %+v", again)
	}
	later := w.clock.Add(time.Hour)
	w.ok(w.Finish(w.ctx(), system, gateway.Attempt{Delivery: again[0], Outcome: gateway.Outcome{State: gateway.DeliveryQueued, Code: 450, Text: "later", Retry: later}}))
	if next, err := w.NextDue(w.ctx(), system); err != nil || !next.Equal(later) {
		t.Errorf("next due %v, %v, want %v", next, err, later)
	}
	w.clock = later
	last := lease()
	w.ok(w.Finish(w.ctx(), system, gateway.Attempt{Delivery: last[0], Outcome: gateway.Outcome{State: gateway.DeliveryFailed, Code: 550, Text: "no"}}))
	m, err := w.Message(w.ctx(), inside(w.ours.ID), id)
	w.ok(err)
	if m.LastEvent != "failed" {
		t.Errorf("last event %s", m.LastEvent)
	}
	// The message goes; its body went with the last of message and deliveries.
	w.ok(w.Expunge(w.ctx(), system, gateway.Place{Domain: m.Domain, Account: m.Account, Mailbox: m.Entries[0].Mailbox, UID: m.Entries[0].UID}))
	if _, err := w.OpenBlob(w.ctx(), system, m.Blob, 0, -1); gateway.KindOf(err) != gateway.NotFound {
		t.Errorf("the body: %v", err)
	}
}

// What the commit reads again decides, whatever was checked before.
func TestAcceptChecks(t *testing.T) {
	w := newWorld(t)
	key := &gateway.Key{ID: newID(), Level: gateway.LevelDomain, Domain: w.ours.ID, Digest: gateway.Secret("k").Digest(), Limits: gateway.KeyLimits{Messages: 3, Recipients: 5}}
	w.ok(w.CreateKey(w.ctx(), inside(w.ours.ID), key))
	sc := gateway.NewScope(gateway.LevelDomain, w.ours.ID, 0, key.ID)
	try := func(want gateway.Kind, limit string, recipients ...string) {
		t.Helper()
		_, err := w.accept(sc, "new@ours.test", recipients...)
		if want == 255 {
			w.ok(err)
		} else if e := gateway.AsError(err); e.Kind != want || e.Limit != limit {
			t.Errorf("%v, limit %q, want %v, %q", err, e.Limit, want, limit)
		}
	}
	try(255, "", "a@y.test", "b@y.test")
	try(gateway.RateLimited, "recipients", "a@y.test", "b@y.test", "c@y.test", "d@y.test")
	try(255, "", "a@y.test")
	try(255, "", "a@y.test")
	try(gateway.RateLimited, "emails", "a@y.test")
	w.reopen()
	try(gateway.RateLimited, "emails", "a@y.test")
	w.clock = w.clock.Add(time.Hour)
	try(255, "", "a@y.test")
	if a, err := w.Account(w.ctx(), sc, w.ours.ID, "NEW@ours.test"); err != nil || !a.Implicit {
		t.Errorf("the implicit account: %+v, %v", a, err)
	}
	if _, err := w.accept(of(w.ann), "eve@ours.test", "a@y.test"); gateway.KindOf(err) != gateway.DomainNotAuthorized {
		t.Errorf("as a neighbour: %v", err)
	}
	if _, err := w.accept(of(w.ann), "ann.alias@ours.test", "a@y.test"); err != nil {
		t.Errorf("as an alias: %v", err)
	}
	_, err := w.UpdateDomain(w.ctx(), system, w.ours.ID, func(d *gateway.Domain) error {
		d.Status = gateway.DomainFailed
		return nil
	})
	w.ok(err)
	try(gateway.DomainNotAuthorized, "", "a@y.test")
	_, err = w.UpdateDomain(w.ctx(), system, w.ours.ID, func(d *gateway.Domain) error {
		d.Status, d.Limits.Messages = gateway.DomainVerified, 1
		return nil
	})
	w.ok(err)
	try(gateway.RateLimited, "domain_emails", "a@y.test")
	_, err = w.UpdateKey(w.ctx(), system, key.ID, func(k *gateway.Key) error {
		k.RevokedAt = w.clock
		return nil
	})
	w.ok(err)
	try(gateway.InvalidKey, "", "a@y.test")
}

// A domain whose creation was cut between its two commits is finished by the
// next try, and the feed tells what happened in order.
func TestDomainsAndEvents(t *testing.T) {
	w := newWorld(t)
	if err := w.CreateDomain(w.ctx(), system, &gateway.Domain{UUID: newID(), Name: "ours.test"}); gateway.KindOf(err) != gateway.AlreadyExists {
		t.Errorf("a second ours.test: %v", err)
	}
	if err := w.CreateAccount(w.ctx(), inside(w.ours.ID), &gateway.Account{Domain: w.ours.ID, Email: "ANN@ours.test"}); gateway.KindOf(err) != gateway.AlreadyExists {
		t.Errorf("a second ann: %v", err)
	}
	if err := w.CreateAccount(w.ctx(), inside(w.ours.ID), &gateway.Account{Domain: w.ours.ID, Email: "x@ours.test", Aliases: []string{"eve.alias@ours.test"}}); gateway.KindOf(err) != gateway.AlreadyExists {
		t.Errorf("a taken alias: %v", err)
	}
	id := w.deliver(w.ann, "<1@x.test>")
	events, err := w.Events(inside(w.ours.ID), w.ours.ID, 0)
	w.ok(err)
	defer events.Close()
	all, err := events.Next(w.ctx(), 100)
	w.ok(err)
	last := all[len(all)-1]
	if last.Type != gateway.EventReceived || last.Email != id || last.Folder != gateway.Inbox || last.UID != 1 || last.Sequence != uint64(len(all)) {
		t.Errorf("the feed ends with %+v", last)
	}
	if _, err := w.Events(of(w.ann), w.ours.ID, 0); gateway.KindOf(err) != gateway.NotFound {
		t.Errorf("an account reads the domain's feed: %v", err)
	}
}

func TestActivity(t *testing.T) {
	w := newWorld(t)
	k, welcome := newID(), "welcome"
	w.ok(w.AddActivity(w.ctx(), system, []gateway.Activity{
		{ID: newID(), At: w.clock, Domain: w.ours.ID, Account: w.ann.ID, Key: k, Protocol: "rest", Status: 200, Tags: []gateway.Tag{{Name: "kind", Value: "welcome"}, {Name: "n", Value: "1"}}},
		{ID: newID(), At: w.clock, Domain: w.ours.ID, Account: w.eve.ID, Protocol: "smtp", Status: 401, Reason: "revoked"},
		{ID: newID(), At: w.clock, Protocol: "rest", Status: 401, Reason: "unknown"},
	}))
	for _, tt := range []struct {
		s    gateway.Scope
		f    gateway.ActivityFilter
		want int
	}{
		{inside(w.ours.ID), gateway.ActivityFilter{}, 2},
		{of(w.ann), gateway.ActivityFilter{}, 1},
		{inside(w.them.ID), gateway.ActivityFilter{}, 0},
		{system, gateway.ActivityFilter{}, 1},
		{system, gateway.ActivityFilter{Domain: w.ours.ID}, 2},
		{inside(w.ours.ID), gateway.ActivityFilter{Key: k}, 1},
		{inside(w.ours.ID), gateway.ActivityFilter{Protocol: "smtp"}, 1},
		{inside(w.ours.ID), gateway.ActivityFilter{Status: 401}, 1},
		{inside(w.ours.ID), gateway.ActivityFilter{Tag: &gateway.TagFilter{Name: "n"}}, 1},
		{inside(w.ours.ID), gateway.ActivityFilter{Tag: &gateway.TagFilter{Name: "kind", Value: &welcome}}, 1},
		{inside(w.ours.ID), gateway.ActivityFilter{Tag: &gateway.TagFilter{Name: "n", Value: &welcome}}, 0},
		{inside(w.ours.ID), gateway.ActivityFilter{Since: w.clock.Add(time.Second)}, 0},
	} {
		tt.f.Limit = 10
		if rows, _, err := w.Activity(w.ctx(), tt.s, tt.f); err != nil || len(rows) != tt.want {
			t.Errorf("%+v: %d rows, %v, want %d", tt.f, len(rows), err, tt.want)
		}
	}
	w.clock = w.clock.Add(gateway.ActivityRetention - time.Millisecond)
	if rows, _, err := w.Activity(w.ctx(), inside(w.ours.ID), gateway.ActivityFilter{Limit: 10}); err != nil || len(rows) != 2 {
		t.Errorf("just before their time: %d rows, %v", len(rows), err)
	}
	w.clock = w.clock.Add(time.Millisecond)
	if rows, _, err := w.Activity(w.ctx(), inside(w.ours.ID), gateway.ActivityFilter{Limit: 10}); err != nil || len(rows) != 0 {
		t.Errorf("after their time: %d rows, %v", len(rows), err)
	}
}

// Records come back as they were written.
func TestMessageRecord(t *testing.T) {
	w := newWorld(t)
	ref, done := w.blob(w.ours.ID, strings.Repeat("x", 1000))
	defer done()
	c := content("<1@x.test>", "Subject", w.clock)
	c.InReplyTo, c.References, c.Preview, c.AutoReply, c.Defects = "<0@x.test>", []string{"<0@x.test>"}, "preview", true, gateway.DefectFrom
	c.To, c.Cc, c.Bcc = []gateway.Address{{Name: "A", Addr: "a@x"}}, []gateway.Address{{Addr: "c@x"}}, []gateway.Address{{Addr: "b@x"}}
	c.HeaderSize, c.TextPart, c.Body = 55, 1, []byte("(x)")
	c.Parts = []gateway.Part{
		{Parent: -1, Type: "multipart/mixed", Params: []gateway.Param{{Name: "boundary", Value: "b"}}, BodyAt: 55, BodySize: 945},
		{Number: "1", Type: "text/plain", Charset: "utf-8", Encoding: "base64", Filename: "f", ContentID: "c", Attachment: true, Inline: true, HeaderAt: 1, HeaderSize: 2, BodyAt: 3, BodySize: 4, Lines: 5, DecodedSize: 6},
	}
	msg := &gateway.Message{Arrived: w.clock, ReturnPath: "r@x", Blob: ref, Content: c, Tags: []gateway.Tag{{Name: "n", Value: "v"}}, Auth: gateway.AuthResults{
		SPF: gateway.AuthResult{Result: "pass", Reason: "r", Domain: "d"}, FromAligned: true,
		Policy: gateway.DispositionReject, Disposition: gateway.DispositionQuarantine,
	}, Plugin: newID()}
	id := newID()
	w.ok(w.Deliver(w.ctx(), inside(w.ours.ID), &gateway.Filing{Message: msg, Facts: threading.Facts(&c, w.clock), Copies: []gateway.Copy{
		{Account: w.ann.ID, ID: id, Recipients: []string{"ann@ours.test"}, Prefix: []byte("P: x\r\n"), Folder: gateway.Junk, Flags: gateway.Seen | gateway.Flagged, Labels: []string{"$l"}},
	}}))
	w.reopen()
	got, err := w.Message(w.ctx(), of(w.ann), id)
	w.ok(err)
	if fmt.Sprintf("%+v", got.Content) != fmt.Sprintf("%+v", c) {
		t.Errorf("content\n got %+v\nwant %+v", got.Content, c)
	}
	if got.ReturnPath != "r@x" || string(got.Prefix) != "P: x\r\n" || got.Blob != ref || got.Auth != msg.Auth || got.Plugin != msg.Plugin || len(got.Tags) != 1 || !got.Arrived.Equal(w.clock) ||
		got.Entries[0].Flags != gateway.Seen|gateway.Flagged || got.Entries[0].Labels[0] != "$l" || got.Size() != 1006 {
		t.Errorf("message %+v", got)
	}
}

func BenchmarkList(b *testing.B) {
	w := newWorld(b)
	ref, done := w.blob(w.ours.ID, "x")
	defer done()
	for i := 0; i < 100_000; i += 500 {
		f := &gateway.Filing{}
		for j := range 500 {
			w.clock = w.clock.Add(time.Second)
			f.Copies = append(f.Copies, gateway.Copy{Account: w.ann.ID, ID: newID(), Folder: gateway.Inbox, Recipients: []string{fmt.Sprint(i, j)}})
		}
		f.Message = &gateway.Message{Arrived: w.clock, Blob: ref, Content: content("", fmt.Sprint("subject ", i), w.clock)}
		w.ok(w.Deliver(w.ctx(), inside(w.ours.ID), f))
	}
	b.Run("newest 20 of 100000", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			l, err := w.List(w.ctx(), of(w.ann), gateway.ListQuery{Domain: w.ours.ID, Account: w.ann.ID, Mailbox: 1, Limit: 20})
			if err != nil || len(l.Messages) != 20 || l.Mailbox.Total != 100_000 {
				b.Fatal(err, len(l.Messages), l.Mailbox.Total)
			}
		}
	})
}
