package store

import (
	"crypto/sha256"
	"encoding/binary"
	"time"

	"github.com/centerleap/postern/gateway"
)

// The key space: sub(1) | domain u32 | …, all numbers big endian and of fixed
// width; text stands last or as a 16-byte hash. Descending order is kept by
// complement. Every key belongs to the lane of the domain it names. A key whose
// domain field is 0 belongs to the instance, with one exception: 07 points at
// one domain for life and is written in its lane, since a digest never changes
// hands. In 31 to 33, 37, 3B and 47 the domain stands behind the time.
//
//	01 | domain                                        domain record
//	02 | 0 | name                                      instance setting, counter, or mark of a domain
//	03 | 0 | 0 | domain name      03 | 0 | 1 | uuid    -> domain u32
//	04 | domain | account                              account record
//	05 | domain | address                              -> account u32
//	06 | domain | key uuid                             key record
//	07 | 0 | sha-256 of the key                        -> domain u32, key uuid
//	08 | domain                                        counters of the domain
//	09 | domain | account                              counters of the account, and its quota
//	0A | domain | account                              record of an account that is being deleted
//	0B | domain | selector                             key that signs the domain's mail
//	0C | domain                                        what was found in DNS of its records
//	10 | domain | account | message u64                message record: what lists show
//	11 | domain | uuid                                 -> account u32, message u64
//	12 | domain | account | mailbox u32                mailbox head
//	13 | domain | account | mailbox | uid u32          entry
//	14 | domain | account | mailbox | ^ms | ^message | ^uid   list order -> empty
//	16 | domain | hash(Message-ID) | account | message        -> empty
//	17 | domain | thread uuid                          thread record
//	18 | domain | account | hash(Message-ID)           -> thread uuid, also for ids only referred to
//	19 | domain | account | message                    its trace: which part plugins had; expires
//	1A | domain | account | first message u64          segment of the search index
//	1B | domain | account | mailbox | UID / 256 u32    flags of entries that one change gave to many
//	1C | domain | account | message                    structure: parts, ENVELOPE, BODYSTRUCTURE
//	1D | domain | account | thread | rank | message    members of a thread in order -> empty
//	1E | domain | account | hash(base subject) | ms | message -> empty; the headerless ones
//	                                                   again under hash(00, base subject)
//	1F | domain | account | mailbox | modseq u64       UIDs that left it in that change; expires
//	30 | domain | delivery uuid                        delivery
//	31 | due ms | domain | delivery uuid               due index -> empty
//	32 | until ms | domain | delivery uuid             leases -> empty
//	33 | due ms | domain                               when to look at a domain's DNS -> empty
//	34 | domain | hash(site) | due ms | delivery uuid  what waits for another host -> empty
//	35 | domain | account | message | delivery uuid    deliveries of a message -> empty
//	36 | domain | delivery uuid                        outcome of mail from inside; expires
//	37 | due ms | domain | hash(site)                  when to look at 34 of a site -> its name
//	38 | domain | hash(site)                           -> where its row in 37 is
//	39 | domain | delivery uuid                        what waits, for lists -> empty
//	3A | domain | intent uuid                          mail that a plugin wants sent
//	3B | due ms | domain | intent uuid                 when to try to -> empty
//	3C | domain      3C | domain | plugin uuid         how many there are, of how many bytes
//	40 | domain | suppression uuid                     suppression
//	41 | domain | address                              -> its uuid
//	42 | domain | hash(origin) | suppression uuid      suppressions of an origin -> empty
//	43 | domain | subscription uuid                    how far it has come
//	44 | domain | subscription uuid | due ms | sequence u64 | part u32   what it is told again
//	45 | domain | subscription uuid | number u64       what it could not be told; expires
//	46 | domain | plugin uuid                          its next turn
//	47 | due ms | domain | plugin uuid                 index of turns -> empty
//	48 | domain | webhook uuid                         webhook; of the instance's own, 0
//	49 | domain | webhook uuid | sequence u64 | part u32   what it was told; expires
//	4A | domain                                        how far its events are counted, and the counts
//	50 | domain | plugin uuid                          installation of a plugin
//	51 | domain | plugin or webhook uuid               bytes of its KV; 1 if it is to be cleared
//	52 | domain | plugin uuid | key                    its KV; may expire
//	53 | domain | plugin uuid | sequence u64           line of its log; expires
//	54 | domain | plugin uuid                          the last sequence of its log
//	55 | domain | plugin uuid | key                    counter of it; may expire
//	60 | domain | row uuid                             activity; expires
//	61 | domain | key uuid | row uuid                  activity of a key -> empty; expires
//	70 | domain | key uuid     71 | domain             hourly window of a key, of the domain
//	72 | domain | account | hash(name)                 answer of a request that happens once; expires
//	73 | domain | plugin uuid                          hourly window of a plugin
//	74 | domain | plugin uuid | account | hash(address)   when it last answered an address from there; expires
//	75 | domain | account | thread uuid                how many answers of plugins it has; expires
//
// The engine keeps 00, 15, 20, 21 and 90 for itself.
const (
	subDomain     = 0x01
	subSetting    = 0x02
	subRoute      = 0x03
	subAccount    = 0x04
	subAddress    = 0x05
	subKey        = 0x06
	subDigest     = 0x07
	subDomainSeq  = 0x08
	subAccountSeq = 0x09
	subErasing    = 0x0a
	subSigning    = 0x0b
	subCheck      = 0x0c
	subMessage    = 0x10
	subUUID       = 0x11
	subMailbox    = 0x12
	subEntry      = 0x13
	subList       = 0x14
	subMessageID  = 0x16
	subThread     = 0x17
	subNode       = 0x18
	subTrace      = 0x19
	subSegment    = 0x1a
	subFlags      = 0x1b
	subStructure  = 0x1c
	subMember     = 0x1d
	subSubject    = 0x1e
	subVanished   = 0x1f
	subDelivery   = 0x30
	subDue        = 0x31
	subLease      = 0x32
	subCheckDue   = 0x33
	subSite       = 0x34
	subCarried    = 0x35
	subOutcome    = 0x36
	subSiteDue    = 0x37
	subSiteMark   = 0x38
	subWaiting    = 0x39
	subIntent     = 0x3a
	subIntentDue  = 0x3b
	subIntentUse  = 0x3c
	subSuppressed = 0x40
	subRefused    = 0x41
	subOrigin     = 0x42
	subFollows    = 0x43
	subAgain      = 0x44
	subFailure    = 0x45
	subTurn       = 0x46
	subTurnDue    = 0x47
	subWebhook    = 0x48
	subHeard      = 0x49
	subTally      = 0x4a
	subPlugin     = 0x50
	subPluginUse  = 0x51
	subPluginKV   = 0x52
	subPluginLine = 0x53
	subLineCount  = 0x54
	subCounter    = 0x55
	subActivity   = 0x60
	subByKey      = 0x61
	subKeyUsage   = 0x70
	subDomUsage   = 0x71
	subOnce       = 0x72
	subPlugUsage  = 0x73
	subReplied    = 0x74
	subReplies    = 0x75
)

