package mailbox

import (
	"context"
	"time"

	"github.com/centerleap/postern/gateway"
	"github.com/centerleap/postern/gateway/search"
)

// SetIndex answers searches in the place of the account's index.
func (m *Mail) SetIndex(index Index) { m.index = index }

// HoldSort takes what a SORT of a domain takes.
func (m *Mail) HoldSort(ctx context.Context, d gateway.DomainID) (give func(), err error) {
	return m.sorts.take(ctx, d, time.Now().Add(time.Minute))
}

// AskIndex asks the index of an account.
func (m *Mail) AskIndex(ctx context.Context, s gateway.Scope, d gateway.DomainID, a gateway.AccountID, q search.Query) (search.Found, error) {
	return m.askIndex(ctx, s, d, a, q)
}

// Mergeable says which segments should become one.
var Mergeable = mergeable

// UpdateIndex brings the indexes of all accounts up to date, unless another process does.
func (m *Mail) UpdateIndex(ctx context.Context) error {
	x := newIndexer(m)
	defer x.release(context.WithoutCancel(ctx))
	err := x.round(ctx)
	for err == nil && x.more {
		err = x.round(ctx)
	}
	return err
}

// Indexer is one whose rounds a test begins.
type Indexer struct{ x *indexer }

func (m *Mail) NewIndexer(now func() time.Time) Indexer {
	x := newIndexer(m)
	x.now = now
	return Indexer{x}
}

// Round is one round; what it came to is logged as ever.
func (i Indexer) Round(ctx context.Context) error {
	err := i.x.round(ctx)
	i.x.tell(ctx, 0, err)
	return err
}

// More reports whether the next round should begin at once.
func (i Indexer) More() bool { return i.x.more }

// Paused reports whether mail that comes does not wake it.
func (i Indexer) Paused() bool { return i.x.paused }

// Wait returns when there is work for the next one.
func (i Indexer) Wait(ctx context.Context) { i.x.wait(ctx, nil) }
