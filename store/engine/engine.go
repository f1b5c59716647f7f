// Package engine is the contract between Postern's typed transactions (package
// store) and the machine that keeps their bytes: an ordered key space with one
// group commit, a change feed, message bodies, and leases.
//
// An engine knows nothing about mail. It promises five things, and
// store/storetest holds every engine to them:
//
//  1. Durable: Update returns nil only after everything its closure wrote was
//     fsynced. A crash at any instant loses nothing that was acknowledged.
//  2. Serial: the closures of one domain run one after the other; each sees the
//     effects of those before it, also those not yet acknowledged. A closure
//     that fails leaves no trace and does not harm its neighbours.
//  3. Snapshots: a View sees one consistent state, made of acknowledged commits
//     only.
//  4. Feed: every change emitted in a commit has the next sequence number of
//     its domain; a reader that remembers the last one it saw misses nothing
//     and sees nothing twice, over restarts too.
//  5. Bodies: a body that a commit links is durable with that commit and lives
//     as long as it is linked.
//
// An engine that can no longer keep the first promise (a sync failed) stops:
// every later Update fails with ErrReadOnly, reads go on.
//
// The package imports the standard library only.
package engine

import (
	"context"
	"errors"
	"io"
	"time"
)

// Sub-spaces that engines keep for themselves: the first byte of a key. A
// closure that writes there fails.
const (
	SubMeta  = 0x00 // store id, boot counter, sequences
	SubFeed  = 0x15 // changes
	SubBlob  = 0x20 // body records
	SubBody  = 0x21 // bodies
	SubLease = 0x90 // leases
)

// Reserved reports whether a key lies in an engine's own sub-spaces.
func Reserved(key []byte) bool {
	if len(key) == 0 {
		return true
	}
	switch key[0] {
	case SubMeta, SubFeed, SubBlob, SubBody, SubLease:
		return true
	}
	return false
}

// Errors of the contract. Engines wrap them with detail; callers use errors.Is.
var (
	// ErrNotFound: no such key, or it has expired; no such body.
	ErrNotFound = errors.New("not found")
	// ErrStop, returned by a Scan callback, ends the scan without an error.
	ErrStop = errors.New("stop")
	// ErrReadOnly: a sync failed; nothing is accepted until the engine is opened
	// again.
	ErrReadOnly = errors.New("store is read-only")
	// ErrFull: the disk is nearly full. Only what Frees is accepted, or nothing;
	// it ends by itself when there is room again.
	ErrFull = errors.New("the disk is full")
	// ErrClosed: the engine was closed.
	ErrClosed = errors.New("store is closed")
	// ErrTooLarge: one closure wrote more than fits into one commit.
	ErrTooLarge = errors.New("transaction is too large")
	// ErrFenced: a lease was lost to a newer epoch.
	ErrFenced = errors.New("lease lost")
	// ErrHeld: somebody else holds the lease.
	ErrHeld = errors.New("lease is held")
	// ErrTrimmed: the feed no longer reaches back to the asked sequence.
	ErrTrimmed = errors.New("feed is trimmed")
	// ErrDamaged: the bytes of a body are not those that were stored.
	ErrDamaged = errors.New("it is damaged")
	// ErrReserved: a closure wrote into an engine's own sub-space.
	ErrReserved = errors.New("key is reserved for the engine")
)

