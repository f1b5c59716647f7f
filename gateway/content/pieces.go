package content

import (
	"bufio"
	"errors"
	"io"
	"strings"
	"unicode/utf8"

	"github.com/emersion/go-message/charset"

	"github.com/centerleap/postern/gateway"
)

// TextPieces is Text for a part of any length, in pieces of about piece bytes until fn
// returns false: each begins with the last overlap bytes of the one before, as they were
// before line ends were made one byte. So what has half as many stands in one of them as a
// whole. overlap is less than piece.
func TextPieces(r io.Reader, p *gateway.Part, piece, overlap int, fn func(text string) bool) error {
	in, decoded, err := utf8Reader(Decoder(r, p), p.Charset)
	if err != nil {
		return err
	}
	buf := make([]byte, 0, piece)
	for {
		n, err := io.ReadFull(in, buf[len(buf):piece])
		buf = buf[:len(buf)+n]
		last := errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF)
		if err != nil && !last {
			return err
		}
		whole := buf
		if !last {
			whole = buf[:len(buf)-cutRune(buf)]
		}
		text, _ := toUTF8(whole, "")
		if decoded {
			text = strings.ToValidUTF8(string(whole), "\uFFFD")
		}
		if !fn(tidy(text)) || last {
			return nil
		}
		from := len(buf) - overlap
		for back := from; back > max(0, from-utf8.UTFMax); back-- {
			if utf8.RuneStart(buf[back]) {
				from = back
				break
			}
		}
		buf = buf[:copy(buf, buf[from:])]
	}
}

// utf8Reader decodes a text of a charset; decoded is false if r gives its bytes as they are,
// which may be UTF-8, or of a charset that nobody knows.
func utf8Reader(r io.Reader, name string) (in io.Reader, decoded bool, err error) {
	raw := bufio.NewReader(r)
	start, _ := raw.Peek(raw.Size())
	if _, known := toUTF8(start, name); isUTF8(name) || !known {
		return raw, false, nil
	}
	in, err = charset.Reader(name, raw)
	return in, true, err
}

// cutRune is how many bytes at the end are the beginning of a character.
func cutRune(b []byte) int {
	for n := 1; n < utf8.UTFMax && n <= len(b); n++ {
		if utf8.RuneStart(b[len(b)-n]) {
			if utf8.FullRune(b[len(b)-n:]) {
				return 0
			}
			return n
		}
	}
	return 0
}
