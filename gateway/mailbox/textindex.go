package mailbox

import (
	"container/list"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"slices"
	"sync"

	"github.com/centerleap/postern/gateway"
	"github.com/centerleap/postern/gateway/search"
)

// IndexStore is the part of the store that keeps search indexes.
type IndexStore interface {
	// Segments returns the index of an account, oldest first and without a gap, and the
	// number of its newest message.
	Segments(ctx context.Context, s gateway.Scope, d gateway.DomainID, a gateway.AccountID) (all []gateway.IndexSegment, newest gateway.MessageNumber, err error)
	// AddSegment appends to it. InvalidState when it does not follow what is there.
	AddSegment(ctx context.Context, s gateway.Scope, d gateway.DomainID, a gateway.AccountID, seg *gateway.IndexSegment) error
	// MergeSegments puts one into the place of some. InvalidState when one of them is not
	// there any more.
	MergeSegments(ctx context.Context, s gateway.Scope, d gateway.DomainID, a gateway.AccountID, old []gateway.IndexSegment, merged *gateway.IndexSegment) error
	// DropSegments takes the index away; the account is unindexed then.
	DropSegments(ctx context.Context, s gateway.Scope, d gateway.DomainID, a gateway.AccountID) error
	// MessagesAfter returns messages behind a number, with their structures; through is
	// the number up to which there are no others.
	MessagesAfter(ctx context.Context, s gateway.Scope, d gateway.DomainID, a gateway.AccountID, after gateway.MessageNumber, most int) (all []*gateway.Message, through gateway.MessageNumber, err error)
	MessageNumbers(ctx context.Context, s gateway.Scope, d gateway.DomainID, a gateway.AccountID, first, last gateway.MessageNumber) ([]gateway.MessageNumber, error)
	// Unindexed is woken when an account gets mail; TakeUnindexed says which have since
	// it was last called. lost says that there are others.
	Unindexed() <-chan struct{}
	TakeUnindexed() (accounts []gateway.AccountRef, lost bool)
}

// askIndex asks the index of an account which messages a query means. What it does not
// know, behind Found.Through, and what it says may match, has to be looked at.
func (m *Mail) askIndex(ctx context.Context, s gateway.Scope, d gateway.DomainID, a gateway.AccountID, q search.Query) (search.Found, error) {
	var before []gateway.IndexSegment
	for range mergesMet {
		segments, _, err := m.cfg.Store.Segments(ctx, s, d, a)
		if err != nil {
			return search.Found{}, err
		}
		found, err := m.segments.ask(ctx, m.cfg.Store, s, segments, q)
		missing := err != nil && gateway.KindOf(err) == gateway.NotFound
		if missing && !slices.Equal(segments, before) { // merged meanwhile
			before = segments
			continue
		}
		if missing || errors.Is(err, search.ErrDamaged) {
			ref := gateway.AccountRef{Domain: d, Account: a}
			m.tellDamage(ctx, ref, err)
			if err := m.cfg.Store.DropSegments(ctx, s, d, a); err != nil {
				m.cfg.Log.LogAttrs(ctx, slog.LevelError, "a damaged search index stays for now", append(aboutIndex(ref), slog.Any("err", err))...)
			}
			return search.Found{}, ctx.Err() // it does without
		}
		return found, err
	}
	return search.Found{}, nil
}

// mergesMet is how often a search looks again for segments that were merged while it
// read them; then it does without the index. Ours.
const mergesMet = 10

func (m *Mail) tellDamage(ctx context.Context, ref gateway.AccountRef, err error) {
	m.cfg.Log.LogAttrs(ctx, slog.LevelError, "a search index is damaged and is made again", append(aboutIndex(ref), slog.Any("err", err))...)
}

// aboutIndex says in the log whose index is meant.
func aboutIndex(ref gateway.AccountRef) []slog.Attr {
	return []slog.Attr{slog.Uint64("domain", uint64(ref.Domain)), slog.Uint64("account", uint64(ref.Account))}
}

