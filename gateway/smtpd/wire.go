package smtpd

import (
	"bytes"
	"errors"
	"io"
	"strconv"
	"strings"
)

// wire reads what a client sends and stops at bytes over which two parsers could
// disagree: a CR or LF on its own, or NUL. The library would carry some of them
// on, and loses the end of a message over others.
//
// It follows the dialogue just far enough to know what the bytes are: a chunk of
// BDAT may be cut anywhere, also between CR and LF. A message that comes with the
// command DATA, before the answer, would be looked at as commands: it is stopped.
type wire struct {
	r io.Reader
	// lenient lets a lone LF stand in a message, to be mended: submission clients
	// write such mail. Not in the place of an end of data.
	lenient bool

	line  []byte // the command line so far, up to what names a BDAT
	chunk int64  // bytes of a BDAT that are still to come
	data  bool   // inside DATA
	dot   bool   // in data: the line so far is one dot
	start bool   // in data: at the start of a line
	cr    bool   // the last byte was a CR
	asked bool   // the last line was DATA, and nothing has come behind it
	err   error
}

// errWire is what Read returns at a byte that may not stand there.
var errWire = errors.New("a CR, LF or NUL that stands alone")

// reply is what the client is told about it.
func (w *wire) reply() string {
	switch {
	case w.asked: // RFC 2920 section 3.1
		return "503 5.5.1 the message comes after the answer to DATA"
	case w.data:
		return aloneReply
	}
	return "500 5.5.2 the line can't be read; lines end in CRLF"
}

const aloneReply = "550 5.6.0 the message holds a CR, LF or NUL that stands alone; lines end in CRLF"

// beginData is told when the client was asked for its message.
func (w *wire) beginData() { w.data, w.start, w.dot = true, true, false }

// Read returns what is clean.
func (w *wire) Read(p []byte) (int, error) {
	if w.err != nil {
		return 0, w.err
	}
	n, err := w.r.Read(p)
	w.asked = w.asked && n == 0
	if clean := w.check(p[:n]); clean < n {
		w.err = errWire
		if clean == 0 {
			return 0, errWire
		}
		return clean, nil
	}
	return n, err
}

// check returns how many bytes of p may pass.
func (w *wire) check(p []byte) int {
	for i := 0; i < len(p); {
		if w.chunk > 0 {
			skip := min(w.chunk, int64(len(p)-i))
			w.chunk -= skip
			i += int(skip)
			continue
		}
		if w.asked || !w.step(p[i]) {
			return i
		}
		i++
		if w.plain() { // a run without line ends, the bulk of a message
			run := bytes.IndexAny(p[i:], "\r\n\x00")
			if run < 0 {
				run = len(p) - i
			}
			i += run
		}
	}
	return len(p)
}

// plain reports whether only line ends and NUL matter at this place.
func (w *wire) plain() bool { return w.data && !w.start && !w.dot && !w.cr }

func (w *wire) step(c byte) bool {
	switch {
	case c == 0, w.cr && c != '\n':
		return false
	case c == '\n' && !w.cr && (!w.lenient || !w.data || w.dot):
		return false
	case c == '\r':
		w.cr = true
	case c == '\n' && w.cr:
		w.cr = false
		w.endLine()
	case c == '\n': // alone, and let pass
		w.start = false
	case w.data:
		w.dot = w.start && c == '.'
		w.start = false
	case len(w.line) < len("BDAT ")+40:
		w.line = append(w.line, c)
	default:
		return !isChunk(w.line) // how long it is stands where we don't look
	}
	return true
}

func (w *wire) endLine() {
	switch {
	case w.data && w.dot:
		w.data, w.dot, w.start = false, false, false
	case w.data:
		w.start = true
	default:
		w.chunk = chunkSize(w.line)
		w.asked = bytes.EqualFold(bytes.TrimSpace(w.line), []byte("DATA"))
	}
	w.line = w.line[:0]
}

// chunkSize is how many bytes follow a command, by the library's own reading of
// BDAT: it takes the chunk off the wire whenever it understands the line.
func chunkSize(line []byte) int64 {
	if !isChunk(line) {
		return 0
	}
	args := strings.Fields(string(line[5:]))
	if len(args) == 0 || len(args) > 2 || len(args) == 2 && !strings.EqualFold(args[1], "LAST") {
		return 0
	}
	n, err := strconv.ParseUint(args[0], 10, 32)
	if err != nil {
		return 0
	}
	return int64(n)
}

func isChunk(line []byte) bool { return len(line) > 5 && bytes.EqualFold(line[:5], []byte("BDAT ")) }

// cleanLines passes a message on, as long as its lines are: the check of what
// was cut into chunks. Lone LFs pass if lenient.
type cleanLines struct {
	r       io.Reader
	lenient bool
	cr      bool
}

// Read fails with errWire at a CR, LF or NUL that stands alone.
func (l *cleanLines) Read(p []byte) (int, error) {
	n, err := l.r.Read(p)
	for _, c := range p[:n] {
		if c == 0 || l.cr != (c == '\n') && (l.cr || !l.lenient) {
			return 0, errWire
		}
		l.cr = c == '\r'
	}
	if err == io.EOF && l.cr {
		return 0, errWire
	}
	return n, err
}
