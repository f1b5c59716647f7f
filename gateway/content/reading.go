package content

import (
	"bytes"
	"errors"
	"io"
	"slices"

	"github.com/centerleap/postern/gateway"
)

// Reading reads a message that Scan has described: its header, its text and its
// parts, decoded. It satisfies gateway.Reading.
type Reading struct {
	// Open reads n bytes of the scanned bytes from off; n < 0 means to their end.
	Open    func(off, n int64) (io.ReadCloser, error)
	Content *gateway.Content
	Prefix  []byte // fields that stand before them
	// Fields are those of the header as ScanHeader found them; nil: they are read again.
	Fields []gateway.HeaderField
	Limits gateway.Limits
}

// Header lists the fields of the message. Those of Prefix come on top of the limits.
func (r *Reading) Header() ([]gateway.HeaderField, error) {
	var before []gateway.HeaderField
	if len(r.Prefix) > 0 {
		var err error
		if before, err = decodeHeader(r.Prefix, r.Limits); err != nil {
			return nil, err
		}
	}
	own, err := r.own()
	if len(before) == 0 {
		return own, err
	}
	return append(before, own...), err
}

// own lists the fields of the scanned bytes.
func (r *Reading) own() ([]gateway.HeaderField, error) {
	if r.Fields != nil {
		return decoded(slices.Clone(r.Fields)), nil
	}
	in, err := r.Open(0, r.Content.HeaderSize)
	if err != nil {
		return nil, err
	}
	defer in.Close()
	b := make([]byte, min(r.Content.HeaderSize, 2*r.Limits.HeaderBytes))
	n, err := io.ReadFull(in, b)
	if err != nil && !errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF) {
		return nil, err
	}
	return decodeHeader(b[:n], r.Limits)
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

// whole reads a text part, if there is one; ok is false if it is longer than one that is
// sent may be.
func (r *Reading) whole(part int, to *string) (ok bool, err error) {
	if part < 0 {
		return true, nil
	}
	p := &r.Content.Parts[part]
	in, err := r.Open(p.BodyAt, p.BodySize)
	if err != nil {
		return false, err
	}
	defer in.Close()
	text, cut, err := Text(in, p, r.Limits.BodyBytes)
	*to = text
	return !cut, err
}

// opens opens a part each time it is called.
func opens(r *Reading, part int) func() (io.ReadCloser, error) {
	return func() (io.ReadCloser, error) { return r.Part(part) }
}
