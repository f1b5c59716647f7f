package imapd

import (
	"slices"
	"strings"

	"github.com/centerleap/postern/gateway"
)

// foreseen reports whether a client that knew an entry as before and then changed it
// silently knows how it stands now. If somebody else changed it, too, it does not, and
// nothing else would tell it: RFC 9051 section 6.4.6 wants it told even then.
func foreseen(before, now gateway.Entry, c gateway.FlagChange) bool {
	if c.Replace {
		before.Flags, before.Labels = 0, nil
	}
	if now.Flags != before.Flags&^c.Remove|c.Add {
		return false
	}
	for _, l := range slices.Concat(before.Labels, c.AddLabels) {
		if hasLabel(now.Labels, l) == hasLabel(c.RemoveLabels, l) {
			return false
		}
	}
	return !slices.ContainsFunc(now.Labels, func(l string) bool {
		return !hasLabel(before.Labels, l) && !hasLabel(c.AddLabels, l)
	})
}

func hasLabel(list []string, label string) bool {
	return slices.ContainsFunc(list, func(l string) bool { return strings.EqualFold(l, label) })
}
