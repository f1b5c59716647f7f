package outbound

import (
	"bytes"
	"context"
	"io"
	"log/slog"
	"strings"
	"time"

	"github.com/centerleap/postern/gateway"
	"github.com/centerleap/postern/gateway/content"
)

// Who sent a message hears when it fails for a recipient, and once when it takes long.
// The report is queued by the commit that records the outcome, so there is one for each,
// whatever dies in between. It goes to senders who logged in and to nobody else: what is
// refused to others is refused while they listen, so no report meets a stranger whose
// address was forged.

// reporter is the local part that reports come from. Their envelope has the null
// reverse-path, so nothing is ever reported of a report.
const reporter = "mailer-daemon"

// report makes what the sender of d is to be told about the outcome of an attempt, if
// anything: it leaves it in d, for Finish. d.Drop has to be called after that. An error
// means that the outcome can't be recorded yet, since its sender would never hear of it.
func (s *Sender) report(ctx context.Context, d *gateway.Delivery, o gateway.Outcome) error {
	err := s.reportOn(ctx, d, o)
	if err != nil {
		d.Drop()
	}
	if err == nil || o.State.Ended() && s.cfg.Now().Sub(d.CreatedAt) < s.lifetime() {
		return err
	}
	// Of a delay another attempt will tell; and what fails for as long as deliveries
	// live will not come right.
	s.cfg.Log.LogAttrs(ctx, slog.LevelError, "a sender can't be told", slog.String("message", d.Email.String()), slog.Any("err", err))
	return nil
}

// lifetime is how long a delivery is tried.
func (s *Sender) lifetime() time.Duration { return time.Duration(s.cfg.Limits.QueueHours) * time.Hour }

func (s *Sender) reportOn(ctx context.Context, d *gateway.Delivery, o gateway.Outcome) error {
	var action content.Action
	switch o.State {
	case gateway.DeliveryFailed, gateway.DeliveryBounced:
		action = content.ActionFailed
	case gateway.DeliveryQueued:
		if d.Warned || o.Untried || !s.takesLong(d) {
			return nil
		}
		action = content.ActionDelayed
	default:
		return nil
	}
	return s.notify(ctx, d, o, action)
}

// takesLong reports whether a delivery is as old as its sender should know.
func (s *Sender) takesLong(d *gateway.Delivery) bool {
	after := time.Duration(s.cfg.Limits.DelayReportMinutes) * time.Minute
	return s.cfg.Now().Sub(d.CreatedAt) >= after
}

// notify makes the report, unless its sender is not to get one.
func (s *Sender) notify(ctx context.Context, d *gateway.Delivery, o gateway.Outcome, action content.Action) error {
	sc := s.cfg.Internal(d.Domain)
	to, err := s.reportsTo(ctx, sc, d)
	if err != nil || to == "" {
		return err
	}
	head, err := s.headerOf(ctx, sc, d)
	if err != nil {
		return err
	}
	dom, err := s.cfg.Store.Domain(ctx, sc, d.Domain)
	if err != nil {
		return err
	}
	dsn := content.DSN{
		From: gateway.Address{Name: "Mail Delivery System", Addr: reporter + "@" + dom.Name}, To: gateway.Address{Addr: to},
		Host: s.cfg.Hostname, Arrived: d.CreatedAt, Recipient: d.Recipient, Action: action,
		Status: o.Enhanced, Code: o.Code, Reason: o.Text, Remote: o.Host, Header: head,
	}
	if !o.Remote {
		dsn.Remote = ""
	}
	if dsn.Status[0] == 0 {
		dsn.Status = classes[action]
	}
	if action == content.ActionDelayed && !o.Retry.IsZero() {
		dsn.Until = d.CreatedAt.Add(s.lifetime())
	}
	return s.writeReport(ctx, sc, d, dom, &dsn)
}

// classes are the statuses of reports whose reason has none, RFC 3463 section 3.1.
var classes = map[content.Action][3]int{content.ActionFailed: {5, 0, 0}, content.ActionDelayed: {4, 0, 0}}

// reportsTo is who gets the reports about a delivery: its reverse-path, if the domain
// that sent it is behind it; empty if nobody does. That of a redirect is of who wrote to
// somebody else. A reverse-path that nobody has stands for the account that
// sent.
func (s *Sender) reportsTo(ctx context.Context, sc gateway.Scope, d *gateway.Delivery) (string, error) {
	to := d.ReturnPath
	if d.Redirected {
		return "", nil
	}
	if _, host := gateway.SplitAddress(to); host == "" || !strings.EqualFold(host, d.Author) {
		return "", nil
	}
	_, err := s.cfg.Store.Account(ctx, sc, d.Domain, to)
	if gateway.KindOf(err) == gateway.NotFound && err != nil {
		var a *gateway.Account
		if a, err = s.cfg.Store.AccountByID(ctx, sc, d.Domain, d.Account); err == nil {
			to = a.Email
		} else if gateway.KindOf(err) == gateway.NotFound {
			return "", nil // it was deleted: nobody is left who waits
		}
	}
	if err != nil {
		return "", err
	}
	_, err = s.cfg.Store.SuppressionOf(ctx, sc, to)
	switch {
	case err == nil:
		return "", nil
	case gateway.KindOf(err) == gateway.NotFound:
		return to, nil
	}
	return "", err
}

// headerOf reads the header section of what a delivery carries, as it was signed.
func (s *Sender) headerOf(ctx context.Context, sc gateway.Scope, d *gateway.Delivery) ([]byte, error) {
	most := s.cfg.Limits.ReportHeaderBytes
	r, err := s.cfg.Store.OpenBlob(ctx, sc, d.Blob, 0, -1)
	if err != nil {
		return nil, err
	}
	defer r.Close()
	b, err := io.ReadAll(io.LimitReader(r, most+1))
	return content.HeaderSection(append(bytes.Clone(d.Prefix), b...), most), err
}

// writeReport writes and signs the report, for the commit that takes it.
func (s *Sender) writeReport(ctx context.Context, sc gateway.Scope, d *gateway.Delivery, dom *gateway.Domain, dsn *content.DSN) error {
	var b bytes.Buffer
	trace := content.Trace{MessageID: "<" + newID().String() + "@" + dom.Name + ">", Date: s.cfg.Now().UTC()}
	if err := dsn.Write(&b, trace, s.cfg.Limits); err != nil {
		return err
	}
	rep := &gateway.Report{To: dsn.To.Addr, Author: dom.Name}
	var err error
	if rep.Site, rep.Held, err = s.Way(ctx, rep.To); err != nil {
		return err
	}
	if s.cfg.Signer != nil {
		if rep.Prefix, err = s.cfg.Signer.Sign(ctx, sc, dom, rep.Site == "", bytes.NewReader(b.Bytes())); err != nil {
			return err
		}
	}
	if rep.BlobWriter, err = s.cfg.Store.CreateBlob(ctx, sc, d.Domain, int64(b.Len())); err != nil {
		return err
	}
	d.Report = rep
	if _, err = b.WriteTo(rep); err == nil {
		rep.Blob, err = rep.Seal()
	}
	return err
}

// Way is the site at which an address is, empty if it lives here, and what holds mail to
// it from the start.
func (s *Sender) Way(ctx context.Context, addr string) (site string, held gateway.HeldReason, err error) {
	here, err := s.livesHere(ctx, addr)
	if err != nil || here {
		return "", "", err
	}
	mode, err := s.cfg.Mode(ctx)
	if err == nil && mode == gateway.ModeCapture {
		held = gateway.HeldCapture
	}
	return siteOf(addr), held, err
}
