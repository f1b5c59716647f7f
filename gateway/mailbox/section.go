package mailbox

import (
	"bytes"
	"context"
	"io"
	"strconv"
	"strings"

	"github.com/centerleap/postern/gateway"
	"github.com/centerleap/postern/gateway/content"
)

// Section names bytes of a message as IMAP does, RFC 9051 section 6.4.5.1.
type Section struct {
	Part []int  // empty: the message itself
	What string // "", HEADER, TEXT or MIME
}

// Span is a range of a message's bytes, its prefix included.
type Span struct{ At, Size int64 }

// Cut returns the part of a span from an offset on, at most size bytes.
func (s Span) Cut(off, size int64) Span {
	off = min(max(off, 0), s.Size)
	return Span{s.At + off, min(max(size, 0), s.Size-off)}
}

// Locate finds a section; false if the message has no such part. The message has
// its structure.
func Locate(m *gateway.Message, sec Section) (Span, bool) {
	c, prefix := &m.Content, int64(len(m.Prefix))
	if len(sec.Part) == 0 {
		switch sec.What {
		case "":
			return Span{0, m.Size()}, true
		case "HEADER":
			return Span{0, prefix + c.HeaderSize}, true
		case "TEXT":
			return Span{prefix + c.HeaderSize, m.Blob.Size - c.HeaderSize}, true
		}
		return Span{}, false
	}
	i, ok := findPart(c.Parts, sec.Part)
	if !ok {
		return nothing(c.Parts, sec)
	}
	p := &c.Parts[i]
	switch sec.What {
	case "":
		return Span{prefix + p.BodyAt, p.BodySize}, true
	case "MIME":
		return Span{prefix + p.HeaderAt, p.HeaderSize}, true
	}
	inner, ok := enclosed(c.Parts, i)
	if !ok {
		return Span{prefix + p.BodyAt, 0}, p.Type == "message/rfc822"
	}
	if p = &c.Parts[inner]; sec.What == "HEADER" {
		return Span{prefix + p.HeaderAt, p.HeaderSize}, true
	}
	return Span{prefix + p.BodyAt, p.BodySize}, sec.What == "TEXT"
}

// nothing is the text inside an encoded message/rfc822, which nobody looks into:
// BODYSTRUCTURE says that it has no bytes, so it can be fetched.
func nothing(parts []gateway.Part, sec Section) (Span, bool) {
	n := len(sec.Part) - 1
	if n == 0 || sec.Part[n] != 1 || sec.What != "" && sec.What != "MIME" {
		return Span{}, false
	}
	i, ok := findPart(parts, sec.Part[:n])
	if !ok || parts[i].Type != "message/rfc822" {
		return Span{}, false
	}
	_, looked := enclosed(parts, i)
	return Span{}, !looked
}

// findPart returns the part of a path. A message that is one part is its part 1;
// of a message/rfc822 and the multipart in it, which share a path, the first
// counts.
func findPart(parts []gateway.Part, path []int) (int, bool) {
	names := make([]string, len(path))
	for i, n := range path {
		names[i] = strconv.Itoa(n)
	}
	want := strings.Join(names, ".")
	for i := range parts {
		if parts[i].Number == want {
			return i, true
		}
	}
	return 0, false
}

// enclosed returns the root of the message inside a message/rfc822.
func enclosed(parts []gateway.Part, i int) (int, bool) {
	if parts[i].Type != "message/rfc822" {
		return 0, false
	}
	for j := i + 1; j < len(parts); j++ {
		if parts[j].Parent == i {
			return j, true
		}
	}
	return 0, false
}

// Open reads a span of a message.
func (v *View) Open(ctx context.Context, m *gateway.Message, s Span) (io.ReadCloser, error) {
	return v.mail.open(ctx, v.scope, m, s)
}

func (m *Mail) open(ctx context.Context, sc gateway.Scope, msg *gateway.Message, s Span) (io.ReadCloser, error) {
	n := int64(len(msg.Prefix))
	if s.At+s.Size <= n {
		return io.NopCloser(bytes.NewReader(msg.Prefix[s.At : s.At+s.Size])), nil
	}
	if s.At >= n {
		return m.cfg.Store.OpenBlob(ctx, sc, msg.Blob, s.At-n, s.Size)
	}
	r, err := m.cfg.Store.OpenBlob(ctx, sc, msg.Blob, 0, s.At+s.Size-n)
	if err != nil {
		return nil, err
	}
	return struct {
		io.Reader
		io.Closer
	}{io.MultiReader(bytes.NewReader(msg.Prefix[s.At:]), r), r}, nil
}

// Fields reads a header section and keeps the fields of some names, or all
// others, as they stand, with the empty line.
func (v *View) Fields(ctx context.Context, m *gateway.Message, s Span, names []string, others bool) ([]byte, error) {
	raw, err := v.bytes(ctx, m, s)
	if err != nil {
		return nil, err
	}
	return content.PickFields(raw, names, others), nil
}

func (v *View) bytes(ctx context.Context, m *gateway.Message, s Span) ([]byte, error) {
	r, err := v.Open(ctx, m, s)
	if err != nil {
		return nil, err
	}
	defer r.Close()
	raw := make([]byte, s.Size)
	_, err = io.ReadFull(r, raw)
	return raw, err
}
