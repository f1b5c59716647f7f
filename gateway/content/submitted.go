package content

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/centerleap/postern/gateway"
)

// Submitted is a message that its sender wrote, not we: what SMTP submission
// takes. Its header section is read, its body still to come.
type Submitted struct {
	From      gateway.Address
	Bcc       []gateway.Address // taken out of the header: nobody but the sender may know
	MessageID string            // with angle brackets; empty if absent or unusable
	Date      time.Time         // zero if absent or unreadable

	header []byte // in lines with CRLF, without the empty one
	rest   *bufio.Reader
}

// ReadSubmitted reads the header section of a message and decides what of it
// goes on. Lines may end in LF alone; they are mended. InvalidFrom unless there
// is one author.
func ReadSubmitted(r io.Reader, lim gateway.Limits) (*Submitted, error) {
	s := &Submitted{rest: bufio.NewReaderSize(NormalLines(r), 32<<10)}
	raw, err := readHeader(s.rest, lim)
	if err != nil {
		return nil, err
	}
	kept, err := keptFields(raw)
	if err != nil {
		return nil, err
	}
	s.header = kept
	h, _, err := splitHeader(raw, lim)
	if err != nil {
		return nil, tooLarge(err)
	}
	from := addresses(h.get("From"))
	if h.count("From") != 1 || len(from) != 1 {
		return nil, gateway.Fieldf(gateway.InvalidFrom, "from", "the message needs one From field with one address")
	}
	if s.From, err = ParseAddress(from[0].Addr); err != nil {
		return nil, gateway.Fieldf(gateway.InvalidFrom, "from", "the message's From is not a usable address")
	}
	s.From.Name = from[0].Name
	s.Bcc = addresses(h.get("Bcc"))
	if ids := MessageIDs(h.get("Message-ID")); len(ids) == 1 && h.count("Message-ID") == 1 {
		s.MessageID = ids[0]
	}
	if d := Date(h.get("Date")); h.count("Date") == 1 {
		s.Date = d
	}
	return s, nil
}

// readHeader reads up to the empty line, which it drops.
func readHeader(r *bufio.Reader, lim gateway.Limits) ([]byte, error) {
	var raw []byte
	for {
		line, err := r.ReadSlice('\n')
		raw = append(raw, line...)
		if int64(len(raw)) > lim.HeaderBytes {
			return nil, tooLarge(errHeaderSize)
		}
		switch {
		case errors.Is(err, bufio.ErrBufferFull):
			continue
		case errors.Is(err, io.EOF):
			return raw, nil
		case err != nil:
			return nil, err
		case string(line) == "\r\n" && (len(raw) == 2 || bytes.HasSuffix(raw, []byte("\n\r\n"))):
			return raw[:len(raw)-2], nil
		}
	}
}

// notSubmitted are fields that a sender's message does not carry on: Bcc is the
// sender's secret, signing is ours, the others are written where mail arrives. A sender
// of ours could else claim to a neighbour what we have checked, RFC 8601 section 5.
var notSubmitted = map[string]bool{
	"bcc": true, "resent-bcc": true, "return-path": true, "delivered-to": true, "authentication-results": true, "dkim-signature": true,
}

// ownFields begins the names of fields that only Postern writes.
const ownFields = "x-postern-"

func goesOn(name string) bool {
	name = strings.ToLower(name)
	return !notSubmitted[name] && !strings.HasPrefix(name, ownFields)
}

// keptFields drops the fields that don't go on, and a leading From_ line. Any
// other line that is no field is refused: readers would disagree where the body
// begins.
func keptFields(raw []byte) ([]byte, error) {
	var kept []byte
	keep, first := false, true
	for line := range bytes.Lines(raw) {
		at := bytes.IndexByte(line, ':')
		switch {
		case line[0] == ' ' || line[0] == '\t':
			if first {
				return nil, badField(line)
			}
		case first && bytes.HasPrefix(line, []byte("From ")) && (at < 0 || !isToken(bytes.TrimRight(line[:at], " \t"))):
			keep = false
		case at <= 0 || !isToken(bytes.TrimRight(line[:at], " \t")):
			return nil, badField(line)
		default:
			keep = goesOn(string(bytes.TrimRight(line[:at], " \t")))
		}
		first = false
		if keep {
			kept = append(kept, line...)
		}
	}
	if len(kept) > 0 && !bytes.HasSuffix(kept, []byte("\n")) {
		kept = append(kept, "\r\n"...)
	}
	return kept, nil
}

