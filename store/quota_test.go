package store_test

import (
	"encoding/binary"
	"fmt"
	"testing"

	"github.com/centerleap/postern/gateway"
	"github.com/centerleap/postern/gateway/threading"
	"github.com/centerleap/postern/store"
	"github.com/centerleap/postern/store/engine"
)

func (w *world) quota(a *gateway.Account, bytes int64) {
	w.Helper()
	_, err := w.UpdateAccount(w.ctx(), inside(a.Domain), a.Domain, a.ID, func(a *gateway.Account) error {
		a.Quota = bytes
		return nil
	})
	w.ok(err)
}

func (w *world) used(a *gateway.Account) int64 {
	w.Helper()
	now, err := w.AccountByID(w.ctx(), of(a), a.Domain, a.ID)
	w.ok(err)
	return now.Used
}

// An account takes what fits, to the byte, by whichever way it comes; deleting
// makes room.
func TestQuota(t *testing.T) {
	w := newWorld(t)
	at := gateway.Selection{Domain: w.ann.Domain, Account: w.ann.ID, Mailbox: 1}
	ref, done := w.blob(w.ours.ID, "ten bytes.")
	defer done()
	c := content("<1@x.test>", "s", w.clock)
	ways := map[string]func() error{
		"receive": func() error {
			return w.Deliver(w.ctx(), inside(w.ours.ID), &gateway.Filing{
				Message: &gateway.Message{Arrived: w.clock, Blob: ref, Content: c}, Facts: threading.Facts(&c, w.clock),
				Copies: []gateway.Copy{{Account: w.eve.ID, ID: newID(), Folder: gateway.Inbox}, {Account: w.ann.ID, ID: newID(), Folder: gateway.Inbox}},
			})
		},
		"append": func() error {
			return second(w.Append(w.ctx(), of(w.ann), at, &gateway.Appending{Message: &gateway.Message{ID: newID(), Arrived: w.clock, Blob: ref, Content: c}}))
		},
		"send": func() error {
			_, err := w.Accept(w.ctx(), inside(w.ours.ID), &gateway.Acceptance{
				Message: &gateway.Message{ID: newID(), Arrived: w.clock, Blob: ref, Content: c, Recipients: []string{"x@y.test"}}, From: gateway.Address{Addr: w.ann.Email},
				Deliveries: []gateway.Delivery{{ID: newID(), Recipient: "x@y.test", State: gateway.DeliveryQueued, Due: w.clock}},
			})
			return err
		},
	}
	for name, way := range ways {
		t.Run(name, func(t *testing.T) {
			before, others := w.used(w.ann), w.used(w.eve)
			w.quota(w.ann, before+9)
			if err := way(); gateway.KindOf(err) != gateway.OverQuota || err == nil {
				t.Errorf("one byte too many: %v", err)
			}
			if got := w.used(w.ann); got != before || w.used(w.eve) != others {
				t.Errorf("what was refused counts: %d, was %d", got, before)
			}
			w.quota(w.ann, before+10)
			w.ok(way())
			if got := w.used(w.ann); got != before+10 {
				t.Errorf("%d bytes, want %d", got, before+10)
			}
		})
	}
	w.quota(w.ann, 5)
	uids := []uint32{w.entries(at)[0].UID}
	if _, err := w.Copy(w.ctx(), of(w.ann), at, uids, 6, false); gateway.KindOf(err) != gateway.OverQuota {
		t.Errorf("a copy for an account that is over: %v", err)
	}
	_, err := w.Copy(w.ctx(), of(w.ann), at, uids, 4, true)
	w.ok(err) // to Trash, always
	_, err = w.ExpungeAll(w.ctx(), of(w.ann), gateway.Selection{Domain: at.Domain, Account: at.Account, Mailbox: 4}, []uint32{1}, false)
	w.ok(err)
	if got := w.used(w.ann); got != 20 {
		t.Errorf("%d bytes after one of three has gone", got)
	}
	w.quota(w.ann, 0)
	w.ok(ways["receive"]())
	w.fits()
}

