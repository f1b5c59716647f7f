package store_test

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/centerleap/postern/gateway"
	"github.com/centerleap/postern/gateway/threading"
)

// redirects files a mail for some accounts, of which each is sent on to some addresses.
func (w *world) redirects(keep bool, to map[*gateway.Account][]string) (ids map[*gateway.Account]gateway.ID) {
	w.Helper()
	ref, done := w.blob(w.ours.ID, "sent on")
	defer done()
	c := content("<on@x.test>", "subject", w.clock)
	f := &gateway.Filing{
		Message: &gateway.Message{Arrived: w.clock, ReturnPath: "peer@x.test", Blob: ref, Content: c}, Facts: threading.Facts(&c, w.clock),
		Client: gateway.Client{IP: "192.0.2.1", Helo: "mx.x.test"},
	}
	ids = make(map[*gateway.Account]gateway.ID)
	for _, a := range []*gateway.Account{w.ann, w.eve} {
		if to[a] == nil {
			continue
		}
		ids[a] = newID()
		cp := gateway.Copy{Account: a.ID, ID: ids[a], Folder: gateway.Inbox, Keep: keep}
		for _, addr := range to[a] {
			_, site := gateway.SplitAddress(addr)
			if site == w.ours.Name {
				site = ""
			}
			cp.Redirects = append(cp.Redirects, gateway.Redirect{Recipient: addr, Site: site, Prefix: []byte("Delivered-To: " + a.Email + "\r\n")})
		}
		f.Copies = append(f.Copies, cp)
	}
	w.ok(w.Deliver(w.ctx(), inside(w.ours.ID), f))
	return ids
}

// kept are the labels of a copy, if there is one.
func (w *world) kept(id gateway.ID) string {
	w.Helper()
	m, err := w.Message(w.ctx(), inside(w.ours.ID), id)
	if gateway.KindOf(err) == gateway.NotFound && err != nil {
		return "gone"
	}
	w.ok(err)
	return fmt.Sprint(m.Entries[0].Labels)
}

// waiting is what the domain has in its queue for other hosts.
func (w *world) waiting() (to []string) {
	w.Helper()
	all, _, _, err := w.Waiting(w.ctx(), inside(w.ours.ID), gateway.QueueFilter{Limit: 100})
	w.ok(err)
	for _, d := range all {
		if !d.Redirected || d.ReturnPath != "peer@x.test" || d.Author != "" || d.Client.IP != "192.0.2.1" || d.Client.Helo != "mx.x.test" || d.Email.IsZero() {
			w.Errorf("waiting: %+v", d)
		}
		to = append(to, d.Recipient)
	}
	slices.Sort(to)
	return to
}

// What is sent on leaves with the commit that receives it, once to each address; it stays
// if that is wanted, or if it can't leave.
func TestRedirects(t *testing.T) {
	change := func(w *world, fn func(*gateway.Domain)) {
		_, err := w.UpdateDomain(w.ctx(), system, w.ours.ID, func(d *gateway.Domain) error { fn(d); return nil })
		w.ok(err)
	}
	hour := func(w *world) { change(w, func(d *gateway.Domain) { d.Limits = gateway.DomainLimits{Recipients: 2} }) }
	for _, tt := range []struct {
		name     string
		before   func(*world)
		keep     bool
		ann, eve []string
		want     string // what is waiting, and the copies
	}{
		{name: "away", ann: []string{"a@x.test", "b@y.test"}, want: "[a@x.test b@y.test] gone"},
		{name: "and kept", keep: true, ann: []string{"a@x.test"}, want: "[a@x.test] []"},
		{name: "to people here", ann: []string{"eve@ours.test"}, want: "[] gone"},
		{name: "two to one", ann: []string{"a@x.test"}, eve: []string{"A@x.test"}, want: "[a@x.test] gone gone"},
		{name: "one of two", ann: []string{"a@x.test"}, eve: []string{}, want: "[a@x.test] gone []"},
		{name: "suppressed", before: func(w *world) {
			_, _, err := w.AddSuppression(w.ctx(), inside(w.ours.ID), "a@x.test", gateway.SuppressedManual)
			w.ok(err)
		}, ann: []string{"a@x.test"}, eve: []string{"A@x.test", "b@y.test"}, want: "[b@y.test] [not-redirected] [not-redirected]"},
		{name: "within the domain's hour", before: hour, ann: []string{"a@x.test", "b@x.test"}, want: "[a@x.test b@x.test] gone"},
		{name: "over it", before: hour, ann: []string{"a@x.test", "b@x.test"}, eve: []string{"c@x.test"}, want: "[] [not-redirected] [not-redirected]"},
		{name: "over it, and kept", before: hour, keep: true, ann: []string{"a@x.test", "b@x.test", "c@x.test"}, want: "[] []"},
		{name: "the queue is full", before: func(w *world) { w.cfg.Limits = gateway.DefaultLimits(); w.cfg.Limits.QueueDeliveries = 1; w.reopen() }, ann: []string{"a@x.test", "b@x.test"}, want: "[] [not-redirected]"},
		{name: "the domain may not send", before: func(w *world) {
			change(w, func(d *gateway.Domain) { d.Status = gateway.DomainFailed })
		}, ann: []string{"a@x.test"}, want: "[] [not-redirected]"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			w := newWorld(t)
			if tt.before != nil {
				tt.before(w)
			}
			ids := w.redirects(tt.keep, map[*gateway.Account][]string{w.ann: tt.ann, w.eve: tt.eve})
			got := fmt.Sprint(w.waiting(), " ", w.kept(ids[w.ann]))
			if tt.eve != nil {
				got += " " + w.kept(ids[w.eve])
			}
			if got != tt.want {
				t.Errorf("%s, want %s", got, tt.want)
			}
			w.fits()
		})
	}
}

