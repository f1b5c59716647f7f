package badgerstore

import (
	"bytes"
	"encoding/binary"
	"errors"
	"hash/crc32"
	"slices"
	"time"

	badger "github.com/dgraph-io/badger/v4"

	"github.com/centerleap/postern/store/seglog"
)

// A checkpoint is a group that says what the index looked like when it was
// written: the newest group in the tables on disk, and some canaries, which are
// keys with a checksum of their value, one from each end of each table. A start
// compares the canaries that nothing has written since. So an index that lost a
// table, or has an older one in its place, is found out and rebuilt.
//
//	flushed u64 | canaries, each: length of key | key | crc u32 of the wrapped value
const (
	checkpointBytes = 64 << 20         // of log, until the next one is due
	checkpointPause = 30 * time.Second // the same, in time
	canaryCount     = 128
)

// checkpoints knows when one is due. Whoever writes to the log counts here.
type checkpoints struct {
	due   chan struct{}
	bytes int64 // of groups since the last
}

func (c *checkpoints) wrote(n int64) {
	if c.bytes += n; c.bytes >= checkpointBytes {
		select {
		case c.due <- struct{}{}:
		default:
		}
	}
}

// canary is a key and the checksum of its value in the index.
type canary struct {
	key []byte
	sum uint32
}

// checkpoint writes one, if anything was written since the last. All groups before
// it are in the index.
func (s *Store) checkpoint() {
	if s.checkpoints.bytes == 0 || s.refused(true) != nil {
		return
	}
	payload := u64(s.index.flushed())
	for _, c := range s.index.canaries() {
		payload = binary.AppendUvarint(payload, uint64(len(c.key)))
		payload = binary.BigEndian.AppendUint32(append(payload, c.key...), c.sum)
	}
	// The sequence that it will have: nobody else writes.
	err := s.writeOwn(checkpointKey, cell{value: u64(s.log.Head() + 1)}, ownRecord{recordCheckpoint, payload})
	switch {
	case errors.Is(err, seglog.ErrFull): // nothing is lost by having none
		s.space.spent()
	case err != nil:
		s.fail("a checkpoint can't be written", err)
	default:
		s.checkpoints.bytes = 0
	}
}

func decodeCheckpoint(b []byte) (flushed uint64, canaries []canary, err error) {
	if len(b) < 8 {
		return 0, nil, errCommit
	}
	flushed, b = binary.BigEndian.Uint64(b), b[8:]
	for len(b) > 0 {
		key, rest, ok := lengthed(b)
		if !ok || len(rest) < 4 {
			return 0, nil, errCommit
		}
		canaries = append(canaries, canary{key, binary.BigEndian.Uint32(rest)})
		b = rest[4:]
	}
	return flushed, canaries, nil
}

// canaries picks keys at both ends of the tables.
func (x *index) canaries() (out []canary) {
	tables := x.db.Tables()
	keys := make([][]byte, 0, 2*len(tables))
	for _, t := range tables {
		for _, k := range [][]byte{t.Left, t.Right} {
			if k = withoutVersion(k); len(k) <= maxKey && !local(k) {
				keys = append(keys, k)
			}
		}
	}
	slices.SortFunc(keys, bytes.Compare)
	keys = slices.CompactFunc(keys, bytes.Equal)
	txn := x.db.NewTransactionAt(x.applied(), false)
	defer txn.Discard()
	step := len(keys)/canaryCount + 1
	for i := 0; i < len(keys); i += step {
		if sum, stays := storedSum(txn, keys[i]); stays {
			out = append(out, canary{keys[i], sum})
		}
	}
	return out
}

// withoutVersion strips what Badger appends to a key.
func withoutVersion(k []byte) []byte { return k[:max(0, len(k)-8)] }

// storedSum is the checksum of a stored value. What will expire is no canary.
func storedSum(txn *badger.Txn, key []byte) (sum uint32, stays bool) {
	item, err := txn.Get(key)
	if err != nil || item.ExpiresAt() != 0 {
		return 0, false
	}
	err = item.Value(func(v []byte) error {
		sum = crc32.Checksum(v, castagnoli)
		return nil
	})
	return sum, err == nil
}
