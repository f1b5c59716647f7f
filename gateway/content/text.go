package content

import (
	"bytes"
	"io"
	"strings"

	"github.com/centerleap/postern/gateway"
)

// Decoder undoes the transfer encoding of a part whose encoded body r gives.
// It yields exactly Part.DecodedSize bytes.
func Decoder(r io.Reader, p *gateway.Part) io.Reader {
	return newTransferReader(r, first(newTransfer(p.Encoding)), p.BodySize)
}

// Decodes reports whether the transfer encoding of a part is understood.
func Decodes(p *gateway.Part) bool {
	_, known := newTransfer(p.Encoding)
	return known
}

// Encoded reports whether a part's bytes are others than those they stand for. A
// multipart's never are, RFC 2045 section 6.4.
func Encoded(p *gateway.Part) bool {
	t, _ := newTransfer(p.Encoding)
	_, same := t.(identity)
	return !same && !strings.HasPrefix(p.Type, "multipart/")
}

// Plain reports whether the bytes of a text part, where they are ASCII without a NUL, are
// its text as Text gives it, but for their line ends.
func Plain(p *gateway.Part) bool {
	t, _ := newTransfer(p.Encoding)
	if _, same := t.(identity); !same {
		return false
	}
	switch strings.ToLower(p.Charset) {
	case "", "utf-8", "utf8", "us-ascii", "ascii", "iso-8859-1", "windows-1252":
		return true
	}
	return false
}

// Text decodes a text part whose encoded body r gives: valid UTF-8 with \n line
// ends. At most most bytes are decoded; cut says that there was more.
func Text(r io.Reader, p *gateway.Part, most int64) (text string, cut bool, err error) {
	var all bytes.Buffer
	all.Grow(int(min(p.DecodedSize, most)) + bytes.MinRead) // it has to end without growing
	if _, err := all.ReadFrom(io.LimitReader(Decoder(r, p), most+1)); err != nil {
		return "", false, err
	}
	b := all.Bytes()
	if int64(len(b)) > most {
		b, cut = b[:most], true
	}
	text, _ = toUTF8(b, p.Charset)
	return tidy(text), cut, nil
}

// tidy gives a text lines that end with \n, and takes out what no text has.
func tidy(text string) string {
	return strings.ReplaceAll(strings.ReplaceAll(text, "\r\n", "\n"), "\x00", "")
}