// Engine is one open store.
type Engine interface {
	// View runs fn on a snapshot. The Reader is valid until fn returns.
	View(ctx context.Context, fn func(Reader) error) error

	// Update runs op.Fn in the lane of op.Domain and returns when its effects
	// are durable. It returns fn's error unchanged. When ctx ends before the
	// closure has started, Update returns ctx.Err() and nothing happens; once it
	// has started, Update waits for the outcome, so that an answer is never a
	// guess.
	Update(ctx context.Context, op Op) (Commit, error)

	// Feed returns the changes of a domain after sequence from, oldest first.
	Feed(domain uint32, from uint64) Feed

	// Lease takes a named lease, or fails with ErrHeld. Each grant of a name has
	// a higher epoch than all before it, over restarts too.
	Lease(ctx context.Context, name string, ttl time.Duration) (Lease, error)

	// Blobs is where message bodies live.
	Blobs() Blobs

	// Snapshot writes a consistent copy of all records and bodies to w. It can
	// be read back only by the same kind of engine.
	Snapshot(ctx context.Context, w io.Writer) error

	// Erase removes what the engine itself keeps of a domain: its feed, its
	// sequence, and every body, linked or not. It may be called again after it
	// was cut short.
	Erase(ctx context.Context, domain uint32) error

	// Compact gives back what was deleted: when it returns nil, nothing that was
	// deleted before the call can be read from the engine's files. It works at a
	// pace that leaves the disk to others, so it may take long.
	Compact(ctx context.Context) error

	// Health says whether writes are accepted, and why not.
	Health() Health

	// Boot counts how often this store was opened for writing. It fences work
	// that an earlier process had begun.
	Boot() uint64

	// Close waits for running commits, then releases everything. Later calls
	// fail with ErrClosed.
	Close() error
}

// Reader reads an ordered key space. Keys compare bytewise.
type Reader interface {
	// Get returns a copy that the caller owns, or ErrNotFound.
	Get(key []byte) ([]byte, error)
	// Scan calls fn for each live key of r in order. key and value are valid
	// only during the call. ErrStop from fn ends the scan with nil.
	Scan(r Range, fn func(key, value []byte) error) error
}

// Range is a half-open interval [From, To) of keys. A nil To means no upper
// bound. Reverse walks it from the top down. Limit 0 means all.
type Range struct {
	From, To []byte
	Reverse  bool
	KeysOnly bool // values may be nil
	Limit    int
}

// Prefix is the range of all keys that start with p.
func Prefix(p []byte) Range { return Range{From: p, To: After(p)} }

// After returns the smallest key greater than every key that starts with p,
// or nil when there is none.
func After(p []byte) []byte {
	for i := len(p) - 1; i >= 0; i-- {
		if p[i] != 0xff {
			end := append([]byte(nil), p[:i+1]...)
			end[i]++
			return end
		}
	}
	return nil
}

// Tx is what a closure may do. It reads its own writes. Slices passed in must
// not be changed afterwards.
type Tx interface {
	Reader
	Set(key, value []byte)
	// SetUntil stores a value that no engine shows from exp on. Engines keep exp
	// to the millisecond.
	SetUntil(key, value []byte, exp time.Time)
	Delete(key []byte)
	// DeleteRange deletes at most max keys of [from, to) and returns how many.
	DeleteRange(from, to []byte, max int) (int, error)
	// Emit appends a change to the feed of the Op's domain and returns its
	// sequence: 1, 2, 3 ... without gaps, but for one where a store was restored: who
	// stands before or in it gets ErrTrimmed. The feed keeps it for FeedRetention.
	Emit(change []byte) uint64
	// Link adds one reference to a body of the Op's domain: one just sealed, or
	// one that is linked already. ErrNotFound otherwise.
	Link(ref BlobRef) error
	// Unlink drops one reference. The body goes when none is left.
	Unlink(ref BlobRef) error
}

// Op is one transaction.
type Op struct {
	// Domain is the lane: closures of one domain are serial. 0 is the instance.
	Domain uint32
	// Reads are keys that Fn will get: a hint that lets an engine across a
	// network fetch them for a whole group at once.
	Reads [][]byte
	// Frees says that the Op gives space back, or is needed for that: it is
	// accepted when the disk is nearly full.
	Frees bool
	// Fn may be run again after a lost commit, and in any goroutine; it must have
	// no effect besides tx, must not keep tx, and must return: not end its
	// goroutine, as t.Fatal does.
	Fn func(tx Tx) error
}

