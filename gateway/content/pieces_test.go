package content

import (
	"bytes"
	"encoding/base64"
	"fmt"
	"slices"
	"strings"
	"testing"

	"golang.org/x/text/encoding"
	"golang.org/x/text/encoding/charmap"
	"golang.org/x/text/encoding/japanese"
	"golang.org/x/text/encoding/unicode"

	"github.com/centerleap/postern/gateway"
)

// Whatever stands in a text stands in one of its pieces, if it is half as long as what they
// have in common; and they say nothing else.
func TestTextPieces(t *testing.T) {
	const piece, overlap = 1000, 100
	counted := func(text string, n int) string {
		var b strings.Builder
		for i := range n {
			fmt.Fprint(&b, text, i)
		}
		return b.String()
	}
	latin, wide := counted("Grüße und ", 400), counted("東京都の天気", 300)
	for _, tt := range []struct {
		name, charset, text string
		as                  encoding.Encoding // nil: UTF-8
	}{
		{"utf-8", "utf-8", latin + wide, nil},
		{"lines", "", counted("one line\n", 500), nil},
		{"four bytes", "utf-8", counted("🙂🙂🙂", 300), nil},
		{"latin", "iso-8859-1", latin, charmap.ISO8859_1},
		{"latin as nothing", "", latin, charmap.Windows1252},
		{"an unknown charset", "x-none", latin, nil},
		{"utf-16", "utf-16", latin + wide, unicode.UTF16(unicode.LittleEndian, unicode.UseBOM)},
		{"shift_jis", "shift_jis", wide, japanese.ShiftJIS},
		{"iso-2022-jp", "iso-2022-jp", wide, japanese.ISO2022JP},
		{"short", "utf-8", "ü", nil},
		{"of a piece", "", counted("x", 1000)[:piece], nil},
		{"nothing", "", "", nil},
	} {
		t.Run(tt.name, func(t *testing.T) {
			raw := []byte(strings.ReplaceAll(tt.text, "\n", "\r\n"))
			if tt.as != nil {
				var err error
				if raw, err = tt.as.NewEncoder().Bytes(raw); err != nil {
					t.Fatal(err)
				}
			}
			coded := base64.StdEncoding.EncodeToString(raw)
			p := &gateway.Part{Charset: tt.charset, Encoding: "base64", BodySize: int64(len(coded)), DecodedSize: int64(len(raw))}
			if whole, _, err := Text(strings.NewReader(coded), p, 1<<20); err != nil || whole != tt.text {
				t.Fatalf("the text is %d bytes, %v, want %d", len(whole), err, len(tt.text))
			}
			var pieces []string
			err := TextPieces(bytes.NewReader([]byte(coded)), p, piece, overlap, func(text string) bool {
				pieces = append(pieces, text)
				return true
			})
			if err != nil || len(pieces) > 2+len(tt.text)/(piece-overlap-4) {
				t.Fatalf("%d pieces, %v", len(pieces), err)
			}
			for i, text := range pieces {
				if !strings.Contains(tt.text, text) {
					t.Fatalf("piece %d says something else", i)
				}
			}
			for from := range tt.text {
				part := strings.ToValidUTF8(tt.text[from:min(from+overlap/2, len(tt.text))], "")
				if !slices.ContainsFunc(pieces, func(text string) bool { return strings.Contains(text, part) }) {
					t.Fatalf("no piece has %q", part)
				}
			}
		})
	}
}
