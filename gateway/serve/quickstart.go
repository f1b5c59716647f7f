package serve

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"time"

	"github.com/centerleap/postern/gateway"
	"github.com/centerleap/postern/gateway/domains"
	"github.com/centerleap/postern/gateway/keys"
)

// Quickstart says what the first start makes. A later one finds it.
type Quickstart struct {
	Domain    string
	Accounts  []string
	SmartHost string
}

// Banner is what quickstart prints once every listener accepts: a public
// contract, for people, scripts and tests.
type Banner struct {
	REST         string      `json:"rest"`
	Submission   string      `json:"submission"`
	Submissions  string      `json:"submissions"`
	MX           string      `json:"mx"`
	IMAP         string      `json:"imap"`
	IMAPS        string      `json:"imaps"`
	Metrics      string      `json:"metrics"`
	Dashboard    string      `json:"dashboard"`
	SMTPUsername string      `json:"smtp_username"`
	CA           string      `json:"ca"`
	Domain       string      `json:"domain"`
	Account      string      `json:"account"`
	Keys         *BannerKeys `json:"keys"` // null but at the first start
	Data         string      `json:"data"`
	PID          int         `json:"pid"`

	Mode  gateway.DeliveryMode `json:"-"` // what becomes of foreign mail
	Notes []string             `json:"-"` // what people should know besides
}

// BannerKeys are the first keys, shown this once.
type BannerKeys struct {
	Admin    string `json:"admin"`
	Domain   string `json:"domain"`
	Account  string `json:"account"`
	SendOnly string `json:"send_only"`
}

// settingIssued is about the first keys: empty before them, the time at which
// their making began, and shown once somebody has seen them.
const (
	settingIssued = "quickstart_keys_issued"
	shown         = "yes"
)

// Start makes what is missing and returns what to print. Call Shown when it was
// printed: keys that were made and never shown are revoked at the next start,
// which makes others.
func (g *Gateway) Start(ctx context.Context, q Quickstart) (*Banner, error) {
	d, err := g.Domains.Get(ctx, keys.System(), q.Domain)
	if gateway.KindOf(err) == gateway.NotFound {
		d, err = g.Domains.Create(ctx, keys.System(), q.Domain, true)
	}
	if err != nil {
		return nil, err
	}
	if len(q.Accounts) == 0 {
		q.Accounts = []string{"bot@" + d.Name}
	}
	var first *gateway.Account
	for _, email := range q.Accounts {
		a, err := g.account(ctx, email)
		if err != nil {
			return nil, fmt.Errorf("account %s: %w", email, err)
		}
		if first == nil {
			first = a
		}
	}
	data, err := filepath.Abs(g.cfg.Data)
	if err != nil {
		return nil, err
	}
	ca, err := localCA(filepath.Join(data, "tls"), []string{"localhost", "127.0.0.1", "::1", d.Name}, g.now())
	if err != nil {
		return nil, err
	}
	if g.cfg.CertFile == "" {
		if err := g.cert.local(filepath.Join(data, "tls")); err != nil {
			return nil, err
		}
	}
	b := &Banner{
		REST: g.URL(), Submission: g.Addr("submission"), Submissions: g.Addr("submissions"), MX: g.Addr("mx"), IMAP: g.Addr("imap"), IMAPS: g.Addr("imaps"), SMTPUsername: g.cfg.SMTPUsername, CA: ca, Domain: d.Name, Account: first.Email,
		Data: data, PID: os.Getpid(), Notes: g.notes,
	}
	if b.Mode, err = g.DeliveryMode(ctx); err != nil {
		return nil, err
	}
	b.Dashboard = g.URL() + "/ui/"
	admin, err := g.firstKeys(ctx, first, b) // last: nothing can fail between them and the printing
	if admin != nil {
		b.Dashboard = g.URL() + g.ui.Link(admin)
	}
	return b, err
}

// account finds an account, or makes it.
func (g *Gateway) account(ctx context.Context, email string) (*gateway.Account, error) {
	a, err := g.Domains.Account(ctx, keys.System(), email)
	if gateway.KindOf(err) == gateway.NotFound || err == nil && a.Implicit {
		return g.Domains.CreateAccount(ctx, keys.System(), domains.NewAccount{Email: email})
	}
	return a, err
}

// firstKeyName marks the keys that quickstart makes.
const firstKeyName = "quickstart"

