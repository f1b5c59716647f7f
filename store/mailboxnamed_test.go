package store_test

import (
	"testing"

	"github.com/centerleap/postern/gateway"
)

// A mailbox is found by its name, exactly, but for INBOX.
func TestMailboxNamed(t *testing.T) {
	w := newWorld(t)
	const inbox, archive gateway.MailboxID = 1, 6 // by their order
	own, err := w.CreateMailbox(w.ctx(), of(w.ann), w.ann.Domain, w.ann.ID, "Projects")
	w.ok(err)
	renamed := gateway.Selection{Domain: w.ann.Domain, Account: w.ann.ID, Mailbox: own.ID}
	w.ok(second(w.RenameMailbox(w.ctx(), of(w.ann), renamed, "Done")))
	tests := []struct {
		name string
		want gateway.MailboxID // 0: there is none
	}{
		{"INBOX", inbox},
		{"inbox", inbox},
		{gateway.Drafts, gateway.DraftsMailbox},
		{"drafts", 0},
		{"Done", own.ID},
		{"done", 0},
		{"Projects", 0},
		{gateway.Archive, archive},
		{"", 0},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			box, err := w.MailboxNamed(w.ctx(), of(w.ann), w.ann.Domain, w.ann.ID, tt.name)
			if tt.want == 0 && gateway.KindOf(err) != gateway.NotFound || tt.want != 0 && err != nil || box.ID != tt.want {
				t.Errorf("%d, %v; want %d", box.ID, err, tt.want)
			}
		})
	}
}
