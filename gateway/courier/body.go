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

// end is the final dot, on a line of its own. It may stay in the writer.
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
	return f // without all of the final dot there was no message
}

// transfer sends the message and the final dot, the last bytes of all with one write: if
// it fails, the dot is not out, or not whole.
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
	if errors.Is(d.end(), errLines) {
		return badLines()
	}
	if err := s.out.Flush(); err != nil {
		return s.lastWords(ctx, PhaseData, err)
	}
	return nil
}

func badLines() *fault {
	return ours(Failed, PhaseMessage, [3]int{5, 6, 0}, errLines, "the message has %s", errLines)
}

// end hears what became of the message, now that the final dot is out. Without an answer
// nobody knows.
func (s *session) end(ctx context.Context, m *mission, taken []*stop) *fault {
	s.sent++
	s.deadline(ctx, gateway.HopEndTimeout)
	rep, err := s.in.next()
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
