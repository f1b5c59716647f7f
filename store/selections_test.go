package store_test

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/centerleap/postern/gateway"
	"github.com/centerleap/postern/store/engine"
)

// inboxOf selects an account's inbox with n messages in it.
func (w *world) inboxOf(a *gateway.Account, n int) (at gateway.Selection, uids []uint32) {
	w.Helper()
	for i := range n {
		w.deliver(a, fmt.Sprintf("<%d@x.test>", i))
	}
	at = gateway.Selection{Domain: a.Domain, Account: a.ID, Mailbox: 1}
	for _, e := range w.entries(at) {
		uids = append(uids, e.UID)
	}
	return at, uids
}

func (w *world) entries(at gateway.Selection) []gateway.Entry {
	w.Helper()
	box, all, err := w.Entries(w.ctx(), system, at)
	w.ok(err)
	unseen := int64(0)
	for _, e := range all {
		if !e.Flags.Has(gateway.Seen) {
			unseen++
		}
	}
	if box.Total != int64(len(all)) || box.Unseen != unseen {
		w.Errorf("%s counts %d and %d unseen; it has %d and %d", box.Name, box.Total, box.Unseen, len(all), unseen)
	}
	return all
}

// events counts the changes of a domain so far.
func (w *world) events(d gateway.DomainID) (all []gateway.Event) {
	w.Helper()
	feed, err := w.Events(inside(d), d, 0)
	w.ok(err)
	defer feed.Close()
	for {
		some, err := feed.Next(w.ctx(), 1000)
		w.ok(err)
		if len(some) == 0 {
			return all
		}
		all = append(all, some...)
	}
}

// A change of many entries is one change: one sequence, one event.
func TestFlag(t *testing.T) {
	w := newWorld(t)
	at, uids := w.inboxOf(w.ann, 5)
	before := len(w.events(w.ours.ID))
	after, err := w.Flag(w.ctx(), of(w.ann), at, append(uids, 999), gateway.FlagChange{Add: gateway.Seen, AddLabels: []string{"work"}})
	w.ok(err)
	if len(after) != 5 || after[0].ModSeq != after[4].ModSeq || !after[2].Flags.Has(gateway.Seen) || !slices.Equal(after[2].Labels, []string{"work"}) {
		t.Errorf("got %+v", after)
	}
	if news := w.events(w.ours.ID)[before:]; len(news) != 1 || !slices.Equal(news[0].UIDs, uids) || news[0].Sequence != after[0].ModSeq {
		t.Errorf("events %+v", news)
	}
	if !slices.EqualFunc(w.entries(at), after, func(a, b gateway.Entry) bool { return a.UID == b.UID && a.ModSeq == b.ModSeq && a.Flags == b.Flags }) {
		t.Error("what was returned is not what is stored")
	}
	_, err = w.Flag(w.ctx(), of(w.ann), at, uids[:1], gateway.FlagChange{Replace: true, Add: gateway.Flagged})
	w.ok(err)
	if e := w.entries(at)[0]; e.Flags != gateway.Flagged || len(e.Labels) != 0 {
		t.Errorf("replaced: %+v", e)
	}
	before = len(w.events(w.ours.ID))
	_, err = w.Flag(w.ctx(), of(w.ann), at, uids[:1], gateway.FlagChange{Add: gateway.Flagged})
	w.ok(err)
	if len(w.events(w.ours.ID)) != before {
		t.Error("what changes nothing drew a sequence")
	}
}

