package store

import (
	"slices"
	"time"

	"github.com/centerleap/postern/gateway"
)

// What is sent on: deliveries of a received message, in the commit that receives it. If its
// recipient keeps no copy they are all there is of it, and go when they have ended.

// onward are the redirects of a filing that can be made, by folded address. One address gets
// one message, whoever has it sent on.
type onward map[string]*gateway.Delivery

// sendOn decides which redirects of a filing can be made. They are mail that the domain
// sends: so its status, its limits by the hour, its suppressions and the room in its queue
// count. That they can't be made is no fault of whoever sends the message: it then stays.
func (t *tx) sendOn(f *gateway.Filing, dom *gateway.Domain) (onward, error) {
	var all []gateway.Delivery
	seen := make(map[string]bool)
	for i := range f.Copies {
		for _, r := range f.Copies[i].Redirects {
			if addr := gateway.FoldAddress(r.Recipient); !seen[addr] {
				seen[addr] = true
				all = append(all, t.redirected(f, r))
			}
		}
	}
	if len(all) == 0 || !dom.Sends() {
		return nil, nil
	}
	all, err := t.suppress(all)
	if err != nil {
		return nil, err
	}
	made := make(onward)
	for i := range all {
		if !all[i].State.Ended() {
			made[gateway.FoldAddress(all[i].Recipient)] = &all[i]
		}
	}
	if len(made) == 0 {
		return nil, nil
	}
	err = t.mayQueue(all, f.Message.Blob.Size)
	if err == nil {
		_, err = t.count(rates{domain: dom.Limits}, len(made))
	}
	switch gateway.KindOf(err) {
	case gateway.RateLimited, gateway.Unavailable:
		return nil, nil
	}
	return made, err
}

// redirected is the delivery of one redirect.
func (t *tx) redirected(f *gateway.Filing, r gateway.Redirect) gateway.Delivery {
	d := gateway.Delivery{
		ID: newID(), Recipient: r.Recipient, Site: r.Site, Held: r.Held, Prefix: r.Prefix, ReturnPath: f.Message.ReturnPath,
		Author: f.Author, Client: f.Client, Redirected: true, State: gateway.DeliveryQueued, Due: t.now.Truncate(time.Millisecond),
	}
	if d.Held != "" {
		d.State = gateway.DeliveryHeld
	}
	return d
}

// of returns those of a copy, and whether it goes without leaving anything here: only if
// it goes wherever it was to go.
func (o onward) of(c *gateway.Copy) (list []*gateway.Delivery, away bool) {
	for _, r := range c.Redirects {
		if d := o[gateway.FoldAddress(r.Recipient)]; d != nil {
			list = append(list, d)
		}
	}
	return list, len(list) > 0 && len(list) == len(c.Redirects) && !c.Keep
}

// fileOrSendOn puts one copy into its account, or sends it on, or both.
func (t *tx) fileOrSendOn(f *gateway.Filing, c *gateway.Copy, o onward, catchAll bool) error {
	account, err := t.recipient(c, catchAll)
	if err != nil {
		return err
	}
	list, away := o.of(c)
	m := &stored{Message: gateway.Message{ID: c.ID, Account: account, Blob: f.Message.Blob, Plugin: f.Message.Plugin}}
	if !away {
		labels := c.Labels
		if len(list) < len(c.Redirects) && !c.Keep {
			labels = append(slices.Clip(labels), gateway.LabelNotRedirected)
		}
		if m, err = t.file(f, c, account, labels); err != nil {
			return err
		}
	}
	for _, d := range list {
		if !d.CreatedAt.IsZero() {
			continue // another copy has it sent there
		}
		if err := t.enqueue(m, d); err != nil {
			return err
		}
	}
	return nil
}

// forgetRedirect removes a delivery that has ended and belongs to no message here: nobody
// would ever find it again.
func (t *tx) forgetRedirect(j *gateway.Delivery) {
	if !j.Redirected || j.Message != 0 || !j.State.Ended() {
		return
	}
	t.Delete(deliveryKey(t.domain, j.ID))
	t.Delete(carriedKey(t.domain, j.Account, j.Message).id(j.ID))
}
