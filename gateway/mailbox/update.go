package mailbox

import (
	"context"

	"github.com/centerleap/postern/gateway"
)

// Update changes one message and returns it as it stands then.
func (m *Mail) Update(ctx context.Context, s gateway.Scope, ref Ref, c Change) (Item, error) {
	it, err := m.one(ctx, s, ref)
	if err != nil {
		return Item{}, err
	}
	fc := gateway.FlagChange{AddLabels: c.AddLabels, RemoveLabels: c.RemoveLabels}
	setFlag(&fc, gateway.Seen, c.Read)
	setFlag(&fc, gateway.Flagged, c.Starred)
	if err := checkLabels(c.AddLabels); err != nil {
		return Item{}, err
	}
	folder := ""
	if c.Folder != nil {
		if folder = gateway.FoldMailbox(*c.Folder); folder == "" {
			return Item{}, gateway.Fieldf(gateway.InvalidParameter, "folder", "folder must not be empty")
		}
	}
	if it.Entry, err = m.cfg.Store.Change(ctx, s, it.place(), fc, folder); err != nil {
		return Item{}, err
	}
	if folder != "" {
		it.Folder = folder
	}
	return it, nil
}

func setFlag(c *gateway.FlagChange, f gateway.Flags, on *bool) {
	switch {
	case on == nil:
	case *on:
		c.Add |= f
	default:
		c.Remove |= f
	}
}

// checkLabels holds labels to what an IMAP keyword may be.
func checkLabels(labels []string) error {
	for _, l := range labels {
		if !gateway.ValidLabel(l) {
			return gateway.Fieldf(gateway.InvalidParameter, "add_labels", "a label is of 1 to 64 letters, digits and marks, without spaces: %.80q", l)
		}
	}
	return nil
}

func (it *Item) place() gateway.Place {
	return gateway.Place{Domain: it.Message.Domain, Account: it.Message.Account, Mailbox: it.Entry.Mailbox, UID: it.Entry.UID}
}

// Delete moves a message to Trash; from Trash, or if permanent, it goes for
// good. Source: API guide, "Delete Email".
func (m *Mail) Delete(ctx context.Context, s gateway.Scope, ref Ref, permanent bool) (Removed, error) {
	it, err := m.one(ctx, s, ref)
	if err != nil {
		return Removed{}, err
	}
	if permanent || it.Folder == gateway.Trash {
		return Removed{ID: it.Message.ID}, m.cfg.Store.Expunge(ctx, s, it.place())
	}
	e, err := m.cfg.Store.Change(ctx, s, it.place(), gateway.FlagChange{}, gateway.Trash)
	return Removed{ID: it.Message.ID, Folder: gateway.Trash, UID: e.UID}, err
}
