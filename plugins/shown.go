package plugins

import (
	"fmt"
	"slices"
	"time"

	"github.com/centerleap/postern/gateway"
	"github.com/centerleap/postern/plugins/sandbox"
	"github.com/centerleap/postern/sdk/abi"
)

// What a plugin decides is shown to those that are asked after it: an event tells where
// the message goes as far as that is decided, and the message is as it was changed.

// accepted says whether a plugin's verdict can be acted on, and has the message changed as
// it wants. What the message can't become is the plugin's mistake, as a verdict that makes
// no sense is.
func (g *guest) accepted() error {
	if g.refused != nil {
		return fmt.Errorf("%w: %w", errRefused, g.refused)
	}
	v := &g.verdict
	if g.look.Edit == nil || !v.Changes() || refuses(v) {
		return nil
	}
	err := g.look.Edit(v)
	switch {
	case err == nil:
		g.forget()
		return nil
	case aboutEdit(err):
		return fmt.Errorf("%w: %w", errRefused, err)
	}
	return &sandbox.HostError{Err: err}
}

// aboutEdit reports whether an error of Look.Edit is about what was to be edited.
func aboutEdit(err error) bool {
	switch gateway.KindOf(err) {
	case gateway.InvalidParameter, gateway.TooLarge:
		return true
	}
	return false
}

// refuses reports whether a verdict leaves nothing of the message to change.
func refuses(v *gateway.Verdict) bool {
	switch v.Action {
	case gateway.ActionReject, gateway.ActionTempfail, gateway.ActionDiscard, gateway.ActionDeny:
		return true
	}
	return false
}

// forget drops what was described of a message that is another now.
func (v *view) forget() { v.fields, v.described, v.found, v.doc = nil, nil, 0, nil }

// decided has the look tell what a verdict decided.
func (v *view) decided(d *gateway.Verdict) {
	look := v.look
	if d.Action == gateway.ActionQuarantine {
		v.junk = true // whatever folder is named after
	}
	switch {
	case v.junk:
		look.Folder = gateway.Junk
	case d.Folder != "":
		look.Folder = d.Folder
	}
	look.Flags |= d.Flags
	look.Score += d.Score
	if len(d.Labels)+len(d.Unlabel) > 0 {
		look.Labels = labeled(look.Labels, d)
	}
	if v.described != nil {
		v.doc = nil
		v.tellState(v.described)
	}
}

// labeled is what labels become of a list, which others may have.
func labeled(list []string, d *gateway.Verdict) (out []string) {
	for _, l := range list {
		if !slices.Contains(d.Unlabel, l) {
			out = append(out, l)
		}
	}
	for _, l := range d.Labels {
		if !slices.Contains(out, l) {
			out = append(out, l)
		}
	}
	return out
}

// tellState says where the message is, or will be, and how it is marked.
func (v *view) tellState(e *abi.Event) {
	look := v.look
	e.Folder, e.Labels, e.Flags, e.Score = look.Folder, listed(look.Labels), []string{}, look.Score
	for _, f := range shownFlags {
		if look.Flags.Has(f.flag) {
			e.Flags = append(e.Flags, f.name)
		}
	}
}

// shownFlags are those that a message can have while plugins see it.
var shownFlags = [...]struct {
	flag gateway.Flags
	name string
}{{gateway.Seen, `\Seen`}, {gateway.Answered, `\Answered`}, {gateway.Flagged, `\Flagged`}, {gateway.Draft, `\Draft`}}

// tellOccasion says what the plugin is asked for, if it is not the message itself.
func (v *view) tellOccasion(e *abi.Event) {
	if h := v.look.Event; h != nil {
		e.ID, e.Type, e.Detail, e.Attempt = h.ID, string(h.Type), h.Detail, h.Attempt
	}
	if t := v.look.Tick; t != nil {
		e.ID, e.Time, e.Scheduled = t.ID, rfc3339(t.Scheduled), rfc3339(t.Scheduled)
		if !t.Previous.IsZero() {
			e.Previous = rfc3339(t.Previous)
		}
	}
}

func rfc3339(t time.Time) string { return t.UTC().Format(time.RFC3339) }
