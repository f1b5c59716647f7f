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
	copies  int   // that have what is added now
	bytes   int64 // of what was added, in all copies
	limits  gateway.Limits
}

// edit adds what a verdict adds. InvalidParameter if it is too much with what was added
// before.
func (a *added) edit(v *gateway.Verdict) error {
	fields := slices.Concat(a.fields, v.Headers)
	if err := content.CheckHeaders(fields, a.limits); err != nil {
		return err
	}
	bytes := a.bytes + int64(a.copies*len(content.Fields(v.Headers)))
	if bytes > a.limits.PluginHeaderBytes {
		return gateway.Fieldf(gateway.InvalidParameter, "headers", "the fields that plugins add have %d bytes in %d copies; at most %d are allowed", bytes, a.copies, a.limits.PluginHeaderBytes)
	}
	a.bytes = bytes
	a.show(fields)
	return nil
}

// show has these be what was added.
func (a *added) show(fields []gateway.HeaderField) {
	a.fields = fields
	a.reading.Prefix = slices.Concat(content.Fields(fields), a.came)
}
