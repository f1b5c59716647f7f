package mailbox_test

import (
	"context"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/uuid"

	"github.com/centerleap/postern/gateway"
	"github.com/centerleap/postern/gateway/keys"
	"github.com/centerleap/postern/gateway/mailbox"
	"github.com/centerleap/postern/gateway/threading"
	"github.com/centerleap/postern/store"
	"github.com/centerleap/postern/store/badgerstore"
)

var system = gateway.NewScope(gateway.LevelInstance, 0, 0, gateway.ID{})

// noStreams is for mailboxes that nobody follows.
type noStreams struct{ mailbox.Streams }

const (
	day   = 24 * time.Hour
	inbox = gateway.MailboxID(1)
	trash = gateway.MailboxID(4)
)

// house is a store with one domain.
type house struct {
	testing.TB
	*store.Store
	mail   *mailbox.Mail
	clock  time.Time
	domain *gateway.Domain
	log    strings.Builder
}

func newHouse(t testing.TB, retention time.Duration) *house {
	t.Helper()
	h := &house{TB: t, clock: time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)}
	now := func() time.Time { return h.clock }
	e, err := badgerstore.Open(badgerstore.Config{Dir: t.TempDir(), Log: slog.New(slog.DiscardHandler), Now: now})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := e.Close(); err != nil {
			t.Error(err)
		}
	})
	h.Store, err = store.New(e, store.Config{Threading: threading.Rules{}, Now: now})
	h.ok(err)
	h.mail, err = mailbox.New(mailbox.Config{
		Store: h.Store, Streams: noStreams{}, Limits: gateway.DefaultLimits(), Log: slog.New(slog.NewTextHandler(&h.log, nil)), Now: now,
		TrashRetention: retention, System: system, Internal: keys.Internal,
	})
	h.ok(err)
	h.domain = &gateway.Domain{UUID: newID(), Name: "h.test", Status: gateway.DomainVerified}
	h.ok(h.CreateDomain(t.Context(), system, h.domain))
	return h
}

func newID() gateway.ID { return gateway.ID(uuid.Must(uuid.NewV7())) }

func (h *house) ok(err error) {
	h.Helper()
	if err != nil {
		h.Fatal(err)
	}
}

func (h *house) account(name string) gateway.Selection {
	h.Helper()
	a := &gateway.Account{Domain: h.domain.ID, Email: name + "@h.test"}
	h.ok(h.CreateAccount(context.Background(), system, a))
	return gateway.Selection{Domain: a.Domain, Account: a.ID, Mailbox: trash}
}

// receive files n messages in a mailbox of at's account.
func (h *house) receive(at gateway.Selection, folder string, n int) {
	h.Helper()
	f := &gateway.Filing{}
	scope := gateway.NewScope(gateway.LevelDomain, at.Domain, 0, gateway.ID{})
	b, err := h.CreateBlob(context.Background(), scope, at.Domain, 0)
	h.ok(err)
	defer b.Close()
	blob, err := b.Seal()
	h.ok(err)
	for i := range n {
		flags := gateway.Flags(0)
		if i%2 == 0 {
			flags = gateway.Seen
		}
		f.Copies = append(f.Copies, gateway.Copy{Account: at.Account, ID: newID(), Folder: folder, Flags: flags})
	}
	f.Message = &gateway.Message{Arrived: h.clock, Blob: blob, Content: gateway.Content{TextPart: -1, HTMLPart: -1}}
	h.ok(h.Deliver(context.Background(), scope, f))
}

// uids are those in a mailbox, whose counters must agree with them.
func (h *house) uids(at gateway.Selection) (uids []uint32) {
	h.Helper()
	box, all, err := h.Entries(context.Background(), system, at)
	h.ok(err)
	unseen := int64(0)
	for _, e := range all {
		uids = append(uids, e.UID)
		if !e.Flags.Has(gateway.Seen) {
			unseen++
		}
	}
	if box.Total != int64(len(all)) || box.Unseen != unseen {
		h.Errorf("%s counts %d and %d unseen; it has %d and %d", box.Name, box.Total, box.Unseen, len(all), unseen)
	}
	return uids
}

