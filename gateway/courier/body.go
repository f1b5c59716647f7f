package courier

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"io"
	"log/slog"

	"github.com/centerleap/postern/gateway"
)

// errLines is what a message may not have: two servers could read it differently, and
// one of them see a second message in it.
var errLines = errors.New("a CR, LF or NUL that stands alone")

// stuffer writes a message as DATA carries it: a dot before each dot that begins a line,
// RFC 5321 section 4.5.2. It passes nothing on but lines that end in CRLF.
type stuffer struct {
	w     *bufio.Writer
	start bool // at the start of a line
	cr    bool // the last byte was a CR
}

func newStuffer(w *bufio.Writer) *stuffer { return &stuffer{w: w, start: true} }

// Write fails with errLines, or as the writer does.
func (d *stuffer) Write(p []byte) (int, error) {
	for rest := p; len(rest) > 0; {
		if d.cr {
			if rest[0] != '\n' {
				return 0, errLines
			}
			_ = d.w.WriteByte('\n') // its error stays: the next write returns it
			d.cr, d.start, rest = false, true, rest[1:]
			continue
		}
		line := rest
		if i := bytes.IndexByte(rest, '\r'); i >= 0 {
			line, d.cr = rest[:i+1], true
		}
		if bytes.IndexByte(line, '\n') >= 0 || bytes.IndexByte(line, 0) >= 0 {
			return 0, errLines
		}
		if d.start && line[0] == '.' {
			_ = d.w.WriteByte('.')
		}
		if _, err := d.w.Write(line); err != nil {
			return 0, err
		}
		d.start, rest = false, rest[len(line):]
	}
	return len(p), nil
}

// end is the final dot, on a line of its own. It stays in the writer.
func (d *stuffer) end() error {
	if d.cr {
		return errLines
	}
	if !d.start {
		_, _ = d.w.WriteString("\r\n")
	}
	_, err := d.w.WriteString(".\r\n")
	return err
}

// content sends the message after 354 and decides those who were to get it.
func (s *session) content(ctx context.Context, m *mission, taken []*stop, r io.Reader) *fault {
	f := s.transfer(ctx, r)
	switch {
	case f == nil:
		return s.end(ctx, m, taken)
	case f.Phase == PhaseMessage, f.Remote && f.Code != 421:
		m.decide(taken, f.Answer, s.ended())
	}
	return f // without a final dot there was no message
}

// transfer sends all but what is left in the writer, the final dot with it.
func (s *session) transfer(ctx context.Context, r io.Reader) *fault {
	if !s.in.quiet() {
		return broken(PhaseData, errTurn)
	}
	ctx, cancel := context.WithTimeout(ctx, gateway.TransferTimeout)
	defer cancel()
	d := newStuffer(s.out)
	for {
		n, err := r.Read(s.buf)
		s.deadline(ctx, gateway.HopPause)
		if _, werr := d.Write(s.buf[:n]); errors.Is(werr, errLines) {
			return badLines()
		} else if werr != nil {
			return s.lastWords(ctx, PhaseData, werr)
		}
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return ours(Deferred, PhaseMessage, [3]int{4, 3, 0}, err, "the message can't be read now")
		}
	}
	// What is sent so far must not hold the dot: up to here a lost connection means that
	// there is no message, behind it nobody knows.
	if err := s.out.Flush(); err != nil {
		return s.lastWords(ctx, PhaseData, err)
	}
	if d.end() != nil {
		return badLines()
	}
	return nil
}

func badLines() *fault {
	return ours(Failed, PhaseMessage, [3]int{5, 6, 0}, errLines, "the message has %s", errLines)
}

// end sends the final dot and hears what became of the message.
func (s *session) end(ctx context.Context, m *mission, taken []*stop) *fault {
	s.sent++
	s.deadline(ctx, gateway.HopEndTimeout)
	err := s.out.Flush()
	var rep reply
	if err == nil {
		rep, err = s.in.next()
	}
	if err == nil && rep.is(3) {
		err = errSyntax
	}
	if err != nil {
		f := ours(Unknown, PhaseEnd, [3]int{4, 4, 2}, err, "the next hop did not say whether it took the message")
		m.decide(taken, f.Answer, s.ended())
		s.courier.cfg.Log.LogAttrs(ctx, slog.LevelWarn, "unknown whether a message was delivered",
			slog.String("host", s.hop.Host), slog.Int("recipients", len(taken)), slog.Any("err", err))
		return f
	}
	m.decide(taken, rep.answer(PhaseEnd), s.ended())
	if rep.code == 421 {
		return said(PhaseEnd, rep)
	}
	return nil
}
