package badgerstore

import (
	"context"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"slices"

	"github.com/centerleap/postern/store/engine"
	"github.com/centerleap/postern/store/seglog"
)

// Read shows many bodies: those in the log of one view, each read into the same buffer;
// then the others, as Open finds them.
func (b *blobs) Read(ctx context.Context, refs []engine.BlobRef, fn func(i int, body []byte) error) error {
	var buf []byte
	var apart []int
	err := b.store.View(ctx, func(r engine.Reader) error {
		for i, ref := range refs {
			var inLog bool
			var err error
			if buf, inLog, err = b.readInLog(r, ref, buf); err != nil {
				return err
			}
			if !inLog {
				apart = append(apart, i)
			} else if err := fn(i, buf); err != nil {
				return err
			}
		}
		return nil
	})
	for _, i := range apart {
		if err != nil {
			return err
		}
		err = b.readApart(ctx, i, refs[i], fn)
	}
	return err
}

// readInLog reads a body into buf, which it may replace; false if it is not where its
// record in a view says, or has none.
func (b *blobs) readInLog(r engine.Reader, ref engine.BlobRef, buf []byte) (body []byte, inLog bool, err error) {
	rec, err := readBlob(r, ref.Domain, ref.ID)
	if isMissing(err) || err == nil && (rec.ref != ref || rec.inFile) {
		return buf, false, nil
	} else if err != nil {
		return buf, false, err
	}
	buf = slices.Grow(buf[:0], int(ref.Size))[:ref.Size]
	err = b.store.log.ReadAt(buf, rec.place)
	switch {
	case errors.Is(err, seglog.ErrCollected): // it was moved since the view began
		return buf, false, nil
	case err == nil && crc32.Checksum(buf, castagnoli) != ref.CRC32C:
		err = engine.ErrDamaged
	}
	if err != nil {
		return buf, false, fmt.Errorf("body %d: %w", ref.ID, err)
	}
	return buf, true, nil
}

func (b *blobs) readApart(ctx context.Context, i int, ref engine.BlobRef, fn func(i int, body []byte) error) error {
	r, err := b.Open(ctx, ref, 0, -1)
	if errors.Is(err, engine.ErrNotFound) {
		return nil
	} else if err != nil {
		return err
	}
	body, err := io.ReadAll(r)
	r.Close()
	if err != nil {
		return fmt.Errorf("body %d: %w", ref.ID, err)
	}
	return fn(i, body)
}
