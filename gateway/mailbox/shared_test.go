package mailbox_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"

	"github.com/centerleap/postern/gateway"
	"github.com/centerleap/postern/gateway/mailbox"
)

// told is a client that knows of a mailbox only what it is told.
type told struct {
	*house
	view  *mailbox.View
	uids  []uint32 // by number
	flags map[uint32]gateway.Flags
	last  uint32 // the highest UID it was told of
	where string
}

func (h *house) client(at gateway.Selection, where string) *told {
	c := &told{house: h, view: h.view(at, gateway.Inbox), flags: make(map[uint32]gateway.Flags), where: where}
	c.grow(c.view.Len())
	return c
}

func (c *told) grow(exists int) {
	for i := len(c.uids); i < exists; i++ {
		e := c.view.Entry(i)
		if e.UID <= c.last {
			c.Errorf("%s: message %d has UID %d after %d", c.where, i, e.UID, c.last)
		}
		c.uids, c.last, c.flags[e.UID] = append(c.uids, e.UID), e.UID, e.Flags
	}
}

// hear takes news, and holds the view to what it was told.
func (c *told) hear(expunge bool) {
	n, err := c.view.News(c.Context(), expunge)
	if err != nil {
		c.Errorf("%s: %v", c.where, err)
		return
	}
	if len(n.Gone) > 0 && !expunge {
		c.Errorf("%s: %v gone while numbers are in use", c.where, n.Gone)
	}
	before := len(c.uids)
	for _, i := range n.Gone {
		if i >= before {
			c.Errorf("%s: gone %v is not from the last to the first", c.where, n.Gone)
			return
		}
		before = i
		c.uids = slices.Delete(c.uids, i, i+1)
	}
	if n.Exists >= 0 {
		if n.Exists <= len(c.uids) {
			c.Errorf("%s: %d exist of %d", c.where, n.Exists, len(c.uids))
		}
		c.grow(n.Exists)
	}
	for _, i := range n.Changed {
		e := c.view.Entry(i)
		c.flags[e.UID] = e.Flags
	}
	c.check()
}

func (c *told) check() {
	if c.view.Len() != len(c.uids) {
		c.Errorf("%s: %d messages, %d were told of", c.where, c.view.Len(), len(c.uids))
		return
	}
	for i, uid := range c.uids {
		e := c.view.Entry(i)
		if e.UID != uid || e.Flags != c.flags[uid] {
			c.Errorf("%s: message %d is UID %d with flags %v; it was told %d with %v", c.where, i, e.UID, e.Flags, uid, c.flags[uid])
		}
		if at, ok := c.view.Find(uid); !ok || at != i {
			c.Errorf("%s: UID %d is found at %d, %v; it is at %d", c.where, uid, at, ok, i)
		}
	}
}

// some picks numbers, in order.
func (c *told) some(r *rand.Rand) (numbers []int) {
	for i := range c.uids {
		if r.IntN(4) == 0 {
			numbers = append(numbers, i)
		}
	}
	return numbers
}

// act does one thing that a client does.
func (c *told) act(r *rand.Rand) {
	switch r.IntN(7) {
	case 0, 1:
		change := gateway.FlagChange{Add: gateway.Flags(1 << r.IntN(5))}
		if r.IntN(2) == 0 {
			change = gateway.FlagChange{Remove: gateway.Seen | gateway.Deleted}
		}
		done, err := c.view.Flag(c.Context(), c.some(r), change)
		c.fine(err)
		for _, i := range done {
			c.flags[c.uids[i]] = c.view.Entry(i).Flags
		}
		c.check()
	case 2:
		c.fine(c.view.Expunge(c.Context(), c.some(r)))
	case 3:
		_, err := c.view.Copy(c.Context(), c.some(r), gateway.Archive, r.IntN(4) == 0)
		c.fine(err)
	default:
		c.hear(r.IntN(3) > 0)
	}
}

func (c *told) fine(err error) {
	if err != nil {
		c.Errorf("%s: %v", c.where, err)
	}
}

// Readers of one mailbox that all change it, come and go: each is told, in the end, what
// the store has, and on the way nothing that contradicts itself.
func TestViewsAgree(t *testing.T) {
	h := newHouse(t, 0)
	h.follow()
	at := h.account("ann")
	at.Mailbox = inbox
	h.receive(at, gateway.Inbox, 300) // more than a page
	var readers sync.WaitGroup
	for i := range 6 {
		readers.Go(func() {
			r := rand.New(rand.NewPCG(uint64(i), 7))
			for round := range 5 {
				c := h.client(at, fmt.Sprintf("reader %d, round %d", i, round))
				for range 30 {
					if i == 0 && r.IntN(3) == 0 {
						h.receive(at, gateway.Inbox, 1+r.IntN(20))
					}
					c.act(r)
				}
				c.view.Close()
			}
		})
	}
	quiet := h.client(at, "who hears only at the end")
	readers.Wait()
	quiet.hear(false)
	quiet.hear(true)
	box, all, err := h.Entries(t.Context(), system, at)
	h.ok(err)
	late := h.client(at, "who comes late")
	for _, c := range []*told{quiet, late} {
		if len(c.uids) != len(all) || c.view.HighestModSeq() != box.ModSeq {
			t.Fatalf("%s: %d messages up to %d; there are %d up to %d", c.where, len(c.uids), c.view.HighestModSeq(), len(all), box.ModSeq)
		}
		for i, want := range all {
			if got := c.view.Entry(i); got.UID != want.UID || got.Flags != want.Flags || got.ModSeq != want.ModSeq || got.Message != want.Message {
				t.Errorf("%s: %+v, want %+v", c.where, got, want)
			}
		}
	}
	if late.view.Box.UIDNext != box.UIDNext {
		t.Errorf("UIDNEXT %d, want %d", late.view.Box.UIDNext, box.UIDNext)
	}
}

