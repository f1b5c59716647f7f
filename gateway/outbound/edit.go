package outbound

import (
	"context"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/centerleap/postern/gateway"
	"github.com/centerleap/postern/gateway/content"
)

// What a plugin changes of mail that leaves, while others are still to be asked. Mail that
// was composed is composed again; of what its sender wrote only the header changes, around
// bytes that may be signed. Message-ID, Date and From stay, and whoever is no recipient any
// more is no longer named as one.

// edition is what the next plugin will see, until it is whole and takes the place of what
// was.
type edition struct {
	compose    gateway.Compose
	added      []gateway.HeaderField
	recipients []string
	bcc        []gateway.Address
	tags       []gateway.Tag

	anew bool // the bytes are no longer what it says
}

// edit changes a message as a verdict wants it: fields that stand there, then those that
// are added. InvalidParameter and TooLarge are about the verdict; after any error the
// message is what it was. How long it takes is no time of those who are asked after.
func (s *Sender) edit(ctx context.Context, t *tray, look *gateway.Look, v *gateway.Verdict) error {
	defer func(began time.Time) {
		t.hooksUntil = t.hooksUntil.Add(time.Since(began))
		look.Until = t.hooksUntil
	}(time.Now())
	if err := s.mayEdit(ctx, t, v); err != nil {
		return err
	}
	e := edition{
		compose: t.compose, added: slices.Clone(t.added), recipients: t.recipients, bcc: t.content.Bcc, tags: slices.Clone(t.message.Tags),
	}
	e.remove(v.Remove)
	e.rewrite(v)
	e.edit(v.Edits)
	e.added = append(e.added, v.Headers...)
	for _, tag := range v.Tags {
		if !slices.Contains(e.tags, tag) {
			e.tags = append(e.tags, tag)
		}
	}
	if err := s.checkEdition(&e); err != nil {
		return err
	}
	if err := s.publish(ctx, t, &e, v.Edits); err != nil {
		return err
	}
	look.Envelope.Recipients = t.recipients
	return nil
}

// mayEdit says whether a message can become what a verdict wants.
func (s *Sender) mayEdit(ctx context.Context, t *tray, v *gateway.Verdict) error {
	if err := content.CheckEdits(v.Edits, s.cfg.Limits); err != nil {
		return err
	}
	if err := s.describeDraft(ctx, t); err != nil {
		return err
	}
	if t.composed() {
		return nil
	}
	if v.Subject != nil {
		return gateway.Fieldf(gateway.InvalidParameter, "subject", "the subject of a message that its sender wrote can't be changed")
	}
	if v.Body != nil {
		return gateway.Fieldf(gateway.InvalidParameter, "body", "the text of a message that its sender wrote can't be changed")
	}
	return nil
}

// describeDraft finds out what a draft says, if that can be said. Its files are read from
// what is stored, which stays until the message takes its place.
func (s *Sender) describeDraft(ctx context.Context, t *tray) error {
	d := t.sub.Stored
	if d == nil || t.described {
		return nil
	}
	c, ok, err := content.Described(&content.Reading{Content: &d.Content, Limits: s.cfg.Limits, Open: func(off, n int64) (io.ReadCloser, error) {
		return s.cfg.Store.OpenBlob(ctx, t.scope, d.Blob, off, n)
	}})
	if err != nil || !ok {
		return err
	}
	c.Bcc = t.content.Bcc
	t.compose, t.described = c, true
	t.trace = content.Trace{MessageID: t.content.MessageID, Date: t.content.Date}
	return nil
}

// composed reports whether compose says all that is in the message.
func (t *tray) composed() bool { return t.written == nil || t.described }