// What was sent on and is not kept is gone when it has arrived; its feed has told of it. What
// is kept stays as it is, whatever becomes of what was sent on.
func TestRedirectEnds(t *testing.T) {
	for _, keep := range []bool{false, true} {
		w := newWorld(t)
		id := w.redirects(keep, map[*gateway.Account][]string{w.ann: {"a@x.test", "eve@ours.test"}})[w.ann]
		inside1, err := w.LeaseDue(w.ctx(), system, 10, time.Minute)
		w.ok(err)
		sites, err := w.DueSites(w.ctx(), system, nil, 10)
		w.ok(err)
		outside, err := w.LeaseSite(w.ctx(), system, sites[0], 10, 10, time.Minute)
		w.ok(err)
		if len(inside1) != 1 || len(outside) != 1 || string(outside[0].Prefix) != "Delivered-To: ann@ours.test\r\n" || outside[0].Client.Helo != "mx.x.test" {
			t.Fatalf("leased: %+v %+v", inside1, outside)
		}
		if keep { // the mail may go before what was sent on of it
			m, err := w.Message(w.ctx(), inside(w.ours.ID), id)
			w.ok(err)
			w.ok(w.Expunge(w.ctx(), inside(w.ours.ID), gateway.Place{Domain: m.Domain, Account: m.Account, Mailbox: m.Entries[0].Mailbox, UID: m.Entries[0].UID}))
		}
		w.ok(w.Finish(w.ctx(), inside(w.ours.ID), gateway.Attempt{Delivery: inside1[0], Outcome: gateway.Outcome{State: gateway.DeliveryDelivered, Code: 250}}))
		w.ok(w.Finish(w.ctx(), inside(w.ours.ID), gateway.Attempt{Delivery: outside[0], Outcome: gateway.Outcome{State: gateway.DeliveryBounced, Code: 550, Enhanced: [3]int{5, 1, 1}, Remote: true, Suppress: gateway.SuppressedBounce}}))
		var told []gateway.EventType
		for _, e := range w.events(w.ours.ID) {
			if e.Email == id && !e.Delivery.IsZero() {
				told = append(told, e.Type)
			}
		}
		if fmt.Sprint(told) != "[email.delivered email.bounced]" {
			t.Errorf("told %v", told)
		}
		if _, err := w.SuppressionOf(w.ctx(), inside(w.ours.ID), "a@x.test"); gateway.KindOf(err) != gateway.NotFound {
			t.Errorf("a redirect suppresses its address: %v", err)
		}
		_, err = w.Delivery(w.ctx(), inside(w.ours.ID), outside[0].ID)
		if gone := gateway.KindOf(err) == gateway.NotFound && err != nil; gone == keep {
			t.Errorf("kept %t: the delivery: %v", keep, err)
		}
		if sum := w.fits(); sum.Bodies != 0 {
			t.Errorf("%d bodies are left", sum.Bodies)
		}
	}
}

// Mail of a plugin that is sent on stays mail of a plugin, also where nobody keeps a copy:
// or two plugins could have each other's mail lead to more without end.
func TestRedirectOfAPluginsMail(t *testing.T) {
	w := newWorld(t)
	for _, keep := range []bool{false, true} {
		ref, done := w.blob(w.ours.ID, "sent on")
		c := content("<on@x.test>", "subject", w.clock)
		by := newID()
		w.ok(w.Deliver(w.ctx(), inside(w.ours.ID), &gateway.Filing{
			Message: &gateway.Message{Arrived: w.clock, Blob: ref, Content: c, Plugin: by}, Facts: threading.Facts(&c, w.clock),
			Copies: []gateway.Copy{{
				Account: w.ann.ID, ID: newID(), Folder: gateway.Inbox, Keep: keep, Redirects: []gateway.Redirect{{Recipient: "eve@ours.test"}},
			}},
		}))
		done()
		all, err := w.LeaseDue(w.ctx(), system, 10, time.Minute)
		w.ok(err)
		if len(all) != 1 || all[0].Plugin != by {
			t.Errorf("keep %v: %+v", keep, all)
		}
	}
}
