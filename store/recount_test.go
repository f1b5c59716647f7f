package store_test

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/centerleap/postern/gateway"
	"github.com/centerleap/postern/gateway/threading"
	"github.com/centerleap/postern/store/engine"
)

// churn does to two accounts whatever clients, senders and the clock do.
type churn struct {
	*world
	*rand.Rand
	owners []*gateway.Account
	boxes  int // mailboxes made so far
}

// somewhere is any mailbox that may hold mail.
func (c *churn) somewhere() (a *gateway.Account, at gateway.Selection, box gateway.Mailbox) {
	c.Helper()
	a = c.owners[c.IntN(len(c.owners))]
	all, err := c.Mailboxes(c.ctx(), of(a), a.Domain, a.ID)
	c.ok(err)
	box = all[c.IntN(len(all))]
	return a, gateway.Selection{Domain: a.Domain, Account: a.ID, Mailbox: box.ID}, box
}

// some are a few UIDs of a mailbox, and now and then one that is not there.
func (c *churn) some(at gateway.Selection) (uids []uint32) {
	c.Helper()
	for _, e := range c.entries(at) {
		if c.IntN(3) == 0 {
			uids = append(uids, e.UID)
		}
	}
	if c.IntN(5) == 0 {
		uids = append(uids, 1<<30)
	}
	return uids
}

func (c *churn) flags() gateway.FlagChange {
	return gateway.FlagChange{
		Add: gateway.Flags(c.IntN(32)), Remove: gateway.Flags(c.IntN(32)), Replace: c.IntN(4) == 0, AddLabels: []string{fmt.Sprint("l", c.IntN(5))},
	}
}

// steps are what can happen; each is as likely as its number.
func (c *churn) steps() map[string]int {
	return map[string]int{
		"deliver": 12, "accept": 6, "append": 4, "flag": 8, "flag one": 6, "move": 5, "move one": 8, "copy": 4,
		"expunge": 2, "expunge one": 3, "make folder": 3, "rename folder": 3, "delete folder": 3, "expire": 4, "restart": 1,
	}
}

func (c *churn) step(what string) {
	c.Helper()
	a, at, box := c.somewhere()
	_, to, _ := c.somewhere()
	to.Account = at.Account
	switch what {
	case "deliver":
		c.file(box.Name)
	case "accept":
		_, err := c.accept(inside(a.Domain), a.Email, "x@y.test", "z@y.test")
		c.ok(err)
	case "append":
		ref, done := c.blob(a.Domain, "appended")
		defer done()
		m := &gateway.Message{ID: newID(), Arrived: c.clock, Blob: ref, Content: content(fmt.Sprintf("<%d@x.test>", c.IntN(20)), "appended", c.clock)}
		_, err := c.Append(c.ctx(), of(a), at, &gateway.Appending{Message: m, Flags: gateway.Flags(c.IntN(32))})
		c.ok(err)
	case "flag":
		_, err := c.Flag(c.ctx(), of(a), at, c.some(at), c.flags())
		c.ok(err)
	case "move", "copy":
		_, err := c.Copy(c.ctx(), of(a), at, c.some(at), to.Mailbox, what == "move")
		if gateway.KindOf(err) != gateway.NotFound || err == nil { // to may be a mailbox of the other account
			c.ok(err)
		}
	case "expunge":
		_, err := c.ExpungeAll(c.ctx(), of(a), at, c.some(at), c.IntN(2) == 0)
		c.ok(err)
	case "flag one", "move one", "expunge one":
		c.one(a, at, what)
	case "expire":
		c.expire()
	case "restart":
		c.reopen()
	default:
		c.folder(a, at, box, what)
	}
}

// file delivers one message to both accounts, or a message to one twice.
func (c *churn) file(folder string) {
	c.Helper()
	ref, done := c.blob(c.ours.ID, "delivered")
	defer done()
	body := content(fmt.Sprintf("<%d@x.test>", c.IntN(20)), "delivered", c.clock)
	f := &gateway.Filing{Message: &gateway.Message{Arrived: c.clock, Blob: ref, Content: body}, Facts: threading.Facts(&body, c.clock)}
	for range 1 + c.IntN(3) {
		to := c.owners[c.IntN(len(c.owners))]
		f.Copies = append(f.Copies, gateway.Copy{
			Account: to.ID, ID: newID(), Folder: folder, MakeFolder: c.IntN(2) == 0, Flags: gateway.Flags(c.IntN(32)),
		})
	}
	c.ok(c.Deliver(c.ctx(), inside(c.ours.ID), f))
}

func (c *churn) one(a *gateway.Account, at gateway.Selection, what string) {
	c.Helper()
	all := c.entries(at)
	if len(all) == 0 {
		return
	}
	place := gateway.Place{Domain: at.Domain, Account: at.Account, Mailbox: at.Mailbox, UID: all[c.IntN(len(all))].UID}
	var err error
	switch what {
	case "expunge one":
		err = c.Expunge(c.ctx(), of(a), place)
	case "flag one":
		_, err = c.Change(c.ctx(), of(a), place, c.flags(), "")
	default:
		to := []string{gateway.Trash, gateway.Trash, gateway.Inbox, gateway.Archive}[c.IntN(4)]
		_, err = c.Change(c.ctx(), of(a), place, c.flags(), to)
	}
	c.ok(err)
}

