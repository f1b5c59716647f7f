package outbound

import (
	"context"
	"slices"
	"time"

	"github.com/centerleap/postern/gateway"
	"github.com/centerleap/postern/gateway/content"
)

// What a sender may still do with a message that is not under way: send a draft, or
// let go, postpone or cancel what waits.

// openDraft takes a stored draft as what its sender wrote. It is composed anew, with
// the date of its sending; its Message-ID stays.
func (s *Sender) openDraft(ctx context.Context, t *tray) error {
	d := t.sub.Stored
	if !slices.ContainsFunc(d.Entries, func(e gateway.Entry) bool { return e.Mailbox == gateway.DraftsMailbox }) {
		return gateway.Errorf(gateway.InvalidState, "the email is neither a draft nor held for approval")
	}
	r, err := s.cfg.Store.OpenBlob(ctx, t.scope, d.Blob, 0, -1)
	if err != nil {
		return err
	}
	t.source = r
	if t.written, err = content.ReadSubmitted(r, s.cfg.Limits); err != nil {
		return err
	}
	if len(d.Content.Bcc) > 0 {
		t.written.Bcc = d.Content.Bcc
	}
	c := gateway.Compose{To: d.Content.To, Cc: d.Content.Cc, Bcc: t.written.Bcc}
	t.from, t.returnPath, t.recipients = t.written.From, t.written.From.Addr, c.Recipients()
	return nil
}

// Answered finds the answer of a request that happened once. NotFound if it has not.
func (s *Sender) Answered(ctx context.Context, sc gateway.Scope, name string) (gateway.Replay, error) {
	return s.cfg.Store.Answered(ctx, sc, name)
}

// Release lets go a message that a hook holds for approval. Hooks aren't asked again.
// InvalidState if none holds it.
func (s *Sender) Release(ctx context.Context, sc gateway.Scope, m *gateway.Message) error {
	err := s.cfg.Store.Release(ctx, sc, m)
	s.Wake()
	return err
}

// Cancel ends a message that waits. InvalidState once sending has begun.
func (s *Sender) Cancel(ctx context.Context, sc gateway.Scope, m *gateway.Message) error {
	return s.cfg.Store.Cancel(ctx, sc, m)
}

// CancelOfKey cancels all that a key sent and that waits, and says how many recipients
// that were.
func (s *Sender) CancelOfKey(ctx context.Context, sc gateway.Scope, d gateway.DomainID, key gateway.ID) (int, error) {
	return s.cfg.Store.CancelOfKey(ctx, sc, d, key)
}

// Reschedule changes when a scheduled message leaves. Its Date stays what it was.
// InvalidState if it is not scheduled any more.
func (s *Sender) Reschedule(ctx context.Context, sc gateway.Scope, m *gateway.Message, at time.Time) error {
	if err := s.checkTime(at); err != nil {
		return err
	}
	err := s.cfg.Store.Reschedule(ctx, sc, m, at.UTC())
	s.Wake()
	return err
}

// farthest is how far ahead a message can be scheduled. Ours: the retention of the
// feed, so that whoever follows it sees a message's whole life.
const farthest = 30 * 24 * time.Hour

// checkTime says whether a message can be scheduled for a time.
func (s *Sender) checkTime(at time.Time) error {
	switch now := s.cfg.Now(); {
	case !at.After(now):
		return gateway.Fieldf(gateway.InvalidParameter, "scheduled_at", "scheduled_at lies in the past")
	case at.After(now.Add(farthest)):
		return gateway.Fieldf(gateway.InvalidParameter, "scheduled_at", "scheduled_at is at most 30 days ahead")
	}
	return nil
}
