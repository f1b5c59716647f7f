package dashboard

import (
	"context"
	"fmt"
	"net/url"
	"strings"

	"github.com/gofiber/fiber/v2"

	"github.com/centerleap/postern/gateway"
)

// queueDomains is the page of all domains' queues.
type queueDomains struct {
	Domains []domainDay
	After   string // of the next page, "" at the end
}

// allQueues shows how much waits of each domain.
func (d *Dashboard) allQueues(v *visit) error {
	all, more, err := d.cfg.Domains.Page(v.ctx, v.scope, v.c.Query("after"), "", pageSize)
	if err != nil {
		return err
	}
	var page queueDomains
	for i := range all {
		use, err := d.cfg.Sender.QueueUse(v.ctx, v.scope, all[i].ID)
		if err != nil {
			return err
		}
		page.Domains = append(page.Domains, domainDay{Domain: all[i], Queue: use})
	}
	if more {
		page.After = all[len(all)-1].UUID.String()
	}
	return d.show(v, fiber.StatusOK, "queues", "Queue", page)
}

// queuePage is what waits of a domain.
type queuePage struct {
	State, Reason, Site string // as they were asked for
	Deliveries          []gateway.Delivery
	Use                 gateway.QueueUse
	Next                string // the address of the next page, "" at the end
	Problem             string
}

// States and Reasons are what the list can be narrowed to.
func (queuePage) States() []choice {
	return []choice{{"", "any"}, {"queued", "queued"}, {"leased", "being tried"}, {"held", "held"}}
}

// Reasons are why a delivery may be held.
func (queuePage) Reasons() []choice {
	return []choice{{"", "any"}, {"capture", heldBy(gateway.HeldCapture)}, {"scheduled", heldBy(gateway.HeldScheduled)}, {"plugin", heldBy(gateway.HeldPlugin)}, {"operator", heldBy(gateway.HeldOperator)}, {"domain", heldBy(gateway.HeldDomain)}}
}

// heldBy says why a delivery is held.
func heldBy(why gateway.HeldReason) string {
	switch why {
	case gateway.HeldCapture:
		return "captured"
	case gateway.HeldScheduled:
		return "scheduled"
	case gateway.HeldPlugin:
		return "a plugin asks for approval"
	case gateway.HeldOperator:
		return "held by the operator"
	case gateway.HeldDomain:
		return "held by the domain"
	}
	return string(why)
}

func (d *Dashboard) queue(v *visit) error { return d.showQueue(v, fiber.StatusOK, "") }

func (d *Dashboard) showQueue(v *visit, status int, problem string) (err error) {
	page := queuePage{State: v.c.Query("state"), Reason: v.c.Query("reason"), Site: v.c.Query("site"), Problem: problem}
	f := gateway.QueueFilter{
		State: gateway.DeliveryState(page.State), Held: gateway.HeldReason(page.Reason), Site: gateway.FoldAddress(strings.TrimSpace(page.Site)), Limit: pageSize,
	}
	if after := v.c.Query("after"); after != "" {
		if f.After, err = gateway.ParseID(after); err != nil {
			return gateway.Fieldf(gateway.InvalidParameter, "after", "after is the id of a delivery")
		}
	}
	var cursor gateway.ID
	var more bool
	if page.Deliveries, cursor, more, err = d.cfg.Sender.Waiting(v.ctx, v.scope, f); err != nil {
		return err
	}
	if more {
		page.Next = "?" + url.Values{"state": {page.State}, "reason": {page.Reason}, "site": {page.Site}, "after": {cursor.String()}}.Encode()
	}
	if page.Use, err = d.cfg.Sender.QueueUse(v.ctx, v.scope, v.domain.ID); err != nil {
		return err
	}
	return d.show(v, status, "queue", "Queue", page)
}

// work is something that may be done about several deliveries at once.
type work struct {
	did string // for the notice
	do  func(d *Dashboard, ctx context.Context, by, of gateway.Scope, id gateway.ID) (*gateway.Delivery, error)
}

var works = map[string]work{
	"hold": {"held", func(d *Dashboard, ctx context.Context, by, of gateway.Scope, id gateway.ID) (*gateway.Delivery, error) {
		return d.cfg.Sender.HoldDelivery(ctx, by, of, id)
	}},
	"release": {"released", func(d *Dashboard, ctx context.Context, by, of gateway.Scope, id gateway.ID) (*gateway.Delivery, error) {
		return d.cfg.Sender.ReleaseDelivery(ctx, by, of, id)
	}},
	"retry": {"to be tried now", func(d *Dashboard, ctx context.Context, _, of gateway.Scope, id gateway.ID) (*gateway.Delivery, error) {
		return d.cfg.Sender.RetryDelivery(ctx, of, id)
	}},
}

