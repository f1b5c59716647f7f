package store

import (
	"context"

	"github.com/centerleap/postern/gateway"
	"github.com/centerleap/postern/store/engine"
)

// Events reads one domain's feed: what changed, in order, without a gap.
type Events struct {
	feed   engine.Feed
	domain gateway.DomainID
}

// Events returns the changes of a domain after a sequence. Close it.
func (s *Store) Events(sc gateway.Scope, d gateway.DomainID, after uint64) (*Events, error) {
	if !sc.CoversDomain(d) {
		return nil, denied("domain")
	}
	return &Events{feed: s.engine.Feed(uint32(d), after), domain: d}, nil
}

// Next returns up to most events without waiting; none means the reader has
// caught up. engine.ErrTrimmed: the feed no longer reaches back that far.
func (e *Events) Next(ctx context.Context, most int) ([]gateway.Event, error) {
	changes, err := e.feed.Next(ctx, most)
	if err != nil {
		return nil, err
	}
	out := make([]gateway.Event, len(changes))
	for i, c := range changes {
		if out[i], err = decodeEvent(e.domain, c.Sequence, c.Payload); err != nil {
			return nil, err
		}
	}
	return out, nil
}

// Wake receives when there may be more: a hint.
func (e *Events) Wake() <-chan struct{} { return e.feed.Wake() }

// Close ends the reading.
func (e *Events) Close() { e.feed.Close() }
