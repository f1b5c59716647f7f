package outbound

import (
	"bytes"
	"context"
	"errors"
	"io"

	"github.com/centerleap/postern/gateway"
)

// travel carries a message to a site.
func (s *Sender) travel(ctx context.Context, trip []gateway.Delivery) []gateway.Outcome {
	all := func(o gateway.Outcome) []gateway.Outcome {
		out := make([]gateway.Outcome, len(trip))
		for i := range out {
			out[i] = o
		}
		return out
	}
	d := &trip[0]
	from, err := s.returnPath(ctx, d)
	if err != nil {
		return all(failed(err))
	}
	dom, err := s.cfg.Store.Domain(ctx, s.cfg.Internal(d.Domain), d.Domain)
	if err != nil {
		return all(failed(err))
	}
	t := Trip{
		Site: d.Site, ReturnPath: from, TLS: dom.TLS, Size: int64(len(d.Prefix)) + d.Blob.Size,
		Open: func() (io.ReadCloser, error) { return s.whole(ctx, d) },
	}
	for i := range trip {
		t.Recipients = append(t.Recipients, trip[i].Recipient)
	}
	if t.EightBit, t.UTF8, err = s.octets(ctx, d); err != nil {
		return all(failed(err))
	}
	out, err := s.cfg.Courier.Carry(ctx, t)
	if err != nil {
		return all(failed(err))
	}
	return out
}

// whole opens what a delivery carries, from its first byte.
func (s *Sender) whole(ctx context.Context, d *gateway.Delivery) (io.ReadCloser, error) {
	body, err := s.cfg.Store.OpenBlob(ctx, s.cfg.Internal(d.Domain), d.Blob, 0, -1)
	if err != nil {
		return nil, err
	}
	return struct {
		io.Reader
		io.Closer
	}{io.MultiReader(bytes.NewReader(d.Prefix), body), body}, nil
}

// octets reports whether a message has bytes over 127, and whether its header has: the
// next hop must know 8BITMIME or SMTPUTF8 then.
func (s *Sender) octets(ctx context.Context, d *gateway.Delivery) (anywhere, header bool, err error) {
	r, err := s.whole(ctx, d)
	if err != nil {
		return false, false, err
	}
	defer r.Close()
	buf, inHeader, last := make([]byte, 32<<10), true, [4]byte{}
	for {
		n, err := r.Read(buf)
		for _, b := range buf[:n] {
			if inHeader {
				last = [4]byte{last[1], last[2], last[3], b}
				inHeader = last != [4]byte{'\r', '\n', '\r', '\n'}
			}
			if b > 127 {
				anywhere, header = true, header || inHeader
			}
		}
		switch {
		case errors.Is(err, io.EOF), err == nil && anywhere && !inHeader:
			return anywhere, header, nil
		case err != nil:
			return false, false, err
		}
	}
}