// workQueue does one thing about all deliveries that were chosen. What can't be done about
// one of them keeps it from none of the others.
func (d *Dashboard) workQueue(v *visit) error {
	what, known := works[v.field("do")]
	ids := v.form["id"]
	switch {
	case !known:
		return d.showQueue(v, fiber.StatusUnprocessableEntity, "Choose what to do: hold, release or retry.")
	case len(ids) == 0:
		return d.showQueue(v, fiber.StatusUnprocessableEntity, "Choose at least one delivery.")
	case len(ids) > pageSize:
		return d.showQueue(v, fiber.StatusUnprocessableEntity, fmt.Sprintf("Choose at most %d deliveries.", pageSize))
	}
	done, status, problem := 0, 0, ""
	for _, s := range ids {
		id, err := deliveryID(s)
		var one *gateway.Delivery
		if err == nil {
			one, err = what.do(d, v.ctx, v.signin.session.Scope(), v.scope, id)
		}
		is, why, again := mistake(err)
		switch {
		case err == nil:
			done++
			v.row.Email = one.Email
		case again:
			status, problem = is, why
		default:
			return err
		}
	}
	v.row.Reason = fmt.Sprintf("%s: %d", v.field("do"), done)
	if done == 0 {
		return d.showQueue(v, status, problem)
	}
	notice := counted(done, "delivery", "deliveries") + " " + what.did + "."
	if problem != "" {
		notice += fmt.Sprintf(" %d could not be: %s.", len(ids)-done, problem)
	}
	v.signin.tell(notice)
	return v.redirect(v.queuePath("?" + url.Values{"state": {v.field("state")}, "reason": {v.field("reason")}, "site": {v.field("site")}}.Encode()))
}

// queuePath is that of the domain's queue, with what follows.
func (v *visit) queuePath(rest string) string {
	return "/" + joined([]string{"domains", v.domain.Name, "queue"}) + rest
}

func deliveryID(s string) (gateway.ID, error) {
	id, err := gateway.ParseID(s)
	if err != nil {
		return id, gateway.Errorf(gateway.NotFound, "there is no such delivery")
	}
	return id, nil
}

// deliveryPage is one delivery with all that became of it.
type deliveryPage struct {
	*gateway.Delivery
	Scope   string // of the key: who may release what
	Problem string
}

// Free reports whether the holder of the key may let the delivery go.
func (p deliveryPage) Free() bool {
	operator := p.Scope == gateway.LevelInstance.String()
	return p.State == gateway.DeliveryHeld && p.Held != gateway.HeldScheduled && (operator || p.Held != gateway.HeldCapture && p.Held != gateway.HeldOperator)
}

func (d *Dashboard) delivery(v *visit) (*gateway.Delivery, error) {
	id, err := deliveryID(v.param("id"))
	if err != nil {
		return nil, err
	}
	return d.cfg.Sender.Delivery(v.ctx, v.scope, id)
}

func (d *Dashboard) showDelivery(v *visit) error {
	j, err := d.delivery(v)
	if err != nil {
		return err
	}
	return d.show(v, fiber.StatusOK, "delivery", "Delivery to "+j.Recipient, deliveryPage{Delivery: j, Scope: v.signin.session.Key().Level.String()})
}

// endForm asks before a delivery ends for good.
func (d *Dashboard) endForm(v *visit) error {
	j, err := d.delivery(v)
	if err != nil {
		return err
	}
	return d.show(v, fiber.StatusOK, "deliveryend", "End a delivery", deliveryPage{Delivery: j})
}

// endDelivery ends a delivery: its sender hears of it, or, if an operator drops it, nobody
// does.
func (d *Dashboard) endDelivery(v *visit) error {
	j, err := d.delivery(v)
	if err != nil {
		return err
	}
	v.row.Email, v.row.Reason = j.Email, "cancel"
	said := "The delivery to " + j.Recipient + " was canceled."
	if v.field("do") == "drop" {
		if v.signin.session.Scope().Level() != gateway.LevelInstance {
			return gateway.Errorf(gateway.Restricted, "only an operator drops a delivery")
		}
		said, v.row.Reason = "The delivery to "+j.Recipient+" was dropped. Nobody hears of it.", "drop"
		_, err = d.cfg.Sender.DropDelivery(v.ctx, v.scope, j.ID)
	} else {
		_, err = d.cfg.Sender.CancelDelivery(v.ctx, v.scope, j.ID)
	}
	if status, problem, again := mistake(err); again {
		return d.show(v, status, "deliveryend", "End a delivery", deliveryPage{Delivery: j, Problem: problem})
	}
	if err != nil {
		return err
	}
	v.signin.tell(said)
	return v.redirect(v.queuePath(""))
}
