// Package domains answers which domains and accounts exist, which records a domain has to
// publish, and whether they are there. It makes them, within the caller's scope.
//
// Verify looks the records of one domain up because somebody asks; Run does so when it is
// time. verify.go has the rules by which a domain may send.
package domains

import (
	"context"
	"errors"
	"log/slog"
	"strings"
	"time"

	"github.com/google/uuid"
	"golang.org/x/net/idna"

	"github.com/centerleap/postern/gateway"
)

// Store is the part of the store that domains need. What lies outside a scope
// is NotFound.
type Store interface {
	CreateDomain(ctx context.Context, s gateway.Scope, d *gateway.Domain) error
	Domain(ctx context.Context, s gateway.Scope, id gateway.DomainID) (*gateway.Domain, error)
	DomainByName(ctx context.Context, s gateway.Scope, name string) (*gateway.Domain, error)
	DomainByUUID(ctx context.Context, s gateway.Scope, id gateway.ID) (*gateway.Domain, error)
	Domains(ctx context.Context, s gateway.Scope) ([]gateway.Domain, error)
	// DomainPage returns those behind after, at most most.
	DomainPage(ctx context.Context, s gateway.Scope, after, before gateway.DomainID, most int) ([]gateway.Domain, error)
	UpdateDomain(ctx context.Context, s gateway.Scope, id gateway.DomainID, change func(*gateway.Domain) error) (*gateway.Domain, error)
	// SigningKeys returns the keys that sign a domain's mail; none before they are
	// made. MakeSigningKeys makes those of a domain that has none, and returns those
	// it has.
	SigningKeys(ctx context.Context, s gateway.Scope, d gateway.DomainID) ([]gateway.SigningKey, error)
	MakeSigningKeys(ctx context.Context, s gateway.Scope, d gateway.DomainID, made []gateway.SigningKey) ([]gateway.SigningKey, error)
	// DomainCheck returns what was found of a domain's records, nothing before the first
	// look. CheckDomain changes that and the domain in one commit, with a row for the log
	// if change returns one; change may run again.
	DomainCheck(ctx context.Context, s gateway.Scope, d gateway.DomainID) (*gateway.DomainCheck, error)
	CheckDomain(ctx context.Context, s gateway.Scope, d gateway.DomainID, change func(*gateway.Domain, *gateway.DomainCheck) *gateway.Activity) (*gateway.Domain, error)
	// DueDomains returns those to be looked at by now, at most most.
	DueDomains(ctx context.Context, s gateway.Scope, most int) ([]gateway.DomainID, error)
	// Lease takes the right to do a job. InvalidState while somebody else has it.
	Lease(ctx context.Context, s gateway.Scope, job string, ttl time.Duration) (gateway.Lease, error)
	CreateAccount(ctx context.Context, s gateway.Scope, a *gateway.Account) error
	Account(ctx context.Context, s gateway.Scope, d gateway.DomainID, email string) (*gateway.Account, error)
	AccountByID(ctx context.Context, s gateway.Scope, d gateway.DomainID, id gateway.AccountID) (*gateway.Account, error)
	// Accounts returns those behind after, at most most; 0 is all.
	Accounts(ctx context.Context, s gateway.Scope, d gateway.DomainID, after gateway.AccountID, most int) ([]gateway.Account, error)
	UpdateAccount(ctx context.Context, s gateway.Scope, d gateway.DomainID, id gateway.AccountID, change func(*gateway.Account) error) (*gateway.Account, error)
}

// Config of a Domains.
type Config struct {
	Store    Store            // required
	Limits   gateway.Limits   // required
	Hostname string           // required: where mail for the domains goes
	System   gateway.Scope    // required: the instance's own
	Resolver Resolver         // default: none; no record can be looked up
	Reader   Reader           // required with Resolver
	Log      *slog.Logger     // default: slog.Default()
	Now      func() time.Time // default: time.Now
}

// Domains makes and finds domains and accounts.
type Domains struct{ cfg Config }