// What was stored before bytes were counted is counted afterwards, also when the
// counting is cut short and mail comes and goes meanwhile.
func TestCountBytes(t *testing.T) {
	w := newWorld(t)
	for i := range 1200 {
		w.deliver(w.ann, fmt.Sprintf("<%d@x.test>", i))
	}
	want := w.used(w.ann)
	w.forgetBytes(w.ann)
	if w.used(w.ann) != 0 {
		t.Fatal("the test shows nothing")
	}
	at := gateway.Selection{Domain: w.ann.Domain, Account: w.ann.ID, Mailbox: 1}
	_, err := w.ExpungeAll(w.ctx(), of(w.ann), at, []uint32{1}, false) // one that is not counted
	w.ok(err)
	w.fits()
	for calls := 0; ; calls++ {
		s, err := store.New(&dying{w.engine, calls}, w.cfg)
		w.ok(err)
		err = s.CountBytes(w.ctx(), system)
		w.fits()
		if err == nil {
			break
		}
		w.deliver(w.ann, "<new@x.test>")
		newest := w.entries(at)
		_, err = w.ExpungeAll(w.ctx(), of(w.ann), at, []uint32{newest[len(newest)-1].UID}, false)
		w.ok(err)
	}
	gone := int64(len("body of <0@x.test>"))
	if got := w.used(w.ann); got != want-gone {
		t.Errorf("%d bytes, want %d", got, want-gone)
	}
	w.ok(w.CountBytes(w.ctx(), system))
	w.reopen()
	w.fits()
}

// forgetBytes makes an account's counters what they were before bytes were counted:
// the first three alone.
func (w *world) forgetBytes(a *gateway.Account) {
	w.Helper()
	k := binary.BigEndian.AppendUint32([]byte{0x09}, uint32(a.Domain))
	k = binary.BigEndian.AppendUint32(k, uint32(a.ID))
	_, err := w.engine.Update(w.ctx(), engine.Op{Domain: uint32(a.Domain), Fn: func(t engine.Tx) error {
		v, err := t.Get(k)
		if err != nil {
			return err
		}
		old := []byte{v[0]}
		for at := 1; at < len(v); { // fields of protobuf wire: a tag of one byte, and a varint
			_, n := binary.Uvarint(v[at+1:])
			if v[at]>>3 <= 3 {
				old = append(old, v[at:at+1+n]...)
			}
			at += 1 + n
		}
		t.Set(k, old)
		return nil
	}})
	w.ok(err)
}

// An account's aliases are changed as a whole; what is another's is not taken.
func TestUpdateAccount(t *testing.T) {
	w := newWorld(t)
	set := func(sc gateway.Scope, aliases ...string) error {
		_, err := w.UpdateAccount(w.ctx(), sc, w.ours.ID, w.ann.ID, func(a *gateway.Account) error {
			a.Name, a.Aliases, a.Email = "Ann", aliases, "changed@ours.test"
			return nil
		})
		return err
	}
	for name, sc := range map[string]gateway.Scope{"another domain": inside(w.them.ID), "the account itself": of(w.ann)} {
		if err := set(sc, "a@ours.test"); gateway.KindOf(err) != gateway.NotFound || err == nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	if err := set(inside(w.ours.ID), "eve.alias@ours.test"); gateway.KindOf(err) != gateway.AlreadyExists {
		t.Errorf("an alias of another account: %v", err)
	}
	w.ok(set(inside(w.ours.ID), "one@ours.test", "two@ours.test"))
	w.ok(set(inside(w.ours.ID), "two@ours.test", "three@ours.test"))
	for addr, want := range map[string]bool{"ann@ours.test": true, "one@ours.test": false, "ann.alias@ours.test": false, "two@ours.test": true, "THREE@ours.test": true, "changed@ours.test": false} {
		a, err := w.Account(w.ctx(), inside(w.ours.ID), w.ours.ID, addr)
		if (err == nil) != want || err == nil && (a.ID != w.ann.ID || a.Name != "Ann") {
			t.Errorf("%s: %+v, %v", addr, a, err)
		}
	}
}
