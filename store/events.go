package store

import (
	"context"
	"errors"

	"github.com/centerleap/postern/gateway"
	"github.com/centerleap/postern/store/engine"
)

// events reads one domain's feed.
type events struct {
	feed   engine.Feed
	domain gateway.DomainID
}

// Events returns the changes of a domain after a sequence. Close it.
func (s *Store) Events(sc gateway.Scope, d gateway.DomainID, after uint64) (gateway.Feed, error) {
	if !sc.CoversDomain(d) {
		return nil, denied("domain")
	}
	return &events{feed: s.engine.Feed(uint32(d), after), domain: d}, nil
}

// Next returns up to most events without waiting.
func (e *events) Next(ctx context.Context, most int) ([]gateway.Event, error) {
	changes, err := e.feed.Next(ctx, most)
	if errors.Is(err, engine.ErrTrimmed) {
		return nil, gateway.ErrTrimmed
	} else if err != nil {
		return nil, translate(err)
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
func (e *events) Wake() <-chan struct{} { return e.feed.Wake() }

// Head is the newest sequence.
func (e *events) Head(ctx context.Context) (uint64, error) {
	head, err := e.feed.Head(ctx)
	return head, translate(err)
}

// Seek goes on behind a sequence.
func (e *events) Seek(sequence uint64) { e.feed.Seek(sequence) }

// Close ends the reading.
func (e *events) Close() { e.feed.Close() }
