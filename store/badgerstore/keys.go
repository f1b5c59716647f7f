package badgerstore

import (
	"bytes"
	"encoding/binary"

	"github.com/centerleap/postern/store/engine"
)

// The engine's own keys, in the layout of all others: sub(1) | domain u32 | …
//
//	00 | 0 | applied                 newest group in the index u64; part of every group
//	00 | 0 | boot                    openings u64
//	00 | 0 | checkpoint              group u64 of the newest checkpoint
//	00 | 0 | filler                  see index.flush; never in the log
//	00 | 0 | 00 | count down u64     mark, see index.flush; never in the log
//	00 | 0 | live | segment u32      bytes of live bodies in a segment of the log u64
//	00 | domain | seq                newest sequence u64
//	15 | domain | sequence u64       change; expires
//	15 | domain | last u64 | n u32   n changes in a row, the last one's sequence last; expires
//	20 | domain | blob u64           body record
//	90 | 0 | name                    lease
var (
	appliedKey    = append(ownKey(engine.SubMeta, 0), "applied"...)
	bootKey       = append(ownKey(engine.SubMeta, 0), "boot"...)
	fillerKey     = append(ownKey(engine.SubMeta, 0), "filler"...)
	checkpointKey = append(ownKey(engine.SubMeta, 0), "checkpoint"...)
	markPrefix    = append(ownKey(engine.SubMeta, 0), 0) // before all others
	livePrefix    = append(ownKey(engine.SubMeta, 0), "live"...)
)

func ownKey(sub byte, domain uint32) []byte {
	return binary.BigEndian.AppendUint32(append(make([]byte, 0, 24), sub), domain)
}

func liveKey(segment uint32) []byte {
	return binary.BigEndian.AppendUint32(append(make([]byte, 0, len(livePrefix)+4), livePrefix...), segment)
}

func sequenceKey(domain uint32) []byte { return append(ownKey(engine.SubMeta, domain), "seq"...) }

// isSequence reports whether a key is the sequence of a domain, or of the instance.
func isSequence(key []byte) bool {
	return len(key) == len(sequenceKey(0)) && key[0] == engine.SubMeta && bytes.HasSuffix(key, []byte("seq"))
}

func feedKey(domain uint32, seq uint64) []byte {
	return binary.BigEndian.AppendUint64(ownKey(engine.SubFeed, domain), seq)
}

// feedRunKey is the key of several changes.
func feedRunKey(domain uint32, last uint64, n int) []byte {
	return binary.BigEndian.AppendUint32(feedKey(domain, last), uint32(n))
}

func blobKey(domain uint32, id uint64) []byte {
	return binary.BigEndian.AppendUint64(ownKey(engine.SubBlob, domain), id)
}

func leaseKey(name string) []byte { return append(ownKey(engine.SubLease, 0), name...) }

func u64(v uint64) []byte { return binary.BigEndian.AppendUint64(make([]byte, 0, 8), v) }

// local reports whether a key speaks of this very log or index, so that a copy of
// the store must not carry it.
func local(key []byte) bool {
	return indexOnly(key) || bytes.Equal(key, checkpointKey) || len(key) == len(livePrefix)+4 && bytes.HasPrefix(key, livePrefix)
}

// indexOnly reports whether a key is in no log, or has another value there.
func indexOnly(key []byte) bool {
	return bytes.Equal(key, appliedKey) || bytes.Equal(key, fillerKey) || len(key) == len(markPrefix)+8 && bytes.HasPrefix(key, markPrefix)
}
