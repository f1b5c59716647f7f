package content

import (
	"io"
)

// transfer is a lenient decoder of a Content-Transfer-Encoding, fed piece by
// piece. Both the scanner, which only counts, and Decoder use it, so the size
// that Scan notes is the size that a reader gets.
type transfer interface {
	// push appends the decoding of src to dst.
	push(dst, src []byte) []byte
	// end appends what was held back.
	end(dst []byte) []byte
}

// newTransfer returns the decoder of an encoding; known is false for one that
// is not understood, which is then read as it stands.
func newTransfer(encoding string) (t transfer, known bool) {
	switch encoding {
	case "base64":
		return &base64Transfer{}, true
	case "quoted-printable":
		return &quotedTransfer{}, true
	case "", "7bit", "8bit", "binary":
		return identity{}, true
	}
	return identity{}, false
}

type identity struct{}

func (identity) push(dst, src []byte) []byte { return append(dst, src...) }
func (identity) end(dst []byte) []byte       { return dst }

// base64Transfer skips bytes outside the alphabet, and goes on after padding:
// some programs join encoded pieces.
type base64Transfer struct {
	acc uint32
	n   int // characters in acc, 0 to 3
}

var base64Values = func() (t [256]int8) {
	for i := range t {
		t[i] = -1
	}
	const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
	for i := range len(alphabet) {
		t[alphabet[i]] = int8(i)
	}
	return t
}()

func (t *base64Transfer) push(dst, src []byte) []byte {
	for _, c := range src {
		v := base64Values[c]
		if v < 0 {
			if c == '=' {
				dst = t.end(dst)
			}
			continue
		}
		t.acc = t.acc<<6 | uint32(v)
		if t.n++; t.n == 4 {
			dst = append(dst, byte(t.acc>>16), byte(t.acc>>8), byte(t.acc))
			t.acc, t.n = 0, 0
		}
	}
	return dst
}

func (t *base64Transfer) end(dst []byte) []byte {
	switch t.n {
	case 2:
		dst = append(dst, byte(t.acc>>4))
	case 3:
		dst = append(dst, byte(t.acc>>10), byte(t.acc>>2))
	}
	t.acc, t.n = 0, 0
	return dst
}

// quotedTransfer is RFC 2045 section 6.7, leniently: an = that starts nothing
// stands for itself.
type quotedTransfer struct {
	held []byte // an = and what followed it, undecided
}

func (t *quotedTransfer) push(dst, src []byte) []byte {
	for _, c := range src {
		if len(t.held) == 0 {
			if c == '=' {
				t.held = append(t.held, c)
			} else {
				dst = append(dst, c)
			}
			continue
		}
		dst = t.decide(dst, c)
	}
	return dst
}

// decide takes the next byte after an =.
func (t *quotedTransfer) decide(dst []byte, c byte) []byte {
	t.held = append(t.held, c)
	second := t.held[1]
	switch {
	case c == '\n' && blank(t.held[1:len(t.held)-1]): // a soft line break
		t.held = t.held[:0]
	case len(t.held) == 2 && hexValue(c) >= 0:
	case len(t.held) == 3 && hexValue(second) >= 0 && hexValue(c) >= 0:
		dst = append(dst, byte(hexValue(second)<<4|hexValue(c)))
		t.held = t.held[:0]
	case blank(t.held[1:]) && len(t.held) < 80: // perhaps the white space before a line end
	default:
		return t.giveUp(dst)
	}
	return dst
}

// giveUp lets what was held stand for itself; its last byte may start anew.
func (t *quotedTransfer) giveUp(dst []byte) []byte {
	last := t.held[len(t.held)-1]
	dst = append(dst, t.held[:len(t.held)-1]...)
	t.held = t.held[:0]
	if last == '=' {
		t.held = append(t.held, last)
		return dst
	}
	return append(dst, last)
}

func (t *quotedTransfer) end(dst []byte) []byte {
	if !blank(t.held[min(1, len(t.held)):]) || len(t.held) == 1 {
		dst = append(dst, t.held...)
	}
	t.held = t.held[:0]
	return dst
}

func blank(b []byte) bool {
	for _, c := range b {
		if c != ' ' && c != '\t' && c != '\r' {
			return false
		}
	}
	return true
}

func hexValue(c byte) int {
	switch {
	case c >= '0' && c <= '9':
		return int(c - '0')
	case c >= 'A' && c <= 'F':
		return int(c-'A') + 10
	case c >= 'a' && c <= 'f':
		return int(c-'a') + 10
	}
	return -1
}

// transferReader pulls what a transfer is pushed.
type transferReader struct {
	r    io.Reader
	t    transfer
	in   []byte
	out  []byte // decoded, not read yet
	buf  []byte // what out is a part of
	done error
}

// newTransferReader decodes about size bytes of r.
func newTransferReader(r io.Reader, t transfer, size int64) *transferReader {
	return &transferReader{r: r, t: t, in: make([]byte, min(max(size, 512), 32<<10))}
}

func (d *transferReader) Read(p []byte) (int, error) {
	for len(d.out) == 0 && d.done == nil {
		n, err := d.r.Read(d.in)
		d.buf = d.t.push(d.buf[:0], d.in[:n])
		if err != nil {
			d.buf = d.t.end(d.buf)
			d.done = err
		}
		d.out = d.buf
	}
	n := copy(p, d.out)
	d.out = d.out[n:]
	if n == 0 && len(p) > 0 {
		return 0, d.done
	}
	return n, nil
}
