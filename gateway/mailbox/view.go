package mailbox

import (
	"cmp"
	"context"
	"errors"
	"iter"
	"maps"
	"slices"

	"github.com/centerleap/postern/gateway"
)

// View is one mailbox as one reader was told it is. Its messages are numbered
// from 0 by UID; a number changes only when News says so, so that both sides
// mean the same message. One goroutine uses it.
type View struct {
	Box gateway.Mailbox // as it was when the view was opened

	mail     *Mail
	scope    gateway.Scope
	at       gateway.Selection
	entries  []gateway.Entry
	follower gateway.Follower
	gone     map[uint32]bool // expunged, and the reader does not know
	changed  map[uint32]bool // flags changed, and the reader does not know
	told     int             // how many messages the reader knows of
	highest  uint64          // the newest change that the entries show
}

// News is what a reader has to be told, in this order.
type News struct {
	Gone    []int // numbers to take out, highest first
	Exists  int   // how many messages there are then; -1 if no more than known
	Changed []int // numbers, after Gone, whose flags are others
}

// ErrClosed means that the mailbox of a view was deleted.
var ErrClosed = errors.New("the mailbox was deleted")

// View opens a mailbox of an account. Close it.
func (m *Mail) View(ctx context.Context, s gateway.Scope, a *gateway.Account, name string) (*View, error) {
	boxes, err := m.folders(ctx, s, a.Domain, a.ID)
	if err != nil {
		return nil, err
	}
	box, err := boxes.named(name)
	if err != nil {
		return nil, err
	}
	v := &View{
		mail: m, scope: s, at: gateway.Selection{Domain: a.Domain, Account: a.ID, Mailbox: box.ID},
		gone: make(map[uint32]bool), changed: make(map[uint32]bool),
	}
	// What happens between the two is seen by both; News finds nothing new in it.
	if v.follower, err = m.cfg.Streams.Follow(ctx, s, a.Domain, a.ID); err != nil {
		return nil, err
	}
	if v.Box, v.entries, err = m.cfg.Store.Entries(ctx, s, v.at); err != nil {
		v.Close()
		return nil, err
	}
	v.told, v.highest = len(v.entries), v.Box.ModSeq
	return v, nil
}

// Close ends the view.
func (v *View) Close() { v.follower.Close() }

// Len is how many messages the reader knows of.
func (v *View) Len() int { return v.told }

// Entry is the message of a number.
func (v *View) Entry(i int) gateway.Entry { return v.entries[i] }

// HighestModSeq is up to where the view has seen the mailbox change: no change up
// to it is missing. After View it goes with Len and with Box.UIDNext.
func (v *View) HighestModSeq() uint64 { return v.highest }

// Each yields the numbers, in order, of the messages that the reader knows and that
// have all of some flags and none of others. It leaves out those that are gone.
func (v *View) Each(with, without gateway.Flags) iter.Seq[int] {
	return func(yield func(int) bool) {
		for i := range v.told {
			e := &v.entries[i]
			if e.Flags&(with|without) == with && !v.gone[e.UID] && !yield(i) {
				return
			}
		}
	}
}

// Find returns the number of the first message with at least this UID.
func (v *View) Find(uid uint32) (i int, exact bool) {
	return slices.BinarySearchFunc(v.entries[:v.told], uid, func(e gateway.Entry, uid uint32) int { return cmp.Compare(e.UID, uid) })
}

// IsGone reports whether a message that the reader knows was expunged.
func (v *View) IsGone(i int) bool { return v.gone[v.entries[i].UID] }

// Wake receives when there may be news.
func (v *View) Wake() <-chan struct{} { return v.follower.Wake() }

// maxEventsRead is how many events are read in one go.
const maxEventsRead = 256

// News looks for what has changed and says what to tell. Without expunge nothing
// is taken out yet: RFC 9051 section 5.5 forbids that while numbers are in use.
// ErrClosed when the mailbox is gone.
func (v *View) News(ctx context.Context, expunge bool) (News, error) {
	if err := v.look(ctx); err != nil {
		return News{}, err
	}
	n := News{Exists: -1}
	if expunge && len(v.gone) > 0 {
		n.Gone = v.takeOut()
	}
	if len(v.entries) > v.told {
		v.told = len(v.entries)
		n.Exists = v.told
	}
	for uid := range v.changed {
		if i, ok := v.Find(uid); ok && !v.gone[uid] {
			n.Changed = append(n.Changed, i)
		}
	}
	slices.Sort(n.Changed)
	clear(v.changed)
	return n, nil
}

// takeOut removes what is gone and returns its numbers, highest first.
func (v *View) takeOut() (numbers []int) {
	kept := v.entries[:0]
	for i, e := range v.entries {
		if !v.gone[e.UID] {
			kept = append(kept, e)
		} else if i < v.told {
			numbers = append(numbers, i)
		}
	}
	v.entries = kept
	v.told -= len(numbers)
	clear(v.gone)
	slices.Reverse(numbers)
	return numbers
}

