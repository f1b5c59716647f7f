package rest

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"sync"
	"time"

	"github.com/gofiber/fiber/v2"

	"github.com/centerleap/postern/gateway"
	"github.com/centerleap/postern/gateway/keys"
)

// backupBuffer is what is in memory of a backup, besides what the store holds of
// it, in bytes.
const backupBuffer = 64 << 10

// backup streams the whole gateway. One at a time: each keeps the store from
// freeing space.
func (s *Server) backup(k *call) error {
	if k.c.Method() == fiber.MethodHead {
		k.c.Set("Content-Type", fiber.MIMEOctetStream)
		return nil
	}
	if !s.backingUp.CompareAndSwap(false, true) {
		return &gateway.Error{Kind: gateway.Unavailable, Message: "another backup is under way", Retry: time.Minute}
	}
	b := &backupStream{server: s, session: k.session, conn: k.c.Context().Conn(), done: make(chan struct{})}
	r, w := io.Pipe()
	b.pipe, b.r = r, bufio.NewReaderSize(r, backupBuffer)
	ctx, cancel := context.WithCancel(context.WithoutCancel(k.ctx)) // it outlives the handler
	b.cancel = cancel
	b.work.Go(func() { b.run(ctx, w) })
	if _, err := b.r.Peek(1); err != nil { // what fails before the first byte gets an honest status
		return errors.Join(err, b.Close())
	}
	k.session = nil // the stream closes it
	b.work.Go(func() { b.watch(k.stop) })
	k.c.Set("Content-Type", fiber.MIMEOctetStream)
	k.c.Set("Content-Disposition", `attachment; filename="postern.backup"`)
	k.c.Set("Cache-Control", "no-store")
	k.c.Context().SetConnectionClose()
	k.c.Context().SetBodyStream(b, -1)
	return nil
}

// backupStream is the body of an answer. When it fails, fasthttp closes the
// connection without the last chunk, so that no client takes it for whole.
type backupStream struct {
	server  *Server
	session *keys.Session // nil at the operator's socket
	conn    net.Conn
	pipe    *io.PipeReader
	r       *bufio.Reader
	cancel  context.CancelFunc
	done    chan struct{} // closed when run has ended
	work    sync.WaitGroup
}

// run writes the backup into the pipe.
func (b *backupStream) run(ctx context.Context, w *io.PipeWriter) {
	defer close(b.done)
	began := time.Now()
	err := b.write(ctx, w)
	b.server.backingUp.Store(false) // before the client hears the end: it may ask again
	w.CloseWithError(err)
	log, took := b.server.cfg.Log, slog.Duration("took", time.Since(began))
	switch {
	case err == nil:
		log.LogAttrs(ctx, slog.LevelInfo, "a backup was taken", took)
	case errors.Is(err, io.ErrClosedPipe) || errors.Is(err, context.Canceled):
		log.LogAttrs(ctx, slog.LevelWarn, "a backup was cut: its client left, its key ended, or the gateway stops", took)
	default:
		log.LogAttrs(ctx, slog.LevelError, "a backup broke off", took, slog.Any("err", err))
	}
}

func (b *backupStream) write(ctx context.Context, w io.Writer) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = b.server.panicked(p)
		}
	}()
	if err := b.server.cfg.Instance.Backup(ctx, w); err != nil {
		return fmt.Errorf("backup: %w", err) // io.EOF by itself would be a good end to a reader
	}
	return nil
}

// watch cuts the answer when its key ends, or when the door stops: what takes
// minutes is not waited for.
func (b *backupStream) watch(stop <-chan struct{}) {
	ended := make(<-chan struct{})
	if b.session != nil {
		ended = b.session.Done()
	}
	select {
	case <-b.done:
	case <-ended:
		_ = b.conn.Close()
	case <-stop:
		_ = b.conn.Close()
	}
}

// Read gives the next piece, and the client some time to take it.
func (b *backupStream) Read(p []byte) (int, error) {
	n, err := b.r.Read(p)
	_ = b.conn.SetWriteDeadline(time.Now().Add(flushTime))
	return n, err
}

// Close ends the backup, whole or not, and waits until it has.
func (b *backupStream) Close() error {
	b.cancel()
	_ = b.pipe.Close()
	b.work.Wait()
	if b.session != nil {
		b.session.Close()
	}
	return nil
}
