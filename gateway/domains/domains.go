// Package domains answers which domains and accounts exist, and which records a
// domain has to publish. It makes them, within the caller's scope.
package domains

import (
	"context"
	"errors"
	"strings"

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
	UpdateDomain(ctx context.Context, s gateway.Scope, id gateway.DomainID, change func(*gateway.Domain) error) (*gateway.Domain, error)
	CreateAccount(ctx context.Context, s gateway.Scope, a *gateway.Account) error
	Account(ctx context.Context, s gateway.Scope, d gateway.DomainID, email string) (*gateway.Account, error)
	AccountByID(ctx context.Context, s gateway.Scope, d gateway.DomainID, id gateway.AccountID) (*gateway.Account, error)
	// Accounts returns those behind after, at most most; 0 is all.
	Accounts(ctx context.Context, s gateway.Scope, d gateway.DomainID, after gateway.AccountID, most int) ([]gateway.Account, error)
	UpdateAccount(ctx context.Context, s gateway.Scope, d gateway.DomainID, id gateway.AccountID, change func(*gateway.Account) error) (*gateway.Account, error)
}

// Config of a Domains.
type Config struct {
	Store    Store          // required
	Limits   gateway.Limits // required
	Hostname string         // required: where mail for the domains goes
}

// Domains makes and finds domains and accounts.
type Domains struct{ cfg Config }

// New checks cfg. It starts nothing.
func New(cfg Config) (*Domains, error) {
	if cfg.Store == nil || cfg.Limits == (gateway.Limits{}) || cfg.Hostname == "" {
		return nil, errors.New("domains: Store, Limits and Hostname are required")
	}
	return &Domains{cfg: cfg}, nil
}

// Canonical is the one form of a domain's name: A-labels, lower case, at least
// two labels.
func Canonical(name string) (string, error) {
	bad := gateway.Fieldf(gateway.InvalidParameter, "name", "%.100q is not the name of a domain", name)
	name = strings.TrimSuffix(strings.TrimSpace(name), ".")
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
	dom := &gateway.Domain{UUID: newID(), Name: name, Status: gateway.DomainNotStarted}
	if verified {
		dom.Status, dom.Local = gateway.DomainVerified, true
	}
	return dom, d.cfg.Store.CreateDomain(ctx, s, dom)
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

// Verify checks a domain. DNS is not asked yet, so a domain waits for the
// operator: with local, an instance scope marks it verified.
func (d *Domains) Verify(ctx context.Context, s gateway.Scope, idOrName string, local bool) (*gateway.Domain, error) {
	dom, err := d.Get(ctx, s, idOrName)
	if err != nil {
		return nil, err
	}
	if local && s.Level() != gateway.LevelInstance {
		return nil, gateway.Fieldf(gateway.Restricted, "local", "only an instance key marks a domain verified")
	}
	return d.cfg.Store.UpdateDomain(ctx, s, dom.ID, func(dom *gateway.Domain) error {
		if local {
			dom.Status, dom.Local = gateway.DomainVerified, true
		} else if dom.Status == gateway.DomainNotStarted {
			dom.Status = gateway.DomainPending
		}
		return nil
	})
}

// Record is a DNS record that a domain should publish. Status says what was
// seen of it; nothing is looked up yet, so it says so.
type Record struct {
	Record   string // what it is for: ownership, MX, SPF, DMARC
	Name     string
	Type     string
	TTL      string
	Priority int // of an MX
	Value    string
	Status   string
}

// Records lists what a domain should publish.
func (d *Domains) Records(dom *gateway.Domain) []Record {
	status := "unchecked"
	if dom.Local {
		status = "not needed"
	}
	all := []Record{
		{Record: "ownership", Name: "_postern." + dom.Name, Type: "TXT", Value: "postern-domain=" + dom.UUID.String()},
		{Record: "MX", Name: dom.Name, Type: "MX", Priority: 10, Value: d.cfg.Hostname},
		{Record: "SPF", Name: dom.Name, Type: "TXT", Value: "v=spf1 mx -all"},
		{Record: "DMARC", Name: "_dmarc." + dom.Name, Type: "TXT", Value: "v=DMARC1; p=quarantine"},
	}
	for i := range all {
		all[i].TTL, all[i].Status = "Auto", status
	}
	return all
}

func newID() gateway.ID { return gateway.ID(uuid.Must(uuid.NewV7())) }
