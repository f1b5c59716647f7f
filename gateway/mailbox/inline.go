package mailbox

import (
	"context"
	"encoding/base64"
	"io"

	"github.com/centerleap/postern/gateway"
	"github.com/centerleap/postern/gateway/content"
)

// Inline returns the HTML of a message that was read whole with its images in it,
// as data URIs (RFC 2397). An image that is over a limit stays a cid: URL, and so
// does what is no image or has no safe type.
func (m *Mail) Inline(ctx context.Context, s gateway.Scope, it Item, doc string) (string, error) {
	images := shown(it.Message)
	known := make(map[string]string) // data URIs by Content-ID
	left := m.cfg.Limits.InlineImages
	return content.InlineImages(doc, func(cid string) (string, error) {
		p := images[cid]
		if p == nil || p.DecodedSize > min(left, m.cfg.Limits.InlineImage) {
			return "", nil
		}
		left -= p.DecodedSize
		if _, ok := known[cid]; !ok {
			uri, err := m.dataURI(ctx, s, it.Message, p)
			if err != nil {
				return "", err
			}
			known[cid] = uri
		}
		return known[cid], nil
	})
}

// shown maps the images of a message by Content-ID; those of attached messages are
// none of them.
func shown(msg *gateway.Message) map[string]*gateway.Part {
	images := make(map[string]*gateway.Part)
	for i := range msg.Content.Parts {
		p := &msg.Content.Parts[i]
		if p.ContentID != "" && images[p.ContentID] == nil && p.Attachment && gateway.ShownImage(p.Type) && p.DecodedSize > 0 {
			images[p.ContentID] = p
		}
	}
	return images
}

func (m *Mail) dataURI(ctx context.Context, s gateway.Scope, msg *gateway.Message, p *gateway.Part) (string, error) {
	r, err := m.cfg.Store.OpenBlob(ctx, s, msg.Blob, p.BodyAt, p.BodySize)
	if err != nil {
		return "", err
	}
	defer r.Close()
	b, err := io.ReadAll(io.LimitReader(content.Decoder(r, p), p.DecodedSize))
	if err != nil {
		return "", err
	}
	return "data:" + p.Type + ";base64," + base64.StdEncoding.EncodeToString(b), nil
}
