package mailbox

import (
	"io"
	"strings"

	"github.com/centerleap/postern/gateway"
	"github.com/centerleap/postern/gateway/content"
	"github.com/centerleap/postern/gateway/search"
)

// texts are what searches look at in a message. The index is built from them, and
// has and headerHas look at the same: an answer must not depend on who gives it.
type texts struct {
	msg  *gateway.Message
	open func(off, n int64) (io.ReadCloser, error) // reads its body
	lim  *gateway.Limits
	raw  []byte // its body, if that was read
}

// header lists the fields, trace fields first, decoded: of a header over a limit, TooLarge,
// those alone.
func (t *texts) header() ([]gateway.HeaderField, error) {
	r := content.Reading{Open: t.open, Content: &t.msg.Content, Prefix: t.msg.Prefix, Limits: *t.lim}
	return r.Header()
}

// fields is header for who does without what is over a limit: the limits may have been
// wider when the message came, and one message may not fail a search of all.
func (t *texts) fields() ([]gateway.HeaderField, error) {
	fields, err := t.header()
	if gateway.KindOf(err) == gateway.TooLarge {
		return fields, nil
	}
	return fields, err
}

const (
	// textPiece is the longest text that is looked at as a whole, in bytes; of a longer one,
	// pieces. Ours: it stands in memory a few times.
	textPiece = 1 << 20
	// textOverlap is what two pieces have in common, in bytes: twice what a command of IMAP
	// can ask for. Ours.
	textOverlap = 128 << 10
)

// bodies gives fn the texts of each part, markup included, until it returns false: what says
// what is attached, and what part gives.
func (t *texts) bodies(fn func(text string) bool) error {
	more := true
	see := func(text string) bool {
		more = fn(text)
		return more
	}
	for i := 0; i < len(t.msg.Content.Parts) && more; i++ {
		p := &t.msg.Content.Parts[i]
		about, err := t.about(p)
		if err != nil {
			return err
		}
		if about != "" && !see(about) {
			return nil
		}
		if err := t.part(p, see); err != nil {
			return err
		}
	}
	return nil
}

// about is what stands around a part in the body of its message: the name of a file, and the
// header of an attached message, without what is over a limit.
func (t *texts) about(p *gateway.Part) (string, error) {
	if p.Parent < 0 || p.Parent >= len(t.msg.Content.Parts) {
		return "", nil // that is the header of the message itself
	}
	if t.msg.Content.Parts[p.Parent].Type != "message/rfc822" {
		return p.Filename, nil
	}
	r, err := t.open(p.HeaderAt, p.HeaderSize)
	if err != nil {
		return "", err
	}
	defer r.Close()
	fields, err := content.Header(r, *t.lim)
	if err != nil && gateway.KindOf(err) != gateway.TooLarge {
		return "", err
	}
	var b strings.Builder
	for _, f := range fields {
		b.WriteString(f.Name + ": " + f.Value + "\n")
	}
	return b.String(), nil
}

// part gives fn the text of a part, if it is one, to its end, as textPiece says; of markup
// that spells letters, what people read too.
func (t *texts) part(p *gateway.Part, fn func(text string) bool) error {
	if !strings.HasPrefix(p.Type, "text/") {
		return nil
	}
	r, err := t.open(p.BodyAt, p.BodySize)
	if err != nil {
		return err
	}
	defer r.Close()
	see := func(text string) bool {
		if !fn(text) {
			return false
		}
		if p.Type == "text/html" && strings.Contains(text, "&") {
			visible, _ := content.VisibleText(text)
			return fn(visible)
		}
		return true
	}
	if p.DecodedSize > textPiece {
		return content.TextPieces(r, p, textPiece, textOverlap, see)
	}
	text, _, err := content.Text(r, p, textPiece)
	if err == nil {
		see(text)
	}
	return err
}

// headerFields are the fields of the header that the index tells apart, by name.
var headerFields = map[string]search.Fields{"from": search.From, "to": search.To, "cc": search.Cc, "bcc": search.Bcc}

// addTo puts the message into an index: of its body at most most bytes. What is not put
// there is to be looked at.
func (t *texts) addTo(b *search.Builder, most int64) error {
	b.Begin(t.msg.Number)
	fields, err := t.header()
	if err != nil {
		b.Look(search.Text &^ search.Body)
		if !unreadable(err) {
			return err
		}
	}
	b.Add(search.Subject, t.msg.Content.Subject)
	for _, f := range fields {
		if kind := headerFields[strings.ToLower(f.Name)]; kind != 0 {
			b.Add(kind, f.Value)
		}
		b.Add(search.Header, f.Name+": "+f.Value) // as has looks at it
	}
	err = t.bodies(func(text string) bool {
		if most -= int64(len(text)); most < 0 {
			b.Look(search.Body)
			return false
		}
		b.Add(search.Body, text)
		return true
	})
	if err != nil {
		b.Look(search.Body)
	}
	if unreadable(err) {
		return nil
	}
	return err
}

// unreadable reports whether err is about what is read, so that it stays so.
func unreadable(err error) bool {
	switch gateway.KindOf(err) {
	case gateway.TooLarge, gateway.NotFound: // over a limit, or expunged meanwhile
		return true
	}
	return false
}
