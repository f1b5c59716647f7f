package store

import (
	"bytes"
	"testing"

	"google.golang.org/protobuf/encoding/protowire"
)

// A nested record stands behind its length, whatever that is, and however deep it lies.
func TestNestedRecords(t *testing.T) {
	for _, size := range []int{0, 1, 120, 123, 124, 125, 126, 127, 128, 129, 16_380, 16_383, 16_384, 16_400, 1 << 21} {
		text := bytes.Repeat([]byte{7}, size)
		e := newRecord(0)
		e.message(1, func(e *encoder) {
			e.bytes(2, text)
			e.message(3, func(e *encoder) { e.bytes(4, text) })
			e.uint(5, 9)
		})
		e.uint(6, 1)

		field := func(b []byte, n protowire.Number, v []byte) []byte {
			return protowire.AppendBytes(protowire.AppendTag(b, n, protowire.BytesType), v)
		}
		number := func(b []byte, n protowire.Number, v uint64) []byte {
			return protowire.AppendVarint(protowire.AppendTag(b, n, protowire.VarintType), v)
		}
		var inner, innermost []byte
		if size > 0 {
			inner, innermost = field(nil, 2, text), field(nil, 4, text)
		}
		want := number(field([]byte{recordVersion}, 1, number(field(inner, 3, innermost), 5, 9)), 6, 1)
		if !bytes.Equal(e.b, want) {
			t.Errorf("%d bytes: the record is not as it should be", size)
		}
	}
}