// Commit is the receipt of a durable Op.
type Commit struct {
	// Sequence is that of the newest change that the Op emitted; 0 if it emitted
	// none.
	Sequence uint64
}

// FeedRetention is how long the feed keeps a change. A reader whose position
// is older gets ErrTrimmed. Source: DESIGN section 5, "kept 30 days".
const FeedRetention = 30 * 24 * time.Hour

// Change is one entry of a domain's feed.
type Change struct {
	Sequence uint64
	Payload  []byte // what was passed to Emit
}

// Feed pulls the changes of one domain. It is used by one goroutine. A slow
// reader costs nobody anything: there is no queue behind it.
type Feed interface {
	// Next returns up to max changes after the last one returned, without
	// waiting; none means the reader has caught up. ErrTrimmed: changes after the
	// position are gone; Seek to go on.
	Next(ctx context.Context, max int) ([]Change, error)
	// Wake receives after commits that emitted into this domain. It is a hint
	// with one slot: take it, then call Next until it returns none.
	Wake() <-chan struct{}
	// Seek moves the position; Head is the newest sequence.
	Seek(sequence uint64)
	Head(ctx context.Context) (uint64, error)
	// Close unsubscribes.
	Close()
}

// Lease is held until Release, or until its time runs out without Renew.
type Lease interface {
	// Epoch grows with every grant of the name.
	Epoch() uint64
	// Renew extends the lease by ttl from now; ErrFenced when it was lost.
	Renew(ctx context.Context, ttl time.Duration) error
	// Check makes an Op fail with ErrFenced when the lease was lost: call it
	// first inside Fn. The lease record is read in the Op's own transaction.
	Check(tx Tx) error
	Release(ctx context.Context) error
}

// BlobRef names a body. It is stored in records, so its fields are all there
// is to know about a body without opening it.
type BlobRef struct {
	Domain uint32
	ID     uint64
	Size   int64
	// SHA256 is known of what was streamed into a place of its own, and zero of a body
	// that travelled with its commit: the checksums of its record and its own are enough
	// to see it damaged, and the digest took a tenth of what it costs to accept a mail.
	SHA256 [32]byte
	CRC32C uint32
}

// Blobs keeps message bodies: written once, read by ranges, never changed.
type Blobs interface {
	// Create starts a body of a domain. sizeHint in bytes may be 0.
	Create(ctx context.Context, domain uint32, sizeHint int64) (BlobWriter, error)
	// Open reads n bytes from off; n < 0 means to the end. It works for linked
	// bodies and for bodies sealed by a writer that is not closed yet.
	Open(ctx context.Context, ref BlobRef, off, n int64) (io.ReadCloser, error)
	// Read shows fn many bodies, whole and in any order, with the place of each in refs;
	// the bytes are fn's during the call only. Those that are gone are passed over. An
	// error of fn ends it and is returned.
	Read(ctx context.Context, refs []BlobRef, fn func(i int, body []byte) error) error
	// Each calls fn for every linked body of a domain, in order of their ids, with
	// the number of its references.
	Each(ctx context.Context, domain uint32, fn func(ref BlobRef, references uint32) error) error
	// Check reads a whole body and compares it with its digest.
	Check(ctx context.Context, ref BlobRef) error
}

// BlobWriter collects one body.
//
//	w, err := blobs.Create(ctx, domain, 0)
//	defer w.Close()
//	… io.Copy(w, r) …
//	ref, err := w.Seal()
//	… Update(ctx, Op{… tx.Link(ref) …})
type BlobWriter interface {
	io.Writer
	// Seal ends the body. A large one is fsynced here, in a file of its own; a
	// small one travels with the commit that links it.
	Seal() (BlobRef, error)
	// Close drops the body unless a commit linked it. It may be called twice.
	Close() error
}

// Health is what an engine says of itself.
type Health struct {
	Writable bool
	Reason   string // why not; for operators
	Err      error  // the cause, if any
}
