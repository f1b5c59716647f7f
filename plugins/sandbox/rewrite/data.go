package rewrite

import (
	"cmp"
	"encoding/binary"
	"slices"
)

// Data of a module. Go's linker leaves out every run of a few zeros, and so writes tens
// of thousands of segments: an engine keeps each of them and copies each of them into
// every instance. Where one follows another closely they are written as one, with the
// zeros that were left out.

// data is one segment.
type data struct {
	passive bool
	at      uint32 // of an active one, in memory
	init    []byte
}

const (
	// maxGap is how many zeros are put between two segments to make them one; ours: each
	// costs an engine about 100 bytes beside its data.
	maxGap = 128
	// maxGaps bounds all zeros that are put in.
	maxGaps = 1 << 20
)

// joined are the segments that are written. What they leave in memory is what the
// module's leave, since each writes where no other does: then their order does not matter
// and between two of them there are zeros. Otherwise, or where code names segments by
// number, they stay as they are.
func (m *module) joined() []data {
	if m.named || slices.ContainsFunc(m.data, func(d data) bool { return d.passive }) {
		return m.data
	}
	sorted := slices.Clone(m.data)
	slices.SortStableFunc(sorted, func(a, b data) int { return cmp.Compare(a.at, b.at) })
	out, gaps := []data(nil), uint64(0)
	for _, d := range sorted {
		d.init = slices.Clip(d.init) // what is appended must not go into the module
		n := len(out) - 1
		if n < 0 {
			out = append(out, d)
			continue
		}
		at, end := uint64(d.at), uint64(out[n].at)+uint64(len(out[n].init))
		switch {
		case at < end:
			return m.data
		case at-end > maxGap || gaps+at-end > maxGaps:
			out = append(out, d)
		default:
			gaps += at - end
			out[n].init = append(append(out[n].init, make([]byte, at-end)...), d.init...)
		}
	}
	return out
}

// writeData encodes segments.
func writeData(all []data) (out []byte) {
	for _, d := range all {
		if out = append(out, 0); d.passive {
			out[len(out)-1] = 1
		} else {
			out = append(appendSigned(append(out, opI32Const), int64(int32(d.at))), opEnd)
		}
		out = append(binary.AppendUvarint(out, uint64(len(d.init))), d.init...)
	}
	return out
}
