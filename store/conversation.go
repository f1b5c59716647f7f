package store

import (
	"context"

	"github.com/centerleap/postern/gateway"
	"github.com/centerleap/postern/store/engine"
)

// Conversation is Newest with the structures of the messages, for who reads them, and
// without their entries.
func (s *Store) Conversation(ctx context.Context, sc gateway.Scope, id gateway.ID, most int) (gateway.Thread, []*gateway.Message, error) {
	return s.newest(ctx, sc, id, most, func(r engine.Reader, d gateway.DomainID, a gateway.AccountID, n gateway.MessageNumber) (*gateway.Message, error) {
		m, err := wholeMessage(r, d, a, n)
		if err == nil {
			m.Entries = nil
		}
		return m, err
	})
}