// look brings the view up to what the feed says.
func (v *View) look(ctx context.Context) error {
	if err := v.follower.Refresh(ctx); err != nil {
		return err
	}
	touched := make(map[uint32]bool)
	for {
		events, err := v.follower.Next(ctx, maxEventsRead)
		if errors.Is(err, gateway.ErrTrimmed) {
			return v.lookAnew(ctx)
		} else if err != nil {
			return err
		}
		for i := range events {
			if e := &events[i]; e.Mailbox == v.at.Mailbox {
				v.highest = max(v.highest, e.Sequence)
				if e.UID != 0 {
					touched[e.UID] = true
				}
				for _, uid := range e.UIDs {
					touched[uid] = true
				}
				if e.Type == gateway.EventMailbox {
					touched[0] = true // it may have been deleted
				}
			}
		}
		if len(events) == 0 {
			break
		}
	}
	if len(touched) == 0 {
		return nil
	}
	uids := slices.Sorted(maps.Keys(touched))
	box, now, err := v.mail.cfg.Store.EntriesAt(ctx, v.scope, v.at, uids)
	if err != nil {
		return err
	}
	if box == nil {
		return ErrClosed
	}
	v.merge(uids, now)
	return nil
}

// lookAnew reads the whole mailbox, when the feed does not reach back to where
// the view is.
func (v *View) lookAnew(ctx context.Context) error {
	f, err := v.mail.cfg.Streams.Follow(ctx, v.scope, v.at.Domain, v.at.Account)
	if err != nil {
		return err
	}
	v.follower.Close()
	v.follower = f
	box, now, err := v.mail.cfg.Store.Entries(ctx, v.scope, v.at)
	if gateway.KindOf(err) == gateway.NotFound && err != nil {
		return ErrClosed
	} else if err != nil {
		return err
	}
	v.highest = max(v.highest, box.ModSeq)
	uids := make([]uint32, 0, len(v.entries)+len(now))
	for _, list := range [][]gateway.Entry{v.entries, now} {
		for i := range list {
			uids = append(uids, list[i].UID)
		}
	}
	slices.Sort(uids)
	v.merge(slices.Compact(uids), now)
	return nil
}

// merge takes over how the entries of some UIDs stand; now lacks those that are
// gone. Both are in order.
func (v *View) merge(uids []uint32, now []gateway.Entry) {
	for _, uid := range uids {
		i, known := slices.BinarySearchFunc(v.entries, uid, func(e gateway.Entry, uid uint32) int { return cmp.Compare(e.UID, uid) })
		here := len(now) > 0 && now[0].UID == uid
		switch {
		case here && !known && i == len(v.entries):
			v.entries = append(v.entries, now[0])
		case here && known && v.entries[i].ModSeq != now[0].ModSeq:
			v.entries[i] = now[0]
			v.changed[uid] = true
		case !here && known:
			v.gone[uid] = true
		}
		if here {
			now = now[1:]
		}
	}
}

// Messages reads the messages of some numbers; one that is gone is nil.
func (v *View) Messages(ctx context.Context, numbers []int, structure bool) ([]*gateway.Message, error) {
	list := make([]gateway.MessageNumber, len(numbers))
	for i, n := range numbers {
		list[i] = v.entries[n].Message
	}
	return v.mail.cfg.Store.Messages(ctx, v.scope, v.at.Domain, v.at.Account, list, structure)
}

func (v *View) uids(numbers []int) []uint32 {
	uids := make([]uint32, len(numbers))
	for i, n := range numbers {
		uids[i] = v.entries[n].UID
	}
	return uids
}

// Flag changes the flags of messages, and takes the change over: News does not
// tell of it. It returns the numbers that were there.
func (v *View) Flag(ctx context.Context, numbers []int, c gateway.FlagChange) (done []int, err error) {
	if err := checkLabels(c.AddLabels); err != nil {
		return nil, err
	}
	after, err := v.mail.cfg.Store.Flag(ctx, v.scope, v.at, v.uids(numbers), c)
	for _, e := range after { // also of what was done before an error
		if i, ok := v.Find(e.UID); ok {
			v.entries[i] = e
			delete(v.changed, e.UID)
			done = append(done, i)
		}
	}
	return done, err
}

// Expunge removes the messages that are marked as deleted, or those of some UIDs
// among them. News tells of it.
func (v *View) Expunge(ctx context.Context, numbers []int) error {
	var uids []uint32
	for _, n := range numbers {
		if e := &v.entries[n]; e.Flags.Has(gateway.Deleted) {
			uids = append(uids, e.UID)
		}
	}
	_, err := v.mail.cfg.Store.ExpungeAll(ctx, v.scope, v.at, uids, true)
	return err
}

// Copied is where messages went.
type Copied struct {
	UIDValidity uint32
	UIDs        []gateway.Moved
}

// Copy copies messages into another mailbox of the account, or moves them there.
// NotFound if there is none of that name.
func (v *View) Copy(ctx context.Context, numbers []int, name string, move bool) (Copied, error) {
	boxes, err := v.mail.folders(ctx, v.scope, v.at.Domain, v.at.Account)
	if err != nil {
		return Copied{}, err
	}
	to, err := boxes.named(name)
	if err != nil {
		return Copied{}, err
	}
	moved, err := v.mail.cfg.Store.Copy(ctx, v.scope, v.at, v.uids(numbers), to.ID, move)
	return Copied{to.UIDValidity, moved}, err
}
