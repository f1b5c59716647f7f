package mailbox

import (
	"context"
	"errors"
	"time"

	"github.com/centerleap/postern/gateway"
	"github.com/centerleap/postern/gateway/search"
)

const (
	// readAtOnce is how many messages a search reads before it lets others go on.
	readAtOnce = 64
	// fewMessages are looked at without asking the index. Ours: to read one is as
	// quick.
	fewMessages = 4
)

// look shows judge the records of the messages of a set but some, and takes out those that it does not
// want.
func (f *finder) look(ctx context.Context, in, but marks, judge func(context.Context, *gateway.Message) (bool, error)) error {
	var batch []int
	for i := range in.all() {
		if but != nil && but.has(i) {
			continue
		}
		if batch = append(batch, i); len(batch) == readAtOnce {
			if err := f.batch(ctx, in, batch, judge); err != nil {
				return err
			}
			batch = batch[:0]
		}
	}
	if len(batch) == 0 {
		return nil
	}
	return f.batch(ctx, in, batch, judge)
}

// batch is look for a few messages, in one turn of the domain.
func (f *finder) batch(ctx context.Context, in marks, numbers []int, judge func(context.Context, *gateway.Message) (bool, error)) error {
	give, err := f.v.mail.turn(ctx, f.v.at.Domain, f.until)
	if err != nil {
		return err
	}
	defer give()
	messages, err := f.v.Messages(ctx, numbers, false)
	if err != nil {
		return err
	}
	for k, m := range messages {
		if err := f.over(ctx); err != nil {
			return err
		}
		if m == nil {
			f.lost.set(numbers[k])
			continue
		}
		ok, err := judge(ctx, m)
		switch {
		case gateway.KindOf(err) == gateway.NotFound: // expunged meanwhile
			f.lost.set(numbers[k])
		case err != nil:
			return err
		case !ok:
			in.clear(numbers[k])
		}
	}
	return nil
}

// turn waits until a domain may read many messages, and gives that back when it is
// done: nobody tells that a client has left. ErrSearchTime when there is no turn
// until a time.
func (m *Mail) turn(ctx context.Context, d gateway.DomainID, until time.Time) (give func(), err error) {
	wait, cancel := context.WithDeadline(ctx, until)
	defer cancel()
	err = wait.Err() // else a turn that is free would be taken as likely
	if err == nil {
		give, err = m.taken(wait, d)
	}
	if errors.Is(err, context.DeadlineExceeded) {
		err = ErrSearchTime
	}
	return give, err
}

// taken is a turn, of those of the domain and those of all.
func (m *Mail) taken(ctx context.Context, d gateway.DomainID) (give func(), err error) {
	share, err := m.shares.Take(ctx, d)
	if err != nil {
		return nil, err
	}
	select {
	case m.walks <- struct{}{}:
		return func() { <-m.walks; share() }, nil
	case <-ctx.Done():
		share()
		return nil, ctx.Err()
	}
}

// indexInTurn asks the index in a turn of the domain, until a time.
func (m *Mail) indexInTurn(ctx context.Context, s gateway.Scope, d gateway.DomainID, a gateway.AccountID, q search.Query, until time.Time) (search.Found, error) {
	give, err := m.turn(ctx, d, until)
	if err != nil {
		return search.Found{}, err
	}
	defer give()
	ctx, cancel := context.WithDeadline(ctx, until)
	defer cancel()
	found, err := m.index(ctx, s, d, a, q)
	if errors.Is(err, context.DeadlineExceeded) {
		err = ErrSearchTime
	}
	return found, err
}

// spare is a turn that nobody waits for, if there is one: for a moment, as those that
// come wait as long as it is kept.
func (m *Mail) spare() (give func(), ok bool) {
	select {
	case m.walks <- struct{}{}:
		return func() { <-m.walks }, true
	default:
		return nil, false
	}
}
