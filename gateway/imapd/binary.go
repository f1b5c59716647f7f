package imapd

import (
	"errors"
	"io"
	"slices"
	"strconv"
	"strings"

	"github.com/emersion/go-imap/v2"

	"github.com/centerleap/postern/gateway"
	"github.com/centerleap/postern/gateway/mailbox"
)

// BINARY of FETCH, RFC 9051 section 6.4.5 and RFC 3516: a part with its transfer
// encoding undone. Partial ranges count decoded bytes.

// binary adds the next of the decoded parts that the library has read, as a client
// named it.
func (p *fetchPlan) binary(item fetchItem, o *imap.FetchOptions) {
	item.name = item.what
	if strings.HasPrefix(item.what, "BINARY.SIZE") {
		if p.sizes < len(o.BinarySectionSize) {
			item.decoded, item.what = &imap.FetchItemBinarySection{Part: o.BinarySectionSize[p.sizes].Part, Peek: true}, "BINARY.SIZE"
		}
		p.sizes++
	} else {
		if p.binaries < len(o.BinarySection) {
			item.decoded, item.what = o.BinarySection[p.binaries], "BINARY"
		}
		p.binaries++
	}
	if item.decoded == nil {
		return // the library refused it
	}
	item.name = strings.Replace(item.name, "BINARY.PEEK", "BINARY", 1)
	if part := item.decoded.Partial; part != nil {
		item.name = item.name[:strings.LastIndexByte(item.name, '<')] + "<" + strconv.FormatInt(part.Offset, 10) + ">"
	}
	p.need |= mailbox.NeedParts
	p.marks = p.marks || !item.decoded.Peek
	p.items = append(p.items, item)
}

// errUndecodable is why a message has no answer: the encoding of a part is unknown.
var errUndecodable = errors.New("unknown transfer encoding")

// decodable reports whether all that a plan wants decoded can be.
func (p *fetchPlan) decodable(m *gateway.Message) bool {
	return !slices.ContainsFunc(p.items, func(i fetchItem) bool { return i.decoded != nil && !mailbox.Decodable(m, i.decoded.Part) })
}

// appendBinary writes a decoded part, or its size; a large one goes to the client at
// once, with what stands before it, and sent says so.
func (s *session) appendBinary(b []byte, item *fetchItem, m *gateway.Message) (_ []byte, sent bool, err error) {
	b = append(append(b, item.name...), ' ')
	d, ok := s.view.Decoded(m, item.decoded.Part)
	switch {
	case item.what == "BINARY.SIZE":
		return strconv.AppendInt(b, d.Size, 10), false, nil
	case !ok:
		return append(b, "NIL"...), false, nil
	}
	off, size := int64(0), d.Size
	if p := item.decoded.Partial; p != nil {
		off = min(max(p.Offset, 0), d.Size)
		size = min(max(p.Size, 0), d.Size-off)
	}
	r, err := d.Open(s.ctx, off, size)
	if err != nil {
		return b, false, err
	}
	defer r.Close()
	b = append(strconv.AppendInt(append(b, "~{"...), size, 10), "}\r\n"...)
	if size > inlineBody {
		return b[:0], true, s.c.stream(b, r, size)
	}
	at := len(b)
	b = slices.Grow(b, int(size))[:at+int(size)]
	_, err = io.ReadFull(r, b[at:])
	return b, false, err
}
