package inbound

import (
	"context"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/google/uuid"

	"github.com/centerleap/postern/gateway"
	"github.com/centerleap/postern/gateway/content"
	"github.com/centerleap/postern/gateway/flow"
	"github.com/centerleap/postern/gateway/threading"
)

// tray carries one message through the flow; each stage fills its part.
type tray struct {
	env     gateway.Envelope
	raw     io.Reader // nil when env.Body says where the bytes are
	arrived time.Time

	domain *gateway.Domain
	scope  gateway.Scope
	copies []gateway.Copy
	// aliases are the other addresses of the accounts that get a copy.
	aliases map[gateway.AccountID][]string
	known   bool // this delivery was received before

	body    gateway.BlobWriter
	blob    gateway.Blob
	content *gateway.Content
	header  []gateway.HeaderField // its own, undecoded

	auth       gateway.AuthResults
	results    []byte    // the same as a field
	hooksUntil time.Time // when the time of all hooks is over
	effects    gateway.Effects
	discarded  bool // by the hooks of all recipients
	facts      gateway.ThreadFacts
}

// Receive is the whole inbound path; once it returns nil the message is durable
// and visible, and the door may answer 250.
func (r *Receiver) Receive(ctx context.Context, env gateway.Envelope, raw io.Reader) error {
	t := tray{env: env, raw: raw, arrived: r.cfg.Now().UTC()}
	defer func() {
		if t.body != nil {
			t.body.Close() // drops the body unless the commit has it
		}
	}()
	return flow.Run(ctx, r.cfg.Log, "inbound", &t,
		flow.Stage[tray]{Name: "address", Do: r.address},           // recipients -> accounts
		flow.Stage[tray]{Name: "parse", Do: r.parse},               // MIME -> Content
		flow.Stage[tray]{Name: "authenticate", Do: r.authenticate}, // who really sent it
		flow.Stage[tray]{Name: "hooks", Do: r.hooks},               // plugins: keep, file, refuse
		flow.Stage[tray]{Name: "thread", Do: r.thread},             // References -> facts
		flow.Stage[tray]{Name: "store", Do: r.store},               // one commit; durable after this
	)
}

// address finds the accounts of the recipients, which are all in one domain,
// and whether this delivery was received before.
func (r *Receiver) address(ctx context.Context, t *tray) (err error) {
	for _, rcpt := range t.env.Recipients {
		_, host := gateway.SplitAddress(rcpt)
		if t.domain == nil {
			if t.domain, err = r.cfg.Store.DomainByName(ctx, r.cfg.System, strings.ToLower(host)); err != nil {
				return err
			}
			t.scope = r.cfg.Internal(t.domain.ID)
		}
		if !strings.EqualFold(host, t.domain.Name) {
			return gateway.Errorf(gateway.InvalidParameter, "one message, one domain: %s is not in %s", rcpt, t.domain.Name)
		}
		if err := r.recipient(ctx, t, rcpt); err != nil {
			return err
		}
	}
	if len(t.copies) == 0 {
		return gateway.Errorf(gateway.MissingField, "no recipient")
	}
	if !t.env.Delivery.IsZero() && t.env.Leased == nil {
		_, t.known, err = r.cfg.Store.Received(ctx, t.scope, t.env.Delivery)
	}
	return err
}

// Find says where an address lives, before any mail is taken for it: its domain,
// nil if that is none of ours. NotFound when the domain has nobody of that name,
// OverQuota when there is no room: the sender learns for whom. The commit has the
// last word.
func (r *Receiver) Find(ctx context.Context, rcpt string) (*gateway.Domain, error) {
	_, host := gateway.SplitAddress(rcpt)
	d, err := r.cfg.Store.DomainByName(ctx, r.cfg.System, strings.ToLower(host))
	if gateway.KindOf(err) == gateway.NotFound {
		return nil, nil
	} else if err != nil {
		return nil, err
	}
	a, err := r.account(ctx, &tray{domain: d, scope: r.cfg.Internal(d.ID)}, rcpt)
	if err == nil && a != nil && a.Full() {
		return nil, gateway.Errorf(gateway.OverQuota, "the mailbox of %s is full", rcpt)
	}
	return d, err
}

// recipient adds one recipient: a copy of its own, or to the copy of the account
// it shares with an earlier one.
func (r *Receiver) recipient(ctx context.Context, t *tray, rcpt string) error {
	account, err := r.account(ctx, t, rcpt)
	if err != nil {
		return err
	}
	for i := range t.copies {
		c := &t.copies[i]
		if account != nil && c.Account == account.ID || account == nil && strings.EqualFold(c.Address, rcpt) {
			c.Recipients = append(c.Recipients, rcpt)
			return nil
		}
	}
	c := gateway.Copy{ID: newID(), Address: rcpt, Recipients: []string{rcpt}, Folder: gateway.Inbox}
	if account != nil {
		c.Account, c.Address = account.ID, account.Email
		if len(account.Aliases) > 0 {
			if t.aliases == nil {
				t.aliases = make(map[gateway.AccountID][]string)
			}
			t.aliases[account.ID] = account.Aliases
		}
	}
	t.copies = append(t.copies, c)
	return nil
}

