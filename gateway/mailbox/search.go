package mailbox

import (
	"bytes"
	"context"
	"io"
	"strings"

	"github.com/centerleap/postern/gateway"
	"github.com/centerleap/postern/gateway/search"
)

// HeaderHas reports whether a field of this name contains a text, in any case;
// an empty text asks for the field alone. RFC 9051 section 6.4.4.
func (v *View) HeaderHas(ctx context.Context, m *gateway.Message, name, text string) (bool, error) {
	if strings.EqualFold(name, "Subject") && text != "" {
		return search.Contains(m.Content.Subject, text), nil
	}
	fields, err := v.texts(ctx, m).header()
	if err != nil {
		return false, err
	}
	for _, f := range fields {
		if strings.EqualFold(f.Name, name) && search.Contains(f.Value, text) {
			return true, nil
		}
	}
	return false, nil
}

// TextHas reports whether the texts of a message contain a text, in any case;
// with header, its header too. It reads the whole message.
func (v *View) TextHas(ctx context.Context, m *gateway.Message, text string, header bool) (found bool, err error) {
	t := v.texts(ctx, m)
	if header {
		fields, err := t.header()
		if err != nil {
			return false, err
		}
		for _, f := range fields {
			if search.Contains(f.Name+": "+f.Value, text) {
				return true, nil
			}
		}
		if search.Contains(m.Content.Subject, text) { // as lists show it
			return true, nil
		}
	}
	err = t.bodies(func(body string) bool {
		found = search.Contains(body, text)
		return !found
	})
	return found, err
}

// texts reads what is searched of a message. The message has its structure.
func (v *View) texts(ctx context.Context, m *gateway.Message) *texts {
	return v.mail.texts(ctx, v.scope, m)
}

func (m *Mail) texts(ctx context.Context, s gateway.Scope, msg *gateway.Message) *texts {
	t := &texts{msg: msg, lim: m.cfg.Limits, open: func(off, n int64) (io.ReadCloser, error) {
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
