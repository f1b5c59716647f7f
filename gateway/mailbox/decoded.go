package mailbox

import (
	"context"
	"io"

	"github.com/centerleap/postern/gateway"
	"github.com/centerleap/postern/gateway/content"
)

// Decoded is a part of a message with its transfer encoding undone.
type Decoded struct {
	Size int64

	view *View
	msg  *gateway.Message
	span Span          // of the part's body
	part *gateway.Part // nil: the bytes are what they are
}

// Decodable reports whether the transfer encoding of a part is known; that of a part
// that is not there is.
func Decodable(m *gateway.Message, path []int) bool {
	i, ok := findPart(m.Content.Parts, path)
	return len(path) == 0 || !ok || content.Decodes(&m.Content.Parts[i])
}

// Decoded finds a part, which is Decodable, or with an empty path the message; false if
// there is no such part. The message has its structure.
func (v *View) Decoded(m *gateway.Message, path []int) (d Decoded, ok bool) {
	d = Decoded{view: v, msg: m}
	if d.span, ok = Locate(m, Section{Part: path}); !ok {
		return d, false
	}
	d.Size = d.span.Size
	if len(path) > 0 {
		if i, _ := findPart(m.Content.Parts, path); content.Encoded(&m.Content.Parts[i]) {
			d.part = &m.Content.Parts[i]
			d.Size = d.part.DecodedSize
		}
	}
	return d, true
}

// Open reads size bytes from off on; both are within Size. It decodes from the start: a
// transfer encoding has no index.
func (d *Decoded) Open(ctx context.Context, off, size int64) (io.ReadCloser, error) {
	if d.part == nil {
		return d.view.Open(ctx, d.msg, d.span.Cut(off, size))
	}
	r, err := d.view.Open(ctx, d.msg, d.span)
	if err != nil {
		return nil, err
	}
	decoded := content.Decoder(r, d.part)
	if _, err := io.CopyN(io.Discard, decoded, off); err != nil {
		r.Close()
		return nil, err
	}
	return struct {
		io.Reader
		io.Closer
	}{io.LimitReader(decoded, size), r}, nil
}
