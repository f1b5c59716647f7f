package dashboard

import (
	"io"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/gofiber/fiber/v2"

	"github.com/centerleap/postern/gateway"
	"github.com/centerleap/postern/gateway/mailbox"
)

// textTab is what a message says without its HTML.
type textTab struct {
	*messagePage
	mailbox.Body
}

func (d *Dashboard) messageText(v *visit) error {
	p, err := d.message(v, "text")
	if err != nil {
		return err
	}
	tab := textTab{messagePage: p}
	if tab.Body, err = d.cfg.Mail.Read(v.ctx, v.scope, p.Item); err != nil {
		return err
	}
	if most := int(d.cfg.Limits.HTMLBytes); len(tab.Text) > most {
		tab.Text, tab.Cut = strings.ToValidUTF8(tab.Text[:most], ""), true
	}
	return d.show(v, fiber.StatusOK, "messagetext", p.Subject(), tab)
}

// headersTab is the header of a message, decoded.
type headersTab struct {
	*messagePage
	Fields []gateway.HeaderField
}

func (d *Dashboard) messageHeaders(v *visit) error {
	p, err := d.message(v, "headers")
	if err != nil {
		return err
	}
	fields, err := d.cfg.Mail.Header(v.ctx, v.scope, p.Item)
	if err != nil {
		return err
	}
	return d.show(v, fiber.StatusOK, "messageheaders", p.Subject(), headersTab{p, fields})
}

// rawShown is how much of the bytes of a message a page shows; ours. The file has all.
const rawShown = 256 << 10

// rawTab is the start of the bytes of a message, as text.
type rawTab struct {
	*messagePage
	Text string
	Size int64
	Cut  bool
}

func (d *Dashboard) messageRaw(v *visit) error {
	p, err := d.message(v, "raw")
	if err != nil {
		return err
	}
	r, size, err := d.cfg.Mail.Raw(v.ctx, v.scope, p.Item)
	if err != nil {
		return err
	}
	defer r.Close()
	raw, err := io.ReadAll(io.LimitReader(r, rawShown))
	if err != nil {
		return err
	}
	return d.show(v, fiber.StatusOK, "messageraw", p.Subject(), rawTab{p, printed(raw), size, size > rawShown})
}

// printed are bytes as text that shows what is there: what would change how the rest
// looks, such as overrides of its direction, stands as a mark.
func printed(raw []byte) string {
	return strings.Map(func(r rune) rune {
		if r == utf8.RuneError || r != '\n' && r != '\t' && (unicode.IsControl(r) || unicode.Is(unicode.Cf, r)) {
			return '\uFFFD'
		}
		return r
	}, strings.ReplaceAll(string(raw), "\r\n", "\n"))
}

// messageSource is the whole message, to be saved.
func (d *Dashboard) messageSource(v *visit) error {
	p, err := d.message(v, "raw")
	if err != nil {
		return err
	}
	r, size, err := d.cfg.Mail.Raw(v.ctx, v.scope, p.Item)
	if err != nil {
		return err
	}
	return v.give("message/rfc822", `attachment; filename="message.eml"`, r, size)
}

// give answers with bytes that somebody else wrote: to be saved, never to be shown as
// part of our pages.
func (v *visit) give(media, disposition string, r io.Reader, size int64) error {
	v.c.Set("Content-Type", media)
	v.c.Set("Content-Disposition", disposition)
	v.c.Set("Content-Security-Policy", "sandbox; default-src 'none'")
	v.c.Context().SetBodyStream(r, int(size))
	return nil
}

// filesTab is what is attached to a message.
type filesTab struct {
	*messagePage
	Files []mailbox.File
}

func (d *Dashboard) messageFiles(v *visit) error {
	p, err := d.message(v, "attachments")
	if err != nil {
		return err
	}
	return d.show(v, fiber.StatusOK, "messagefiles", p.Subject(), filesTab{p, mailbox.Files(p.Message)})
}

// messageFile is one attachment.
func (d *Dashboard) messageFile(v *visit) error {
	a, err := d.account(v)
	if err != nil {
		return err
	}
	ref, err := messageRef(v, a)
	if err != nil {
		return err
	}
	id, err := gateway.ParseID(v.param("file"))
	if err != nil {
		return gateway.Errorf(gateway.NotFound, "there is no such attachment")
	}
	it, f, err := d.cfg.Mail.File(v.ctx, v.scope, ref, id)
	if err != nil {
		return err
	}
	v.row.Email = it.Message.ID
	r, err := d.cfg.Mail.OpenFile(v.ctx, v.scope, it, f, 0, -1)
	if err != nil {
		return err
	}
	return v.give(f.Type(), f.Disposition(), r, f.Size)
}
