package mailbox_test

import (
	"context"
	"testing"

	"github.com/centerleap/postern/gateway"
	"github.com/centerleap/postern/gateway/keys"
	"github.com/centerleap/postern/gateway/mailbox"
)

// busy is a store of one mailbox that gets mail whenever it was emptied.
type busy struct {
	mailbox.Store
	comes int // times
	left  int
}

func (b *busy) MailboxNamed(context.Context, gateway.Scope, gateway.DomainID, gateway.AccountID, string) (gateway.Mailbox, error) {
	return gateway.Mailbox{ID: 7, Name: "Work"}, nil
}

func (b *busy) Entries(context.Context, gateway.Scope, gateway.Selection) (gateway.Mailbox, []gateway.Entry, error) {
	return gateway.Mailbox{ID: 7}, make([]gateway.Entry, b.left), nil
}

func (b *busy) ExpungeAll(_ context.Context, _ gateway.Scope, _ gateway.Selection, uids []uint32, _ bool) ([]uint32, error) {
	if b.left = 0; b.comes > 0 {
		b.left, b.comes = 1, b.comes-1
	}
	return uids, nil
}

func (b *busy) DeleteMailbox(context.Context, gateway.Scope, gateway.Selection) error {
	if b.left > 0 {
		return gateway.Errorf(gateway.InvalidState, "the folder is not empty")
	}
	return nil
}

// Mail that comes while a mailbox is emptied does not keep it from being deleted: what was
// in it is gone by then. Only if it does not end the mailbox stays.
func TestDeleteWhileMailComes(t *testing.T) {
	for comes, want := range map[int]bool{0: true, 1: true, 15: true, 16: false} {
		b := &busy{comes: comes, left: 3}
		m, err := mailbox.New(mailbox.Config{Store: b, Streams: noStreams{}, Limits: gateway.DefaultLimits(), System: system, Internal: keys.Internal})
		if err != nil {
			t.Fatal(err)
		}
		err = m.DeleteFolder(t.Context(), system, &gateway.Account{Domain: 1, ID: 1}, "Work")
		if (err == nil) != want || err != nil && gateway.KindOf(err) != gateway.InvalidState {
			t.Errorf("mail comes %d times: %v", comes, err)
		}
	}
}
