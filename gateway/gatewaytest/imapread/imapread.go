// Package imapread reads what an IMAP server says, for tests, and takes nothing
// that the grammar does not allow: a second reader of the protocol, which shares
// no code with the server or its library.
//
// What it reads is RFC 9051 section 9 with the extensions that Postern offers; a
// response that is none of them is an error, as is a space too many.
package imapread

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
)

// Response is one response of a server.
type Response struct {
	Tag    string // of a tagged one; "*" and "+" for the others
	Name   string // in upper case: OK, NO, BYE, EXISTS, FETCH, LIST ...; empty for "+"
	Number uint32 // of EXISTS, RECENT, EXPUNGE and FETCH

	Code string // of a status response, without brackets: "UIDNEXT 4"
	Text string // of a status response, or behind "+"

	Words   []string // CAPABILITY, ENABLED, FLAGS, the attributes of LIST
	Mailbox string   // LIST, LSUB, STATUS, as it is written
	Status  map[string]uint64
	Numbers []uint32 // SEARCH, SORT, VANISHED and ESEARCH ALL, in the order given
	ModSeq  uint64   // of SEARCH and ESEARCH
	Search  map[string]uint64
	Earlier bool   // VANISHED (EARLIER)
	For     string // ESEARCH: the tag that it answers
	UID     bool   // ESEARCH: the numbers are UIDs
	Fetch   *Fetch
	Rest    string // of what is read by nobody yet: QUOTA, THREAD, NAMESPACE, ID
}

// maxLiteral bounds what a test reads into memory.
const maxLiteral = 256 << 20

// Reader reads the responses of one connection.
type Reader struct{ in *bufio.Reader }

// NewReader reads from r.
func NewReader(r io.Reader) *Reader { return &Reader{bufio.NewReader(r)} }

// Next reads one response. The error is io.EOF only between two of them; what is
// malformed is an error of type MalformedError.
func (r *Reader) Next() (*Response, error) {
	raw, err := r.raw()
	if err != nil {
		return nil, err
	}
	return Parse(raw)
}

// MalformedError is about a response that the grammar does not allow.
type MalformedError struct {
	Why string
	Raw []byte
}

func (m *MalformedError) Error() string {
	return fmt.Sprintf("malformed response: %s in %.400q", m.Why, m.Raw)
}

// raw reads one response with the literals in it, its line end included.
func (r *Reader) raw() ([]byte, error) {
	var out []byte
	for {
		line, err := r.in.ReadBytes('\n')
		out = append(out, line...)
		if err != nil {
			if errors.Is(err, io.EOF) && len(out) > 0 {
				err = io.ErrUnexpectedEOF
			}
			return nil, err
		}
		if !bytes.HasSuffix(out, []byte("\r\n")) {
			return nil, &MalformedError{"a line ends with LF alone", out}
		}
		n, ok := announced(line)
		if !ok {
			return out, nil
		}
		if n > maxLiteral {
			return nil, &MalformedError{"a literal is too long", out}
		}
		at := len(out)
		out = append(out, make([]byte, n)...)
		if _, err := io.ReadFull(r.in, out[at:]); err != nil {
			return nil, io.ErrUnexpectedEOF
		}
	}
}

// announced is the size of the literal that a line ends with.
func announced(line []byte) (int64, bool) {
	line = bytes.TrimSuffix(line, []byte("\r\n"))
	i := bytes.LastIndexByte(line, '{')
	if i < 0 || !bytes.HasSuffix(line, []byte("}")) {
		return 0, false
	}
	digits := string(line[i+1 : len(line)-1])
	n, err := strconv.ParseInt(digits, 10, 62)
	return n, err == nil && strings.Trim(digits, "0123456789") == ""
}

// Parse reads one response that ends with its CRLF.
func Parse(raw []byte) (resp *Response, err error) {
	p := &parser{b: raw}
	defer p.recover(&err)
	resp = p.response()
	p.want("\r\n")
	if p.at != len(p.b) {
		p.fail("something stands behind the end")
	}
	return resp, nil
}

// ParseEnvelope reads the value of ENVELOPE alone.
func ParseEnvelope(raw []byte) (e *Envelope, err error) {
	p := &parser{b: raw}
	defer p.recover(&err)
	e = p.envelope()
	p.end()
	return e, nil
}