// New checks cfg and fills its defaults. It starts nothing; Run looks at the records.
func New(cfg Config) (*Domains, error) {
	if cfg.Store == nil || cfg.Limits == (gateway.Limits{}) || cfg.Hostname == "" || cfg.System.Level() != gateway.LevelInstance {
		return nil, errors.New("domains: Store, Limits, Hostname and System are required")
	}
	if cfg.Resolver != nil && cfg.Reader == nil {
		return nil, errors.New("domains: a Resolver needs a Reader")
	}
	if cfg.Log == nil {
		cfg.Log = slog.Default()
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	return &Domains{cfg: cfg}, nil
}

// Canonical is the one form of a domain's name: A-labels, lower case, at least
// two labels.
func Canonical(name string) (string, error) {
	bad := gateway.Fieldf(gateway.InvalidParameter, "name", "%.100q is not the name of a domain", name)
	name = strings.TrimSuffix(strings.TrimSpace(name), ".")
	if len(name) > gateway.DomainWritten {
		return "", bad
	}
	ascii, err := idna.Lookup.ToASCII(name)
	if err != nil || len(ascii) > 253 || !strings.Contains(ascii, ".") {
		return "", bad
	}
	for label := range strings.SplitSeq(ascii, ".") {
		if label == "" || len(label) > 63 || label[0] == '-' || label[len(label)-1] == '-' || strings.Trim(strings.ToLower(label), "abcdefghijklmnopqrstuvwxyz0123456789-_") != "" {
			return "", bad
		}
	}
	if last := ascii[strings.LastIndexByte(ascii, '.')+1:]; strings.Trim(last, "0123456789") == "" {
		return "", bad // an IPv4 address
	}
	return strings.ToLower(ascii), nil
}

// Create makes a domain. With verified it may send at once: the operator says
// so, and no DNS is asked.
func (d *Domains) Create(ctx context.Context, s gateway.Scope, name string, verified bool) (*gateway.Domain, error) {
	if s.Level() != gateway.LevelInstance {
		return nil, gateway.Errorf(gateway.Restricted, "only an instance key creates domains")
	}
	name, err := Canonical(name)
	if err != nil {
		return nil, err
	}
	dom := &gateway.Domain{UUID: newID(), Name: name, Status: gateway.DomainNotStarted, TLS: gateway.TLSOpportunistic}
	if verified {
		dom.Status, dom.Local = gateway.DomainVerified, true
	}
	if err := d.cfg.Store.CreateDomain(ctx, s, dom); err != nil {
		return nil, err
	}
	_, err = d.SigningKeys(ctx, s, dom)
	return dom, err
}

// Change is an update of a domain; nil fields stay.
type Change struct {
	CatchAll   *bool
	TLS        *gateway.TLSPolicy
	Messages   *int64 // per hour; 0 is no limit
	Recipients *int64
}

// Update changes a domain. Only an instance scope sets limits; they hold from the
// next message on.
func (d *Domains) Update(ctx context.Context, s gateway.Scope, idOrName string, c Change) (*gateway.Domain, error) {
	dom, err := d.Get(ctx, s, idOrName)
	if err != nil {
		return nil, err
	}
	if c.TLS != nil && *c.TLS != gateway.TLSOpportunistic && *c.TLS != gateway.TLSEnforced {
		return nil, gateway.Fieldf(gateway.InvalidParameter, "tls", "tls is opportunistic or enforced")
	}
	for field, n := range map[string]*int64{"rate_limit": c.Messages, "recipient_limit": c.Recipients} {
		switch {
		case n != nil && s.Level() != gateway.LevelInstance:
			return nil, gateway.Fieldf(gateway.Restricted, field, "only the operator sets limits")
		case n != nil && *n < 0:
			return nil, gateway.Fieldf(gateway.InvalidParameter, field, "%s is 0, for none, or more", field)
		}
	}
	return d.cfg.Store.UpdateDomain(ctx, s, dom.ID, func(dom *gateway.Domain) error {
		set(&dom.CatchAll, c.CatchAll)
		set(&dom.TLS, c.TLS)
		set(&dom.Limits.Messages, c.Messages)
		set(&dom.Limits.Recipients, c.Recipients)
		return nil
	})
}

func set[T any](field, to *T) {
	if to != nil {
		*field = *to
	}
}

// Get finds a domain by its id or name.
func (d *Domains) Get(ctx context.Context, s gateway.Scope, idOrName string) (*gateway.Domain, error) {
	if id, err := gateway.ParseID(idOrName); err == nil {
		return d.cfg.Store.DomainByUUID(ctx, s, id)
	}
	name, err := Canonical(idOrName)
	if err != nil {
		return nil, gateway.Errorf(gateway.NotFound, "no such domain")
	}
	return d.cfg.Store.DomainByName(ctx, s, name)
}

// ByID finds a domain by its number.
func (d *Domains) ByID(ctx context.Context, s gateway.Scope, id gateway.DomainID) (*gateway.Domain, error) {
	return d.cfg.Store.Domain(ctx, s, id)
}

// List returns the domains a scope reaches.
func (d *Domains) List(ctx context.Context, s gateway.Scope) ([]gateway.Domain, error) {
	return d.cfg.Store.Domains(ctx, s)
}

// Page returns a page of the domains a scope reaches, oldest first: those just behind the
// one whose id or name after is, or just before that which before is, unless they are
// empty. more says whether the list goes on where the page ends.
func (d *Domains) Page(ctx context.Context, s gateway.Scope, after, before string, most int) (page []gateway.Domain, more bool, err error) {
	var behind, ahead gateway.DomainID
	w := gateway.Span{Most: most}
	if after != "" {
		dom, err := d.Get(ctx, s, after)
		if err != nil {
			return nil, false, badCursor(err, "after")
		}
		behind = dom.ID
	}
	if before != "" {
		dom, err := d.Get(ctx, s, before)
		if err != nil {
			return nil, false, badCursor(err, "before")
		}
		ahead, w.Before = dom.ID, dom.UUID
	}
	found, err := d.cfg.Store.DomainPage(ctx, s, behind, ahead, most+1)
	page, more = gateway.Cut(found, w)
	return page, more, err
}

func newID() gateway.ID { return gateway.ID(uuid.Must(uuid.NewV7())) }