// account finds whose mailbox rcpt is: an account's, an alias's, an account's
// with a +tag, or, nil, one that a catch-all domain will make.
func (r *Receiver) account(ctx context.Context, t *tray, rcpt string) (*gateway.Account, error) {
	a, err := r.cfg.Store.Account(ctx, t.scope, t.domain.ID, rcpt)
	local, host := gateway.SplitAddress(rcpt)
	if plain, _, tagged := strings.Cut(local, "+"); gateway.KindOf(err) == gateway.NotFound && tagged && plain != "" {
		a, err = r.cfg.Store.Account(ctx, t.scope, t.domain.ID, plain+"@"+host)
	}
	switch {
	case err == nil:
		return a, nil
	case gateway.KindOf(err) == gateway.NotFound && t.domain.CatchAll:
		return nil, nil
	case gateway.KindOf(err) == gateway.NotFound:
		return nil, gateway.Errorf(gateway.NotFound, "%s does not live here", rcpt)
	}
	return nil, err
}

// parse brings the bytes into the recipients' domain and reads them once. Mail
// within one domain shares the sender's bytes.
func (r *Receiver) parse(ctx context.Context, t *tray) error {
	if t.known {
		return nil
	}
	t.blob = t.env.Body
	if t.blob.Domain != t.domain.ID {
		if err := r.spool(ctx, t); err != nil {
			return err
		}
	}
	return r.scan(ctx, t)
}

// scan reads what is in the message.
func (r *Receiver) scan(ctx context.Context, t *tray) error {
	in, err := r.cfg.Store.OpenBlob(ctx, t.scope, t.blob, 0, -1)
	if err != nil {
		return err
	}
	defer in.Close()
	if t.content, t.header, err = content.ScanHeader(in, r.cfg.Limits); err != nil {
		return err
	}
	return r.looping(t.content.Received)
}

// spool copies the bytes into a body of the recipients' domain.
func (r *Receiver) spool(ctx context.Context, t *tray) (err error) {
	raw := t.raw
	if raw == nil {
		in, err := r.cfg.Store.OpenBlob(ctx, r.cfg.Internal(t.env.Body.Domain), t.env.Body, 0, -1)
		if err != nil {
			return err
		}
		defer in.Close()
		raw = in
	}
	if t.body, err = r.cfg.Store.CreateBlob(ctx, t.scope, t.domain.ID, t.env.Body.Size); err != nil {
		return err
	}
	if _, err := io.Copy(t.body, raw); err != nil {
		return err
	}
	t.blob, err = t.body.Seal()
	return err
}

// thread gathers what decides the conversation, and asks plugins; the store looks
// it up inside the commit.
func (r *Receiver) thread(ctx context.Context, t *tray) error {
	if t.known || len(t.copies) == 0 {
		return nil
	}
	t.facts = threading.Facts(t.content, t.arrived)
	return r.choose(ctx, t)
}

// store commits the message into every account at once.
func (r *Receiver) store(ctx context.Context, t *tray) error {
	if t.known || t.discarded && t.env.Delivery.IsZero() {
		return nil
	}
	sent := false
	for i := range t.copies {
		c := &t.copies[i]
		sent = sent || len(c.Redirects) > 0
		c.Prefix = append(append(r.trace(t, c), content.Fields(c.Headers)...), t.env.Prefix...)
	}
	err := r.cfg.Store.Deliver(ctx, t.scope, &gateway.Filing{
		Delivery: t.env.Delivery, Leased: t.env.Leased, Author: t.env.Author, Client: gateway.Client{IP: t.env.RemoteIP, Helo: t.env.Helo}, Facts: t.facts, Copies: t.copies, Message: r.message(t), Effects: t.effects,
	})
	if err != nil {
		return fmt.Errorf("%d copies: %w", len(t.copies), err)
	}
	if sent {
		r.cfg.Router.Wake()
	}
	return nil
}

// message is what all copies share.
func (r *Receiver) message(t *tray) *gateway.Message {
	return &gateway.Message{
		Domain: t.domain.ID, Arrived: t.arrived, ReturnPath: t.env.ReturnPath,
		Blob: t.blob, Content: *t.content, Auth: t.auth, Plugin: t.env.Plugin,
	}
}

func newID() gateway.ID { return gateway.ID(uuid.Must(uuid.NewV7())) }
