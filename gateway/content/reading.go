package content

import (
	"bytes"
	"io"
	"mime"
	"slices"

	"github.com/emersion/go-message/textproto"

	"github.com/centerleap/postern/gateway"
)

// Reading reads a message that Scan has described: its header, its text and its
// parts, decoded. It satisfies gateway.Reading.
type Reading struct {
	// Open reads n bytes of the scanned bytes from off; n < 0 means to their end.
	Open    func(off, n int64) (io.ReadCloser, error)
	Content *gateway.Content
	Limits  gateway.Limits
}

// Header lists the fields of the message.
func (r *Reading) Header() ([]gateway.HeaderField, error) {
	in, err := r.Open(0, r.Content.HeaderSize)
	if err != nil {
		return nil, err
	}
	defer in.Close()
	return Header(in, r.Limits)
}

// Part opens the decoded bytes of a part; -1 is the whole message as it came.
func (r *Reading) Part(i int) (io.ReadCloser, error) {
	if i == -1 {
		return r.Open(0, -1)
	}
	if i < 0 || i >= len(r.Content.Parts) {
		return nil, gateway.Errorf(gateway.NotFound, "no such part")
	}
	p := &r.Content.Parts[i]
	in, err := r.Open(p.BodyAt, p.BodySize)
	if err != nil {
		return nil, err
	}
	return struct {
		io.Reader
		io.Closer
	}{Decoder(in, p), in}, nil
}

// Text is the start of what the message says: of its text part, or of what its
// HTML shows.
func (r *Reading) Text(most int64) (text string, cut bool, err error) {
	i, html := r.Content.TextPart, false
	if i < 0 {
		i, html = r.Content.HTMLPart, true
	}
	if i < 0 {
		return "", false, nil
	}
	p := &r.Content.Parts[i]
	in, err := r.Open(p.BodyAt, p.BodySize)
	if err != nil {
		return "", false, err
	}
	defer in.Close()
	read := most
	if html {
		read = htmlForText
	}
	if text, cut, err = Text(in, p, read); err != nil || !html {
		return text, cut, err
	}
	text, _ = VisibleText(text)
	return clipText(text, most), cut || int64(len(text)) > most, nil
}

// htmlForText is how much HTML is read for the start of its text; ours. Letters of
// shops open with that much of style sheets.
const htmlForText = 256 << 10

// clipText cuts at the border of a character.
func clipText(text string, most int64) string {
	if int64(len(text)) <= most {
		return text
	}
	return string(bytes.ToValidUTF8([]byte(text[:most]), nil))
}

// Fields writes header fields as they stand in a message: encoded words where
// they are needed (RFC 2047), and folded.
func Fields(fields []gateway.HeaderField) []byte {
	var h textproto.Header
	for _, f := range slices.Backward(fields) { // the library puts each on top
		h.Add(f.Name, mime.QEncoding.Encode("utf-8", f.Value))
	}
	var b bytes.Buffer
	if err := textproto.WriteHeader(&b, h); err != nil {
		return nil // a field with a line end in it, which CheckHeaders refuses
	}
	return bytes.TrimSuffix(b.Bytes(), []byte("\r\n"))
}
