package mailbox

import (
	"context"
	"errors"
	"iter"

	"github.com/centerleap/postern/gateway"
)

// View is one mailbox as one reader was told it is. Its messages are numbered
// from 0 by UID; a number changes only when News says so, so that both sides
// mean the same message. What all readers of the mailbox have in common they
// share; see shared. One goroutine uses it.
type View struct {
	Box gateway.Mailbox // as it was when the view was opened

	mail   *Mail
	scope  gateway.Scope
	at     gateway.Selection
	shared *shared
	rows   *rows // what the reader was told
	page   int   // the one that was looked at last
	closed bool
}

// News is what a reader has to be told, in this order.
type News struct {
	Gone    []int    // numbers to take out, highest first
	UIDs    []uint32 // of these
	Exists  int      // how many messages there are then; -1 if no more than known
	Changed []int    // numbers, after Gone, whose flags are others
}

// ErrClosed means that the mailbox of a view was deleted.
var ErrClosed = errors.New("the mailbox was deleted")

// View opens a mailbox of an account. Close it.
func (m *Mail) View(ctx context.Context, s gateway.Scope, a *gateway.Account, name string) (*View, error) {
	box, err := m.Box(ctx, s, a, name)
	if err != nil {
		return nil, err
	}
	v := &View{
		mail: m, scope: s, at: gateway.Selection{Domain: a.Domain, Account: a.ID, Mailbox: box.ID},
		Box: box,
	}
	if v.shared, err = m.enter(ctx, v.at, &box); err != nil {
		return nil, err
	}
	v.rows = v.shared.now.Load()
	v.Box.UIDNext, v.Box.ModSeq, v.Box.Total = v.rows.uidNext, v.rows.highest, int64(v.rows.len)
	return v, nil
}

// Close ends the view. It may be called twice.
func (v *View) Close() {
	if !v.closed {
		v.closed = true
		v.OnWake(nil)
		v.mail.leave(v.shared)
	}
}

// Len is how many messages the reader knows of.
func (v *View) Len() int { return v.rows.len }

// Row is the message of a number, as the readers share it.
func (v *View) Row(i int) *Row {
	r := v.rows
	if p := v.page; p < len(r.full) {
		if at := i - r.first[p]; at >= 0 && at < len(r.full[p]) {
			return &r.full[p][at]
		}
	}
	p, at := r.place(i)
	v.page = p
	return &r.page(p)[at]
}

// Entry is the message of a number.
func (v *View) Entry(i int) gateway.Entry { return v.Row(i).entry(v.at.Mailbox) }

// HighestModSeq is up to where the view has seen the mailbox change: no change up
// to it is missing. After View it goes with Len and with Box.UIDNext.
func (v *View) HighestModSeq() uint64 { return v.rows.highest }

// Each yields the numbers, in order, of the messages that the reader knows and that
// have all of some flags and none of others. It leaves out those that are gone.
func (v *View) Each(with, without gateway.Flags) iter.Seq[int] {
	return func(yield func(int) bool) {
		for first, page := range v.rows.pages() {
			for i := range page {
				if e := &page[i]; e.Flags&(with|without) == with && !e.gone && !yield(first+i) {
					return
				}
			}
		}
	}
}

// Which returns those of some numbers whose messages have all of some flags and none of
// others, as the reader was told or as they stand by now: what others changed counts before
// he is told of it. ErrClosed when the mailbox is gone.
func (v *View) Which(ctx context.Context, numbers []int, with, without gateway.Flags) (some []int, err error) {
	if err := v.shared.look(ctx); err != nil {
		return nil, err
	}
	now := v.shared.now.Load()
	has := func(r *Row) bool { return r != nil && r.Flags&(with|without) == with }
	for _, n := range numbers {
		if r := v.Row(n); has(r) || now != v.rows && has(now.row(r.UID)) {
			some = append(some, n)
		}
	}
	return some, nil
}

// Find returns the number of the first message with at least this UID.
func (v *View) Find(uid uint32) (i int, exact bool) { return v.rows.find(uid) }

// IsGone reports whether a message that the reader knows was expunged.
func (v *View) IsGone(i int) bool { return v.Row(i).gone }

// OnWake sets what is called when there may be news; nil: nothing. It may be called more
// often than there are, from any goroutine, keeps others waiting, and may not call the view.
// Once OnWake(nil) has returned it is not called any more.
func (v *View) OnWake(wake func()) {
	b := v.shared
	b.wakesMu.Lock()
	defer b.wakesMu.Unlock()
	if wake == nil {
		delete(b.wakes, v)
		return
	}
	b.wakes[v] = wake
}

