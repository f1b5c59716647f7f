package content

import (
	"encoding/base64"
	"mime"
	"net/textproto"
	"strings"
	"unicode/utf8"

	"github.com/centerleap/postern/gateway"
)

const (
	// foldAt is how long a line of a header field gets where there is white space to
	// fold at: RFC 5322 section 2.1.1 has 78, RFC 2047 section 2 has 76 where there are
	// encoded words.
	foldAt = 76
	// longest is the longest piece without a place to fold that is written as it is: with
	// a name of 100 bytes it stays below the 998 of RFC 5322 section 2.1.1.
	longest = 800
	// wordBytes is how many bytes of text an encoded word of 75 has room for, in base64.
	wordBytes = 45
)

// Fields writes header fields as they stand in a message: encoded words where
// they are needed (RFC 2047), and folded.
func Fields(fields []gateway.HeaderField) []byte {
	var b []byte
	for _, f := range fields {
		b = appendField(b, f)
	}
	return b
}

// appendField writes one header field, with its line end. What can't stand in a line of
// text becomes a space: CheckHeaders refuses it, and no second field shall come of it.
func appendField(b []byte, f gateway.HeaderField) []byte {
	b = append(append(b, textproto.CanonicalMIMEHeaderKey(f.Name)...), ':') // as go-message writes others
	value := clean(f.Value)
	pieces := foldable(mime.QEncoding.Encode("utf-8", value))
	for _, p := range pieces {
		if len(p) > longest {
			pieces = foldable(encodedWords(value))
			break
		}
	}
	line := len(f.Name) + 1
	for i, p := range pieces {
		if i == 0 {
			b, line = append(b, ' '), line+1
		} else if line+len(p) > foldAt {
			b, line = append(b, "\r\n"...), 0
		}
		b, line = append(b, p...), line+len(p)
	}
	return append(b, "\r\n"...)
}

// foldable cuts a value before white space: each piece but the first may begin a line,
// since it has more than that.
func foldable(value string) (pieces []string) {
	for value != "" {
		start := len(value) - len(strings.TrimLeft(value, " \t"))
		end := strings.IndexAny(value[start:], " \t")
		if end < 0 || strings.Trim(value[start+end:], " \t") == "" {
			return append(pieces, value)
		}
		pieces, value = append(pieces, value[:start+end]), value[start+end:]
	}
	return pieces
}

// encodedWords writes a text as encoded words that readers join without the spaces.
func encodedWords(text string) string {
	var words []string
	for text != "" {
		n := min(wordBytes, len(text))
		for n < len(text) && !utf8.RuneStart(text[n]) {
			n--
		}
		words = append(words, "=?utf-8?b?"+base64.StdEncoding.EncodeToString([]byte(text[:n]))+"?=")
		text = text[n:]
	}
	return strings.Join(words, " ")
}
