package rest

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"net"
	"reflect"
	"time"
	"unicode/utf8"

	"github.com/centerleap/postern/gateway"
)

// Bodies are read here and nowhere else: fiber's own readers unpack gzip without
// a limit, and its body limit does not hold for streamed bodies.

const (
	// bodyIdle is how long a client may pause within a body.
	bodyIdle = 30 * time.Second
	// drainTime and drainBytes bound what is read of a refused body, so that the
	// client gets to see the answer.
	drainTime  = 5 * time.Second
	drainBytes = 64 << 20
)

// body reads the body of a request, up to a limit.
type body struct {
	k     *call
	r     io.Reader
	conn  net.Conn
	left  int64
	limit int64
	until time.Time
	err   error
}

// jsonBody is the media type of nearly all bodies.
const jsonBody = "application/json"

// openBody returns the reader of a body of a media type, after a look at what the
// header says.
func (s *Server) openBody(k *call, media string, limit int64) (*body, error) {
	k.opened = true
	b := &body{k: k, conn: k.c.Context().Conn(), left: limit, limit: limit, until: time.Now().Add(gateway.BodyTimeout)}
	if b.r = k.c.Context().RequestBodyStream(); b.r == nil {
		b.r = bytes.NewReader(k.c.Request().Body()) // no stream: the raw bytes, read already
	}
	if err := b.acceptable(media); err != nil {
		return nil, b.refuse(err)
	}
	return b, nil
}

// acceptable judges a body by its header.
func (b *body) acceptable(media string) error {
	if enc := b.k.c.Get("Content-Encoding"); enc != "" && enc != "identity" {
		return gateway.Errorf(gateway.UnsupportedMedia, "a body with Content-Encoding %q is not read", clip(enc, 40))
	}
	if ct := b.k.c.Get("Content-Type"); ct != "" {
		if t, _, err := mime.ParseMediaType(ct); err != nil || t != media {
			return gateway.Errorf(gateway.UnsupportedMedia, "the body must be %s, not %q", media, clip(ct, 80))
		}
	}
	if int64(b.k.c.Request().Header.ContentLength()) > b.limit {
		return b.tooLarge()
	}
	return nil
}

func (b *body) tooLarge() error {
	return gateway.Errorf(gateway.TooLarge, "the request's body is over %d bytes", b.limit)
}

// Read reads on, and fails when the key has ended, the client pauses too long,
// or the limit is passed.
func (b *body) Read(p []byte) (int, error) {
	if b.err != nil {
		return 0, b.err
	}
	if b.k.session != nil && b.k.session.Err() != nil {
		b.err = b.k.session.Err()
		return 0, b.err
	}
	_ = b.conn.SetReadDeadline(earlier(time.Now().Add(bodyIdle), b.until))
	n, err := b.r.Read(p[:min(int64(len(p)), b.left+1)])
	if b.left -= int64(n); b.left < 0 {
		b.err = b.tooLarge()
		return 0, b.err
	}
	if err != nil && err != io.EOF {
		b.err = b.interrupted(err)
		return n, b.err
	}
	return n, err
}

func earlier(a, b time.Time) time.Time {
	if a.Before(b) {
		return a
	}
	return b
}

// interrupted says why a read ended: the key's end closes the read too.
func (b *body) interrupted(err error) error {
	if b.k.session != nil && b.k.session.Err() != nil {
		return b.k.session.Err()
	}
	return &gateway.Error{Kind: gateway.Malformed, Message: "the body ended early", Err: err}
}

// watch makes a blocked read end at once when the key does. The caller calls
// stop when it has read the body.
func (b *body) watch() (stop func()) {
	if b.k.session == nil {
		return func() {}
	}
	ctx, cancel := context.WithCancel(b.k.ctx)
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		select {
		case <-b.k.session.Done():
			_ = b.conn.SetReadDeadline(time.Now())
		case <-ctx.Done():
		}
	}()
	return func() { cancel(); <-ended }
}

// refuse reads what is left of a body that is not wanted, within bounds, so that
// the client reads the answer instead of a reset; then the connection closes.
func (b *body) refuse(err error) error {
	b.k.c.Context().SetConnectionClose()
	if gateway.KindOf(err) != gateway.InvalidKey {
		_ = b.conn.SetReadDeadline(time.Now().Add(drainTime))
		_, _ = io.CopyN(io.Discard, b.r, drainBytes)
	}
	return err
}

// unread refuses the body of a request that was refused before anybody looked at it. What
// one write of the client holds is there already.
func (k *call) unread(err error) {
	const there = 4 << 10
	n := k.c.Request().Header.ContentLength()
	if r := k.c.Context().RequestBodyStream(); r != nil && !k.opened && (n < 0 || n > there) {
		_ = (&body{k: k, conn: k.c.Context().Conn(), r: r}).refuse(err)
	}
}

// readJSON reads a small JSON object into v.
func (s *Server) readJSON(k *call, v any) error {
	b, err := s.openBody(k, jsonBody, s.cfg.Limits.JSONBytes)
	if err != nil {
		return err
	}
	stop := b.watch()
	raw, err := io.ReadAll(b)
	stop()
	if err != nil {
		return b.refuse(err)
	}
	if !utf8.Valid(raw) {
		return gateway.Errorf(gateway.Malformed, "the body is not UTF-8")
	}
	if len(bytes.TrimSpace(raw)) == 0 {
		return nil // the fields that are needed will be missed by name
	}
	dec := json.NewDecoder(bytes.NewReader(raw))
	if err := dec.Decode(v); err != nil {
		return jsonError(err)
	}
	if _, err := dec.Token(); !errors.Is(err, io.EOF) {
		return gateway.Errorf(gateway.Malformed, "there is something behind the JSON value")
	}
	return noTwins(raw)
}

func jsonError(err error) error {
	if typ, ok := errors.AsType[*json.UnmarshalTypeError](err); ok {
		return gateway.Fieldf(gateway.Malformed, typ.Field, "%s must be %s, not %s", cmp.Or(typ.Field, "the body"), wanted(typ.Type), typ.Value)
	}
	if known, ok := errors.AsType[*gateway.Error](err); ok {
		return known
	}
	return &gateway.Error{Kind: gateway.Malformed, Message: "the body is not valid JSON: " + err.Error(), Err: err}
}

// wanted is a type in the words of JSON: a client knows none of ours.
func wanted(t reflect.Type) string {
	switch t.Kind() {
	case reflect.Struct, reflect.Map:
		return "an object"
	case reflect.Slice, reflect.Array:
		return "a list"
	case reflect.String:
		return "a string"
	case reflect.Bool:
		return "true or false"
	case reflect.Float32, reflect.Float64:
		return "a number"
	}
	return "a whole number"
}

// encodeJSON leaves < and > as they are: Message-IDs are full of them, and no
// answer is ever put into a page unescaped.
func encodeJSON(v any) ([]byte, error) {
	var out bytes.Buffer
	enc := json.NewEncoder(&out)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(v); err != nil {
		return nil, fmt.Errorf("encode answer: %w", err)
	}
	return bytes.TrimSuffix(out.Bytes(), []byte("\n")), nil
}
