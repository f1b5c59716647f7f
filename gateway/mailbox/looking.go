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
	give, err := f.v.mail.reads.take(ctx, f.v.at.Domain, f.until)
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

// indexInTurn asks the index in a turn of the domain, until a time.
func (m *Mail) indexInTurn(ctx context.Context, s gateway.Scope, d gateway.DomainID, a gateway.AccountID, q search.Query, until time.Time) (search.Found, error) {
	give, err := m.reads.take(ctx, d, until)
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
