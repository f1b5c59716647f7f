package mailbox

import (
	"bytes"
	"context"
	"io"
	"strings"

	"github.com/centerleap/postern/gateway"
	"github.com/centerleap/postern/gateway/content"
	"github.com/centerleap/postern/gateway/search"
)

// headerHas reports whether a field of this name contains a text; an empty text asks for
// the field alone. RFC 9051 section 6.4.4.
func (t *texts) headerHas(name string, text *search.Finder) (bool, error) {
	fields, err := t.fields()
	if err != nil {
		return false, err
	}
	for _, f := range fields {
		if strings.EqualFold(f.Name, name) && text.In(f.Value) {
			return true, nil
		}
	}
	return false, nil
}

// has reports whether the texts of the message contain a text; with header, its header
// too.
func (t *texts) has(text *search.Finder, header bool) (found bool, err error) {
	if header {
		fields, err := t.fields()
		if err != nil {
			return false, err
		}
		for _, f := range fields {
			if text.In(f.Name + ": " + f.Value) {
				return true, nil
			}
		}
		if text.In(t.msg.Content.Subject) { // as lists show it
			return true, nil
		}
	}
	for i := range t.msg.Content.Parts {
		if found, err = t.partHas(&t.msg.Content.Parts[i], text); found || err != nil {
			return found, err
		}
	}
	return false, nil
}

// partHas reports whether the texts of a part contain a text. Those of most mail need no
// decoding.
func (t *texts) partHas(p *gateway.Part, text *search.Finder) (found bool, err error) {
	if about, err := t.about(p); err != nil || about != "" && text.In(about) {
		return err == nil, err
	}
	if raw := t.plain(p); raw != nil {
		if found, known := text.InLines(raw); known {
			return found, nil
		}
	}
	err = t.part(p, func(s string) bool {
		found = text.In(s)
		return !found
	})
	return found, err
}

// plain is the bytes of a part of a body that was read, if they are its one text as they
// stand but for their line ends, where they are ASCII.
func (t *texts) plain(p *gateway.Part) []byte {
	end := p.BodyAt + p.BodySize
	if !strings.HasPrefix(p.Type, "text/") || !content.Plain(p) || end > int64(len(t.raw)) || p.BodySize > textPiece {
		return nil
	}
	raw := t.raw[p.BodyAt:end]
	if p.Type == "text/html" && bytes.IndexByte(raw, '&') >= 0 {
		return nil
	}
	return raw
}

// texts reads what is searched of a message. The message has its structure.
func (m *Mail) texts(ctx context.Context, s gateway.Scope, msg *gateway.Message) *texts {
	t := &texts{msg: msg, lim: &m.cfg.Limits, open: func(off, n int64) (io.ReadCloser, error) {
		return m.cfg.Store.OpenBlob(ctx, s, msg.Blob, off, n)
	}}
	if msg.Blob.Size <= searchWhole {
		t.openOnce(ctx, s, m.cfg.Store)
	}
	return t
}

// searchWhole is the largest body that a search reads at once, in bytes, though it may
// need the header alone; ours.
const searchWhole = 32 << 10

// textsOf are the texts of a message whose body was read, or else is to be read.
func (m *Mail) textsOf(ctx context.Context, s gateway.Scope, msg *gateway.Message, body []byte) *texts {
	if body == nil {
		return m.texts(ctx, s, msg)
	}
	return &texts{msg: msg, lim: &m.cfg.Limits, raw: body, open: func(off, n int64) (io.ReadCloser, error) {
		return io.NopCloser(io.NewSectionReader(bytes.NewReader(body), off, n)), nil
	}}
}

// openOnce has the body read at once, when some of it is needed.
func (t *texts) openOnce(ctx context.Context, s gateway.Scope, store Store) {
	var raw []byte
	t.open = func(off, n int64) (io.ReadCloser, error) {
		if raw == nil {
			raw = make([]byte, t.msg.Blob.Size)
			if _, err := blobAt(ctx, store, s, t.msg.Blob).ReadAt(raw, 0); err != nil {
				raw = nil
				return nil, err
			}
		}
		return io.NopCloser(io.NewSectionReader(bytes.NewReader(raw), off, n)), nil
	}
}
