package content

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"strings"
	"sync"

	"github.com/centerleap/postern/gateway"
)

const (
	// lineBuffer is the longest piece of a line that is looked at whole. A longer
	// line is read in pieces; only what starts a line can be a boundary, and no
	// boundary is that long (RFC 2046 section 5.1.1: 70 characters).
	lineBuffer = 64 << 10
	// captureText is how much decoded text is kept for the preview.
	captureText = 16 << 10
	// captureHTML likewise; markup is mostly not text.
	captureHTML = 128 << 10
)

// Scan reads a whole message once and says what is in it. Memory does not grow
// with the message, time grows with its bytes alone. A top header section over
// a limit is TooLarge; nothing else about a message is an error.
func Scan(r io.Reader, lim gateway.Limits) (*gateway.Content, error) {
	c, _, err := ScanHeader(r, lim)
	return c, err
}

// ScanHeader is Scan that also returns the fields of the message's own header, for
// Reading.Fields.
func ScanHeader(r io.Reader, lim gateway.Limits) (*gateway.Content, []gateway.HeaderField, error) {
	s := &scanner{lim: lim, c: &gateway.Content{TextPart: -1, HTMLPart: -1}, boundaries: make(map[string]int), nested: make(map[int]header)}
	s.open(-1, "")
	in := lineReaders.Get().(*bufio.Reader)
	in.Reset(r)
	defer func() {
		in.Reset(nil) // whoever waits for it must not hold r
		lineReaders.Put(in)
	}()
	lineStart := true
	for {
		piece, err := in.ReadSlice('\n')
		if len(piece) > 0 {
			if s.err = s.line(piece, lineStart); s.err != nil {
				return nil, nil, s.err
			}
			lineStart = err == nil
		}
		if err != nil && !errors.Is(err, bufio.ErrBufferFull) {
			if !errors.Is(err, io.EOF) {
				return nil, nil, err
			}
			break
		}
	}
	if err := s.finish(); err != nil {
		return nil, nil, err
	}
	return s.c, s.top, nil
}

// lineReaders keeps buffers for the next message: one is larger than most messages.
var lineReaders = sync.Pool{New: func() any { return bufio.NewReaderSize(nil, lineBuffer) }}

// scanner is where Scan stands in a message.
type scanner struct {
	lim  gateway.Limits
	c    *gateway.Content
	pos  int64 // of the piece being read
	eols int64 // line ends before pos
	err  error

	stack      []*entity      // the root first; the last one takes the lines
	boundaries map[string]int // of the open multiparts: index in stack
	eol        []byte         // the last line end of a body: part of it, or of a boundary
	top        header
	nested     map[int]header // of message/rfc822 parts: the header inside

	html string // the start of the HTML part
}

// entity is a part being read.
type entity struct {
	part     int // index in Content.Parts
	mode     mode
	head     []byte // its header section so far
	fields   header
	prefix   string // of its children's numbers
	children int
	boundary string
	closed   bool  // its closing boundary has passed: what follows is no part
	eols     int64 // line ends before its body

	decode  transfer
	scratch []byte
	capture []byte
	most    int // of capture
}

type mode uint8

const (
	inHeader mode = iota
	inLeaf
	inMultipart // before the first boundary, or after the last
)

func (s *scanner) current() *entity { return s.stack[len(s.stack)-1] }

func (s *scanner) part(e *entity) *gateway.Part { return &s.c.Parts[e.part] }

// open starts an entity at the current position.
func (s *scanner) open(parent int, number string) {
	s.c.Parts = append(s.c.Parts, gateway.Part{Parent: parent, Number: number, Type: "text/plain", HeaderAt: s.pos})
	s.stack = append(s.stack, &entity{part: len(s.c.Parts) - 1, prefix: number})
	s.eol = s.eol[:0]
}

// line takes one line, or a piece of a long one.
func (s *scanner) line(b []byte, start bool) error {
	if start && len(b) > 2 && b[0] == '-' && b[1] == '-' {
		if done, err := s.boundary(b); done || err != nil {
			s.pass(b)
			return err
		}
	}
	s.pass(b)
	e := s.current()
	switch e.mode {
	case inHeader:
		return s.headerLine(e, b, start)
	case inLeaf:
		s.body(e, b)
	case inMultipart:
		s.eol = lineEnd(s.eol, b)
	}
	return nil
}

// pass goes on behind a piece.
func (s *scanner) pass(b []byte) {
	s.pos += int64(len(b))
	if b[len(b)-1] == '\n' {
		s.eols++
	}
}

func (s *scanner) headerLine(e *entity, b []byte, start bool) error {
	e.head = append(e.head, b...)
	if int64(len(e.head)) > s.lim.HeaderBytes {
		return s.overLimit(e, errHeaderSize)
	}
	if start && (b[0] == '\n' || b[0] == '\r' && len(b) == 2) {
		return s.endHeader(e)
	}
	return nil
}

// overLimit refuses a message for its own header, and closes the eyes before
// that of a part.
func (s *scanner) overLimit(e *entity, err error) error {
	if e.part == 0 {
		return tooLarge(err)
	}
	s.opaque(e, gateway.DefectHeaderLimit)
	return nil
}

// opaque makes the rest of an entity a body that nobody looks into.
func (s *scanner) opaque(e *entity, why gateway.Defects) {
	s.c.Defects |= why
	p := s.part(e)
	p.Type, p.Encoding = "application/octet-stream", ""
	p.HeaderSize = s.pos - p.HeaderAt
	s.leaf(e)
}