// Who comes back to a mailbox that nobody had selected meanwhile finds it as it is now,
// whether it is still in memory or not.
func TestViewsComeBack(t *testing.T) {
	for _, kept := range []int64{0, 1000} {
		h := newHouse(t, 0)
		lim := gateway.DefaultLimits()
		lim.SelectedKept = kept
		h.followWithin(lim)
		at := h.account("ann")
		at.Mailbox = inbox
		h.receive(at, gateway.Inbox, 5)
		for round := range 3 {
			h.client(at, "before").view.Close()
			h.receive(at, gateway.Inbox, 2)
			_, err := h.ExpungeAll(t.Context(), system, at, []uint32{uint32(round + 1)}, false)
			h.ok(err)
			_, err = h.Flag(t.Context(), system, at, []uint32{5}, gateway.FlagChange{Add: 1 << round})
			h.ok(err)
			c := h.client(at, "after")
			box, all, err := h.Entries(t.Context(), system, at)
			h.ok(err)
			if c.view.HighestModSeq() != box.ModSeq || c.view.Box.UIDNext != box.UIDNext || c.view.Len() != len(all) {
				t.Errorf("kept %d: %d messages up to %d; want %d up to %d", kept, c.view.Len(), c.view.HighestModSeq(), len(all), box.ModSeq)
			}
			for i := range all {
				if e := c.view.Entry(i); e.UID != all[i].UID || e.Flags != all[i].Flags {
					t.Errorf("kept %d: %+v, want %+v", kept, e, all[i])
				}
			}
			c.view.Close()
		}
	}
}

func TestSelectedMessages(t *testing.T) {
	h := newHouse(t, 0)
	lim := gateway.DefaultLimits()
	lim.SelectedMessages = 5
	h.followWithin(lim)
	at := h.account("ann")
	at.Mailbox = inbox
	h.receive(at, gateway.Inbox, 4)
	h.receive(at, gateway.Archive, 2)
	scope := gateway.NewScope(gateway.LevelAccount, at.Domain, at.Account, gateway.ID{})
	a := &gateway.Account{Domain: at.Domain, ID: at.Account}
	one, two := h.view(at, gateway.Inbox), h.view(at, gateway.Inbox) // two readers, one mailbox
	if _, err := h.mail.View(t.Context(), scope, a, gateway.Archive); gateway.KindOf(err) != gateway.Unavailable {
		t.Errorf("beyond the limit: %v", err)
	}
	one.Close()
	two.Close()
	two.Close()
	v, err := h.mail.View(t.Context(), scope, a, gateway.Archive)
	h.ok(err)
	v.Close()
}

// loading is a store in which a mailbox is read as long as somebody wants.
type loading struct {
	mailbox.Store
	begun, end chan struct{}
}

func (l *loading) WalkEntries(ctx context.Context, s gateway.Scope, at gateway.Selection, fn func(*gateway.Mailbox, *gateway.Entry)) (gateway.Mailbox, error) {
	l.begun <- struct{}{}
	<-l.end
	return l.Store.WalkEntries(ctx, s, at, fn)
}

// A mailbox that is still being read counts, as does one that somebody comes back to.
func TestSelectedMessagesMeanwhile(t *testing.T) {
	h := newHouse(t, 0)
	at := h.account("ann")
	h.receive(at, gateway.Inbox, 4)
	h.receive(at, gateway.Archive, 2)
	l := &loading{Store: h.Store, begun: make(chan struct{}), end: make(chan struct{})}
	m := h.reader(l, func(lim *gateway.Limits) { lim.SelectedMessages = 5 })
	scope := gateway.NewScope(gateway.LevelAccount, at.Domain, at.Account, gateway.ID{})
	a := &gateway.Account{Domain: at.Domain, ID: at.Account}
	open := func(folder string) chan *mailbox.View {
		opened := make(chan *mailbox.View, 1)
		go func() {
			v, err := m.View(context.Background(), scope, a, folder)
			if err != nil && gateway.KindOf(err) != gateway.Unavailable {
				t.Error(err)
			}
			opened <- v
		}()
		return opened
	}
	first := open(gateway.Inbox)
	<-l.begun
	refused := open(gateway.Archive)
	select {
	case <-l.begun:
		t.Fatal("4 messages are being read, and 2 more may be, of 5")
	case v := <-refused:
		if v != nil {
			t.Error("a mailbox beyond the limit was opened")
		}
	}
	close(l.end)
	(<-first).Close() // it is kept
	second := open(gateway.Archive)
	<-l.begun
	v := <-second
	defer v.Close()
	if back := <-open(gateway.Inbox); back != nil {
		t.Error("who came back made it 6 messages of 5")
	}
}
