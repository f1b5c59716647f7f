package badgerstore

import (
	"encoding/binary"

	"github.com/centerleap/postern/store/engine"
)

// The engine's own keys, in the layout of all others: sub(1) | domain u32 | …
//
//	00 | 0 | boot                    openings u64, version u32
//	00 | domain | seq                newest sequence u64
//	15 | domain | sequence u64       change; expires after engine.FeedRetention
//	20 | domain | blob u64           body record
//	21 | domain | blob u64           body, if it is small
//	90 | 0 | name                    lease
var bootKey = []byte{engine.SubMeta, 0, 0, 0, 0, 'b', 'o', 'o', 't'}

func ownKey(sub byte, domain uint32) []byte {
	return binary.BigEndian.AppendUint32([]byte{sub}, domain)
}

func sequenceKey(domain uint32) []byte { return append(ownKey(engine.SubMeta, domain), "seq"...) }

func feedKey(domain uint32, seq uint64) []byte {
	return binary.BigEndian.AppendUint64(ownKey(engine.SubFeed, domain), seq)
}

func blobKey(domain uint32, id uint64) []byte {
	return binary.BigEndian.AppendUint64(ownKey(engine.SubBlob, domain), id)
}

func bodyKey(domain uint32, id uint64) []byte {
	return binary.BigEndian.AppendUint64(ownKey(engine.SubBody, domain), id)
}

func leaseKey(name string) []byte { return append(ownKey(engine.SubLease, 0), name...) }
