package store

import (
	"sync"

	"github.com/centerleap/postern/gateway"
)

// unindexed remembers which accounts have got mail that the search index may not know. It
// is a hint of this process: after a start, all accounts are looked at once.
type unindexed struct {
	mu   sync.Mutex
	all  map[gateway.AccountRef]struct{}
	lost bool          // there were too many
	wake chan struct{} // one slot
}

// maxUnindexed is how many are remembered between two looks; with more, all accounts are
// looked at. Ours: some MiB.
const maxUnindexed = 100_000

func (u *unindexed) add(d gateway.DomainID, accounts ...gateway.AccountID) {
	if len(accounts) == 0 {
		return
	}
	u.mu.Lock()
	for _, a := range accounts {
		if len(u.all) < maxUnindexed {
			u.all[gateway.AccountRef{Domain: d, Account: a}] = struct{}{}
		} else {
			u.lost = true
		}
	}
	u.mu.Unlock()
	select {
	case u.wake <- struct{}{}:
	default:
	}
}

// Unindexed is woken when an account has got mail.
func (s *Store) Unindexed() <-chan struct{} { return s.unindexed.wake }

// TakeUnindexed returns which accounts have got mail since it was last called. lost says
// that there are others. The zero time of a process has none: look at all once.
func (s *Store) TakeUnindexed() (accounts []gateway.AccountRef, lost bool) {
	u := &s.unindexed
	u.mu.Lock()
	defer u.mu.Unlock()
	for a := range u.all {
		accounts = append(accounts, a)
	}
	clear(u.all)
	lost, u.lost = u.lost, false
	return accounts, lost
}