// firstKeys puts the four keys into the banner, unless somebody has seen such, and
// returns that of the instance.
func (g *Gateway) firstKeys(ctx context.Context, a *gateway.Account, banner *Banner) (admin *gateway.Key, err error) {
	sc := keys.System()
	began, err := g.Store.Setting(ctx, sc, settingIssued)
	if err != nil || began == shown {
		return nil, err
	}
	if began != "" {
		err = g.revokeUnseen(ctx, began)
	} else {
		err = g.Store.SetSetting(ctx, sc, settingIssued, g.now().UTC().Format(time.RFC3339Nano))
	}
	if err != nil {
		return nil, err
	}
	b := &BannerKeys{}
	for _, n := range []struct {
		into *string
		key  keys.NewKey
	}{
		{&b.Admin, keys.NewKey{Level: gateway.LevelInstance}},
		{&b.Domain, keys.NewKey{Level: gateway.LevelDomain, Domain: a.Domain}},
		{&b.Account, keys.NewKey{Level: gateway.LevelAccount, Domain: a.Domain, Account: a.ID}},
		{&b.SendOnly, keys.NewKey{Level: gateway.LevelDomain, Domain: a.Domain, Permission: gateway.SendOnly}},
	} {
		n.key.Name = firstKeyName
		key, token, err := g.Keys.Create(ctx, sc, n.key)
		if err != nil {
			return nil, err
		}
		if *n.into = token.Reveal(); key.Level == gateway.LevelInstance {
			admin = key
		}
	}
	banner.Keys = b
	return admin, nil
}

// revokeUnseen ends the keys of a start that was interrupted before it printed
// them: those of that name since it began to make them.
func (g *Gateway) revokeUnseen(ctx context.Context, began string) error {
	since, err := time.Parse(time.RFC3339Nano, began)
	if err != nil {
		return fmt.Errorf("setting %s: %w", settingIssued, err)
	}
	all, err := g.Keys.List(ctx, keys.System())
	if err != nil {
		return err
	}
	for _, k := range all {
		if k.Name != firstKeyName || !k.RevokedAt.IsZero() || k.CreatedAt.Before(since.Truncate(keyClock)) {
			continue
		}
		if _, err := g.Keys.Revoke(ctx, keys.System(), k.ID); err != nil {
			return err
		}
	}
	return nil
}

// keyClock is how finely the store keeps the time of a key.
const keyClock = time.Millisecond

// Shown notes that the first keys were printed.
func (g *Gateway) Shown(ctx context.Context) error {
	return g.Store.SetSetting(ctx, keys.System(), settingIssued, shown)
}

// Apply puts what q says of the configuration into cfg.
func (q Quickstart) Apply(cfg *Config) error {
	if q.SmartHost == "" {
		return nil
	}
	return errors.Join(cfg.Set("delivery.smarthost", q.SmartHost), cfg.Set("delivery.mode", string(gateway.ModeRelay)))
}

// RunQuickstart is the whole command: open, make what is missing, print through
// show, serve until ctx ends.
func RunQuickstart(ctx context.Context, cfg *Config, q Quickstart, log *slog.Logger, show func(*Banner) error) error {
	memory := limitMemory(cfg)
	g, err := Open(cfg, log, nil)
	if err != nil {
		return err
	}
	log.LogAttrs(ctx, slog.LevelDebug, "serving", memory) // people read the banner
	b, err := g.Start(ctx, q)
	if err != nil {
		return errors.Join(err, g.Close())
	}
	// A stop that is asked for while the keys are printed comes after the note
	// that they were.
	serving, cancel := context.WithCancel(context.WithoutCancel(ctx))
	defer cancel()
	ended := make(chan error, 1)
	go func() { ended <- g.Run(serving) }()
	if err = show(b); err == nil && b.Keys != nil {
		err = g.Shown(serving)
	}
	if err != nil {
		cancel()
	}
	defer context.AfterFunc(ctx, cancel)()
	return errors.Join(err, <-ended)
}

// Run is postern serve.
func Run(ctx context.Context, cfg *Config, log *slog.Logger) error {
	memory := limitMemory(cfg)
	g, err := Open(cfg, log, nil)
	if err != nil {
		return err
	}
	log.LogAttrs(ctx, slog.LevelInfo, "serving", slog.String("rest", g.URL()), slog.String("data", cfg.Data), memory)
	return g.Run(ctx)
}
