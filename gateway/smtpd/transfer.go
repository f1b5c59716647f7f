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
	until  time.Time
	cancel context.CancelFunc
	timer  *time.Timer
	err    error
}

// receive returns the reader of a message and the context to work on it. The
// caller calls close.
func (d *door) receive(c *conn, r io.Reader) (*transfer, context.Context) {
	ctx, cancel := context.WithCancel(context.Background())
	return &transfer{
		c: c, r: &cleanLines{r: r, lenient: d.role.submit}, left: d.cfg.Limits.MessageBytes,
		until: time.Now().Add(gateway.TransferTimeout), cancel: cancel,
	}, ctx
}

func (t *transfer) close() {
	if t.timer != nil {
		t.timer.Stop()
	}
	t.cancel()
}

// Read reads on. Past a limit of time it hangs up: what comes then must not be
// read as commands.
func (t *transfer) Read(p []byte) (int, error) {
	if t.err != nil {
		return 0, t.err
	}
	n, err := t.read(p)
	if t.left -= int64(n); t.left < 0 {
		t.err = gateway.Errorf(gateway.TooLarge, "the message is too large")
		return 0, t.err
	}
	if err != nil {
		t.err = t.ended(err)
	}
	return n, t.err
}

func (t *transfer) read(p []byte) (int, error) {
	pause := time.Now().Add(gateway.TransferPause)
	if pause.After(t.until) {
		pause = t.until
	}
	_ = t.c.SetReadDeadline(pause)
	return t.r.Read(p)
}

// ended says why there is no more. The clock of our own work starts at the end
// of the message.
func (t *transfer) ended(err error) error {
	switch {
	case errors.Is(err, io.EOF):
		t.timer = time.AfterFunc(gateway.DataTimeout, t.cancel)
	case errors.Is(err, smtp.ErrTooLongLine):
		return gateway.Errorf(gateway.Malformed, "a line of the message is longer than %d bytes", maxLine)
	case errors.Is(err, errWire):
		t.c.hangUp("550 5.6.0 the message holds a CR, LF or NUL that stands alone; lines end in CRLF")
	case isTimeout(err):
		t.c.hangUp("451 4.4.2 the message took too long")
	}
	return err
}

// discard reads what is left of a message that is refused, so that the client
// gets to its reply; a client that goes on for long is hung up on with it.
func (t *transfer) discard(last string) {
	if t.err != nil && gateway.KindOf(t.err) != gateway.TooLarge {
		return
	}
	buf := make([]byte, 32<<10)
	for room := discardBytes; room > 0; {
		n, err := t.read(buf)
		if err != nil {
			return
		}
		room -= n
	}
	t.c.hangUp(last)
}

// discardBytes is how much of a refused message is read. Ours.
const discardBytes = 64 << 20
