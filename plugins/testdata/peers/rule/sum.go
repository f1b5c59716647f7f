package rule

import "encoding/binary"

// Sum adds up a word of every 64 bytes: what a guest does with a large part is to get all
// of it, and as little as can be besides.
func Sum(sum uint64, b []byte) uint64 {
	for ; len(b) >= 64; b = b[64:] {
		sum += binary.LittleEndian.Uint64(b)
	}
	return sum
}
