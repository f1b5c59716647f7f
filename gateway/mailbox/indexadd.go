package mailbox

import (
	"context"
	"errors"
	"log/slog"

	"github.com/centerleap/postern/gateway"
	"github.com/centerleap/postern/gateway/search"
)

const (
	// indexRead is how many messages are in memory while they are indexed; ours.
	indexRead = 50
	// indexWhole is the largest body that is read at once, in bytes; ours.
	indexWhole = 256 << 10
)

// add indexes messages behind a number: as many as a segment is written of at once.
func (x *indexer) add(ctx context.Context, scope gateway.Scope, ref gateway.AccountRef, after gateway.MessageNumber) error {
	store, lim := x.mail.cfg.Store, &x.mail.cfg.Limits
	b, through := search.NewBuilder(after+1), after
	messages := 0
	for full := false; !full; {
		most := min(indexRead, int(lim.IndexBatch)-messages)
		all, to, err := store.MessagesAfter(ctx, scope, ref.Domain, ref.Account, through, most)
		if err != nil {
			return err
		}
		for _, msg := range all {
			if err := x.read(ctx, scope, msg, b); err != nil {
				return err
			}
			messages++
			through = msg.Number
			if full = b.Size() >= int(lim.IndexMemory); full {
				break
			}
		}
		if !full && len(all) < most {
			through = to // behind the last one there is none
			break
		}
		full = full || messages == int(lim.IndexBatch)
	}
	if through == after {
		return nil
	}
	return x.write(ctx, scope, ref.Domain, b.Segment(through), func(blob gateway.Blob) error {
		x.indexed += int64(messages)
		return store.AddSegment(ctx, scope, ref.Domain, ref.Account, &gateway.IndexSegment{First: after + 1, Last: through, Messages: messages, Blob: blob})
	})
}

// read puts a message into a segment. A body that can't be read is to be looked at: it
// must not hold up the others.
func (x *indexer) read(ctx context.Context, scope gateway.Scope, msg *gateway.Message, b *search.Builder) error {
	t := x.mail.texts(ctx, scope, msg)
	if msg.Blob.Size <= indexWhole {
		t.openOnce(ctx, scope, x.mail.cfg.Store)
	}
	err := t.addTo(b, x.mail.cfg.Limits.IndexText)
	if err == nil || ctx.Err() != nil || gateway.KindOf(err) == gateway.Unavailable {
		return errors.Join(err, ctx.Err())
	}
	b.Look(search.Text)
	x.mail.cfg.Log.LogAttrs(ctx, slog.LevelWarn, "a message can't be read for the search index", slog.String("message", msg.ID.String()), slog.Any("err", err))
	return nil
}

// write stores the bytes of a segment; commit makes them part of the index.
func (x *indexer) write(ctx context.Context, scope gateway.Scope, d gateway.DomainID, raw []byte, commit func(gateway.Blob) error) error {
	w, err := x.mail.cfg.Store.CreateBlob(ctx, scope, d, int64(len(raw)))
	if err != nil {
		return err
	}
	defer w.Close()
	if _, err := w.Write(raw); err != nil {
		return err
	}
	blob, err := w.Seal()
	if err != nil {
		return err
	}
	return commit(blob)
}