// remove takes recipients away, of the envelope and of those that the header names.
func (e *edition) remove(list []string) {
	gone := make(map[string]bool)
	for _, addr := range list {
		gone[gateway.FoldAddress(addr)] = true
	}
	left := func(from []gateway.Address) []gateway.Address {
		return slices.DeleteFunc(slices.Clone(from), func(a gateway.Address) bool { return gone[gateway.FoldAddress(a.Addr)] })
	}
	named := len(e.compose.To) + len(e.compose.Cc)
	e.recipients = slices.DeleteFunc(slices.Clone(e.recipients), func(r string) bool { return gone[gateway.FoldAddress(r)] })
	e.compose.To, e.compose.Cc, e.compose.Bcc, e.bcc = left(e.compose.To), left(e.compose.Cc), left(e.compose.Bcc), left(e.bcc)
	e.anew = e.anew || len(e.compose.To)+len(e.compose.Cc) < named
}

// rewrite gives the message another subject and text.
func (e *edition) rewrite(v *gateway.Verdict) {
	if v.Subject != nil {
		e.compose.Subject, e.anew = *v.Subject, true
	}
	if v.Body != nil {
		e.compose.Text, e.compose.HTML, e.anew = v.Body.Text, v.Body.HTML, true
	}
}

// edit changes the header: also what plugins before have added.
func (e *edition) edit(edits []gateway.HeaderEdit) {
	var custom []gateway.HeaderEdit
	for _, c := range edits {
		e.anew = true
		e.added = slices.DeleteFunc(e.added, func(f gateway.HeaderField) bool { return strings.EqualFold(f.Name, c.Name) })
		if !strings.EqualFold(c.Name, "Reply-To") {
			custom = append(custom, c)
			continue
		}
		e.compose.ReplyTo = nil
		if a, err := content.ParseAddress(c.Value); err == nil && c.Set {
			e.compose.ReplyTo = []gateway.Address{a}
		}
	}
	e.compose.Headers = content.EditFields(e.compose.Headers, custom)
}

// checkEdition holds what plugins have made of a message, all together, to the limits of
// its sender.
func (s *Sender) checkEdition(e *edition) error {
	lim := &s.cfg.Limits
	if most := lim.Tags; int64(len(e.tags)) > most {
		return gateway.Fieldf(gateway.InvalidParameter, "tags", "%d tags; at most %d are allowed", len(e.tags), most)
	}
	if strings.ContainsAny(e.compose.Subject, "\r\n\x00") {
		return gateway.Fieldf(gateway.InvalidParameter, "subject", "subject must be one line")
	}
	if err := content.CheckHeaders(e.added, *lim); err != nil {
		return err
	}
	return content.CheckHeaders(e.compose.Headers, *lim)
}

// publish makes an edition the message. The bytes before it are dropped.
func (s *Sender) publish(ctx context.Context, t *tray, e *edition, edits []gateway.HeaderEdit) error {
	next := *t
	next.compose = e.compose
	rewritten := e.anew && len(e.recipients) > 0 && (t.composed() || len(edits) > 0)
	if rewritten {
		if err := s.rewritten(ctx, t, &next, edits); err != nil {
			return err
		}
	}
	next.added, next.recipients = e.added, e.recipients
	next.content.Bcc = e.bcc
	if rewritten && t.body != nil {
		_ = t.body.Close()
	}
	*t = next
	m := t.message
	m.Blob, m.Content, m.Recipients, m.Tags, m.Prefix = t.blob, *t.content, t.recipients, e.tags, content.Fields(t.added)
	t.reading.Content, t.reading.Prefix = t.content, m.Prefix
	return nil
}

// rewritten writes and reads the bytes of an edition, into next.
func (s *Sender) rewritten(ctx context.Context, t, next *tray, edits []gateway.HeaderEdit) (err error) {
	next.body = nil
	defer func() {
		if err != nil && next.body != nil {
			_ = next.body.Close()
		}
	}()
	if t.composed() {
		err = s.writeComposed(ctx, next)
	} else {
		err = s.writeBody(ctx, next, t.blob.Size, func(w io.Writer) error {
			r, err := s.cfg.Store.OpenBlob(ctx, t.scope, t.blob, 0, -1)
			if err != nil {
				return err
			}
			defer r.Close()
			return content.Rewrite(w, r, t.content.HeaderSize, edits)
		})
	}
	if err != nil {
		return fmt.Errorf("a plugin's edit: %w", err)
	}
	next.content, err = s.scan(ctx, next)
	return err
}
