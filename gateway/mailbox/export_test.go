package mailbox

import (
	"context"

	"github.com/centerleap/postern/gateway"
	"github.com/centerleap/postern/gateway/search"
)

// SetIndex answers searches in the place of the account's index.
func (m *Mail) SetIndex(index Index) { m.index = index }

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
	return x.round(ctx, true)
}
