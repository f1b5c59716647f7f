package plugins

import (
	"fmt"
	"slices"
	"strings"

	"github.com/centerleap/postern/gateway"
	"github.com/centerleap/postern/sdk/abi"
)

// What becomes of a copy: where it goes, what it is marked with, who gets it instead, and
// what its author is answered.

// flags are what a plugin may set.
var flags = map[string]gateway.Flags{`\seen`: gateway.Seen, `\flagged`: gateway.Flagged, `\answered`: gateway.Answered}

// file reads where a copy goes and what it is marked with.
func (g *guest) file(v *gateway.Verdict, in *abi.Verdict) (err error) {
	if int64(len(in.Folder)) > g.plugins.cfg.Limits.MailboxName {
		return bad("folder %.80q is too long", in.Folder)
	}
	if gateway.MailboxLevels(in.Folder) > g.plugins.cfg.Limits.MailboxLevels {
		return bad("folder %.80q has too many levels", in.Folder)
	}
	if why := gateway.MailboxFault(in.Folder); in.Folder != "" && why != "" {
		return bad("folder %.80q: %s", in.Folder, why)
	}
	v.Folder = gateway.FoldMailbox(in.Folder)
	for _, f := range in.Flags {
		flag, ok := flags[strings.ToLower(f)]
		if !ok {
			return bad(`flag %.80q; there are \Seen, \Flagged and \Answered`, f)
		}
		v.Flags |= flag
	}
	if v.Labels, err = g.labels(in.Labels); err == nil {
		v.Unlabel, err = g.labels(in.Unlabel)
	}
	return err
}

// labels reads a list of them, each once. What is over the limit is dropped.
func (g *guest) labels(list []string) (all []string, err error) {
	most, dropped := g.plugins.cfg.Limits.Labels, 0
	for _, l := range list {
		switch {
		case !gateway.ValidLabel(l):
			return nil, bad("label %.80q", l)
		case slices.Contains(all, l):
		case int64(len(all)) >= most:
			dropped++
		default:
			all = append(all, l)
		}
	}
	if dropped > 0 {
		g.Log(2, fmt.Sprintf("%d labels are over the limit of %d and are dropped", dropped, most))
	}
	return all, nil
}

// kept reports whether a field may stand beside the action. What is refused, dropped or
// waits in Junk for somebody to look at it is neither sent on nor answered: a plugin that
// says so as well means only one of both.
func (g *guest) kept(v *gateway.Verdict, field string) error {
	if v.Action != gateway.ActionAccept {
		return bad("%s together with the action %s", field, v.Action)
	}
	return nil
}

// redirect reads whom the message is sent on to.
func (g *guest) redirect(v *gateway.Verdict, in *abi.Verdict) error {
	v.Keep = in.Keep
	if len(in.Redirect) == 0 {
		return nil
	}
	if err := g.kept(v, "redirect"); err != nil {
		return err
	}
	all, err := g.addresses("redirect", in.Redirect, g.plugins.cfg.Limits.PluginRedirects)
	if err != nil {
		return err
	}
	for _, addr := range all {
		if g.itself(addr) {
			return bad("redirect: %s is where the message is for already", addr)
		}
	}
	v.Redirect = all
	return nil
}

// itself reports whether an address is that of the mailbox: of a domain's plugins, the
// only one that the message is for.
func (g *guest) itself(addr string) bool {
	own := g.look.Envelope.Recipients
	if g.look.Account == 0 && len(own) > 1 {
		own = nil
	}
	return strings.EqualFold(addr, g.look.Mailbox) || slices.ContainsFunc(own, func(o string) bool { return strings.EqualFold(o, addr) })
}

// addresses reads a list of bare addresses, each once.
func (g *guest) addresses(field string, list []string, most int64) (all []string, err error) {
	if int64(len(list)) > most {
		return nil, bad("%s has %d addresses; at most %d are allowed", field, len(list), most)
	}
	for _, text := range list {
		a, err := g.plugins.cfg.ParseAddress(text)
		if err != nil {
			return nil, bad("%s: %w", field, err)
		}
		if !slices.ContainsFunc(all, func(o string) bool { return strings.EqualFold(o, a.Addr) }) {
			all = append(all, a.Addr)
		}
	}
	return all, nil
}

// reply reads what the author is answered. Whether that may be sent is judged when it is:
// by then the mailbox may have answered him.
func (g *guest) reply(v *gateway.Verdict, in *abi.Verdict) error {
	r := in.Reply
	if r == nil {
		return nil
	}
	if err := g.kept(v, "reply"); err != nil {
		return err
	}
	body, err := g.texts("reply", r.Text, r.HTML)
	if err != nil {
		return err
	}
	if err := subject("reply.subject", r.Subject); err != nil {
		return err
	}
	v.Reply = &gateway.AutoReply{Plugin: g.inst.ID, Subject: r.Subject, Body: body}
	if r.From == "" {
		return nil
	}
	from, err := g.plugins.cfg.ParseAddress(r.From)
	if err != nil {
		return bad("reply.from: %w", err)
	}
	if _, host := gateway.SplitAddress(from.Addr); host != domainOf(g.look) {
		return bad("reply.from: %s is not of the domain %s", from.Addr, domainOf(g.look))
	}
	if v.Reply.From = from.Addr; from.Name != "" {
		v.Reply.From = from.String()
	}
	return nil
}