// Copies are entries of one message: it goes with the last of them.
func TestCopyMoveExpunge(t *testing.T) {
	w := newWorld(t)
	at, uids := w.inboxOf(w.ann, 3)
	archive := gateway.Selection{Domain: at.Domain, Account: at.Account, Mailbox: 6}
	copied, err := w.Copy(w.ctx(), of(w.ann), at, uids, archive.Mailbox, false)
	w.ok(err)
	if want := []gateway.Moved{{From: 1, To: 1}, {From: 2, To: 2}, {From: 3, To: 3}}; !slices.Equal(copied, want) {
		t.Errorf("copied %v, want %v", copied, want)
	}
	moved, err := w.Copy(w.ctx(), of(w.ann), at, []uint32{1, 77}, archive.Mailbox, true)
	w.ok(err)
	if want := []gateway.Moved{{From: 1, To: 4}}; !slices.Equal(moved, want) {
		t.Errorf("moved %v, want %v", moved, want)
	}
	same, err := w.Copy(w.ctx(), of(w.ann), at, []uint32{2}, at.Mailbox, true)
	w.ok(err)
	if want := []gateway.Moved{{From: 2, To: 4}}; !slices.Equal(same, want) {
		t.Errorf("moved to itself %v, want %v", same, want)
	}
	if in, out := len(w.entries(at)), len(w.entries(archive)); in != 2 || out != 4 {
		t.Errorf("%d in the inbox and %d archived, want 2 and 4", in, out)
	}
	m := w.entries(archive)[0].Message
	_, err = w.Flag(w.ctx(), of(w.ann), archive, []uint32{1, 4}, gateway.FlagChange{Add: gateway.Deleted})
	w.ok(err)
	gone, err := w.ExpungeAll(w.ctx(), of(w.ann), archive, []uint32{1, 2, 3, 4, 5}, true)
	w.ok(err)
	if !slices.Equal(gone, []uint32{1, 4}) {
		t.Errorf("expunged %v, want 1 and 4, two entries of one message", gone)
	}
	msgs, err := w.Messages(w.ctx(), of(w.ann), at.Domain, at.Account, []gateway.MessageNumber{m, w.entries(archive)[0].Message}, true)
	w.ok(err)
	if msgs[0] != nil || msgs[1] == nil {
		t.Errorf("messages %v: the first is gone with its last entry", msgs)
	}
	box, some, err := w.EntriesAt(w.ctx(), of(w.ann), archive, []uint32{1, 2, 3})
	w.ok(err)
	if box == nil || len(some) != 2 {
		t.Errorf("read again: %v %v", box, some)
	}
}

// An entry's age is how long it has been in its mailbox: a move starts it anew, a
// change of flags does not. One that was written without is never overdue.
func TestOverdue(t *testing.T) {
	w := newWorld(t)
	at, uids := w.inboxOf(w.ann, 5)
	began := w.clock
	overdue := func(before time.Time, from uint32, most int, want ...uint32) {
		t.Helper()
		got, err := w.Overdue(w.ctx(), of(w.ann), at, before, from, most)
		if err != nil || !slices.Equal(got, want) {
			t.Errorf("overdue are %v, %v, want %v", got, err, want)
		}
	}
	overdue(began, 1, 10)
	overdue(began.Add(time.Millisecond), 1, 10, 1, 2, 3, 4, 5)
	overdue(began.Add(time.Millisecond), 2, 3, 2, 3, 4)

	w.clock = began.Add(time.Hour)
	_, err := w.Flag(w.ctx(), of(w.ann), at, uids[:1], gateway.FlagChange{Add: gateway.Seen})
	w.ok(err)
	_, err = w.Change(w.ctx(), of(w.ann), gateway.Place{Domain: at.Domain, Account: at.Account, Mailbox: at.Mailbox, UID: 2}, gateway.FlagChange{Add: gateway.Flagged}, "")
	w.ok(err)
	_, err = w.Copy(w.ctx(), of(w.ann), at, uids[2:3], at.Mailbox, true)
	w.ok(err)
	w.reopen()
	overdue(w.clock, 1, 10, 1, 2, 4, 5)
	overdue(w.clock.Add(time.Millisecond), 1, 10, 1, 2, 4, 5, 6)

	k := []byte{subEntry, 0, 0, 0, byte(at.Domain), 0, 0, 0, byte(at.Account), 0, 0, 0, byte(at.Mailbox), 0, 0, 0, 4}
	old := w.entries(at)[2]
	_, err = w.engine.Update(w.ctx(), engine.Op{Domain: uint32(at.Domain), Fn: func(tx engine.Tx) error {
		tx.Set(k, []byte{1, 1 << 3, byte(old.Message), 2 << 3, byte(old.ModSeq)}) // no times, no size
		return nil
	}})
	w.ok(err)
	overdue(w.clock, 1, 10, 1, 2, 5)
	if e := w.entries(at)[2]; e.UID != 4 || !e.Saved.IsZero() || !e.Arrived.IsZero() || e.Message != old.Message {
		t.Errorf("an old record reads as %+v", e)
	}
}

