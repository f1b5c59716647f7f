package mailbox

import (
	"context"
	"errors"
	"time"

	"github.com/centerleap/postern/gateway"
)

// turns are what only so many do at once, in all and of one domain.
type turns struct {
	all    chan struct{}
	shares gateway.Shares
}

// newTurns makes so many; most are a domain's, with 0 as gateway.Shares says.
func newTurns(all, most int64) turns {
	return turns{all: make(chan struct{}, all), shares: gateway.Shares{Most: int(most)}}
}

// take waits for a turn of a domain, which is given back when it is done: nobody tells
// that a client has left. ErrSearchTime when there is none until a time.
func (t *turns) take(ctx context.Context, d gateway.DomainID, until time.Time) (give func(), err error) {
	wait, cancel := context.WithDeadline(ctx, until)
	defer cancel()
	err = wait.Err() // else a turn that is free would be taken as likely
	if err == nil {
		give, err = t.taken(wait, d)
	}
	if errors.Is(err, context.DeadlineExceeded) {
		err = ErrSearchTime
	}
	return give, err
}

func (t *turns) taken(ctx context.Context, d gateway.DomainID) (give func(), err error) {
	share, err := t.shares.Take(ctx, d)
	if err != nil {
		return nil, err
	}
	select {
	case t.all <- struct{}{}:
		return func() { <-t.all; share.Give() }, nil
	case <-ctx.Done():
		share.Give()
		return nil, ctx.Err()
	}
}

// spare is a turn that nobody waits for, if there is one: for a moment, as those that
// come wait as long as it is kept.
func (t *turns) spare() (give func(), ok bool) {
	select {
	case t.all <- struct{}{}:
		return func() { <-t.all }, true
	default:
		return nil, false
	}
}
