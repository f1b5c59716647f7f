package outbound

import (
	"bufio"
	"context"
	"io"
	"time"

	"github.com/centerleap/postern/gateway"
	"github.com/centerleap/postern/gateway/content"
)

// compose makes the final bytes, and reads them once.
func (s *Sender) compose(ctx context.Context, t *tray) (err error) {
	t.trace = content.Trace{MessageID: "<" + newID().String() + "@" + t.domain.Name + ">", Date: t.now}
	switch {
	case t.sub.Draft:
		t.trace.Date = time.Time{} // it is dated when it is sent
	case !t.sub.At.IsZero():
		t.trace.Date = t.sub.At.UTC()
	}
	if t.written != nil {
		err = s.writeBody(ctx, t, 0, func(w io.Writer) error { return t.written.Write(w, t.trace) })
	} else {
		err = s.describe(ctx, t)
	}
	if err != nil {
		return err
	}
	if t.content, err = s.scan(ctx, t); err != nil {
		return err
	}
	t.content.Bcc = t.compose.Bcc // the sender knows; the bytes don't say
	if t.written != nil {
		t.content.Bcc = t.written.Bcc
	}
	t.message = &gateway.Message{
		ID: newID(), Domain: t.domain.ID, Arrived: t.now, Sent: true, ReturnPath: t.returnPath, Scheduled: t.sub.At,
		Recipients: t.recipients, Blob: t.blob, Content: *t.content, Tags: t.compose.Tags, Key: t.scope.Key(),
	}
	if in := t.sub.Intent; in != nil {
		t.message.Plugin = in.Plugin
	}
	if d := t.sub.Stored; d != nil {
		t.message.ID, t.message.Tags = d.ID, d.Tags
	}
	return nil
}

// scan says what is in the bytes of a message.
func (s *Sender) scan(ctx context.Context, t *tray) (*gateway.Content, error) {
	r, err := s.cfg.Store.OpenBlob(ctx, t.scope, t.blob, 0, -1)
	if err != nil {
		return nil, err
	}
	defer r.Close()
	return content.Scan(r, s.cfg.Limits)
}

// describe completes the client's fields and writes the message they describe.
func (s *Sender) describe(ctx context.Context, t *tray) error {
	if err := s.identify(ctx, t); err != nil {
		return err
	}
	if err := s.answer(ctx, t); err != nil {
		return err
	}
	if err := content.CheckHeaders(t.compose.Headers, s.cfg.Limits); err != nil {
		return err
	}
	return s.writeComposed(ctx, t)
}

// writeComposed keeps the message that compose describes.
func (s *Sender) writeComposed(ctx context.Context, t *tray) error {
	hint := int64(len(t.compose.HTML) + len(t.compose.Text))
	for _, a := range t.compose.Attachments {
		hint += a.Size * 4 / 3
	}
	return s.writeBody(ctx, t, hint, func(w io.Writer) error {
		if hint < manyLines {
			return content.Compose(w, &t.compose, t.trace)
		}
		buffered := bufio.NewWriterSize(w, 32<<10)
		if err := content.Compose(buffered, &t.compose, t.trace); err != nil {
			return err
		}
		return buffered.Flush()
	})
}

// manyLines is a size from which lines are gathered before they are written: a file of 25
// MiB has 450,000 of them.
const manyLines = 64 << 10

// writeBody keeps what write writes. hint is its size, as far as known.
func (s *Sender) writeBody(ctx context.Context, t *tray, hint int64, write func(io.Writer) error) (err error) {
	if t.large {
		hint = max(hint, largeBody)
	}
	if t.body, err = s.cfg.Store.CreateBlob(ctx, t.scope, t.domain.ID, hint); err != nil {
		return err
	}
	if err := write(t.body); err != nil {
		return err
	}
	t.blob, err = t.body.Seal()
	return err
}

// largeBody is a size that no engine carries inside a commit.
const largeBody = 1 << 20
