package store

import (
	"context"

	"github.com/centerleap/postern/gateway"
	"github.com/centerleap/postern/store/engine"
)

// Conversation is Newest with the structures of the messages, for who reads them, and
// without their entries.
func (s *Store) Conversation(ctx context.Context, sc gateway.Scope, id gateway.ID, most int) (th gateway.Thread, all []*gateway.Message, err error) {
	d := sc.Domain()
	if d == 0 {
		return th, nil, denied("thread")
	}
	err = s.view(ctx, func(r engine.Reader) error {
		rec, err := threadReader{r, s, d}.live(id)
		if err != nil {
			return err
		}
		if rec == nil || !sc.Covers(d, rec.Account) {
			return denied("thread")
		}
		th = rec.Thread
		rng := engine.Prefix(memberKey(d, rec.Account, rec.ID))
		rng.KeysOnly, rng.Reverse, rng.Limit = true, true, most
		return r.Scan(rng, func(k, _ []byte) error {
			m, err := wholeMessage(r, d, rec.Account, lastNumber(k))
			if err == nil {
				m.Entries, all = nil, append(all, m)
			}
			return err
		})
	})
	return th, all, err
}