// News looks for what has changed and says what to tell. Without expunge nothing
// is taken out yet: RFC 9051 section 5.5 forbids that while numbers are in use.
// ErrClosed when the mailbox is gone.
func (v *View) News(ctx context.Context, expunge bool) (News, error) {
	if err := v.shared.look(ctx); err != nil {
		return News{}, err
	}
	now := v.shared.now.Load()
	if now == v.rows {
		return News{Exists: -1}, nil
	}
	n, lost := differ(v.rows, now, expunge)
	if lost {
		now = keep(v.rows, now)
	}
	v.rows = now
	return n, nil
}

// Messages reads the messages of some numbers; one that is gone is nil.
func (v *View) Messages(ctx context.Context, numbers []int, structure bool) ([]*gateway.Message, error) {
	list := make([]gateway.MessageNumber, len(numbers))
	for i, n := range numbers {
		list[i] = v.Row(n).Message
	}
	return v.mail.cfg.Store.Messages(ctx, v.scope, v.at.Domain, v.at.Account, list, structure)
}

func (v *View) uids(numbers []int) []uint32 {
	uids := make([]uint32, len(numbers))
	for i, n := range numbers {
		uids[i] = v.Row(n).UID
	}
	return uids
}

// Flag changes the flags of messages, and takes the change over: News does not
// tell of it. It returns the numbers that were there.
func (v *View) Flag(ctx context.Context, numbers []int, c gateway.FlagChange) (done []int, err error) {
	if err := checkLabels(c.AddLabels); err != nil {
		return nil, err
	}
	v.shared.noting.RLock()
	defer v.shared.noting.RUnlock()
	after, _, err := v.mail.cfg.Store.FlagKnown(ctx, v.scope, v.at, v.known(numbers), c, 1<<64-1)
	return v.took(numbers, after), err // also of what was done before an error
}

// known is what the reader knows of entries that there are, as far as it knows.
func (v *View) known(numbers []int) gateway.Known {
	k := gateway.Known{ModSeq: v.rows.highest, Entries: make([]gateway.Entry, 0, len(numbers))}
	for _, n := range numbers {
		if r := v.Row(n); !r.gone {
			k.Entries = append(k.Entries, r.entry(v.at.Mailbox))
		}
	}
	return k
}

// took takes over how entries stand after a change of our own, and returns which numbers
// they have. shared.noting is held since before its commit.
func (v *View) took(numbers []int, after []gateway.Entry) (done []int) {
	fresh := make([]update, 0, len(after))
	done = make([]int, 0, len(after))
	for _, n := range numbers {
		if len(after) == 0 {
			break
		}
		if r := v.Row(n); r.UID == after[0].UID {
			if r.ModSeq != after[0].ModSeq {
				fresh = append(fresh, update{v.shared.row(&after[0]), true})
			}
			done, after = append(done, n), after[1:]
		}
	}
	v.shared.outcomes.note(fresh)
	v.rows = v.rows.replaced(fresh)
	return done
}

// Expunge removes those of some messages that are marked as deleted. News tells of it.
func (v *View) Expunge(ctx context.Context, numbers []int) error {
	marked, err := v.Which(ctx, numbers, gateway.Deleted, 0)
	if err == nil {
		_, err = v.mail.cfg.Store.ExpungeAll(ctx, v.scope, v.at, v.uids(marked), true)
	}
	return err
}

// Copied is where messages went.
type Copied struct {
	UIDValidity uint32
	UIDs        []gateway.Moved
}

// Copy copies messages into another mailbox of the account, or moves them there. Many are
// copied in several commits: if one fails, what was moved before stays, and is returned
// with the error; what was copied is taken back, RFC 9051 section 6.4.7.
// NotFound if there is none of that name, ErrClosed if their own is gone.
func (v *View) Copy(ctx context.Context, numbers []int, name string, move bool) (Copied, error) {
	to, err := v.mail.Box(ctx, v.scope, &gateway.Account{Domain: v.at.Domain, ID: v.at.Account}, name)
	if err != nil {
		return Copied{}, err
	}
	moved, err := v.mail.cfg.Store.Copy(ctx, v.scope, v.at, v.uids(numbers), to.ID, move)
	if err != nil && gateway.KindOf(err) == gateway.NotFound && errors.Is(v.shared.look(ctx), ErrClosed) {
		err = ErrClosed // what is missing is not the other one
	}
	if err != nil && !move && len(moved) > 0 {
		if failed := v.takeBack(context.WithoutCancel(ctx), to.ID, moved); failed != nil {
			err = errors.Join(err, failed)
		} else {
			moved = nil
		}
	}
	return Copied{to.UIDValidity, moved}, err
}

// takeBack removes copies.
func (v *View) takeBack(ctx context.Context, from gateway.MailboxID, copies []gateway.Moved) error {
	uids := make([]uint32, len(copies))
	for i, m := range copies {
		uids[i] = m.To
	}
	at := v.at
	at.Mailbox = from
	_, err := v.mail.cfg.Store.ExpungeAll(ctx, v.scope, at, uids, false)
	return err
}
