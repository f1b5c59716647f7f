package badgerstore

import (
	"encoding/binary"
	"errors"

	"github.com/centerleap/postern/store/seglog"
)

// What the records of a group are.
//
//	body        domain u32 | blob u64 | the bytes
//	commit      cells, each: flags u8 | length of key | key | [expiry ms u64] | [length of value | value]
//	checkpoint  see checkpoint.go
const (
	recordBody       = seglog.FirstType
	recordCommit     = seglog.FirstType + 1
	recordCheckpoint = seglog.FirstType + 2
)

const bodyHead = 12 // before the bytes of a body

const (
	flagDeleted  = 1
	flagExpiring = 2
)

// appendCell adds a cell to a commit. It takes less than entryCost besides key
// and value.
func appendCell(b []byte, key string, c cell) []byte {
	var flags byte
	if c.deleted {
		flags |= flagDeleted
	}
	if c.exp != 0 {
		flags |= flagExpiring
	}
	b = binary.AppendUvarint(append(b, flags), uint64(len(key)))
	b = append(b, key...)
	if c.exp != 0 {
		b = binary.BigEndian.AppendUint64(b, uint64(c.exp))
	}
	if c.deleted {
		return b
	}
	b = binary.AppendUvarint(b, uint64(len(c.value)))
	return append(b, c.value...)
}

var errCommit = errors.New("a commit can't be read")

// eachCell calls fn for every cell of a commit. The slices are of b.
func eachCell(b []byte, fn func(key []byte, c cell) error) error {
	for len(b) > 0 {
		var key []byte
		var c cell
		var ok bool
		if key, c, b, ok = nextCell(b); !ok {
			return errCommit
		}
		if err := fn(key, c); err != nil {
			return err
		}
	}
	return nil
}

func nextCell(b []byte) (key []byte, c cell, rest []byte, ok bool) {
	flags := b[0]
	if flags&^(flagDeleted|flagExpiring) != 0 {
		return nil, c, nil, false
	}
	if key, b, ok = lengthed(b[1:]); !ok || len(key) == 0 {
		return nil, c, nil, false
	}
	if flags&flagExpiring != 0 {
		if len(b) < 8 {
			return nil, c, nil, false
		}
		c.exp, b = int64(binary.BigEndian.Uint64(b)), b[8:]
	}
	if c.deleted = flags&flagDeleted != 0; c.deleted {
		return key, c, b, true
	}
	c.value, b, ok = lengthed(b)
	return key, c, b, ok
}

func lengthed(b []byte) (field, rest []byte, ok bool) {
	n, size := binary.Uvarint(b)
	if size <= 0 || n > uint64(len(b)-size) {
		return nil, nil, false
	}
	return b[size : size+int(n)], b[size+int(n):], true
}