// What is in Trash goes when it was there for its time, however old the message
// is; a message that left Trash in between starts anew; nothing else goes.
func TestExpireTrash(t *testing.T) {
	h := newHouse(t, 30*day)
	ctx, began := t.Context(), h.clock
	ann, eve := h.account("ann"), h.account("eve")
	kept := ann
	kept.Mailbox = inbox
	h.receive(ann, gateway.Inbox, 4)
	h.receive(eve, gateway.Trash, 2)
	move := func(from gateway.Selection, to gateway.MailboxID, uids ...uint32) {
		t.Helper()
		moved, err := h.Copy(ctx, system, from, uids, to, true)
		if err != nil || len(moved) != len(uids) {
			t.Fatal(moved, err)
		}
	}
	h.clock = began.Add(10 * day)
	move(kept, trash, 1, 2, 3) // 1, 2, 3 in Trash
	h.clock = began.Add(20 * day)
	move(ann, inbox, 3)
	move(kept, trash, 5) // 4 in Trash
	_, err := h.Flag(ctx, system, ann, []uint32{2}, gateway.FlagChange{Add: gateway.Flagged})
	h.ok(err)

	for _, tt := range []struct {
		at       time.Duration
		ann, eve []uint32
	}{
		{30 * day, []uint32{1, 2, 4}, []uint32{1, 2}},
		{30*day + time.Millisecond, []uint32{1, 2, 4}, nil},
		{40 * day, []uint32{1, 2, 4}, nil},
		{40*day + time.Millisecond, []uint32{4}, nil},
		{50*day + time.Millisecond, nil, nil},
	} {
		h.clock = began.Add(tt.at)
		h.ok(h.mail.ExpireTrash(ctx))
		if a, e := h.uids(ann), h.uids(eve); !slices.Equal(a, tt.ann) || !slices.Equal(e, tt.eve) {
			t.Errorf("after %v: %v and %v are left, want %v and %v", tt.at, a, e, tt.ann, tt.eve)
		}
	}
	if left := h.uids(kept); !slices.Equal(left, []uint32{4}) {
		t.Errorf("in the inbox: %v, want 4", left)
	}
}

// The events are those of an owner who expunges, and a large Trash goes in many
// commits.
func TestExpireInBatches(t *testing.T) {
	h := newHouse(t, day)
	at := h.account("ann")
	h.receive(at, gateway.Trash, 950)
	feed, err := h.Events(system, at.Domain, 0)
	h.ok(err)
	defer feed.Close()
	head, err := feed.Head(t.Context())
	h.ok(err)
	h.clock = h.clock.Add(2 * day)
	h.ok(h.mail.ExpireTrash(t.Context()))
	if left := h.uids(at); len(left) > 0 {
		t.Errorf("%d are left", len(left))
	}
	feed.Seek(head)
	events, err := feed.Next(t.Context(), 1000)
	h.ok(err)
	told := make(map[uint32]bool)
	for _, e := range events {
		if e.Type != gateway.EventDeleted || e.Account != at.Account || e.Mailbox != trash || e.Folder != gateway.Trash || len(e.UIDs) > 200 {
			t.Errorf("event %+v", e)
		}
		for _, uid := range e.UIDs {
			told[uid] = true
		}
	}
	if len(events) != 5 || len(told) != 950 {
		t.Errorf("%d events tell of %d messages, want 5 of 950", len(events), len(told))
	}
	if !strings.Contains(h.log.String(), "messages=950") {
		t.Errorf("the log says %q", h.log.String())
	}
}

// Without a retention nothing goes; and one at a time empties.
func TestExpireNotNow(t *testing.T) {
	h := newHouse(t, 0)
	at := h.account("ann")
	h.receive(at, gateway.Trash, 1)
	h.clock = h.clock.Add(10_000 * day)
	h.ok(h.mail.ExpireTrash(t.Context()))
	if len(h.uids(at)) != 1 {
		t.Error("it was emptied, and was to be kept for ever")
	}

	h = newHouse(t, day)
	at = h.account("ann")
	h.receive(at, gateway.Trash, 1)
	h.clock = h.clock.Add(2 * day)
	lease, err := h.Lease(t.Context(), system, "mailbox/trash", time.Hour)
	h.ok(err)
	h.ok(h.mail.ExpireTrash(t.Context()))
	if len(h.uids(at)) != 1 {
		t.Error("it was emptied by two at a time")
	}
	h.ok(lease.Release(t.Context()))
	h.ok(h.mail.ExpireTrash(t.Context()))
	h.ok(h.mail.ExpireTrash(t.Context())) // the lease is free again
	if len(h.uids(at)) != 0 {
		t.Error("it was not emptied")
	}
}

