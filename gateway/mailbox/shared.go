package mailbox

import (
	"context"
	"errors"
	"maps"
	"slices"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/centerleap/postern/gateway"
)

// shared is a selected mailbox as all its readers share it. It follows the account's
// events once for all of them, and publishes rows that never change: a reader holds no
// lock while it uses its own, and so keeps nobody waiting.
type shared struct {
	mail  *Mail
	at    gateway.Selection
	scope gateway.Scope // of Postern's own work in the domain

	readers  int   // guarded by selected.mu
	expected int64 // messages, when its first reader came; guarded by selected.mu

	now     atomic.Pointer[rows]
	opening atomic.Pointer[opening]
	looks   atomic.Uint64 // begun
	closed  atomic.Bool   // the mailbox was deleted

	// noting is held for reading from before a commit until its outcome is noted.
	noting   sync.RWMutex
	outcomes outcomes

	mu       sync.Mutex // held to look; nobody writes to a client meanwhile
	follower gateway.Follower
	stop     chan struct{} // nil: nobody reads, and nothing is followed
	after    uint64        // where to follow on from then
	pending  pending
	looked   error

	keywordsMu sync.Mutex
	keywords   map[string]*Keywords

	wakesMu sync.Mutex
	wakes   map[*View]func() // of readers that wait for news
}

// maxKeywordSets is how many sets of keywords entries share; beyond, some stand in memory
// twice. Ours; some 100 bytes each.
const maxKeywordSets = 1024

// begin makes the rows current, for the first reader; mu is held.
func (b *shared) begin(ctx context.Context) (err error) {
	if b.now.Load() != nil {
		b.follower, err = b.mail.cfg.Streams.Resume(ctx, b.scope, b.at.Domain, b.at.Account, b.after)
	}
	if b.now.Load() == nil || errors.Is(err, gateway.ErrTrimmed) {
		err = b.load(ctx)
	}
	if err != nil {
		return err
	}
	b.stop = make(chan struct{})
	go b.watch(b.follower.Wake(), b.stop)
	return nil
}

// load reads the whole mailbox and follows it from there; mu is held. What happens between
// the two is seen by both, and found to be nothing new.
func (b *shared) load(ctx context.Context) error {
	f, err := b.mail.cfg.Streams.Follow(ctx, b.scope, b.at.Domain, b.at.Account)
	if err != nil {
		return err
	}
	var all []Row
	box, err := b.mail.cfg.Store.WalkEntries(ctx, b.scope, b.at, func(box *gateway.Mailbox, e *gateway.Entry) {
		if all == nil {
			all = make([]Row, 0, box.Total)
		}
		all = append(all, b.row(e))
	})
	if err != nil {
		f.Close()
		return err
	}
	if b.follower != nil {
		b.follower.Close()
	}
	b.follower, b.pending = f, pending{}
	b.now.Store(build(paged(all), box.UIDNext, box.ModSeq))
	return nil
}

// row is an entry as a row.
func (b *shared) row(e *gateway.Entry) Row {
	r := Row{Message: e.Message, ModSeq: e.ModSeq, UID: e.UID, Flags: e.Flags}
	if !e.Saved.IsZero() {
		r.saved = e.Saved.UnixMilli()
	}
	if !e.Arrived.IsZero() && e.Size <= 1<<32-1 {
		r.arrived, r.size = e.Arrived.UnixMilli(), uint32(e.Size)
	}
	if len(e.Labels) == 0 {
		return r
	}
	key := strings.Join(e.Labels, " ")
	b.keywordsMu.Lock()
	defer b.keywordsMu.Unlock()
	if r.Keywords = b.keywords[key]; r.Keywords == nil {
		if len(b.keywords) >= maxKeywordSets {
			clear(b.keywords)
		}
		r.Keywords = &Keywords{Names: slices.Clone(e.Labels), Text: " " + key}
		b.keywords[key] = r.Keywords
	}
	return r
}

// watch looks when there may be news, for those who idle.
func (b *shared) watch(wake <-chan struct{}, stop <-chan struct{}) {
	for {
		select {
		case <-wake:
		case <-stop:
			return
		}
		b.settle()
		if err := b.look(context.Background()); err != nil {
			b.wake() // they find out themselves
		}
	}
}

// settle waits for who commits just now: he says himself what came of it.
func (b *shared) settle() {
	b.noting.Lock()
	defer b.noting.Unlock()
}

