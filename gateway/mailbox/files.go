package mailbox

import (
	"context"
	"io"
	"mime"

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

// Name is what a file is called, if need be by us.
func (f *File) Name() string {
	switch {
	case f.Part.Filename != "":
		return f.Part.Filename
	case f.Part.Type == "message/rfc822":
		return "message.eml"
	}
	return "attachment-" + f.Part.Number
}

// Type is the media type that a file may be given out as: what it claims to be if
// browsers do no harm with it, else bytes.
func (f *File) Type() string {
	if safeTypes[f.Part.Type] {
		return f.Part.Type
	}
	return "application/octet-stream"
}

var safeTypes = map[string]bool{
	"application/pdf": true, "application/zip": true, "application/json": true, "text/plain": true, "text/csv": true, "text/calendar": true,
	"image/png": true, "image/jpeg": true, "image/gif": true, "image/webp": true, "audio/mpeg": true, "video/mp4": true,
	"application/msword": true, "application/vnd.ms-excel": true, "message/rfc822": true, "application/gzip": true,
	"application/vnd.openxmlformats-officedocument.wordprocessingml.document":   true,
	"application/vnd.openxmlformats-officedocument.spreadsheetml.sheet":         true,
	"application/vnd.openxmlformats-officedocument.presentationml.presentation": true,
}

// Disposition is the field of that name that has a file saved, never shown: RFC 6266, a
// name outside of ASCII encoded by RFC 8187.
func (f *File) Disposition() string {
	if v := mime.FormatMediaType("attachment", map[string]string{"filename": f.Name()}); v != "" {
		return v
	}
	return "attachment"
}
