package mailbox

import (
	"slices"
	"weak"

	"github.com/centerleap/postern/gateway"
)

// Opening is what a client is told of a mailbox that it opens, besides its size.
type Opening struct {
	Keywords    []string // that the messages have, in the order in which they come up; nobody may change it
	Full        bool     // a client may bring no other
	FirstUnseen int      // its number; -1: all are seen
}

// opening is that of some rows, for the next one who opens the mailbox as it is then. It
// keeps no rows that nobody else has.
type opening struct {
	Opening
	of weak.Pointer[rows]
}

// Opening looks at all messages, unless the mailbox is as somebody found it who opened it
// before.
func (v *View) Opening() Opening {
	of := weak.Make(v.rows)
	if o := v.shared.opening.Load(); o != nil && o.of == of {
		return o.Opening
	}
	most := int(v.mail.cfg.Limits.Keywords)
	o := &opening{Opening{FirstUnseen: -1}, of}
	seen := map[*Keywords]bool{nil: true}
	var last *Keywords
	for first, page := range v.rows.pages() {
		for i := range page {
			r := &page[i]
			if o.FirstUnseen < 0 && !r.gone && !r.Flags.Has(gateway.Seen) {
				o.FirstUnseen = first + i
			}
			if r.Keywords == last || seen[r.Keywords] {
				continue
			}
			last = r.Keywords
			seen[last] = true
			for _, n := range last.Names {
				if len(o.Keywords) < most && !slices.Contains(o.Keywords, n) {
					o.Keywords = append(o.Keywords, n)
				}
			}
		}
	}
	o.Full = len(o.Keywords) >= most
	v.shared.opening.Store(o)
	return o.Opening
}