func badField(line []byte) error {
	return gateway.Errorf(gateway.Malformed, "the message's header holds a line that is no field: %.60q", bytes.TrimSpace(line))
}

// Write writes the whole message, with the Message-ID and Date of t where it had
// none that is usable.
func (s *Submitted) Write(w io.Writer, t Trace) error {
	if s.Date.IsZero() && !t.Date.IsZero() {
		if _, err := fmt.Fprintf(w, "Date: %s\r\n", t.Date.Format(time.RFC1123Z)); err != nil {
			return err
		}
	}
	if s.MessageID == "" {
		if _, err := fmt.Fprintf(w, "Message-ID: %s\r\n", t.MessageID); err != nil {
			return err
		}
	}
	if _, err := w.Write(s.without(s.header)); err != nil {
		return err
	}
	if _, err := io.WriteString(w, "\r\n"); err != nil {
		return err
	}
	_, err := io.Copy(w, s.rest)
	return err
}

// without drops the Date and Message-ID that Write has replaced.
func (s *Submitted) without(raw []byte) []byte {
	if !s.Date.IsZero() && s.MessageID != "" {
		return raw
	}
	var kept []byte
	keep := true
	for line := range bytes.Lines(raw) {
		if line[0] != ' ' && line[0] != '\t' {
			name, _, _ := bytes.Cut(line, []byte(":"))
			low := strings.ToLower(string(bytes.TrimRight(name, " \t")))
			keep = (low != "date" || !s.Date.IsZero()) && (low != "message-id" || s.MessageID != "")
		}
		if keep {
			kept = append(kept, line...)
		}
	}
	return kept
}

// NormalLines gives every line of r the line end of RFC 5322, CRLF: a CR or LF
// that stands alone is one too. A last line without an end gets one.
func NormalLines(r io.Reader) io.Reader { return &normalLines{r: r, last: '\n'} }

type normalLines struct {
	r       io.Reader
	in      [8 << 10]byte
	pending []byte // of in
	cr      bool   // a CR was read; whether a LF follows is not known
	last    byte   // written
	err     error
}

// Read fills p with mended lines.
func (l *normalLines) Read(p []byte) (n int, err error) {
	for n+2 <= len(p) {
		if len(l.pending) == 0 {
			if n > 0 {
				return n, nil // don't wait with what there is
			}
			if l.err != nil {
				return l.finish(p)
			}
			m, err := l.r.Read(l.in[:])
			l.pending, l.err = l.in[:m], err
			continue
		}
		n += l.step(p[n:])
	}
	if n == 0 && len(p) < 2 {
		return 0, io.ErrShortBuffer
	}
	return n, nil
}

// step mends one byte, or a run of plain ones; it writes at least nothing and at
// most len(p) bytes.
func (l *normalLines) step(p []byte) (n int) {
	c := l.pending[0]
	switch {
	case l.cr: // write the line end that began there
		l.cr = false
		if c == '\n' {
			l.pending = l.pending[1:]
		}
		return l.end(p)
	case c == '\r':
		l.cr, l.pending = true, l.pending[1:]
		return 0
	case c == '\n':
		l.pending = l.pending[1:]
		return l.end(p)
	}
	run := bytes.IndexAny(l.pending, "\r\n")
	if run < 0 {
		run = len(l.pending)
	}
	n = copy(p, l.pending[:run])
	l.pending = l.pending[n:]
	l.last = p[n-1]
	return n
}

func (l *normalLines) end(p []byte) int {
	l.last = '\n'
	return copy(p, "\r\n")
}

// finish ends an unfinished last line.
func (l *normalLines) finish(p []byte) (int, error) {
	if errors.Is(l.err, io.EOF) && (l.cr || l.last != '\n') {
		l.cr = false
		return l.end(p), nil
	}
	return 0, l.err
}
