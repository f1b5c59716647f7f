package dashboard

import (
	"bytes"
	"html/template"

	"github.com/gofiber/fiber/v2"

	"github.com/centerleap/postern/gateway/mailbox"
)

// framePolicy is that of the HTML of a mail, whether it stands in a frame or alone: it
// runs, loads and sends nothing, and has no origin. Two walls more stand behind it: the
// frame's own sandbox, and what was sanitised.
const framePolicy = "sandbox; default-src 'none'; style-src 'unsafe-inline'; form-action 'none'; base-uri 'none'; frame-ancestors 'self'; img-src data:"

// htmlTab is the HTML of a message.
type htmlTab struct {
	*messagePage
	mailbox.Shown
	Loaded bool // images that are elsewhere, too
}

// With is the address of one of the message's pages, with those images.
func (t *htmlTab) With(parts ...string) string { return t.At(parts...) + "&images=1" }

// messageHTML shows the HTML in its frame. A message that has none has its text.
func (d *Dashboard) messageHTML(v *visit) error {
	p, err := d.message(v, "")
	if err != nil {
		return err
	}
	if p.Message.Content.HTMLPart < 0 {
		return v.c.Redirect(p.At("text"), fiber.StatusSeeOther)
	}
	tab := htmlTab{messagePage: p, Loaded: v.c.Query("images") != ""}
	if tab.Shown, err = d.cfg.Mail.Show(v.ctx, v.scope, p.Item, nil); err != nil {
		return err
	}
	return d.show(v, fiber.StatusOK, "message", p.Subject(), &tab)
}

// messageFrame is the HTML itself. Images that are elsewhere stay there, so that nobody
// learns that and when a mail is read, unless the reader asks for them.
func (d *Dashboard) messageFrame(v *visit) error {
	p, err := d.message(v, "")
	if err != nil {
		return err
	}
	policy := framePolicy
	var remote func(string) string
	if v.c.Query("images") != "" {
		policy += " 'self'"
		remote = func(address string) string { return d.pictures.at(d.clock(), v.signin, address) }
	}
	shown, err := d.cfg.Mail.Show(v.ctx, v.scope, p.Item, remote)
	if err != nil {
		return err
	}
	var b bytes.Buffer
	pages, err := d.pages()
	if err != nil {
		return err
	}
	if err := pages["messageframe"].ExecuteTemplate(&b, "frame", frame{p.Subject(), template.HTML(shown.HTML)}); err != nil { //nolint:gosec // it was sanitised, and the policy holds it
		return err
	}
	v.c.Set("Content-Security-Policy", policy)
	v.c.Set("Content-Type", "text/html; charset=utf-8")
	return v.c.Send(b.Bytes())
}

// frame is the document around the HTML of a mail.
type frame struct {
	Title string
	Body  template.HTML
}
