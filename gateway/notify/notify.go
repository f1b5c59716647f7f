// Package notify tells those who wait what has changed: the streams of REST and
// the IDLE of IMAP, each about one account.
//
// The truth is the domain's feed, which is durable and has no gaps. A Hub reads
// the feed of each domain that somebody follows once, and keeps its newest part
// in memory for all followers; one who is further behind reads the feed itself.
// A follower that reads slowly costs a cursor and nothing else.
package notify

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"time"

	"github.com/centerleap/postern/gateway"
)

// Store is the part of the store that telling needs.
type Store interface {
	Events(s gateway.Scope, d gateway.DomainID, after uint64) (gateway.Feed, error)
}

// Config of a Hub.
type Config struct {
	Store Store // required
	// Internal is the scope of Postern's own work in a domain, or with 0 that which
	// reads the instance's own feed.
	Internal func(gateway.DomainID) gateway.Scope
	Log      *slog.Logger // default: slog.Default()
}

// Hub reads feeds for those who follow.
type Hub struct {
	cfg Config
	mu  sync.Mutex
	by  map[gateway.DomainID]*reader
}

// New checks cfg and fills its defaults. It starts nothing before somebody
// follows.
func New(cfg Config) (*Hub, error) {
	if cfg.Store == nil || cfg.Internal == nil {
		return nil, errors.New("notify: Store and Internal are required")
	}
	if cfg.Log == nil {
		cfg.Log = slog.Default()
	}
	return &Hub{cfg: cfg, by: make(map[gateway.DomainID]*reader)}, nil
}

const (
	// recentEvents is how much of a domain's feed is kept in memory for its
	// followers, at about 150 bytes each. Ours.
	recentEvents = 2048
	// readAtOnce is how many events are read in one go.
	readAtOnce = 256
	// retryRead is the wait after the store failed to read.
	retryRead = time.Second
)

// reader follows the feed of one domain while anybody wants it.
type reader struct {
	stop context.CancelFunc
	done chan struct{}

	feedMu sync.Mutex // held while feed is read
	feed   gateway.Feed

	mu     sync.Mutex
	recent []gateway.Event // those after floor, without a gap
	floor  uint64
	subs   map[gateway.AccountID]map[*Follower]struct{}
	whole  map[*Follower]struct{} // of all accounts
	count  int                    // of followers; guarded by Hub.mu
}

func (r *reader) head() uint64 { return r.floor + uint64(len(r.recent)) }

// Follow follows one account from now on; or with 0, what is of its domain as a whole, and
// with 0 for both what is of the instance.
func (h *Hub) Follow(ctx context.Context, s gateway.Scope, d gateway.DomainID, a gateway.AccountID) (gateway.Follower, error) {
	return h.follow(ctx, s, d, a, nil)
}

// Resume follows one account from behind a sequence. ErrTrimmed when there is no
// such place in the feed, or not any more.
func (h *Hub) Resume(ctx context.Context, s gateway.Scope, d gateway.DomainID, a gateway.AccountID, after uint64) (gateway.Follower, error) {
	return h.follow(ctx, s, d, a, &after)
}

func (h *Hub) follow(ctx context.Context, s gateway.Scope, d gateway.DomainID, a gateway.AccountID, after *uint64) (gateway.Follower, error) {
	if !s.Covers(d, a) {
		return nil, gateway.Errorf(gateway.NotFound, "no such account")
	}
	r, err := h.join(ctx, d)
	if err != nil {
		return nil, err
	}
	f := &Follower{hub: h, reader: r, domain: d, account: a, wake: make(chan struct{}, 1)}
	r.mu.Lock()
	f.at = r.head()
	if after != nil {
		f.at = *after
	}
	if r.subs[a] == nil {
		r.subs[a] = make(map[*Follower]struct{})
	}
	r.subs[a][f] = struct{}{}
	r.mu.Unlock()
	if after != nil {
		if err := f.reachable(ctx); err != nil {
			f.Close()
			return nil, err
		}
	}
	return f, nil
}

// join counts one follower of a domain in; the first starts its reader.
func (h *Hub) join(ctx context.Context, d gateway.DomainID) (*reader, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if r := h.by[d]; r != nil {
		r.count++
		return r, nil
	}
	feed, err := h.cfg.Store.Events(h.cfg.Internal(d), d, 0)
	if err != nil {
		return nil, err
	}
	head, err := feed.Head(ctx)
	if err != nil {
		feed.Close()
		return nil, err
	}
	feed.Seek(head)
	run, stop := context.WithCancel(context.WithoutCancel(ctx))
	r := &reader{
		feed: feed, stop: stop, done: make(chan struct{}), floor: head, count: 1,
		subs: make(map[gateway.AccountID]map[*Follower]struct{}), whole: make(map[*Follower]struct{}),
	}
	h.by[d] = r
	go r.run(run, h.cfg.Log)
	return r, nil
}

// leave counts one follower out; with the last one the reader ends.
func (h *Hub) leave(d gateway.DomainID, r *reader) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if r.count--; r.count == 0 {
		delete(h.by, d)
		r.stop()
	}
}

func (r *reader) run(ctx context.Context, log *slog.Logger) {
	defer close(r.done)
	defer r.feed.Close()
	for {
		more, err := r.pull(ctx)
		switch {
		case ctx.Err() != nil:
			return
		case err != nil: // those who follow see it when they read themselves
			log.LogAttrs(ctx, slog.LevelWarn, "feed not read", slog.Any("err", err))
			if !sleep(ctx, retryRead) {
				return
			}
			continue
		case more:
			continue
		}
		select {
		case <-r.feed.Wake():
		case <-ctx.Done():
			return
		}
	}
}

// pull reads on, and reports whether there may be more.
func (r *reader) pull(ctx context.Context) (more bool, err error) {
	r.feedMu.Lock()
	defer r.feedMu.Unlock()
	events, err := r.feed.Next(ctx, readAtOnce)
	if err != nil || len(events) == 0 {
		return false, err
	}
	r.take(events)
	return true, nil
}

func sleep(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-ctx.Done():
		return false
	}
}

// take keeps new events and wakes those whom they are about.
func (r *reader) take(events []gateway.Event) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.recent = append(r.recent, events...)
	if over := len(r.recent) - recentEvents; over > recentEvents {
		r.floor += uint64(over)
		r.recent = append(r.recent[:0:0], r.recent[over:]...)
	}
	for i := range events {
		for f := range r.subs[events[i].Account] {
			poke(f.wake)
		}
	}
	for f := range r.whole {
		poke(f.wake)
	}
}
