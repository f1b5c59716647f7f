package inbound

import (
	"slices"

	"github.com/centerleap/postern/gateway"
	"github.com/centerleap/postern/gateway/content"
)

// added is what plugins add to the header of a message that arrives, as those that are
// asked after them see it: above what it came with, which stays.
type added struct {
	reading *content.Reading
	came    []byte // what stood before the body already
	fields  []gateway.HeaderField
	limits  gateway.Limits
}

// edit adds what a verdict adds. InvalidParameter if it is too much with what was added
// before.
func (a *added) edit(v *gateway.Verdict) error {
	fields := slices.Concat(a.fields, v.Headers)
	if err := content.CheckHeaders(fields, a.limits); err != nil {
		return err
	}
	a.show(fields)
	return nil
}

// show has these be what was added.
func (a *added) show(fields []gateway.HeaderField) {
	a.fields = fields
	a.reading.Prefix = slices.Concat(content.Fields(fields), a.came)
}
