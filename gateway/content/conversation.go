package content

import (
	"context"
	"io"
	"slices"

	"github.com/centerleap/postern/gateway"
)

// Conversations is the part of the store that a conversation is read from.
type Conversations interface {
	// Conversation returns a conversation and its newest messages, at most most, newest
	// first, with their structures. NotFound if there is none.
	Conversation(ctx context.Context, s gateway.Scope, id gateway.ID, most int) (gateway.Thread, []*gateway.Message, error)
	OpenBlob(ctx context.Context, s gateway.Scope, b gateway.Blob, off, n int64) (io.ReadCloser, error)
}

// ReadConversation reads what was said last in an account's conversation; nil if there is
// none of that id, or it is another account's.
func ReadConversation(ctx context.Context, s gateway.Scope, from Conversations, a gateway.AccountID, id gateway.ID, lim gateway.Limits) (*gateway.Conversation, error) {
	if id.IsZero() {
		return nil, nil
	}
	th, newest, err := from.Conversation(ctx, s, id, int(lim.PluginThreadMessages))
	switch {
	case gateway.KindOf(err) == gateway.NotFound && err != nil, err == nil && th.Account != a:
		return nil, nil
	case err != nil:
		return nil, err
	}
	c := &gateway.Conversation{Thread: th}
	for _, m := range slices.Backward(newest) {
		r := Reading{Content: &m.Content, Limits: lim, Open: func(off, n int64) (io.ReadCloser, error) { return from.OpenBlob(ctx, s, m.Blob, off, n) }}
		said := gateway.Said{Message: m}
		if said.Text, said.Cut, err = r.Text(lim.PluginThreadText); err != nil {
			return nil, err
		}
		c.Messages = append(c.Messages, said)
	}
	return c, nil
}
