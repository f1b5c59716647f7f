package inbound

import (
	"context"
	"fmt"
	"log/slog"
	"slices"
	"strings"

	"github.com/centerleap/postern/gateway"
)

// What plugins send on. It leaves as it came: its bytes, its author and its reverse-path
// stay, no hook is asked again and nothing is signed (DESIGN section 4). Who sent it hears
// nothing of what becomes of it: he wrote to somebody else.
//
// A null reverse-path stays null, RFC 5321 section 4.5.5: a report that can't be sent on is
// reported to nobody. Any other is ours on the way to other hosts (section 3.9.1 has the
// one of an alias unchanged, but a host that checks SPF would refuse it).

// Router knows how mail leaves; the sending flow does.
type Router interface {
	// Way is the site at which an address is, empty if it lives here, and what holds mail
	// to it from the start.
	Way(ctx context.Context, addr string) (site string, held gateway.HeldReason, err error)
	// Wake has the queue look for what is due.
	Wake()
}

// deliveredTo names a mailbox that a mail came to before it was sent on, RFC 9228: by it
// this gateway, and others that forward, know a circle.
const deliveredTo = "Delivered-To"

// redirect prepares what plugins have sent on: each address of each copy with its way. A
// copy that can't be sent on stays.
func (r *Receiver) redirect(ctx context.Context, t *tray) error {
	var way *travelled
	for i := range t.copies {
		c := &t.copies[i]
		if len(c.Redirects) == 0 {
			continue
		}
		if way == nil {
			var err error
			if way, err = r.travelled(ctx, t); err != nil {
				return err
			}
		}
		own := slices.Concat([]string{c.Address}, t.aliases[c.Account], c.Recipients)
		why := r.circle(way, own)
		if r.cfg.Router == nil {
			why = "nothing leaves this gateway"
		}
		if why != "" {
			r.cfg.Log.LogAttrs(ctx, slog.LevelInfo, "a mail is not sent on", slog.String("domain", t.domain.Name), slog.String("why", why))
			c.Redirects, c.Labels = nil, append(c.Labels, gateway.LabelNotRedirected)
			continue
		}
		if err := r.route(ctx, t, c, own); err != nil {
			return err
		}
	}
	return nil
}

// route finds the way of each redirect of a copy. What is sent to itself, or to more than
// may be, stays, too.
func (r *Receiver) route(ctx context.Context, t *tray, c *gateway.Copy, own []string) (err error) {
	var list []gateway.Redirect
	for _, to := range c.Redirects {
		is := func(o gateway.Redirect) bool { return strings.EqualFold(o.Recipient, to.Recipient) }
		switch {
		case slices.ContainsFunc(list, is):
			continue
		case contains(own, to.Recipient) || int64(len(list)) >= r.cfg.Limits.PluginRedirects:
			c.Keep = true
			continue
		}
		if to.Site, to.Held, err = r.cfg.Router.Way(ctx, to.Recipient); err != nil {
			return err
		}
		to.Prefix = slices.Concat(fmt.Appendf(nil, "%s: %s\r\n", deliveredTo, c.Address), r.received(t, c), t.env.Prefix)
		list = append(list, to)
	}
	c.Redirects = list
	return nil
}

// travelled is where a mail was, as its trace fields say.
type travelled struct {
	to  []string // mailboxes that it was sent on from
	own int      // Received fields of this gateway
	all int
}

// travelled reads the trace fields: those that stand in the bytes, and those that this
// gateway has put before them, since mail from inside carries the bytes of its sender.
func (r *Receiver) travelled(ctx context.Context, t *tray) (*travelled, error) {
	fields, err := r.reading(ctx, t).Header()
	if err != nil {
		return nil, err
	}
	var w travelled
	for _, f := range fields {
		switch {
		case strings.EqualFold(f.Name, deliveredTo):
			w.to = append(w.to, strings.Trim(strings.TrimSpace(f.Value), "<>"))
		case strings.EqualFold(f.Name, "Received"):
			w.all++
			if receivedBy(f.Value, r.cfg.Hostname) {
				w.own++
			}
		}
	}
	return &w, nil
}

// circle says why a mail must not be sent on again: it was sent on from here before, or too
// often from anywhere. Empty if it may. A sender who forges such a field keeps his own mail
// from being sent on, and it stays.
func (r *Receiver) circle(w *travelled, own []string) string {
	switch {
	case slices.ContainsFunc(w.to, func(addr string) bool { return contains(own, addr) }):
		return "it was sent on from this mailbox before"
	case int64(w.own) >= r.cfg.Limits.RedirectHops || w.all >= mostHops:
		return "it was sent on too often"
	}
	return ""
}

func contains(list []string, addr string) bool {
	return slices.ContainsFunc(list, func(o string) bool { return strings.EqualFold(o, addr) })
}