// end stops following, when the last reader left; mu is held.
func (b *shared) end() {
	close(b.stop)
	b.stop, b.after = nil, b.follower.At()
	b.follower.Close()
	b.follower = nil
	if len(b.pending.uids)+len(b.pending.sets) > 0 || b.looked != nil {
		b.now.Store(nil) // what was not looked at would be missing
	}
	b.pending, b.looked = pending{}, nil
	b.outcomes.take(^uint64(0))
}

func (b *shared) wake() {
	b.wakesMu.Lock()
	defer b.wakesMu.Unlock()
	for _, wake := range b.wakes {
		wake()
	}
}

// look makes the rows show all that was committed before it was called. ErrClosed when the
// mailbox is gone.
func (b *shared) look(ctx context.Context) error {
	ctx = context.WithoutCancel(ctx) // others may wait for the same
	begun := b.looks.Load()
	b.mu.Lock()
	defer b.mu.Unlock()
	switch {
	case b.closed.Load():
		return ErrClosed
	case b.stop == nil: // the last reader has left
		return nil
	case b.looks.Load() > begun && b.looked == nil: // somebody began after us, and is done
		return nil
	}
	b.looks.Add(1)
	before := b.now.Load()
	b.looked = b.read(ctx)
	if b.now.Load() != before || b.looked != nil {
		b.wake()
	}
	return b.looked
}

const (
	// maxEventsRead is how many events are read in one go.
	maxEventsRead = 256
	// maxRounds is how often what was read proves to be newer than the events, until it is
	// good enough: somebody changes the mailbox without a pause. Ours.
	maxRounds = 16
)

// read brings the rows up to what the feed says.
func (b *shared) read(ctx context.Context) error {
	for range maxRounds {
		if err := b.follower.Refresh(ctx); err != nil {
			return err
		}
		err := b.pull(ctx)
		if errors.Is(err, gateway.ErrTrimmed) {
			return b.anew(ctx)
		} else if err != nil {
			return err
		}
		if newer, err := b.apply(ctx); err != nil || !newer {
			return err
		}
	}
	return nil
}

// anew reads all, when the feed does not reach back to where the rows are.
func (b *shared) anew(ctx context.Context) error {
	err := b.load(ctx)
	if err != nil && gateway.KindOf(err) == gateway.NotFound {
		b.closed.Store(true)
		return ErrClosed
	} else if err != nil {
		return err
	}
	close(b.stop)
	b.stop = make(chan struct{})
	go b.watch(b.follower.Wake(), b.stop)
	return nil
}

// pull notes what events say.
func (b *shared) pull(ctx context.Context) error {
	p := &b.pending
	for {
		events, err := b.follower.Next(ctx, maxEventsRead)
		if err != nil || len(events) == 0 {
			return err
		}
		for i := range events {
			if e := &events[i]; e.Mailbox == b.at.Mailbox {
				if e.Type == gateway.EventMailbox {
					p.box = true // no entry of it has changed
				} else {
					p.highest = max(p.highest, e.Sequence)
				}
				if known := b.outcomes.take(e.Sequence); b.whole(e, known) {
					p.sets = append(p.sets, known)
				} else {
					p.note(e, known)
				}
			}
		}
	}
}

// apply takes over what is pending. newer says that some of it is newer than the events
// that were seen: others happened before it.
func (b *shared) apply(ctx context.Context) (newer bool, err error) {
	p := &b.pending
	if len(p.sets) > 0 {
		b.applySets(p)
	}
	if len(p.uids) == 0 && !p.box {
		return false, nil
	}
	all := slices.Sorted(maps.Keys(p.uids))
	ask := slices.DeleteFunc(slices.Clone(all), func(uid uint32) bool { _, ok := p.known[uid]; return ok })
	var found []gateway.Entry
	if len(ask) > 0 || p.box {
		var box *gateway.Mailbox
		if box, found, err = b.mail.cfg.Store.EntriesAt(ctx, b.scope, b.at, ask); err != nil {
			return false, err
		} else if box == nil {
			b.closed.Store(true)
			return false, ErrClosed
		}
	}
	updates := make([]update, len(all))
	for i, uid := range all {
		updates[i].UID = uid
		row, ok := p.known[uid]
		if !ok && len(found) > 0 && found[0].UID == uid {
			row, found, ok = b.row(&found[0]), found[1:], true
		}
		if ok {
			updates[i] = update{row, true}
			newer = newer || row.ModSeq > p.highest
		}
	}
	b.now.Store(b.now.Load().with(updates, p.uidNext, p.highest))
	*p = pending{}
	return newer, nil
}
