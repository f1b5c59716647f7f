// Package content answers what is in these bytes: it scans a message once, at
// ingest, and composes new ones.
//
// Scan is tolerant, because mail is what it is: whatever can't be understood is
// kept and marked, never refused. It is bounded, because mail is sent by
// anybody: time grows with the bytes alone, and memory does not grow with them.
// Nothing parses a message later; readers use the offsets that Scan returns.
//
// Composing uses go-message. An untrusted message never reaches it.
package content

import (
	"bytes"
	"mime"
	"strings"
	"unicode/utf8"

	"github.com/emersion/go-message/charset"
	"golang.org/x/text/encoding/charmap"
)

// words decodes RFC 2047 encoded words of any charset we can read.
var words = mime.WordDecoder{CharsetReader: charset.Reader}

// decodeField makes the value of a header field readable: encoded words are
// decoded, and bytes that are no UTF-8 are read as Windows-1252.
func decodeField(v string) string {
	if !utf8.ValidString(v) {
		v = fromLatin(v)
	}
	if strings.Contains(v, "=?") {
		if d, err := words.DecodeHeader(v); err == nil {
			v = d
		}
	}
	return clean(v)
}

func fromLatin(v string) string {
	d, err := charmap.Windows1252.NewDecoder().String(v)
	if err != nil {
		return strings.ToValidUTF8(v, "\uFFFD")
	}
	return d
}

// clean removes what must not stand in a line of text: line ends and NUL.
func clean(v string) string {
	if strings.IndexByte(v, '\r') < 0 && strings.IndexByte(v, '\n') < 0 && strings.IndexByte(v, 0) < 0 && utf8.ValidString(v) { // nearly all
		return v
	}
	return strings.Map(func(r rune) rune {
		switch r {
		case '\r', '\n', 0:
			return ' '
		}
		return r
	}, strings.ToValidUTF8(v, "\uFFFD"))
}

// isUTF8 reports whether a charset is UTF-8, or a part of it.
func isUTF8(name string) bool {
	switch strings.ToLower(name) {
	case "", "utf-8", "utf8", "us-ascii", "ascii":
		return true
	}
	return false
}

// toUTF8 decodes text of a named charset; ok is false if the charset is unknown
// or the bytes are not of it, and the text is then as good as it gets.
func toUTF8(b []byte, name string) (s string, ok bool) {
	if isUTF8(name) {
		if utf8.Valid(b) {
			return string(b), true
		}
		return fromLatin(string(b)), false
	}
	r, err := charset.Reader(name, bytes.NewReader(b))
	if err == nil {
		var out bytes.Buffer
		if _, err = out.ReadFrom(r); err == nil {
			return strings.ToValidUTF8(out.String(), "\uFFFD"), true
		}
	}
	if utf8.Valid(b) {
		return string(b), false
	}
	return fromLatin(string(b)), false
}
