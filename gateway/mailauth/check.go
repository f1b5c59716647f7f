package mailauth

import (
	"bufio"
	"cmp"
	"context"
	"errors"
	"io"
	"log/slog"
	"runtime/debug"
	"sync"
	"time"

	"github.com/centerleap/postern/gateway/resolve"
)

const (
	noResolver = "no resolver"
	tooLate    = "not checked in time"
	untrusted  = "DNS can't be trusted"
	broken     = "the check failed"
)

// Check finds out who sent a mail. It takes limits.auth_seconds at most: what is not
// known by then is temperror. It fails only if the message can't be read, or ctx ends.
//
// All that needs DNS runs beside each other, each with questions of its own: a sender
// whose servers are slow or ask for much spoils only what is asked of them.
func (c *Checker) Check(ctx context.Context, in Input) (*Result, error) {
	whole := ctx
	ctx, cancel := context.WithTimeout(ctx, time.Duration(c.cfg.Limits.AuthSeconds)*time.Second)
	defer cancel()
	res := &Result{authservID: in.AuthservID}
	body := buffers.Get().(*bufio.Reader)
	body.Reset(timed{ctx, in.Message})
	defer func() {
		body.Reset(nil) // whoever waits for it must not hold the message
		buffers.Put(body)
	}()
	raw, err := readHeader(body, c.cfg.Limits.HeaderBytes)
	if err != nil && !errors.Is(err, errHeader) && ctx.Err() == nil {
		return nil, err
	}
	res.Claims = claims(raw, in.AuthservID)
	if c.cfg.Resolver == nil {
		res.SPF = SPF{Result: None, Reason: noResolver}
		res.DMARC = DMARC{Result: None, Reason: noResolver}
		return res, whole.Err()
	}
	err = c.methods(ctx, cancel, res, in, c.arrived(raw, err, body))
	if whole.Err() != nil {
		err = whole.Err()
	}
	if err != nil {
		return nil, err
	}
	return res, nil
}

// arrived is a message whose header is read.
type arrived struct {
	head []field
	err  error // errHeader, or that the time is over
	body io.Reader
}

func (c *Checker) arrived(raw []byte, err error, body io.Reader) arrived {
	head, over := split(raw, c.cfg.Limits)
	return arrived{head, cmp.Or(err, over), body}
}

// methods runs SPF, DKIM and DMARC into res. It fails if the body can't be read; it then
// cancels what is under way.
func (c *Checker) methods(ctx context.Context, cancel func(), res *Result, in Input, m arrived) error {
	most := c.cfg.Limits.DNSQuestions
	var wait sync.WaitGroup
	defer wait.Wait()
	res.SPF = SPF{Result: TempError, Reason: broken}
	c.apart(&wait, func() { res.SPF = c.spf(resolve.Limit(ctx, most), in) })
	var who authors
	var found []discovery
	if m.err == nil {
		who = authorsOf(m.head)
		found = c.discover(ctx, &wait, who.domains[:c.mostAuthors(who)])
	}
	if err := c.dkim(resolve.Limit(ctx, most), res, m); err != nil && ctx.Err() == nil {
		cancel()
		return err
	}
	wait.Wait()
	switch {
	case errors.Is(m.err, errHeader):
		res.DMARC = DMARC{Result: PermError, Reason: errHeader.Error()}
	case m.err != nil:
		res.DMARC = DMARC{Result: TempError, Reason: tooLate}
	default:
		res.DMARC = c.dmarc(ctx, res, who, found)
	}
	return nil
}

// apart runs a part of a check beside the others. If it panics over what it was sent,
// the result stays what it was before, and other mail goes on.
func (c *Checker) apart(wait *sync.WaitGroup, do func()) {
	wait.Go(func() {
		defer func() {
			if p := recover(); p != nil {
				c.cfg.Log.LogAttrs(context.Background(), slog.LevelError, "a check of a mail panicked",
					slog.Any("panic", p), slog.String("stack", string(debug.Stack())))
			}
		}()
		do()
	})
}

// bufferSize is how much of a message is in memory at once, its header apart.
const bufferSize = 32 << 10

// buffers keeps them for the next message: one is larger than most messages.
var buffers = sync.Pool{New: func() any { return bufio.NewReaderSize(nil, bufferSize) }}

// timed stops reading when the time is over.
type timed struct {
	ctx context.Context
	r   io.Reader
}

func (t timed) Read(p []byte) (int, error) {
	if err := t.ctx.Err(); err != nil {
		return 0, err
	}
	return t.r.Read(p)
}
