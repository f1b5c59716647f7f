package mailbox

import (
	"context"
	"errors"
	"slices"

	"github.com/centerleap/postern/gateway"
	"github.com/centerleap/postern/gateway/search"
)

// merge makes one segment of some, without the messages that are gone.
func (x *indexer) merge(ctx context.Context, scope gateway.Scope, ref gateway.AccountRef, old []gateway.IndexSegment) error {
	store := x.mail.cfg.Store
	first, last := old[0].First, old[len(old)-1].Last
	there, err := store.MessageNumbers(ctx, scope, ref.Domain, ref.Account, first, last)
	if err != nil {
		return err
	}
	kept := 0
	raws := make([][]byte, len(old))
	for i := range old {
		raws[i] = make([]byte, old[i].Blob.Size)
		if _, err := segmentAt(ctx, store, scope, &old[i]).ReadAt(raws[i], 0); err != nil {
			return x.heal(ctx, scope, ref, err)
		}
	}
	merged, err := search.Merge(raws, func(n gateway.MessageNumber) bool {
		_, is := slices.BinarySearch(there, n)
		if is {
			kept++
		}
		return is
	})
	if err != nil {
		return x.heal(ctx, scope, ref, err)
	}
	return x.write(ctx, scope, ref.Domain, merged, func(blob gateway.Blob) error {
		return store.MergeSegments(ctx, scope, ref.Domain, ref.Account, old, &gateway.IndexSegment{First: first, Last: last, Messages: kept, Blob: blob})
	})
}

// heal drops an index of which something is damaged or lost, so that it is made again.
func (x *indexer) heal(ctx context.Context, scope gateway.Scope, ref gateway.AccountRef, err error) error {
	if !errors.Is(err, search.ErrDamaged) && gateway.KindOf(err) != gateway.NotFound {
		return err
	}
	x.mail.tellDamage(ctx, ref, err)
	return x.mail.cfg.Store.DropSegments(ctx, scope, ref.Domain, ref.Account)
}

const (
	// mergeFrom is how many neighbours of about one size become one; ours.
	mergeFrom = 8
	// mergeMost is how many are merged at once; ours: their memory is bounded by
	// their sizes.
	mergeMost = 64
	// mergeSmall is the size, in bytes, under which all count as one size; each next
	// size is mergeFrom times as large. Ours.
	mergeSmall = 16 << 10
)

// stretch is neighbours that may become one.
type stretch struct {
	from, to int
	bytes    int64
	largest  int // which one
}

// add takes one more neighbour.
func (s *stretch) add(all []gateway.IndexSegment) {
	if n := all[s.to].Blob.Size; s.to == s.from || n > all[s.largest].Blob.Size {
		s.largest = s.to
	}
	s.bytes += all[s.to].Blob.Size
	s.to++
}

// mergeable finds segments that should become one, which has at most most bytes: the
// smallest sizes first, and none that is most of the whole, so that each byte is written
// about once for each size.
func mergeable(all []gateway.IndexSegment, most int64) (from, to int) {
	for size := int64(mergeSmall); ; size *= mergeFrom {
		run := stretch{}
		for i := range all {
			n := all[i].Blob.Size
			if n > size || n >= most {
				run = stretch{from: i + 1, to: i + 1}
				continue
			}
			if run.bytes+n > most {
				run = stretch{from: i, to: i}
			}
			run.add(all)
			last := i+1 == len(all)
			full := !last && run.bytes+all[i+1].Blob.Size > most
			many := run.to - run.from
			ends := last || full || many == mergeMost || all[i+1].Blob.Size > size
			even := 2*all[run.largest].Blob.Size <= run.bytes
			if even && (many >= mergeFrom && ends || full && run.bytes >= most/2) {
				return run.from, run.to
			}
			if many == mergeMost { // what is most of it stays apart
				for run = (stretch{from: run.largest + 1, to: run.largest + 1}); run.to <= i; {
					run.add(all)
				}
			}
		}
		if size >= most {
			return 0, 0
		}
	}
}
