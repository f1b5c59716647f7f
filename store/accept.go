package store

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/centerleap/postern/gateway"
	"github.com/centerleap/postern/store/engine"
)

// Accept makes one submission durable: message, Sent entry, deliveries, rate
// counters and log row, in one commit of the sender's domain. Inside it the key
// and the domain are read again, so a key revoked meanwhile stores nothing; and
// what a plugin wanted sent ends, so that it is sent once.
func (s *Store) Accept(ctx context.Context, sc gateway.Scope, a *gateway.Acceptance) (gateway.Accepted, error) {
	out, err := s.AcceptAll(ctx, sc, []*gateway.Acceptance{a}, nil)
	if err != nil {
		return gateway.Accepted{}, err
	}
	return out[0], nil
}

// AcceptAll accepts several submissions of one domain in one commit: all or none.
// With once, which may be nil, the answer is kept with them.
func (s *Store) AcceptAll(ctx context.Context, sc gateway.Scope, list []*gateway.Acceptance, once *gateway.Once) (out []gateway.Accepted, err error) {
	d := sc.Domain()
	if d == 0 {
		return nil, denied("domain")
	}
	err = s.update(ctx, d, func(t *tx) error {
		out = make([]gateway.Accepted, 0, len(list)) // Fn may run again
		limits, err := t.mayAccept(sc, list)
		if err != nil {
			return err
		}
		for _, a := range list {
			done, err := t.accept(sc, a, limits, len(list))
			if err != nil {
				return err
			}
			out = append(out, done)
		}
		if once != nil {
			return t.once(sc, once, out)
		}
		return nil
	})
	return out, err
}

// rates are the limits that an acceptance counts against.
type rates struct {
	key    *gateway.Key // nil for Postern's own mail
	domain gateway.DomainLimits
}

// mayAccept reads key and domain as they are at the commit.
func (t *tx) mayAccept(sc gateway.Scope, list []*gateway.Acceptance) (r rates, err error) {
	dom, err := readDomain(t, t.domain)
	if err != nil {
		return r, missing(err, "domain")
	}
	leaves := slices.ContainsFunc(list, func(a *gateway.Acceptance) bool { return !a.Draft })
	if leaves && !dom.Sends() {
		return r, gateway.Errorf(gateway.DomainNotAuthorized, "domain %s is not verified", dom.Name)
	}
	r.domain = dom.Limits
	if sc.Key().IsZero() {
		return r, nil
	}
	// An instance key that was narrowed to this domain lives in lane 0; its
	// record is read there, and its counters are kept here.
	r.key, err = load(t, apiKeyKey(t.domain, sc.Key()), decodeKey)
	if errors.Is(err, engine.ErrNotFound) {
		r.key, err = load(t, apiKeyKey(0, sc.Key()), decodeKey)
	}
	if err != nil {
		return r, missing(err, "key")
	}
	if !r.key.Live(t.now) {
		reason := "expired"
		if !r.key.RevokedAt.IsZero() {
			reason = "revoked"
		}
		return r, &gateway.Error{Kind: gateway.InvalidKey, Message: "API key is invalid", Reason: reason}
	}
	return r, nil
}

func (t *tx) accept(sc gateway.Scope, a *gateway.Acceptance, r rates, together int) (done gateway.Accepted, err error) {
	account, err := t.author(sc, a.From)
	if err != nil {
		return done, err
	}
	m := &stored{Message: *a.Message, Facts: a.Facts}
	m.Account, m.Sent, m.Entries = account.ID, true, nil
	thread := a.NewThread
	if a.Replaces {
		was, err := t.takeDraft(m)
		if err != nil {
			return done, err
		}
		if thread.IsZero() {
			thread = was
		}
	}
	if a.Intent != nil {
		if err := t.fulfil(a, account); err != nil {
			return done, err
		}
	}
	if !a.Draft {
		if done.Used, err = t.count(r, len(a.Deliveries)); err != nil {
			return done, err
		}
	}
	if err := t.addMessage(m, placed{a.Thread, thread}); err != nil {
		return done, err
	}
	if done.Leased, err = t.dispatch(m, a); err != nil {
		return done, err
	}
	t.traced(m, a.Effects.Steps, together)
	if err := t.effects(&a.Effects); err != nil {
		return done, err
	}
	if a.Activity != nil {
		row := *a.Activity
		row.Domain, row.Account, row.Email, row.Tags = t.domain, account.ID, m.ID, m.Tags
		t.logRow(&row)
	}
	done.Account, done.Thread = account.ID, m.Thread
	return done, nil
}

// dispatch files an accepted message, and hands the queue what may leave. It returns what
// its sender is to try at once.
func (t *tx) dispatch(m *stored, a *gateway.Acceptance) (leased []gateway.Delivery, err error) {
	deliveries, err := t.suppress(a.Deliveries)
	if err != nil {
		return nil, err
	}
	if err := t.mayQueue(deliveries, m.Blob.Size); err != nil {
		return nil, err
	}
	if err := t.fileAccepted(m, a, deliveries); err != nil {
		return nil, err
	}
	for i := range deliveries {
		d := &deliveries[i]
		if err := t.enqueue(m, d); err != nil {
			return nil, err
		}
		if d.State == gateway.DeliveryLeased {
			d.Prefix = m.Prefix
			leased = append(leased, *d)
		}
	}
	return leased, nil
}