// ParseBody reads the value of BODYSTRUCTURE alone, or of BODY.
func ParseBody(raw []byte, extended bool) (part *Part, err error) {
	p := &parser{b: raw}
	defer p.recover(&err)
	part = p.body(extended, 0)
	p.end()
	return part, nil
}

// parser is where reading stands; a fault ends it by a panic of its own.
type parser struct {
	b  []byte
	at int
}

func (p *parser) recover(err *error) {
	if v := recover(); v != nil {
		m, ok := v.(*MalformedError)
		if !ok {
			panic(v)
		}
		*err = m
	}
}

func (p *parser) fail(format string, args ...any) {
	panic(&MalformedError{fmt.Sprintf("at %d: ", p.at) + fmt.Sprintf(format, args...), p.b})
}

func (p *parser) end() {
	if p.at != len(p.b) {
		p.fail("something stands behind the end")
	}
}

func (p *parser) peek() byte {
	if p.at >= len(p.b) {
		return 0
	}
	return p.b[p.at]
}

// has takes s, in any case, if it stands here.
func (p *parser) has(s string) bool {
	if len(p.b)-p.at < len(s) || !strings.EqualFold(string(p.b[p.at:p.at+len(s)]), s) {
		return false
	}
	p.at += len(s)
	return true
}

func (p *parser) want(s string) {
	if !p.has(s) {
		p.fail("%q is expected", s)
	}
}

// until takes the bytes up to one of stop, at least one.
func (p *parser) until(what, stop string) string {
	start := p.at
	for p.at < len(p.b) && !strings.ContainsRune(stop, rune(p.b[p.at])) {
		p.at++
	}
	if p.at == start {
		p.fail("%s is expected", what)
	}
	return string(p.b[start:p.at])
}

// atom is RFC 9051's, with more characters where more says so.
func (p *parser) atom(more string) string {
	start := p.at
	for p.at < len(p.b) {
		c := p.b[p.at]
		if c <= ' ' || c >= 0x7f || strings.IndexByte(`(){%*"\]`, c) >= 0 && strings.IndexByte(more, c) < 0 {
			break
		}
		p.at++
	}
	if p.at == start {
		p.fail("an atom is expected")
	}
	return string(p.b[start:p.at])
}

// number is digits without a sign, of at most most.
func (p *parser) number(most uint64) uint64 {
	start := p.at
	for p.peek() >= '0' && p.peek() <= '9' {
		p.at++
	}
	n, err := strconv.ParseUint(string(p.b[start:p.at]), 10, 64)
	if err != nil || n > most {
		p.at = start
		p.fail("a number up to %d is expected", most)
	}
	return n
}

const (
	max32 = 1<<32 - 1
	max63 = 1<<63 - 1
)

func (p *parser) nz() uint32 {
	n := p.number(max32)
	if n == 0 {
		p.fail("a number over 0 is expected")
	}
	return uint32(n)
}

// str is a quoted string or a literal.
func (p *parser) str() string {
	switch {
	case p.peek() == '"':
		return p.quoted()
	case p.peek() == '{':
		return p.literal()
	}
	p.fail("a string is expected")
	return ""
}

func (p *parser) quoted() string {
	var b strings.Builder
	for p.at++; p.at < len(p.b); p.at++ {
		switch c := p.b[p.at]; {
		case c == '"':
			p.at++
			return b.String()
		case c == '\\':
			if p.at++; p.peek() != '"' && p.peek() != '\\' {
				p.fail("a backslash stands before %q", p.peek())
			}
			b.WriteByte(p.b[p.at])
		case c == 0 || c == '\r' || c == '\n' || c >= 0x7f:
			p.fail("a quoted string holds %q", c)
		default:
			b.WriteByte(c)
		}
	}
	p.fail("a quoted string has no end")
	return ""
}

func (p *parser) literal() string {
	p.want("{")
	n := int(p.number(maxLiteral))
	p.want("}\r\n")
	if len(p.b)-p.at < n {
		p.fail("a literal of %d bytes is cut", n)
	}
	s := string(p.b[p.at : p.at+n])
	p.at += n
	return s
}

// nstring is a string or NIL.
func (p *parser) nstring() (s string, ok bool) {
	if p.has("NIL") {
		return "", false
	}
	return p.str(), true
}

// text is nstring without NUL, which only BINARY may hold, RFC 3516.
func (p *parser) text() (s string, ok bool) {
	s, ok = p.nstring()
	if strings.ContainsRune(s, 0) {
		p.fail("a string holds NUL")
	}
	return s, ok
}
