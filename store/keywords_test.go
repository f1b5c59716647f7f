package store_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"

	"github.com/centerleap/postern/gateway"
	"github.com/centerleap/postern/gateway/threading"
)

func labelsFrom(from, n int) (all []string) {
	for i := range n {
		all = append(all, fmt.Sprint("k", from+i))
	}
	return all
}

// A mailbox has 128 keywords, whichever way one more would come in: who brings it is
// refused, and nothing is changed; mail that arrives, and what is thrown away, goes in
// without it. Keywords that nothing has any more make room.
func TestKeywordsOfAMailbox(t *testing.T) {
	w := newWorld(t)
	at, uids := w.inboxOf(w.ann, 4)
	flag := func(uid uint32, c gateway.FlagChange) error {
		_, err := w.Flag(w.ctx(), of(w.ann), at, []uint32{uid}, c)
		return err
	}
	place := func(m gateway.MailboxID, uid uint32) gateway.Place {
		return gateway.Place{Domain: at.Domain, Account: at.Account, Mailbox: m, UID: uid}
	}
	w.ok(flag(uids[0], gateway.FlagChange{AddLabels: labelsFrom(0, 64)}))
	w.ok(flag(uids[1], gateway.FlagChange{AddLabels: labelsFrom(64, 64)}))
	w.ok(flag(uids[2], gateway.FlagChange{AddLabels: []string{"K0", "k127"}}))
	archive, err := w.Change(w.ctx(), of(w.ann), place(at.Mailbox, uids[3]), gateway.FlagChange{AddLabels: []string{"K5"}}, gateway.Archive)
	w.ok(err)
	other := gateway.Selection{Domain: at.Domain, Account: at.Account, Mailbox: archive.Mailbox}
	if _, err = w.Flag(w.ctx(), of(w.ann), other, []uint32{archive.UID}, gateway.FlagChange{AddLabels: []string{"new"}}); err != nil {
		t.Fatal(err)
	}
	w.reopen()
	before := w.entries(at)
	box, all, err := w.Entries(w.ctx(), of(w.ann), at)
	w.ok(err)
	one := gateway.FlagChange{AddLabels: []string{"new"}}
	appended := content("<appended@x.test>", "appended", w.clock)
	ref, done := w.blob(w.ours.ID, "body")
	defer done()
	for name, try := range map[string]func() error{
		"Flag":   func() error { return flag(uids[0], one) },
		"Change": func() error { return second(w.Change(w.ctx(), of(w.ann), place(at.Mailbox, uids[0]), one, "")) },
		"Change with a folder": func() error {
			return second(w.Change(w.ctx(), of(w.ann), place(other.Mailbox, archive.UID), gateway.FlagChange{}, gateway.Inbox))
		},
		"FlagKnown": func() error {
			_, _, err := w.FlagKnown(w.ctx(), of(w.ann), at, gateway.Known{ModSeq: box.ModSeq, Entries: all}, one, 1<<64-1)
			return err
		},
		"Copy": func() error {
			return second(w.Copy(w.ctx(), of(w.ann), other, []uint32{archive.UID}, at.Mailbox, false))
		},
		"Move": func() error {
			return second(w.Copy(w.ctx(), of(w.ann), other, []uint32{archive.UID}, at.Mailbox, true))
		},
		"Append": func() error {
			return second(w.Append(w.ctx(), of(w.ann), at, &gateway.Appending{
				Message: &gateway.Message{ID: newID(), Arrived: w.clock, Blob: ref, Content: appended}, Labels: []string{"new"},
			}))
		},
	} {
		if err := try(); !errors.Is(err, gateway.ErrKeywords) || gateway.KindOf(err) != gateway.InvalidParameter {
			t.Errorf("%s: %v", name, err)
		}
	}
	if now := w.entries(at); !slices.EqualFunc(now, before, func(a, b gateway.Entry) bool { return a.ModSeq == b.ModSeq }) {
		t.Errorf("%d entries, there were %d: a refused change changed some", len(now), len(before))
	}
	c, id := content("<arrives@x.test>", "arrives", w.clock), newID()
	w.ok(w.Deliver(w.ctx(), inside(w.ours.ID), &gateway.Filing{
		Message: &gateway.Message{Arrived: w.clock, Blob: ref, Content: c}, Facts: threading.Facts(&c, w.clock),
		Copies: []gateway.Copy{{Account: w.ann.ID, ID: id, Folder: gateway.Inbox, Labels: []string{"new", "k7"}}},
	}))
	m, err := w.Message(w.ctx(), of(w.ann), id)
	w.ok(err)
	if got := m.Entries[0].Labels; !slices.Equal(got, []string{"k7"}) {
		t.Errorf("what arrived has %q", got)
	}
	w.ok(flag(uids[1], gateway.FlagChange{Replace: true, AddLabels: []string{"k64"}}))
	w.ok(flag(uids[2], one))
	if err := flag(uids[2], gateway.FlagChange{AddLabels: labelsFrom(200, 62)}); !errors.Is(err, gateway.ErrKeywords) {
		t.Errorf("with 67 in use there was room for 62: %v", err)
	}
	w.ok(flag(uids[2], gateway.FlagChange{AddLabels: labelsFrom(200, 61)}))
}

