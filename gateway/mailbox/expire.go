package mailbox

import (
	"context"
	"log/slog"
	"time"

	"github.com/centerleap/postern/gateway"
)

const (
	// expireEvery is how often Trash is looked through; ours. Days are what an
	// operator sets.
	expireEvery = time.Hour
	// expireBatch is how many messages one commit removes; ours: the commits of
	// a domain wait for each other, and a person must not notice this one.
	expireBatch = 200
	// expireLease is how long the work may stand still before another process
	// takes it over; ours.
	expireLease = 5 * time.Minute
	// expireJob names the lease.
	expireJob = "mailbox/trash"
)

// Run empties every Trash of what is over its time, at once and then every hour,
// until ctx ends. What fails is logged and tried again the next time.
func (m *Mail) Run(ctx context.Context) error {
	tick := time.NewTicker(expireEvery)
	defer tick.Stop()
	for {
		if err := m.ExpireTrash(ctx); err != nil && ctx.Err() == nil {
			m.cfg.Log.LogAttrs(ctx, slog.LevelError, "trash not emptied", slog.Any("err", err))
		}
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
	}
}

// ExpireTrash removes for good what came into a Trash longer ago than
// Config.TrashRetention, as if its owner had done it. It does nothing while
// another process does it.
func (m *Mail) ExpireTrash(ctx context.Context) error {
	if m.cfg.TrashRetention == 0 {
		return nil
	}
	lease, err := m.cfg.Store.Lease(ctx, m.cfg.System, expireJob, expireLease)
	if gateway.KindOf(err) == gateway.InvalidState {
		return nil
	} else if err != nil {
		return err
	}
	now := m.cfg.Now()
	e := expiry{mail: m, lease: lease, renewed: now, before: now.Add(-m.cfg.TrashRetention)}
	err = e.run(ctx)
	if e.removed > 0 {
		m.cfg.Log.LogAttrs(ctx, slog.LevelInfo, "trash emptied", slog.Int("messages", e.removed))
	}
	if gone := lease.Release(context.WithoutCancel(ctx)); err == nil {
		err = gone
	}
	return err
}

// expiry is one round through every Trash.
type expiry struct {
	mail    *Mail
	lease   gateway.Lease
	renewed time.Time
	before  time.Time
	removed int
}

func (e *expiry) run(ctx context.Context) error {
	store, system := e.mail.cfg.Store, e.mail.cfg.System
	domains, err := store.Domains(ctx, system)
	if err != nil {
		return err
	}
	for _, d := range domains {
		accounts, err := store.Accounts(ctx, system, d.ID, 0, 0)
		if err != nil {
			return err
		}
		for i := range accounts {
			if err := e.account(ctx, &accounts[i]); err != nil {
				return err
			}
		}
	}
	return nil
}

// account empties the Trash of one account. A fault in it is logged and keeps no
// other account from its turn; what would meet them all ends the round.
func (e *expiry) account(ctx context.Context, a *gateway.Account) error {
	boxes, err := e.mail.cfg.Store.Mailboxes(ctx, e.mail.cfg.System, a.Domain, a.ID)
	for i := range boxes {
		if err == nil && boxes[i].SpecialUse == gateway.UseTrash && boxes[i].Total > 0 {
			err = e.mailbox(ctx, selection(a, boxes[i].ID))
		}
	}
	if err == nil || ctx.Err() != nil {
		return ctx.Err()
	}
	switch gateway.KindOf(err) {
	case gateway.NotFound: // deleted meanwhile
		return nil
	case gateway.Internal:
		e.mail.cfg.Log.LogAttrs(ctx, slog.LevelError, "trash of an account not emptied",
			slog.Uint64("domain", uint64(a.Domain)), slog.Uint64("account", uint64(a.ID)), slog.Any("err", err))
		return nil
	}
	return err
}

func (e *expiry) mailbox(ctx context.Context, at gateway.Selection) error {
	store, system := e.mail.cfg.Store, e.mail.cfg.System
	for next := uint32(1); ; {
		// A UID is given once: what leaves Trash before it is expunged here, and
		// what comes back, has another.
		uids, err := store.Overdue(ctx, system, at, e.before, next, expireBatch)
		if err != nil || len(uids) == 0 {
			return err
		}
		if err := e.renew(ctx); err != nil {
			return err
		}
		gone, err := store.ExpungeAll(ctx, system, at, uids, false)
		e.removed += len(gone)
		if err != nil || len(uids) < expireBatch {
			return err
		}
		next = uids[len(uids)-1] + 1
	}
}

// renew keeps the lease while there is work.
func (e *expiry) renew(ctx context.Context) error {
	now := e.mail.cfg.Now()
	if now.Sub(e.renewed) < expireLease/2 {
		return nil
	}
	e.renewed = now
	return e.lease.Renew(ctx)
}
