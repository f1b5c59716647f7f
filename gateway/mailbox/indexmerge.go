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

// mergeable finds segments that should become one, which has at most most bytes: the
// smallest sizes first, and none that is most of the whole, so that each byte is written
// about once for each size.
func mergeable(all []gateway.IndexSegment, most int64) (from, to int) {
	for size := int64(mergeSmall); ; size *= mergeFrom {
		run, bytes, largest := 0, int64(0), int64(0)
		for i := range all {
			n := all[i].Blob.Size
			if n > size || bytes+n > most {
				run, bytes, largest = 0, 0, 0
			}
			if n > size || n >= most {
				continue
			}
			run, bytes, largest = run+1, bytes+n, max(largest, n)
			last := i+1 == len(all)
			full := !last && bytes+all[i+1].Blob.Size > most
			ends := last || full || run == mergeMost || all[i+1].Blob.Size > size
			if 2*largest <= bytes && (run >= mergeFrom && ends || full && bytes >= most/2) {
				return i + 1 - run, i + 1
			}
		}
		if size >= most {
			return 0, 0
		}
	}
}
