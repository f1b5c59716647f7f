package notify

import (
	"context"
	"errors"
	"slices"

	"github.com/centerleap/postern/gateway"
)

// FollowDomain follows all that happens in a domain, whomever it is about: from behind a
// sequence, or from now on if that is nil. ErrTrimmed when there is no such place in the
// feed, or not any more.
func (h *Hub) FollowDomain(ctx context.Context, s gateway.Scope, d gateway.DomainID, after *uint64) (gateway.Follower, error) {
	if !s.CoversDomain(d) || d == 0 {
		return nil, gateway.Errorf(gateway.NotFound, "no such domain")
	}
	r, err := h.join(ctx, d)
	if err != nil {
		return nil, err
	}
	f := &Follower{hub: h, reader: r, domain: d, whole: true, wake: make(chan struct{}, 1)}
	r.mu.Lock()
	f.at = r.head()
	if after != nil {
		f.at = *after
	}
	r.whole[f] = struct{}{}
	r.mu.Unlock()
	if after != nil {
		if err := f.reachable(ctx); err != nil {
			f.Close()
			return nil, err
		}
	}
	return f, nil
}

// Recent are the newest events of an account, or with 0 of all of a domain, the newest
// first. It looks at no more of the feed than a follower has in memory.
func (h *Hub) Recent(ctx context.Context, s gateway.Scope, d gateway.DomainID, a gateway.AccountID, most int) (found []gateway.Event, err error) {
	if d == 0 || a == 0 && !s.CoversDomain(d) || a != 0 && !s.Covers(d, a) {
		return nil, gateway.Errorf(gateway.NotFound, "no such account")
	}
	feed, err := h.cfg.Store.Events(h.cfg.Internal(d), d, 0)
	if err != nil {
		return nil, err
	}
	defer feed.Close()
	head, err := feed.Head(ctx)
	if err != nil {
		return nil, err
	}
	reach := uint64(recentEvents)
	if a == 0 {
		reach = uint64(most)
	}
	at := head - min(head, reach)
	feed.Seek(at)
	for {
		events, err := feed.Next(ctx, readAtOnce)
		if errors.Is(err, gateway.ErrTrimmed) {
			if at, err = oldest(ctx, feed, at+1); err == nil {
				at--
				feed.Seek(at)
				continue
			}
		}
		if err != nil {
			return nil, err
		}
		for i := range events {
			if a == 0 || events[i].Account == a {
				found = append(found, events[i])
			}
			at = events[i].Sequence
		}
		if len(events) == 0 || at >= head { // what comes meanwhile is for who follows
			break
		}
	}
	slices.Reverse(found)
	return found[:min(len(found), most)], nil
}
