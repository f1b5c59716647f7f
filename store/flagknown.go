package store

import (
	"context"

	"github.com/centerleap/postern/gateway"
)

// maxFlagBytes bounds a commit that changes flags, as the records that it writes: 16,000
// entries without labels, and no more than engines take in one. What is more than that is
// changed in several.
const maxFlagBytes = 1600 << 10

// flagBytes is what an entry counts there, its labels apart.
const flagBytes = 100

// flagChunk is how many of the entries one commit changes.
func flagChunk(entries []gateway.Entry, c gateway.FlagChange) int {
	added := flagBytes
	for _, l := range c.AddLabels {
		added += len(l) + 2
	}
	left := maxFlagBytes
	for i := range entries {
		left -= added
		for _, l := range entries[i].Labels {
			left -= len(l) + 2
		}
		if left < 0 && i > 0 {
			return i
		}
	}
	return len(entries)
}

// FlagKnown is FlagUnchanged for one who knows the entries, by UID. If nothing in the
// mailbox has changed since, and its mod-sequence says so, they are not read again: of
// what is changed often the index holds many versions, and to pass over those would be
// most of the work.
func (s *Store) FlagKnown(ctx context.Context, sc gateway.Scope, at gateway.Selection, known gateway.Known, c gateway.FlagChange, since uint64) (after []gateway.Entry, others []uint32, err error) {
	if !sc.Covers(at.Domain, at.Account) {
		return nil, nil, denied("folder")
	}
	for len(known.Entries) > 0 && err == nil {
		n := flagChunk(known.Entries, c)
		chunk := known.Entries[:n]
		known.Entries = known.Entries[n:]
		var f flagging
		err = s.frees(ctx, at.Domain, func(t *tx) error {
			box, err := readMailbox(t, t.domain, at.Account, at.Mailbox)
			if err != nil {
				return missing(err, "folder")
			}
			f = flagging{t: t, at: at, box: box, change: c, since: since, current: box.ModSeq == known.ModSeq}
			return f.run(chunk)
		})
		if err == nil {
			after, others = joined(after, f.after), append(others, f.others...)
			if f.current {
				known.ModSeq = f.box.ModSeq // nobody else was in between
			}
		}
	}
	return after, others, err
}

// joined is a list with another behind it, which becomes it if it is the first.
func joined[T any](list, more []T) []T {
	if len(list) == 0 {
		return more
	}
	return append(list, more...)
}

// flagging changes the flags of some entries in one commit, and as one change.
type flagging struct {
	t       *tx
	at      gateway.Selection
	box     *gateway.Mailbox
	change  gateway.FlagChange
	since   uint64
	current bool // the entries are known as they stand

	after   []gateway.Entry
	others  []uint32
	changed []int // places in after
}

func (f *flagging) run(known []gateway.Entry) error {
	if err := f.t.room(f.at.Account, f.box, f.change.AddLabels); err != nil {
		return err
	}
	f.t.bring(f.box, f.change.AddLabels)
	f.after, f.changed = make([]gateway.Entry, 0, len(known)), make([]int, 0, len(known))
	if f.current {
		for i := range known {
			f.add(known[i])
		}
	} else {
		uids := make([]uint32, len(known))
		for i := range known {
			uids[i] = known[i].UID
		}
		if err := f.t.entries.some(f.at, uids, func(e gateway.Entry) error { f.add(e); return nil }); err != nil {
			return err
		}
	}
	return f.write()
}

func (f *flagging) add(e gateway.Entry) {
	if e.ModSeq > f.since {
		f.others = append(f.others, e.UID)
		return
	}
	now, differs := f.t.flagged(e, f.change)
	if differs {
		f.box.Unseen += unseen(now.Flags) - unseen(e.Flags)
		f.changed = append(f.changed, len(f.after))
	}
	f.after = append(f.after, now)
}

func (f *flagging) write() error {
	if len(f.changed) == 0 {
		return nil
	}
	event := gateway.Event{Type: gateway.EventUpdated, Account: f.at.Account, Mailbox: f.box.ID, Folder: f.box.Name}
	event.UIDs = make([]uint32, 0, len(f.changed))
	for _, i := range f.changed {
		event.UIDs = append(event.UIDs, f.after[i].UID)
	}
	f.box.ModSeq = f.t.emit(event)
	changed := make([]*gateway.Entry, len(f.changed))
	for n, i := range f.changed {
		changed[n] = &f.after[i]
		changed[n].ModSeq = f.box.ModSeq
	}
	f.t.Set(mailboxKey(f.t.domain, f.at.Account, f.box.ID), encodeMailbox(f.box))
	return f.t.putFlags(f.at, changed)
}
