package mailbox

import (
	"context"

	"github.com/centerleap/postern/gateway"
)

// accountsRead is how many accounts are in memory while all are looked at; ours.
const accountsRead = 1000

// eachAccount calls fn with every account there is.
func (m *Mail) eachAccount(ctx context.Context, fn func(*gateway.Account) error) error {
	domains, err := m.cfg.Store.Domains(ctx, m.cfg.System)
	if err != nil {
		return err
	}
	for _, d := range domains {
		after := gateway.AccountID(0)
		for more := true; more; {
			accounts, err := m.cfg.Store.Accounts(ctx, m.cfg.System, d.ID, after, accountsRead)
			if err != nil {
				return err
			}
			for i := range accounts {
				if err := fn(&accounts[i]); err != nil {
					return err
				}
				after = accounts[i].ID
			}
			more = len(accounts) == accountsRead
		}
	}
	return nil
}

// IndexState tells how far the search index of an account has come; of all accounts if a
// is nil, for an instance's scope.
func (m *Mail) IndexState(ctx context.Context, s gateway.Scope, a *gateway.Account) (all gateway.IndexState, err error) {
	err = m.chosen(ctx, s, a, func(a *gateway.Account) error {
		segments, newest, err := m.cfg.Store.Segments(ctx, s, a.Domain, a.ID)
		if err != nil {
			return err
		}
		all.Accounts++
		all.Behind += int64(newest)
		all.Segments += len(segments)
		for i := range segments {
			all.Messages += int64(segments[i].Messages)
			all.Bytes += segments[i].Blob.Size
			all.Behind -= int64(segments[i].Last - segments[i].First + 1)
		}
		return nil
	})
	return all, err
}

// RebuildIndex drops the search index of an account, or of all accounts if a is nil, for
// an instance's scope. It is made again in the background.
func (m *Mail) RebuildIndex(ctx context.Context, s gateway.Scope, a *gateway.Account) error {
	return m.chosen(ctx, s, a, func(a *gateway.Account) error { return m.cfg.Store.DropSegments(ctx, s, a.Domain, a.ID) })
}

// chosen calls fn with an account, or with all of them; one that is deleted meanwhile is
// passed over then.
func (m *Mail) chosen(ctx context.Context, s gateway.Scope, a *gateway.Account, fn func(*gateway.Account) error) error {
	if a != nil {
		return fn(a)
	}
	if s.Level() != gateway.LevelInstance {
		return gateway.Errorf(gateway.NotFound, "no such account")
	}
	return m.eachAccount(ctx, func(a *gateway.Account) error { return deletedMeanwhile(fn(a)) })
}
