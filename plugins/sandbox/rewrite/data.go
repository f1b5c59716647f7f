package rewrite

import "encoding/binary"

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
// module's leave: zeros only go where no segment before has written, so only behind all
// of them; and all stay in their order, of which the last one that writes to a place
// counts. Code that names segments by number finds the same ones.
func (m *module) joined() []data {
	if m.named {
		return m.data
	}
	out, end, gaps := []data(nil), uint64(0), uint64(0) // nothing was written from end on
	for _, d := range m.data {
		if d.passive {
			return m.data
		}
		at := uint64(d.at)
		if n := len(out) - 1; n >= 0 && at >= end && at-end <= maxGap && gaps+at-end <= maxGaps && uint64(out[n].at)+uint64(len(out[n].init)) == end && len(d.init) > 0 {
			gaps += at - end
			whole := append(out[n].init, make([]byte, at-end)...)
			out[n].init = append(whole, d.init...)
		} else {
			d.init = d.init[:len(d.init):len(d.init)] // what is appended must not go into the module
			out = append(out, d)
		}
		end = max(end, at+uint64(len(d.init)))
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
