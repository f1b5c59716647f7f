package mailbox

import (
	"context"
	"io"

	"github.com/google/uuid"

	"github.com/centerleap/postern/gateway"
	"github.com/centerleap/postern/gateway/content"
)

// Files lists the attachments of a message that was read whole.
func Files(msg *gateway.Message) []File {
	var all []File
	for _, p := range msg.Content.Parts {
		if p.Attachment {
			all = append(all, File{ID: fileID(msg.ID, p.Number), Part: p, Size: p.DecodedSize})
		}
	}
	return all
}

// fileID names an attachment by what it is, so it needs no record: the UUID
// (version 5) of its section in the message's namespace.
func fileID(message gateway.ID, section string) gateway.ID {
	return gateway.ID(uuid.NewSHA1(uuid.UUID(message), []byte(section)))
}

// File finds one attachment of a message.
func (m *Mail) File(ctx context.Context, s gateway.Scope, ref Ref, id gateway.ID) (Item, File, error) {
	it, err := m.Get(ctx, s, ref)
	if err != nil {
		return Item{}, File{}, err
	}
	for _, f := range Files(it.Message) {
		if f.ID == id {
			return it, f, nil
		}
	}
	return Item{}, File{}, gateway.Errorf(gateway.NotFound, "no such attachment")
}

// OpenFile reads n decoded bytes of an attachment from off; n < 0 means to its
// end. It decodes from the start: a transfer encoding has no index.
func (m *Mail) OpenFile(ctx context.Context, s gateway.Scope, it Item, f File, off, n int64) (io.ReadCloser, error) {
	r, err := m.cfg.Store.OpenBlob(ctx, s, it.Message.Blob, f.Part.BodyAt, f.Part.BodySize)
	if err != nil {
		return nil, err
	}
	decoded := content.Decoder(r, &f.Part)
	if off > 0 {
		if _, err := io.CopyN(io.Discard, decoded, off); err != nil {
			r.Close()
			return nil, err
		}
	}
	if n >= 0 {
		decoded = io.LimitReader(decoded, n)
	}
	return struct {
		io.Reader
		io.Closer
	}{decoded, r}, nil
}