// Sent takes a Message-ID once; other mailboxes as often as it comes.
func TestAppend(t *testing.T) {
	w := newWorld(t)
	add := func(box gateway.MailboxID, msgid string) uint32 {
		t.Helper()
		blob, done := w.blob(w.ours.ID, "x")
		defer done()
		e, err := w.Append(w.ctx(), of(w.ann), gateway.Selection{Domain: w.ours.ID, Account: w.ann.ID, Mailbox: box}, &gateway.Appending{
			Message: &gateway.Message{ID: newID(), Arrived: w.clock, Blob: blob, Content: gateway.Content{MessageID: msgid, TextPart: -1, HTMLPart: -1}},
			Flags:   gateway.Seen,
		})
		w.ok(err)
		return e.UID
	}
	if a, b, c, d := add(2, "<a@x>"), add(2, "<a@x>"), add(2, ""), add(2, ""); a != b || c == d || a == c {
		t.Errorf("UIDs in Sent: %d %d %d %d", a, b, c, d)
	}
	if a, b := add(3, "<a@x>"), add(3, "<a@x>"); a == b {
		t.Errorf("UIDs in Drafts: %d %d", a, b)
	}
}

func TestMailboxes(t *testing.T) {
	w := newWorld(t)
	d, a := w.ours.ID, w.ann.ID
	at := func(m gateway.Mailbox) gateway.Selection {
		return gateway.Selection{Domain: d, Account: a, Mailbox: m.ID}
	}
	work, err := w.CreateMailbox(w.ctx(), of(w.ann), d, a, "Work")
	w.ok(err)
	sub, err := w.CreateMailbox(w.ctx(), of(w.ann), d, a, "Work/2026")
	w.ok(err)
	for _, name := range []string{"Work", "inbox", "Trash"} {
		if _, err := w.CreateMailbox(w.ctx(), of(w.ann), d, a, name); gateway.KindOf(err) != gateway.AlreadyExists {
			t.Errorf("%s again: %v", name, err)
		}
	}
	_, err = w.RenameMailbox(w.ctx(), of(w.ann), at(work), "Jobs")
	w.ok(err)
	_, err = w.RenameMailbox(w.ctx(), of(w.ann), at(work), "Jobs/old") // below its own name
	w.ok(err)
	for id, want := range map[gateway.MailboxID]string{work.ID: "Jobs/old", sub.ID: "Jobs/old/2026"} {
		if box, _, err := w.Entries(w.ctx(), of(w.ann), gateway.Selection{Domain: d, Account: a, Mailbox: id}); err != nil || box.Name != want {
			t.Errorf("renamed to %s, %v, want %s", box.Name, err, want)
		}
	}
	boxes, err := w.Mailboxes(w.ctx(), of(w.ann), d, a)
	w.ok(err)
	if above := boxes[len(boxes)-1]; above.Name != "Jobs" || above.ID == work.ID {
		t.Errorf("above the new name is %+v", above)
	} else {
		w.ok(w.DeleteMailbox(w.ctx(), of(w.ann), at(above)))
	}
	_, err = w.RenameMailbox(w.ctx(), of(w.ann), at(work), "Jobs")
	w.ok(err)
	w.ok(w.SubscribeMailbox(w.ctx(), of(w.ann), at(sub), false))
	w.ok(w.DeleteMailbox(w.ctx(), of(w.ann), at(work)))
	again, err := w.CreateMailbox(w.ctx(), of(w.ann), d, a, "Jobs")
	w.ok(err)
	if again.UIDValidity <= work.UIDValidity || again.ID == work.ID {
		t.Errorf("a new folder of an old name has validity %d after %d", again.UIDValidity, work.UIDValidity)
	}
	w.reopen()
	boxes, err = w.Mailboxes(w.ctx(), of(w.ann), d, a)
	w.ok(err)
	var names []string
	for _, b := range boxes[6:] {
		names = append(names, fmt.Sprint(b.Name, b.Hidden))
	}
	if want := []string{"Jobs/2026true", "Jobsfalse"}; !slices.Equal(names, want) {
		t.Errorf("folders %v, want %v", names, want)
	}
	for _, b := range boxes[:6] {
		if err := w.DeleteMailbox(w.ctx(), of(w.ann), at(b)); gateway.KindOf(err) != gateway.InvalidState {
			t.Errorf("delete %s: %v", b.Name, err)
		}
		if _, err := w.RenameMailbox(w.ctx(), of(w.ann), at(b), "x"); gateway.KindOf(err) != gateway.InvalidState {
			t.Errorf("rename %s: %v", b.Name, err)
		}
	}
	sel, uids := w.inboxOf(w.ann, 1)
	_, err = w.Copy(w.ctx(), of(w.ann), sel, uids, again.ID, false)
	w.ok(err)
	if err := w.DeleteMailbox(w.ctx(), of(w.ann), at(again)); gateway.KindOf(err) != gateway.InvalidState {
		t.Errorf("delete a folder that is not empty: %v", err)
	}
}
