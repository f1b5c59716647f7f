package imapd

import (
	"context"
	"io"
	"strings"

	"github.com/centerleap/postern/gateway"
)

// stock is a shelf whose INBOX has very many messages, which cost nothing: every second
// UID is one, so that no set of them is short. What a command changes is what its test says.
type stock struct {
	shelf
	messages int
	body     int64 // bytes of each

	flag func(gateway.Known, gateway.FlagChange) ([]gateway.Entry, []uint32, error)
	copy func(uids []uint32) ([]gateway.Moved, error)
}

func (s *stock) WalkEntries(_ context.Context, _ gateway.Scope, at gateway.Selection, fn func(*gateway.Mailbox, *gateway.Entry)) (gateway.Mailbox, error) {
	box := gateway.Mailbox{ID: at.Mailbox, Name: gateway.Inbox, UIDValidity: 1, UIDNext: uint32(2 * s.messages), Total: int64(s.messages), ModSeq: 9}
	for i := range s.messages {
		fn(&box, &gateway.Entry{Mailbox: at.Mailbox, UID: uint32(2*i + 1), Message: gateway.MessageNumber(i + 1), ModSeq: 5})
	}
	return box, nil
}

func (s *stock) Bodies(_ context.Context, _ gateway.Scope, _ gateway.DomainID, _ gateway.AccountID, numbers []gateway.MessageNumber, fn func(int, *gateway.Message)) error {
	for i, n := range numbers {
		fn(i, &gateway.Message{Number: n, Blob: gateway.Blob{Size: s.body}})
	}
	return nil
}

func (*stock) OpenBlob(_ context.Context, _ gateway.Scope, _ gateway.Blob, _, n int64) (io.ReadCloser, error) {
	return io.NopCloser(strings.NewReader(strings.Repeat("x", int(n)))), nil
}

func (s *stock) FlagKnown(_ context.Context, _ gateway.Scope, _ gateway.Selection, known gateway.Known, c gateway.FlagChange, _ uint64) ([]gateway.Entry, []uint32, error) {
	return s.flag(known, c)
}

func (s *stock) Copy(_ context.Context, _ gateway.Scope, _ gateway.Selection, uids []uint32, _ gateway.MailboxID, _ bool) ([]gateway.Moved, error) {
	return s.copy(uids)
}

// nothingNew is the feed of an account to which nothing happens.
type nothingNew struct{}

func (nothingNew) Follow(context.Context, gateway.Scope, gateway.DomainID, gateway.AccountID) (gateway.Follower, error) {
	return nothingNew{}, nil
}

func (nothingNew) Resume(context.Context, gateway.Scope, gateway.DomainID, gateway.AccountID, uint64) (gateway.Follower, error) {
	return nothingNew{}, nil
}

func (nothingNew) Next(context.Context, int) ([]gateway.Event, error) { return nil, nil }
func (nothingNew) Refresh(context.Context) error                      { return nil }
func (nothingNew) Wake() <-chan struct{}                              { return nil }
func (nothingNew) At() uint64                                         { return 0 }
func (nothingNew) Close()                                             {}

// copied gives each message the next UID.
func copied(uids []uint32) (all []gateway.Moved, err error) {
	for i, uid := range uids {
		all = append(all, gateway.Moved{From: uid, To: uint32(2*i + 1)})
	}
	return all, nil
}