// fileAccepted puts an accepted message where its account finds it: in Drafts, or in
// Sent with its fate so far.
func (t *tx) fileAccepted(m *stored, a *gateway.Acceptance, deliveries []gateway.Delivery) error {
	id, flags, typ := gateway.SentMailbox, gateway.Seen, gateway.EventQueued
	switch {
	case a.Draft:
		id, flags, typ = gateway.DraftsMailbox, gateway.Seen|gateway.Draft, gateway.EventDrafted
		m.LastEvent = gateway.LastDraft
	case leaving(deliveries).Held == gateway.HeldScheduled:
		typ, m.LastEvent = gateway.EventScheduled, string(gateway.HeldScheduled)
	case leaving(deliveries).State == gateway.DeliveryLeased:
		m.LastEvent = string(gateway.DeliveryQueued)
	default:
		m.LastEvent = string(leaving(deliveries).State)
	}
	box, err := readMailbox(t, t.domain, m.Account, id)
	if err != nil {
		return err
	}
	t.addEntry(m, box, flags, nil, typ)
	t.putMessage(m)
	return nil
}

// takeDraft removes the draft that m is, which leaves its ID to m; and its
// conversation, if the draft was alone in it. InvalidState if it is none any more.
func (t *tx) takeDraft(m *stored) (thread gateway.ID, err error) {
	b, err := t.Get(uuidKey(t.domain, m.ID))
	if err != nil {
		return thread, missing(err, "email")
	}
	account, n, err := messageRef(b)
	if err != nil {
		return thread, err
	}
	draft, err := readMessage(t, t.domain, account, n)
	if err != nil {
		return thread, missing(err, "email")
	}
	if account != m.Account || !slices.ContainsFunc(draft.Stands, func(r entryRef) bool { return r.Mailbox == gateway.DraftsMailbox }) {
		return thread, gateway.Errorf(gateway.InvalidState, "the email is no draft any more")
	}
	for _, at := range slices.Clone(draft.Stands) {
		st, err := t.stand(gateway.Place{Domain: t.domain, Account: account, Mailbox: at.Mailbox, UID: at.UID})
		if err != nil {
			return thread, err
		}
		if err := t.removeEntry(draft, st.box, st.entry, t.emit(st.event(gateway.EventDeleted))); err != nil {
			return thread, err
		}
	}
	if err := t.dropMessage(draft); err != nil {
		return thread, err
	}
	if _, err := readThread(t, t.domain, draft.Thread); errors.Is(err, engine.ErrNotFound) {
		thread = draft.Thread
	}
	return thread, nil
}

// author finds the account of the author's address, or makes an implicit one.
func (t *tx) author(sc gateway.Scope, from gateway.Address) (*gateway.Account, error) {
	account, err := accountAt(t, t.domain, from.Addr)
	if errors.Is(err, engine.ErrNotFound) && sc.CoversDomain(t.domain) {
		return t.implicitAccount(from.Addr)
	}
	if err != nil && !errors.Is(err, engine.ErrNotFound) {
		return nil, err
	}
	if err != nil || !sc.Covers(t.domain, account.ID) {
		return nil, gateway.Errorf(gateway.DomainNotAuthorized, "the key may not send as %s", from.Addr)
	}
	return account, nil
}

// count checks the hourly limits of key and domain and adds one message.
func (t *tx) count(r rates, recipients int) (used gateway.Usage, err error) {
	domain := key(subDomUsage, t.domain)
	if _, err = t.addUsage(domain, r.domain.Messages, r.domain.Recipients, recipients, "domain_"); err != nil || r.key == nil {
		return used, err
	}
	return t.addUsage(usageKey(t.domain, r.key.ID), r.key.Limits.Messages, r.key.Limits.Recipients, recipients, "")
}

func (t *tx) addUsage(k []byte, messages, recipients int64, n int, prefix string) (gateway.Usage, error) {
	u, err := loadOr(t, k, decodeUsage)
	if err != nil {
		return u, err
	}
	if u = u.At(t.now); u.Opened.IsZero() {
		u.Opened = t.now
	}
	u.Messages++
	u.Recipients += int64(n)
	if messages > 0 && u.Messages > messages {
		return u, overRate(prefix+"emails", messages, u, t.now)
	}
	if recipients > 0 && u.Recipients > recipients {
		return u, overRate(prefix+"recipients", recipients, u, t.now)
	}
	t.Set(k, encodeUsage(u))
	return u, nil
}

func overRate(limit string, most int64, u gateway.Usage, now time.Time) error {
	wait := u.Opened.Add(gateway.Window).Sub(now)
	return &gateway.Error{
		Kind: gateway.RateLimited, Limit: limit, Retry: wait, Reason: "over limit: " + limit,
		Message: gateway.Errorf(gateway.RateLimited, "over the limit of %d %s per hour; it resets in %d seconds", most, limit, int(wait.Seconds())).Message,
	}
}
