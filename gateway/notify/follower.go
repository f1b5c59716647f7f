package notify

import (
	"context"

	"github.com/centerleap/postern/gateway"
)

// Follower reads what happens to one account. One goroutine uses it.
type Follower struct {
	hub     *Hub
	reader  *reader
	domain  gateway.DomainID
	account gateway.AccountID
	whole   bool // of all accounts, and what is of none
	wake    chan struct{}
	at      uint64 // the last sequence looked at
	closed  bool
}

// Wake receives when there may be more: a hint with one slot. Take it, then call
// Next until it returns none.
func (f *Follower) Wake() <-chan struct{} { return f.wake }

// Refresh makes Next see everything that is committed by now.
func (f *Follower) Refresh(ctx context.Context) error {
	for {
		if more, err := f.reader.pull(ctx); err != nil || !more {
			return err
		}
	}
}

// At is the sequence up to which Next has looked: the place to Resume from.
func (f *Follower) At() uint64 { return f.at }

// Next returns up to most events without waiting; none means the follower has
// caught up. ErrTrimmed when it is too far behind.
func (f *Follower) Next(ctx context.Context, most int) ([]gateway.Event, error) {
	events, current := f.recent(most)
	if current {
		return events, nil
	}
	feed, err := f.hub.cfg.Store.Events(f.hub.cfg.Internal(f.domain), f.domain, f.at)
	if err != nil {
		return nil, err
	}
	defer feed.Close()
	for len(events) == 0 {
		batch, err := feed.Next(ctx, min(most, readAtOnce))
		if err != nil || len(batch) == 0 {
			return nil, err
		}
		events = f.mine(events, batch, most)
	}
	return events, nil
}

// recent reads what is in memory, if that reaches back far enough.
func (f *Follower) recent(most int) (events []gateway.Event, ok bool) {
	r := f.reader
	r.mu.Lock()
	defer r.mu.Unlock()
	if f.at < r.floor {
		return nil, false
	}
	if f.at >= r.head() {
		return nil, true
	}
	return f.mine(nil, r.recent[f.at-r.floor:], most), true
}

// mine picks the account's events, and notes how far it looked.
func (f *Follower) mine(events, batch []gateway.Event, most int) []gateway.Event {
	for i := range batch {
		if len(events) == most {
			break
		}
		f.at = batch[i].Sequence
		if f.whole || batch[i].Account == f.account {
			events = append(events, batch[i])
		}
	}
	return events
}

// reachable reports whether the feed goes on behind f.at.
func (f *Follower) reachable(ctx context.Context) error {
	f.reader.mu.Lock()
	known := f.at >= f.reader.floor && f.at <= f.reader.head()
	f.reader.mu.Unlock()
	if known {
		return nil
	}
	feed, err := f.hub.cfg.Store.Events(f.hub.cfg.Internal(f.domain), f.domain, f.at)
	if err != nil {
		return err
	}
	defer feed.Close()
	head, err := feed.Head(ctx)
	if err != nil {
		return err
	}
	if f.at > head {
		return gateway.ErrTrimmed // it never was
	}
	_, err = feed.Next(ctx, 1)
	return err
}

// Close ends the following. It may be called twice.
func (f *Follower) Close() {
	if f.closed {
		return
	}
	f.closed = true
	r := f.reader
	r.mu.Lock()
	delete(r.whole, f)
	delete(r.subs[f.account], f)
	if len(r.subs[f.account]) == 0 {
		delete(r.subs, f.account)
	}
	r.mu.Unlock()
	f.hub.leave(f.domain, r)
}
