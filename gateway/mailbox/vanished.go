package mailbox

import (
	"context"
	"slices"

	"github.com/centerleap/postern/gateway"
)

// Missing returns, in order, the UIDs below UIDNEXT that no message has which the reader
// knows of.
func (v *View) Missing() (gaps []gateway.UIDRange) {
	next := uint32(1)
	for _, page := range v.rows.pages() {
		for i := range page {
			if uid := page[i].UID; uid > next {
				gaps = append(gaps, gateway.UIDRange{First: next, Last: uid - 1})
			}
			next = page[i].UID + 1
		}
	}
	if v.rows.uidNext > next {
		gaps = append(gaps, gateway.UIDRange{First: next, Last: v.rows.uidNext - 1})
	}
	return gaps
}

// Vanished returns, in order, the UIDs that left the mailbox after a mod-sequence, as far
// as the reader knows. Where the mailbox no longer remembers that, it is all that are
// Missing, and exact is false.
func (v *View) Vanished(ctx context.Context, since uint64) (uids []gateway.UIDRange, exact bool, err error) {
	missing := v.Missing()
	left, exact, err := v.mail.cfg.Store.Vanished(ctx, v.scope, v.at, since)
	if err != nil || !exact {
		return missing, false, err
	}
	return gateway.CommonUIDs(left, missing), true, nil
}

// Conditional is what became of a change that was made on a condition. All are numbers.
type Conditional struct {
	Done    []int // changed, or as they were to be
	Refused []int // they have changed since
	Gone    []int // they were expunged, and the reader does not know
}

// FlagUnchanged is Flag for those messages alone whose mod-sequence is since or less.
func (v *View) FlagUnchanged(ctx context.Context, numbers []int, c gateway.FlagChange, since uint64) (r Conditional, err error) {
	if err := checkLabels(c.AddLabels); err != nil {
		return r, err
	}
	v.shared.noting.RLock()
	defer v.shared.noting.RUnlock()
	after, others, err := v.mail.cfg.Store.FlagKnown(ctx, v.scope, v.at, v.known(numbers), c, since)
	r.Done = v.took(numbers, after)
	for _, n := range numbers {
		if _, refused := slices.BinarySearch(others, v.Row(n).UID); refused {
			r.Refused = append(r.Refused, n)
		} else if _, done := slices.BinarySearch(r.Done, n); !done && err == nil {
			r.Gone = append(r.Gone, n)
		}
	}
	return r, err
}