// endHeader reads the header section that has just ended and decides what the
// body is.
func (s *scanner) endHeader(e *entity) error {
	fields, ok, err := splitHeader(e.head, s.lim)
	if err != nil {
		return s.overLimit(e, err)
	}
	if !ok {
		s.c.Defects |= gateway.DefectHeader
	}
	e.fields, e.head = fields, nil
	p := s.part(e)
	p.HeaderSize = s.pos - p.HeaderAt
	s.describe(e, p)
	if p.Parent >= 0 && s.c.Parts[p.Parent].Type == "message/rfc822" {
		s.nested[e.part] = e.fields
	}
	if e.part == 0 {
		s.top = e.fields
		s.c.HeaderSize = p.HeaderSize
		s.c.Received = e.fields.all("Received")
		s.envelope(e.fields)
	}
	switch {
	case strings.HasPrefix(p.Type, "multipart/"):
		return s.multipart(e, p)
	case p.Type == "message/rfc822" && isIdentity(p.Encoding):
		s.inner(e, p)
	default:
		s.leaf(e)
	}
	return nil
}

func isIdentity(encoding string) bool {
	_, id := first(newTransfer(encoding)).(identity)
	return id
}

func first[A, B any](a A, _ B) A { return a }

func (s *scanner) multipart(e *entity, p *gateway.Part) error {
	e.boundary = strings.TrimRight(param(p.Params, "boundary"), " \t") // a line may have more of them at its end
	switch {
	case e.boundary == "" || len(e.boundary) > 200:
		s.c.Defects |= gateway.DefectBoundary
		p.Type = "text/plain" // what is there is at least shown
		s.leaf(e)
	case int64(len(s.stack)) >= s.lim.MIMEDepth:
		s.opaque(e, gateway.DefectDepth)
	default:
		e.mode = inMultipart
		s.startBody(e)
		s.boundaries[e.boundary] = len(s.stack) - 1
	}
	return nil
}

// inner opens the message inside a message/rfc822 part.
func (s *scanner) inner(e *entity, p *gateway.Part) {
	if int64(len(s.stack)) >= s.lim.MIMEDepth {
		s.opaque(e, gateway.DefectDepth)
		return
	}
	e.mode = inMultipart // it takes no lines itself: its child does
	s.startBody(e)
	s.own(p)
	s.open(e.part, p.Number)
}

func (s *scanner) startBody(e *entity) {
	s.part(e).BodyAt, e.eols = s.pos, s.eols
	s.eol = s.eol[:0]
}

func (s *scanner) leaf(e *entity) {
	e.mode = inLeaf
	s.startBody(e)
	p := s.part(e)
	var known bool
	if e.decode, known = newTransfer(p.Encoding); !known {
		s.c.Defects |= gateway.DefectEncoding
	}
	switch p.Type {
	case "text/plain":
		e.most = captureText
	case "text/html":
		e.most = captureHTML
	}
	s.own(p)
}

// own gives a message's root a number of its own, unless it is a multipart: its body is
// part 1 of the message. RFC 9051 section 6.4.5.
func (s *scanner) own(p *gateway.Part) {
	if p.Number == "" || s.isInnerRoot(p) {
		p.Number = strings.TrimPrefix(p.Number+".1", ".")
	}
}

// isInnerRoot reports whether p is the message inside a message/rfc822 part.
func (s *scanner) isInnerRoot(p *gateway.Part) bool {
	return p.Parent >= 0 && s.c.Parts[p.Parent].Type == "message/rfc822" && s.c.Parts[p.Parent].Number == p.Number
}

// body gives a piece of a body to its leaf. The line end is held back: before a
// boundary it belongs to that.
func (s *scanner) body(e *entity, b []byte) {
	s.feed(e, s.eol)
	s.eol = lineEnd(s.eol, b)
	s.feed(e, b[:len(b)-len(s.eol)])
}

// lineEnd returns the line end of b, in buf.
func lineEnd(buf, b []byte) []byte {
	switch {
	case bytes.HasSuffix(b, []byte("\r\n")):
		return append(buf[:0], '\r', '\n')
	case bytes.HasSuffix(b, []byte("\n")):
		return append(buf[:0], '\n')
	}
	return buf[:0]
}

func (s *scanner) feed(e *entity, b []byte) {
	if len(b) == 0 {
		return
	}
	p := s.part(e)
	if b[len(b)-1] == '\n' {
		p.Lines++
	}
	e.scratch = e.decode.push(e.scratch[:0], b)
	s.decoded(e, p)
}

func (s *scanner) decoded(e *entity, p *gateway.Part) {
	p.DecodedSize += int64(len(e.scratch))
	if room := e.most - len(e.capture); room > 0 {
		e.capture = append(e.capture, e.scratch[:min(room, len(e.scratch))]...)
	}
}

// finish ends whatever is open at the end of the message.
func (s *scanner) finish() error {
	for len(s.stack) > 0 {
		e := s.current()
		if e.mode == inLeaf {
			s.feed(e, s.eol) // no boundary follows: the line end is the body's
		}
		s.eol = s.eol[:0]
		if err := s.close(s.pos); err != nil {
			return err
		}
	}
	s.imap()
	if s.c.Preview == "" && s.c.HTMLPart >= 0 { // else what it shows isn't asked for
		text, _ := VisibleText(s.html)
		s.c.Preview = preview(text)
	}
	return nil
}