// broken is a store of three accounts, with faults and slowness at will.
type broken struct {
	mailbox.Store
	rounds  atomic.Int32
	leases  int
	renewed int
	overdue func(gateway.AccountID) error
	expired []gateway.AccountID
	clock   func()
}

type brokenLease struct{ *broken }

func (b *broken) Lease(context.Context, gateway.Scope, string, time.Duration) (gateway.Lease, error) {
	b.leases++
	return brokenLease{b}, nil
}
func (b brokenLease) Renew(context.Context) error   { b.renewed++; return nil }
func (b brokenLease) Release(context.Context) error { b.leases--; return nil }

func (b *broken) Domains(context.Context, gateway.Scope) ([]gateway.Domain, error) {
	b.rounds.Add(1)
	return []gateway.Domain{{ID: 1}}, nil
}

func (b *broken) Accounts(context.Context, gateway.Scope, gateway.DomainID, gateway.AccountID, int) ([]gateway.Account, error) {
	return []gateway.Account{{Domain: 1, ID: 1}, {Domain: 1, ID: 2}, {Domain: 1, ID: 3}}, nil
}

func (b *broken) Mailboxes(context.Context, gateway.Scope, gateway.DomainID, gateway.AccountID) ([]gateway.Mailbox, error) {
	return []gateway.Mailbox{{ID: 1, Total: 1}, {ID: 4, SpecialUse: gateway.UseTrash, Total: 1}}, nil
}

func (b *broken) Overdue(_ context.Context, _ gateway.Scope, at gateway.Selection, _ time.Time, _ uint32, _ int) ([]uint32, error) {
	return []uint32{7}, b.overdue(at.Account)
}

func (b *broken) ExpungeAll(_ context.Context, _ gateway.Scope, at gateway.Selection, uids []uint32, _ bool) ([]uint32, error) {
	b.expired = append(b.expired, at.Account)
	b.clock()
	return uids, nil
}

// A fault of one account is logged and stops nobody else; what would stop all
// ends the round, and the next one comes within the hour.
func TestExpireFaults(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var log strings.Builder
		b := &broken{overdue: func(gateway.AccountID) error { return nil }, clock: func() {}}
		m, err := mailbox.New(mailbox.Config{
			Store: b, Streams: noStreams{}, Limits: gateway.DefaultLimits(), Log: slog.New(slog.NewTextHandler(&log, nil)), TrashRetention: day, System: system, Internal: keys.Internal,
		})
		if err != nil {
			t.Fatal(err)
		}
		faulty := func(err error) func(gateway.AccountID) error {
			return func(a gateway.AccountID) error {
				if a == 2 {
					return err
				}
				return nil
			}
		}
		for _, tt := range []struct {
			err     error
			ends    bool
			expired string
			log     string
		}{
			{nil, false, "[1 2 3]", "messages=3"},
			{fmt.Errorf("damaged"), false, "[1 3]", "account=2 err=damaged"},
			{gateway.Errorf(gateway.NotFound, "deleted"), false, "[1 3]", "messages=2"},
			{gateway.Errorf(gateway.Unavailable, "closed"), true, "[1]", "messages=1"},
		} {
			b.overdue, b.expired = faulty(tt.err), nil
			log.Reset()
			if err := m.ExpireTrash(t.Context()); (err != nil) != tt.ends || fmt.Sprint(b.expired) != tt.expired || !strings.Contains(log.String(), tt.log) || b.leases != 0 {
				t.Errorf("%v: %v, emptied %v, log %s, %d leases", tt.err, err, b.expired, log.String(), b.leases)
			}
		}
		b.overdue, b.clock = faulty(nil), func() { time.Sleep(4 * time.Minute) }
		if err := m.ExpireTrash(t.Context()); err != nil || b.renewed != 2 { // before the second and the third
			t.Errorf("%v, renewed %d times", err, b.renewed)
		}
		b.clock = func() {}
		b.rounds.Store(0)
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan error)
		go func() { ended <- m.Run(ctx) }()
		for hours := range int32(3) {
			synctest.Wait()
			if n := b.rounds.Load(); n != hours+1 {
				t.Errorf("after %d hours: %d rounds", hours, n)
			}
			time.Sleep(time.Hour)
		}
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
}
