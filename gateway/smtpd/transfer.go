package smtpd

import (
	"context"
	"errors"
	"io"
	"time"

	"github.com/emersion/go-smtp"

	"github.com/centerleap/postern/gateway"
)

// transfer reads one message off a connection, within its size and time. Its
// context ends when the gateway takes too long over what was read.
type transfer struct {
	c      *conn
	r      io.Reader
	left   int64
	began  time.Time
	came   int64 // bytes off the connection; of the goroutine that reads it
	cancel context.CancelFunc
	timer  *time.Timer
	err    error
}

// receive returns the reader of a message and the context to work on it. The
// caller calls close.
func (d *door) receive(c *conn, r io.Reader) (*transfer, context.Context) {
	ctx, cancel := context.WithCancel(context.Background())
	t := &transfer{
		c: c, r: &cleanLines{r: r, lenient: d.role.submit}, left: d.cfg.Limits.MessageBytes,
		began: time.Now(), cancel: cancel,
	}
	c.transfer.Store(t)
	return t, ctx
}

// deadline is until when the next bytes must come: after a pause, in all, and at
// the least rate.
func (t *transfer) deadline(now time.Time) time.Time {
	pace := gateway.TransferGrace + time.Duration(t.came/gateway.TransferRate)*time.Second
	at := t.began.Add(min(pace, gateway.TransferTimeout))
	if pause := now.Add(gateway.TransferPause); pause.Before(at) {
		return pause
	}
	return at
}

func (t *transfer) close() {
	t.c.transfer.Store(nil)
	if t.timer != nil {
		t.timer.Stop()
	}
	t.cancel()
}

// Read reads on.
func (t *transfer) Read(p []byte) (int, error) {
	if t.err != nil {
		return 0, t.err
	}
	n, err := t.r.Read(p)
	if t.left -= int64(n); t.left < 0 {
		t.err = gateway.Errorf(gateway.TooLarge, "the message is too large")
		return 0, t.err
	}
	if err != nil {
		t.err = t.ended(err)
	}
	return n, t.err
}

// ended says why there is no more. The clock of our own work starts at the end
// of the message.
func (t *transfer) ended(err error) error {
	switch {
	case errors.Is(err, io.EOF) && t.c.isOver():
		err = goneError{} // the last chunk was named by a line that was cut
	case errors.Is(err, io.EOF):
		t.timer = time.AfterFunc(gateway.DataTimeout, t.cancel)
		return err
	case errors.Is(err, smtp.ErrTooLongLine):
		return gateway.Errorf(gateway.Malformed, "a line of the message is longer than %d bytes", maxLine)
	case errors.Is(err, errWire):
		t.c.hangUp(aloneReply)
	}
	return gateway.Errorf(gateway.Malformed, "the message did not arrive whole: %w", err) // no fault of ours
}

// discard reads what is left of a message that is refused, so that the client
// gets to its reply; a client that goes on for long is hung up on with it.
func (t *transfer) discard(last string) {
	if t.err != nil && gateway.KindOf(t.err) != gateway.TooLarge {
		return
	}
	buf := make([]byte, 32<<10)
	for room := discardBytes; room > 0; {
		n, err := t.r.Read(buf)
		if err != nil {
			return
		}
		room -= n
	}
	t.c.hangUp(last)
}

// discardBytes is how much of a refused message is read. Ours.
const discardBytes = 64 << 20
