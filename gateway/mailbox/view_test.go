package mailbox_test

import (
	"context"
	"errors"
	"reflect"
	"slices"
	"testing"

	"github.com/centerleap/postern/gateway"
	"github.com/centerleap/postern/gateway/keys"
	"github.com/centerleap/postern/gateway/mailbox"
	"github.com/centerleap/postern/gateway/notify"
)

// follow gives the house a hub, so that its mailboxes can be viewed.
func (h *house) follow() { h.followWithin(gateway.DefaultLimits()) }

func (h *house) followWithin(lim gateway.Limits) {
	h.Helper()
	var err error
	h.mail, err = mailbox.New(mailbox.Config{
		Store: h.Store, Streams: h.hub(), Limits: lim, System: system, Internal: keys.Internal,
	})
	h.ok(err)
}

func (h *house) hub() *notify.Hub {
	h.Helper()
	hub, err := notify.New(notify.Config{Store: h.Store, Internal: keys.Internal})
	h.ok(err)
	return hub
}

// view opens a mailbox of an account, as its reader.
func (h *house) view(at gateway.Selection, name string) *mailbox.View {
	h.Helper()
	scope := gateway.NewScope(gateway.LevelAccount, at.Domain, at.Account, gateway.ID{})
	v, err := h.mail.View(h.Context(), scope, &gateway.Account{Domain: at.Domain, ID: at.Account}, name)
	h.ok(err)
	h.Cleanup(v.Close)
	return v
}

func TestViewHighestModSeq(t *testing.T) {
	h := newHouse(t, 0)
	h.follow()
	at := h.account("ann")
	at.Mailbox = inbox
	h.receive(at, gateway.Inbox, 4) // 1 and 3 are seen
	v := h.view(at, gateway.Inbox)
	box, _, err := h.Entries(t.Context(), system, at)
	h.ok(err)
	if v.Len() != 4 || v.HighestModSeq() != box.ModSeq || v.HighestModSeq() != v.Entry(3).ModSeq {
		t.Errorf("%d messages, %d; the mailbox has %d", v.Len(), v.HighestModSeq(), box.ModSeq)
	}
	if got := slices.Collect(v.Each(0, gateway.Seen)); !slices.Equal(got, []int{1, 3}) {
		t.Errorf("not seen: %v", got)
	}
	after, err := h.Flag(t.Context(), system, at, []uint32{2}, gateway.FlagChange{Add: gateway.Seen | gateway.Deleted})
	h.ok(err)
	if before := v.HighestModSeq(); before >= after[0].ModSeq {
		t.Errorf("%d before it was looked", before)
	}
	_, err = v.News(t.Context(), true)
	h.ok(err)
	if v.HighestModSeq() != after[0].ModSeq {
		t.Errorf("%d after the change %d", v.HighestModSeq(), after[0].ModSeq)
	}
	if got := slices.Collect(v.Each(gateway.Deleted, 0)); !slices.Equal(got, []int{1}) {
		t.Errorf("deleted: %v", got)
	}
	_, err = h.ExpungeAll(t.Context(), system, at, []uint32{2}, true)
	h.ok(err)
	n, err := v.News(t.Context(), false)
	h.ok(err)
	if got := slices.Collect(v.Each(gateway.Deleted, 0)); len(n.Gone) > 0 || len(got) > 0 || !v.IsGone(1) {
		t.Errorf("told %v while numbers are in use; deleted: %v", n, got)
	}
	if v.HighestModSeq() != after[0].ModSeq+1 {
		t.Errorf("%d after it was expunged", v.HighestModSeq())
	}
}

// breaking is a store that fails when it has copied half of what it was to copy.
type breaking struct {
	mailbox.Store
	left func() // called then
}

var errBroken = errors.New("it broke")

func (b *breaking) Copy(ctx context.Context, s gateway.Scope, at gateway.Selection, uids []uint32, to gateway.MailboxID, move bool) ([]gateway.Moved, error) {
	moved, err := b.Store.Copy(ctx, s, at, uids[:len(uids)/2], to, move)
	b.left()
	return moved, errors.Join(err, errBroken)
}

// A copy that fails half-way leaves nothing, also if its client has left; of a move, what
// was moved stays moved.
func TestCopyFailsHalfWay(t *testing.T) {
	for _, move := range []bool{false, true} {
		h := newHouse(t, 0)
		ctx, leave := context.WithCancel(t.Context())
		s := newShelf(t, h, "ann", &breaking{h.Store, leave}, nil)
		for range 4 {
			s.put("Subject: a\r\n\r\n")
		}
		v, err := s.mail.View(t.Context(), s.scope(), s.a, gateway.Inbox)
		s.ok(err)
		t.Cleanup(v.Close)
		done, err := v.Copy(ctx, []int{0, 1, 2, 3}, gateway.Archive, move)
		kept := map[bool]int{true: 2}[move]
		if !errors.Is(err, errBroken) || len(done.UIDs) != kept {
			t.Errorf("move %t: %d are told of, %v", move, len(done.UIDs), err)
		}
		archive, err := s.mail.View(t.Context(), s.scope(), s.a, gateway.Archive)
		s.ok(err)
		t.Cleanup(archive.Close)
		_, err = v.News(t.Context(), true)
		s.ok(err)
		if archive.Len() != kept || v.Len() != 4-kept {
			t.Errorf("move %t: %d here, %d there", move, v.Len(), archive.Len())
		}
	}
}

// Who opens a mailbox is told of its keywords and its first message that is not seen, also
// if it has changed since somebody else opened it.
func TestOpening(t *testing.T) {
	h := newHouse(t, 0)
	lim := gateway.DefaultLimits()
	lim.Keywords = 3
	h.followWithin(lim)
	at := h.account("ann")
	at.Mailbox = inbox
	h.receive(at, gateway.Inbox, 4) // 1 and 3 are seen
	flag := func(uid uint32, c gateway.FlagChange) {
		t.Helper()
		_, err := h.Flag(t.Context(), system, at, []uint32{uid}, c)
		h.ok(err)
	}
	for _, step := range []struct {
		name   string
		change func()
		want   mailbox.Opening
	}{
		{"without keywords", func() {}, mailbox.Opening{FirstUnseen: 1}},
		{"with keywords", func() {
			flag(3, gateway.FlagChange{AddLabels: []string{"b", "a"}})
			flag(1, gateway.FlagChange{AddLabels: []string{"a"}})
		}, mailbox.Opening{Keywords: []string{"a", "b"}, FirstUnseen: 1}},
		{"with as many as may be", func() { flag(4, gateway.FlagChange{AddLabels: []string{"c"}}) }, mailbox.Opening{Keywords: []string{"a", "b", "c"}, Full: true, FirstUnseen: 1}},
		{"one is seen", func() { flag(2, gateway.FlagChange{Add: gateway.Seen}) }, mailbox.Opening{Keywords: []string{"a", "b", "c"}, Full: true, FirstUnseen: 3}},
		{"all are", func() { flag(4, gateway.FlagChange{Add: gateway.Seen, RemoveLabels: []string{"c"}}) }, mailbox.Opening{Keywords: []string{"a", "b"}, FirstUnseen: -1}},
	} {
		step.change()
		for range 2 {
			if got := h.view(at, gateway.Inbox).Opening(); !reflect.DeepEqual(got, step.want) {
				t.Errorf("%s: %+v, want %+v", step.name, got, step.want)
			}
		}
	}
}