// openSegments keeps what was read of segments: those asked last, within a bound.
type openSegments struct {
	most int64

	mu     sync.Mutex
	bytes  int64
	newest *list.List // of *openSegment
	byBlob map[segmentKey]*list.Element
}

type segmentKey struct {
	domain gateway.DomainID
	blob   uint64
}

type openSegment struct {
	key     segmentKey
	segment *search.Segment
	bytes   int64
}

func newOpenSegments(most int64) *openSegments {
	return &openSegments{most: most, newest: list.New(), byBlob: make(map[segmentKey]*list.Element)}
}

func (o *openSegments) ask(ctx context.Context, store Store, s gateway.Scope, segments []gateway.IndexSegment, q search.Query) (f search.Found, err error) {
	for i := range segments {
		if err := ctx.Err(); err != nil {
			return search.Found{}, err
		}
		r := segmentAt(ctx, store, s, &segments[i])
		seg, err := o.open(r, segments[i].Blob)
		if err != nil {
			return search.Found{}, err
		}
		if seg.First != segments[i].First || seg.Last != segments[i].Last {
			return search.Found{}, search.ErrDamaged
		}
		sure, maybe, err := seg.Find(r, q)
		if err != nil {
			return search.Found{}, err
		}
		f.Sure, f.Maybe, f.Through = append(f.Sure, sure...), append(f.Maybe, maybe...), seg.Last
	}
	return f, nil
}

func (o *openSegments) open(r io.ReaderAt, b gateway.Blob) (*search.Segment, error) {
	key := segmentKey{b.Domain, b.ID}
	o.mu.Lock()
	if e := o.byBlob[key]; e != nil {
		o.newest.MoveToFront(e)
		o.mu.Unlock()
		return e.Value.(*openSegment).segment, nil
	}
	o.mu.Unlock()
	seg, err := search.Open(r, b.Size)
	if err != nil {
		return nil, err
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	if e := o.byBlob[key]; e != nil { // somebody else was quicker
		return e.Value.(*openSegment).segment, nil
	}
	now := &openSegment{key, seg, seg.Memory()}
	if now.bytes > o.most {
		return seg, nil
	}
	o.byBlob[key] = o.newest.PushFront(now)
	for o.bytes += now.bytes; o.bytes > o.most; {
		e := o.newest.Back()
		old := o.newest.Remove(e).(*openSegment)
		delete(o.byBlob, old.key)
		o.bytes -= old.bytes
	}
	return seg, nil
}

// readerAt is io.ReaderAt as a function.
type readerAt func(p []byte, off int64) (int, error)

// ReadAt is io.ReaderAt.
func (r readerAt) ReadAt(p []byte, off int64) (int, error) { return r(p, off) }

// segmentAt reads pieces of a segment. One that is cut, or can't be had as it was written, is
// damaged like one that says something else: it can be made again.
func segmentAt(ctx context.Context, store Store, s gateway.Scope, seg *gateway.IndexSegment) readerAt {
	read := blobAt(ctx, store, s, seg.Blob)
	return func(p []byte, off int64) (int, error) {
		n, err := read(p, off)
		for _, damage := range []error{io.EOF, io.ErrUnexpectedEOF, gateway.ErrDamaged} {
			if errors.Is(err, damage) {
				err = fmt.Errorf("%w: %w", search.ErrDamaged, err)
				break
			}
		}
		return n, err
	}
}

// blobAt reads pieces of a body.
func blobAt(ctx context.Context, store Store, s gateway.Scope, b gateway.Blob) readerAt {
	return func(p []byte, off int64) (int, error) {
		r, err := store.OpenBlob(ctx, s, b, off, int64(len(p)))
		if err != nil {
			return 0, err
		}
		defer r.Close()
		return io.ReadFull(r, p)
	}
}