// keyBuilder appends the fields of a key.
type keyBuilder []byte

// key starts a key of a domain. Most keys fit the room given here.
func key(sub byte, d gateway.DomainID) keyBuilder {
	k := make([]byte, 0, 64)
	k = append(k, sub)
	return binary.BigEndian.AppendUint32(k, uint32(d))
}

func (k keyBuilder) account(a gateway.AccountID) keyBuilder {
	return binary.BigEndian.AppendUint32(k, uint32(a))
}

func (k keyBuilder) mailbox(m gateway.MailboxID) keyBuilder {
	return binary.BigEndian.AppendUint32(k, uint32(m))
}

func (k keyBuilder) u32(v uint32) keyBuilder { return binary.BigEndian.AppendUint32(k, v) }
func (k keyBuilder) u64(v uint64) keyBuilder { return binary.BigEndian.AppendUint64(k, v) }

func (k keyBuilder) number(n gateway.MessageNumber) keyBuilder { return k.u64(uint64(n)) }
func (k keyBuilder) id(id gateway.ID) keyBuilder               { return append(k, id[:]...) }
func (k keyBuilder) text(s string) keyBuilder                  { return append(k, s...) }
func (k keyBuilder) byte(b byte) keyBuilder                    { return append(k, b) }

// hash is how unbounded text stands inside a key: 128 bits of SHA-256.
func (k keyBuilder) hash(s string) keyBuilder {
	h := sha256.Sum256([]byte(s))
	return append(k, h[:16]...)
}

// ms is a time as it stands in keys; times before 1970 count as 1970.
func ms(t time.Time) uint64 {
	if v := t.UnixMilli(); v > 0 {
		return uint64(v)
	}
	return 0
}

// timedKey is a key of an instance-wide index by time.
func timedKey(sub byte, due time.Time, d gateway.DomainID, id gateway.ID) []byte {
	k := make([]byte, 0, 1+8+4+16)
	k = append(k, sub)
	k = binary.BigEndian.AppendUint64(k, ms(due))
	k = binary.BigEndian.AppendUint32(k, uint32(d))
	return append(k, id[:]...)
}

func listKey(d gateway.DomainID, a gateway.AccountID, m gateway.MailboxID, arrived time.Time, n gateway.MessageNumber, uid uint32) []byte {
	return key(subList, d).account(a).mailbox(m).u64(^ms(arrived)).u64(^uint64(n)).u32(^uid)
}

// tail reads the number and uid at the end of a list key.
func listTail(k []byte) (gateway.MessageNumber, uint32) {
	n := len(k)
	return gateway.MessageNumber(^binary.BigEndian.Uint64(k[n-12 : n-4])), ^binary.BigEndian.Uint32(k[n-4:])
}

// lastID reads the UUID that ends a key.
func lastID(k []byte) gateway.ID { return gateway.ID(k[len(k)-16:]) }

// lastNumber reads the message number that ends a key.
func lastNumber(k []byte) gateway.MessageNumber {
	return gateway.MessageNumber(binary.BigEndian.Uint64(k[len(k)-8:]))
}

// lastUID reads the UID that ends a key.
func lastUID(k []byte) uint32 { return binary.BigEndian.Uint32(k[len(k)-4:]) }
