package inbound

import (
	"context"
	"fmt"
	"io"
	"log/slog"

	"github.com/centerleap/postern/gateway"
)

// Checker finds out who really sent a mail from outside.
type Checker interface {
	// Check reads a message as it arrived, once. What can't be found out in its time is
	// temperror and no error: it fails only if the message can't be read, or ctx ends.
	Check(ctx context.Context, env gateway.Envelope, message io.Reader) (*Checked, error)
}

// Checked is what a Checker found out.
type Checked struct {
	Auth   gateway.AuthResults // all but the Disposition
	Field  []byte              // Authentication-Results, RFC 8601, with its line end
	Claims []Span              // fields that pretend to be such a one of ours, in their order
}

// Span is a piece of a message, in bytes from its beginning.
type Span struct{ Start, End int64 }

// DMARC says what becomes of mail that fails it, if the domain in From wants it
// quarantined or rejected.
type DMARC string

// The ways to go about it.
const (
	DMARCJunk    DMARC = "junk"    // both go to Junk
	DMARCEnforce DMARC = "enforce" // as the domain wants: Junk, or 550
	DMARCOff     DMARC = "off"     // nothing: the results are there to be read
)

// authenticate says who really sent the mail. That from inside carries the domain that
// Submit authorised; all other is checked, as it arrived.
func (r *Receiver) authenticate(ctx context.Context, t *tray) error {
	if t.known {
		return nil
	}
	if t.env.Author != "" {
		local := gateway.AuthResult{Result: "pass", Reason: "local", Domain: t.env.Author}
		t.auth = gateway.AuthResults{SPF: local, DKIM: local, DMARC: local, FromAligned: true, Disposition: gateway.DispositionNone}
		t.results = localResults(r.cfg.Hostname)
		return nil
	}
	in, err := r.cfg.Store.OpenBlob(ctx, t.scope, t.blob, 0, -1)
	if err != nil {
		return err
	}
	defer in.Close()
	found, err := r.cfg.Checker.Check(ctx, t.env, in)
	if err != nil {
		return err
	}
	t.auth, t.results = found.Auth, found.Field
	if err := r.dispose(ctx, t); err != nil {
		return err
	}
	return r.disown(ctx, t, found.Claims)
}

// dispose does what the domain in From wants done with mail that is not from there,
// within what the operator allows. Plugins come later and may choose another folder.
func (r *Receiver) dispose(ctx context.Context, t *tray) error {
	t.auth.Disposition = gateway.DispositionNone
	if r.cfg.DMARC == DMARCOff || t.auth.DMARC.Result != "fail" {
		return nil
	}
	switch t.auth.Policy {
	case gateway.DispositionReject:
		if r.cfg.DMARC == DMARCEnforce {
			r.cfg.Log.LogAttrs(ctx, slog.LevelInfo, "refused by inbound.dmarc",
				slog.String("domain", t.domain.Name), slog.String("author", t.auth.DMARC.Domain))
			e := gateway.Errorf(gateway.DomainNotAuthorized, "%s wants mail rejected that fails DMARC, as this does", t.auth.DMARC.Domain)
			e.Reason = "rejected by inbound.dmarc"
			return e
		}
	case gateway.DispositionQuarantine:
	default:
		return nil
	}
	t.auth.Disposition = gateway.DispositionQuarantine
	for i := range t.copies {
		t.copies[i].Folder = gateway.Junk
	}
	return nil
}

// disown takes out the fields that pretend to be ours, RFC 8601 section 5. Nearly no mail
// has any; one that has is written and read a second time, so that all offsets are those
// of what is stored.
func (r *Receiver) disown(ctx context.Context, t *tray, claims []Span) error {
	if len(claims) == 0 {
		return nil
	}
	in, err := r.cfg.Store.OpenBlob(ctx, t.scope, t.blob, 0, -1)
	if err != nil {
		return err
	}
	defer in.Close()
	if t.body != nil {
		defer t.body.Close() // what arrived; t.body is another one from here on
	}
	if t.body, err = r.cfg.Store.CreateBlob(ctx, t.scope, t.domain.ID, t.blob.Size); err != nil {
		return err
	}
	if err := without(t.body, in, claims); err != nil {
		return fmt.Errorf("leaving out what is not ours: %w", err)
	}
	if t.blob, err = t.body.Seal(); err != nil {
		return err
	}
	return r.scan(ctx, t)
}

// without copies r but for some pieces of it.
func without(w io.Writer, r io.Reader, spans []Span) error {
	at := int64(0)
	for _, s := range spans {
		if _, err := io.CopyN(w, r, s.Start-at); err != nil {
			return err
		}
		if _, err := io.CopyN(io.Discard, r, s.End-s.Start); err != nil {
			return err
		}
		at = s.End
	}
	_, err := io.Copy(w, r)
	return err
}
