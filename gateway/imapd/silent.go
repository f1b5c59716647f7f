package imapd

import (
	"slices"
	"strings"

	"github.com/centerleap/postern/gateway"
	"github.com/centerleap/postern/gateway/mailbox"
)

// silence is how messages stood before a client changed them silently; nil if it asked to
// be told. Rows never change, so to keep one is to keep where it is.
type silence struct {
	change  gateway.FlagChange
	numbers []int // that are still to be asked about, in order
	before  []*mailbox.Row
}

// silence remembers how messages stand.
func (s *session) silence(numbers []int, c gateway.FlagChange) *silence {
	q := &silence{change: c, numbers: numbers, before: make([]*mailbox.Row, len(numbers))}
	for i, n := range numbers {
		q.before[i] = s.view.Row(n)
	}
	return q
}

// covers reports whether the client knows how a message of a number stands now without
// being told. Those that it is asked about come in order.
func (q *silence) covers(n int, now *mailbox.Row) bool {
	if q == nil {
		return false
	}
	for len(q.numbers) > 0 && q.numbers[0] < n {
		q.numbers, q.before = q.numbers[1:], q.before[1:]
	}
	return len(q.numbers) > 0 && q.numbers[0] == n && foreseen(q.before[0], now, &q.change)
}

// foreseen reports whether a client that knew an entry as before and then changed it
// silently knows how it stands now. If somebody else changed it, too, it does not, and
// nothing else would tell it: RFC 9051 section 6.4.6 wants it told even then.
func foreseen(before, now *mailbox.Row, c *gateway.FlagChange) bool {
	flags, labels := before.Flags, labelsOf(before)
	if c.Replace {
		flags, labels = 0, nil
	}
	if now.Flags != flags&^c.Remove|c.Add {
		return false
	}
	has := labelsOf(now)
	for _, wanted := range [...][]string{labels, c.AddLabels} {
		for _, l := range wanted {
			if hasLabel(has, l) == hasLabel(c.RemoveLabels, l) {
				return false
			}
		}
	}
	return !slices.ContainsFunc(has, func(l string) bool {
		return !hasLabel(labels, l) && !hasLabel(c.AddLabels, l)
	})
}

func labelsOf(r *mailbox.Row) []string {
	if r.Keywords == nil {
		return nil
	}
	return r.Keywords.Names
}

func hasLabel(list []string, label string) bool {
	return slices.ContainsFunc(list, func(l string) bool { return strings.EqualFold(l, label) })
}