// Mail can be thrown away whatever labels it has, and Trash.
func TestKeywordsOfTrash(t *testing.T) {
	w := newWorld(t)
	at, uids := w.inboxOf(w.ann, 3)
	for i, uid := range uids[:2] {
		place := gateway.Place{Domain: at.Domain, Account: at.Account, Mailbox: at.Mailbox, UID: uid}
		_, err := w.Change(w.ctx(), of(w.ann), place, gateway.FlagChange{AddLabels: labelsFrom(64*i, 64)}, gateway.Trash)
		w.ok(err)
	}
	place := gateway.Place{Domain: at.Domain, Account: at.Account, Mailbox: at.Mailbox, UID: uids[2]}
	e, err := w.Change(w.ctx(), of(w.ann), place, gateway.FlagChange{AddLabels: []string{"k1", "new"}}, gateway.Trash)
	w.ok(err)
	if !slices.Equal(e.Labels, []string{"k1"}) {
		t.Errorf("it has %q", e.Labels)
	}
	place.Mailbox, place.UID = e.Mailbox, e.UID
	if _, err = w.Change(w.ctx(), of(w.ann), place, gateway.FlagChange{AddLabels: []string{"new"}}, ""); !errors.Is(err, gateway.ErrKeywords) {
		t.Errorf("a new label in Trash: %v", err)
	}
}

// Who asks a full mailbox for one keyword more, again and again, has its entries read once:
// until something in it changes. What it is asked by may go away meanwhile.
func TestKeywordsCountedOnce(t *testing.T) {
	w := newWorld(t)
	at, uids := w.inboxOf(w.ann, 10)
	for i, uid := range uids[:2] {
		_, err := w.Flag(w.ctx(), of(w.ann), at, []uint32{uid}, gateway.FlagChange{AddLabels: labelsFrom(64*i, 64)})
		w.ok(err)
	}
	read, meanwhile := 0, func() {}
	w.watch(0x13, func([]byte) error { read++; meanwhile(); return nil })
	refused := func(ctx context.Context) (int, error) {
		t.Helper()
		read = 0
		_, err := w.Flag(ctx, of(w.ann), at, uids[5:6], gateway.FlagChange{AddLabels: []string{"new"}})
		if !errors.Is(err, gateway.ErrKeywords) {
			t.Errorf("one keyword too many: %v", err)
		}
		return read, err
	}
	ctx, cancel := context.WithCancel(w.ctx())
	meanwhile = cancel
	if n, err := refused(ctx); n > 1 || !errors.Is(err, context.Canceled) {
		t.Errorf("%d entries are read for somebody who has gone: %v", n, err)
	}
	meanwhile = func() {}
	for i, want := range []int{10, 0, 0} {
		if n, _ := refused(w.ctx()); n != want {
			t.Errorf("%d entries are read the %d. time, want %d", n, i+1, want)
		}
	}
	_, err := w.Flag(w.ctx(), of(w.ann), at, uids[7:8], gateway.FlagChange{Add: gateway.Seen})
	w.ok(err)
	if n, _ := refused(w.ctx()); n != 10 {
		t.Errorf("after a change %d entries are read", n)
	}
	_, err = w.Flag(w.ctx(), of(w.ann), at, uids[:1], gateway.FlagChange{Replace: true})
	w.ok(err)
	_, err = w.Flag(w.ctx(), of(w.ann), at, uids[5:6], gateway.FlagChange{AddLabels: []string{"new"}})
	w.ok(err)
}
