// Package dashboard is the door for people: pages under /ui/ that show what a key
// may see and change what it may change. Like the other doors it translates; what
// happens is decided by the flows it calls.
//
// Pages are html/template, embedded, and complete without JavaScript: every form is
// a form. Scripts of static/ only spare clicks. Who signs in shows a full-access key,
// or the link that quickstart prints once, and sees what that key sees; the session
// ends with the key.
//
// Where to look: routes.go is the table of pages, visit.go what happens to each
// request, session.go who is signed in, and a file for each subject, whose
// templates bear its name in pages/.
package dashboard

import (
	"context"
	"errors"
	"html/template"
	"io"
	"io/fs"
	"log/slog"
	"net/http"
	"sync"
	"time"

	"github.com/gofiber/fiber/v2"

	"github.com/centerleap/postern/gateway"
	"github.com/centerleap/postern/gateway/domains"
	"github.com/centerleap/postern/gateway/keys"
	"github.com/centerleap/postern/gateway/mailbox"
	"github.com/centerleap/postern/gateway/outbound"
)

// Activity is the log of who did what.
type Activity interface {
	Add(row gateway.Activity)
	// List returns a page of rows; more says that there may be others. Table is the same
	// as CSV, with more rows.
	List(ctx context.Context, s gateway.Scope, f gateway.ActivityFilter) (rows []gateway.Activity, more bool, err error)
	Table(ctx context.Context, s gateway.Scope, f gateway.ActivityFilter) (table []byte, more bool, err error)
}

// Tallies count what happens in domains.
type Tallies interface {
	// Of is what happened in a domain, and how many events are not counted yet.
	Of(ctx context.Context, s gateway.Scope, d gateway.DomainID) (t gateway.Tally, behind uint64, err error)
}

// Instance is the gateway as a whole.
type Instance interface {
	// Ready is nil while mail and changes are accepted.
	Ready() error
	DeliveryMode(ctx context.Context) (gateway.DeliveryMode, error)
	SetDeliveryMode(ctx context.Context, m gateway.DeliveryMode) error
	Version() string
	Listeners() []gateway.Listener
}

// Streams follow what happens.
type Streams interface {
	// Follow follows an account from now on, Resume from behind a sequence; ErrTrimmed when
	// there is no such place any more.
	Follow(ctx context.Context, s gateway.Scope, d gateway.DomainID, a gateway.AccountID) (gateway.Follower, error)
	Resume(ctx context.Context, s gateway.Scope, d gateway.DomainID, a gateway.AccountID, after uint64) (gateway.Follower, error)
	// FollowDomain follows all of a domain, from behind a sequence unless that is nil.
	FollowDomain(ctx context.Context, s gateway.Scope, d gateway.DomainID, after *uint64) (gateway.Follower, error)
	// Recent are the newest events of an account, or with 0 of all of a domain, the newest
	// first.
	Recent(ctx context.Context, s gateway.Scope, d gateway.DomainID, a gateway.AccountID, most int) ([]gateway.Event, error)
}

// Images gets what is at an address that somebody else chose: https, never on the inside
// of the operator's network, at most most bytes. safehttp.Client is one.
type Images interface {
	Fetch(ctx context.Context, address string, most int64, w io.Writer) (gateway.Fetched, error)
}

// Config of a Dashboard. All but the defaults named is required.
type Config struct {
	Sender   *outbound.Sender
	Mail     *mailbox.Mail
	Keys     *keys.Keys
	Domains  *domains.Domains
	Activity Activity
	Tallies  Tallies
	Instance Instance
	Streams  Streams
	Plugins  Plugins
	Webhooks Webhooks
	Images   Images         // that mail shows from elsewhere, if its reader asks
	Uploads  *gateway.Slots // of modules
	Replays  *gateway.Slots
	// Hosts are the names that a browser may know the dashboard by, without ports;
	// loopback's are always among them. Others are refused: a page of somebody else's
	// name that leads here, as DNS rebinding has it, gets nothing.
	Hosts []string
	// Submission is where the submission door listens, and SMTPUsername the username
	// there: for the lines to paste.
	Submission   func() string
	SMTPUsername string
	Limits       gateway.Limits
	Log          *slog.Logger     // default: slog.Default()
	Now          func() time.Time // default: time.Now
}

// Dashboard is the door.
type Dashboard struct {
	cfg      Config
	hosts    map[string]bool
	pages    func() (map[string]*template.Template, error) // read when somebody first looks: they take some MiB
	assets   assets
	origins  *http.CrossOriginProtection
	visitors visitors
	pictures *pictures
	links    links
}

// complete reports whether all is there that is required.
func (c *Config) complete() bool {
	return c.Sender != nil && c.Mail != nil && c.Keys != nil && c.Domains != nil && c.Activity != nil &&
		c.Tallies != nil && c.Instance != nil && c.Streams != nil && c.Plugins != nil && c.Webhooks != nil && c.Uploads != nil && c.Replays != nil &&
		c.Images != nil &&
		c.Submission != nil && c.Limits != (gateway.Limits{})
}

// New checks cfg. It starts nothing.
func New(cfg Config) (*Dashboard, error) {
	if !cfg.complete() {
		return nil, errors.New("dashboard: a required field of Config is missing")
	}
	if cfg.Log == nil {
		cfg.Log = slog.Default()
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	static, err := fs.Sub(files, "static")
	if err != nil {
		return nil, err
	}
	d := &Dashboard{cfg: cfg, hosts: hosts(cfg.Hosts), origins: http.NewCrossOriginProtection()}
	if d.pictures, err = newPictures(cfg.Limits); err != nil {
		return nil, err
	}
	if d.assets, err = newAssets(static); err != nil {
		return nil, err
	}
	d.pages = sync.OnceValues(func() (map[string]*template.Template, error) { return d.parse(files) })
	return d, nil
}

// Mount adds every page to the app of a listener. base is the parent of all
// requests' contexts; what streams ends when stopping is closed.
func (d *Dashboard) Mount(base context.Context, app fiber.Router, stopping <-chan struct{}) {
	for i := range routes {
		r := &routes[i]
		h := func(c *fiber.Ctx) error { return d.run(base, stopping, c, r) }
		if app.Add(r.Method, prefix+r.Path, h); r.Method == get {
			app.Head(prefix+r.Path, h)
		}
	}
	app.Use(prefix, func(c *fiber.Ctx) error { return d.run(base, stopping, c, &nowhere) })
}

// prefix is where the dashboard begins.
const prefix = "/ui"

// clock is the time, for tests one of their own.
func (d *Dashboard) clock() time.Time { return d.cfg.Now().UTC() }