func (c *churn) folder(a *gateway.Account, at gateway.Selection, box gateway.Mailbox, what string) {
	c.Helper()
	var err error
	switch what {
	case "make folder":
		c.boxes++
		name := fmt.Sprint("Folder ", c.boxes)
		if c.IntN(2) == 0 {
			name = box.Name + "/" + name
		}
		_, err = c.CreateMailbox(c.ctx(), of(a), a.Domain, a.ID, name)
	case "rename folder":
		c.boxes++
		name := fmt.Sprint("Renamed ", c.boxes)
		if c.IntN(3) == 0 {
			name = box.Name + "/" + name
		}
		_, err = c.RenameMailbox(c.ctx(), of(a), at, name)
	case "delete folder":
		if int(at.Mailbox) > len(gateway.StandardMailboxes) && c.IntN(2) == 0 { // as a client does, who empties it first
			var uids []uint32
			for _, e := range c.entries(at) {
				uids = append(uids, e.UID)
			}
			_, err = c.ExpungeAll(c.ctx(), of(a), at, uids, false)
			c.ok(err)
		}
		err = c.DeleteMailbox(c.ctx(), of(a), at)
	default:
		c.Fatalf("no step %q", what)
	}
	if k := gateway.KindOf(err); err != nil && k != gateway.InvalidState { // a standing one, or one with mail in it
		c.Fatalf("%s %s: %v", what, box.Name, err)
	}
}

// expire empties Trash of what came there before the last few minutes.
func (c *churn) expire() {
	c.Helper()
	for _, a := range c.owners {
		at := gateway.Selection{Domain: a.Domain, Account: a.ID, Mailbox: 4}
		uids, err := c.Overdue(c.ctx(), system, at, c.clock.Add(-5*time.Minute), 1, 1000)
		c.ok(err)
		gone, err := c.ExpungeAll(c.ctx(), system, at, uids, false)
		if err != nil || !slices.Equal(gone, uids) {
			c.Fatalf("expired %v of %v: %v", gone, uids, err)
		}
	}
}

// count compares what every mailbox says of itself with what is in it, in both of
// its indexes, and looks for entries of mailboxes that are gone.
func (c *churn) count() {
	c.Helper()
	standing := make(map[byte]int64)
	for _, a := range c.owners {
		boxes, err := c.Mailboxes(c.ctx(), of(a), a.Domain, a.ID)
		c.ok(err)
		sizes := make(map[gateway.ID]int64) // a message counts once, wherever it stands
		for _, box := range boxes {
			all := c.entries(gateway.Selection{Domain: a.Domain, Account: a.ID, Mailbox: box.ID}) // compares the counters
			l, err := c.List(c.ctx(), of(a), gateway.ListQuery{Domain: a.Domain, Account: a.ID, Mailbox: box.ID, Limit: 10_000})
			c.ok(err)
			if len(l.Messages) != len(all) {
				c.Errorf("%s of %s: %d listed, %d entries", box.Name, a.Email, len(l.Messages), len(all))
			}
			for _, m := range l.Messages {
				sizes[m.ID] = m.Size()
			}
			standing[subEntry] += box.Total
			standing[subList] += box.Total
		}
		bytes := int64(0)
		for _, n := range sizes {
			bytes += n
		}
		if got := c.used(a); got != bytes {
			c.Errorf("%s holds %d bytes, counted %d", a.Email, got, bytes)
		}
	}
	for sub, want := range standing {
		got := int64(0)
		c.ok(c.engine.View(c.ctx(), func(r engine.Reader) error {
			return r.Scan(engine.Range{From: []byte{sub}, To: []byte{sub + 1}, KeysOnly: true}, func(_, _ []byte) error { got++; return nil })
		}))
		if got != want {
			c.Errorf("%d keys under %02x, mailboxes count %d", got, sub, want)
		}
	}
}

// Entries and list order in the key space, as keys.go has them.
const (
	subEntry = 0x13
	subList  = 0x14
)

// Whatever happens to mail, each mailbox's total and unseen are what is in it.
func TestCounters(t *testing.T) {
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	w := newWorld(t)
	c := &churn{world: w, Rand: rand.New(rand.NewPCG(seed, 0)), owners: []*gateway.Account{w.ann, w.eve}}
	var deck []string
	for what, n := range c.steps() {
		deck = append(deck, slices.Repeat([]string{what}, n)...)
	}
	slices.Sort(deck) // a map has no order, and a seed must mean one run
	var trail []string
	for n := range 600 {
		w.clock = w.clock.Add(time.Duration(c.IntN(60)-5) * time.Second) // clocks go back, too
		what := deck[c.IntN(len(deck))]
		trail = append(trail, what)
		c.step(what)
		if n%20 == 0 {
			c.count()
		}
		if t.Failed() {
			t.Fatalf("after step %d; the last were %s", n, strings.Join(trail[max(0, n-25):], ", "))
		}
	}
	c.count()
	c.fits()
}
