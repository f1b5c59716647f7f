// Package rest is the HTTP door: the API guide's routes and those it needs
// around them. It translates; who may do what is in the table of routes.go, and
// what happens then is decided by the flows it calls.
//
// Shapes, names and limits of the guide hold to the letter. Two things are
// ours: every answer is JSON, errors included, and carries an X-Request-Id.
package rest

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
	"os"
	"slices"
	"sync/atomic"
	"time"

	"github.com/gofiber/fiber/v2"
	"github.com/google/uuid"

	"github.com/centerleap/postern/gateway"
	"github.com/centerleap/postern/gateway/domains"
	"github.com/centerleap/postern/gateway/keys"
	"github.com/centerleap/postern/gateway/mailbox"
	"github.com/centerleap/postern/gateway/outbound"
)

// Activity is the log of who did what.
type Activity interface {
	Add(row gateway.Activity)
	// List returns a page of rows; more says that there may be others.
	List(ctx context.Context, s gateway.Scope, f gateway.ActivityFilter) (rows []gateway.Activity, more bool, err error)
	// Table is List as CSV, which has more rows.
	Table(ctx context.Context, s gateway.Scope, f gateway.ActivityFilter) (table []byte, more bool, err error)
	Get(ctx context.Context, s gateway.Scope, d gateway.DomainID, id gateway.ID) (*gateway.Activity, error)
}

// Instance is what an operator may do to the gateway as a whole.
type Instance interface {
	DeliveryMode(ctx context.Context) (gateway.DeliveryMode, error)
	SetDeliveryMode(ctx context.Context, m gateway.DeliveryMode) error
	// DeleteDomain removes a domain, by its id or name, with all that is in it.
	DeleteDomain(ctx context.Context, s gateway.Scope, idOrName string) error
	// DeleteAccount removes an account, by its address or an alias, with all that is
	// in it.
	DeleteAccount(ctx context.Context, s gateway.Scope, email string) (*gateway.Account, error)
	// Backup writes the whole gateway; what was written is a backup only if it
	// returns nil.
	Backup(ctx context.Context, w io.Writer) error
}

// Streams follows an account's events.
type Streams interface {
	Follow(ctx context.Context, s gateway.Scope, d gateway.DomainID, a gateway.AccountID) (gateway.Follower, error)
	Resume(ctx context.Context, s gateway.Scope, d gateway.DomainID, a gateway.AccountID, after uint64) (gateway.Follower, error)
}

// Config of a Server. All but the defaults named is required.
type Config struct {
	Sender   *outbound.Sender
	Mail     *mailbox.Mail
	Keys     *keys.Keys
	Domains  *domains.Domains
	Activity Activity
	Instance Instance
	Streams  Streams
	Plugins  Plugins
	Webhooks Webhooks
	Uploads  *gateway.Slots // of modules
	Replays  *gateway.Slots
	Remote   Fetcher // default: none; attachments[].path is then refused
	Ready    func() error
	Local    gateway.Scope // of callers at ServeLocal
	URL      string        // that links in answers begin with; default: the request's own scheme and host
	Here     func() string // that links begin with which no request asks for, without URL; default: nothing
	Origins  []string      // of pages whose scripts may read answers; default: none
	// Pages adds what else the listener answers, before REST's routes; not at ServeLocal.
	// base is the parent of its requests' contexts, and what streams ends when stopping
	// is closed. Default: nothing.
	Pages    func(base context.Context, app fiber.Router, stopping <-chan struct{})
	Limits   gateway.Limits
	SpoolDir string           // for attachments while a request is read
	Log      *slog.Logger     // default: slog.Default()
	Now      func() time.Time // default: time.Now
}

// Server is the door.
type Server struct {
	cfg       Config
	openapi   []byte
	sends     *gateway.Slots
	claims    claims
	backingUp atomic.Bool
}

// New checks cfg, empties the spool folder, and starts nothing.
func New(cfg Config) (*Server, error) {
	if cfg.Sender == nil || cfg.Mail == nil || cfg.Keys == nil || cfg.Domains == nil || cfg.Activity == nil || cfg.Instance == nil || cfg.Streams == nil || cfg.Plugins == nil || cfg.Webhooks == nil || cfg.Uploads == nil || cfg.Replays == nil ||
		cfg.Ready == nil || cfg.SpoolDir == "" || cfg.Limits == (gateway.Limits{}) || cfg.Local.Level() != gateway.LevelInstance {
		return nil, errors.New("rest: a required field of Config is missing")
	}
	if cfg.Log == nil {
		cfg.Log = slog.Default()
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	if err := errors.Join(os.RemoveAll(cfg.SpoolDir), os.MkdirAll(cfg.SpoolDir, 0o700)); err != nil {
		return nil, err
	}
	doc, err := openapiJSON()
	if err != nil {
		return nil, err
	}
	return &Server{
		cfg: cfg, openapi: doc, sends: gateway.NewSlots(cfg.Limits.SendsAtOnce, "large emails are being sent", time.Second),
	}, nil
}

const (
	// headerTimeout is how long a client may take over a request's header; it
	// also ends connections that say nothing.
	headerTimeout = 20 * time.Second
	// idleTimeout is how long a kept connection waits for its next request.
	idleTimeout = 60 * time.Second
	// headerBuffer bounds a request's header, and its URL with it.
	headerBuffer = 16 << 10
	// prereadBody is how much of a body is read before a handler runs; the rest
	// streams.
	prereadBody = 16 << 10
)

// Serve answers on ln until ctx ends, then drains. It closes ln.
func (s *Server) Serve(ctx context.Context, ln net.Listener) error { return s.serve(ctx, ln, false) }

// ServeLocal is Serve for the operator's socket: whoever connects has the scope
// of Config.Local. The caller lets nobody else connect.
func (s *Server) ServeLocal(ctx context.Context, ln net.Listener) error {
	return s.serve(ctx, ln, true)
}

func (s *Server) serve(ctx context.Context, ln net.Listener, local bool) error {
	work, cancel := context.WithCancel(context.WithoutCancel(ctx))
	defer cancel()
	app := s.app(work, ctx.Done(), local)
	tracked := newTracked(ln)
	ended := make(chan error, 1)
	go func() { ended <- app.Listener(tracked) }()
	select {
	case err := <-ended:
		return err
	case <-ctx.Done():
	}
	tracked.refuse() // a client that connects now is told by its own dial
	drain, stop := context.WithTimeout(work, gateway.DrainTimeout)
	defer stop()
	tracked.closeIdle()
	err := app.ShutdownWithContext(drain)
	tracked.closeAll()
	if errors.Is(err, context.DeadlineExceeded) {
		s.cfg.Log.LogAttrs(ctx, slog.LevelWarn, "requests were cut at the end of the drain")
		err = nil
	}
	if err = errors.Join(err, <-ended); errors.Is(err, net.ErrClosed) {
		return nil // it was closed above
	}
	return err
}

// app builds fiber with every route. base is the parent of all requests'
// contexts: fiber never cancels one when its client leaves. Streams end when
// stopping is closed.
func (s *Server) app(base context.Context, stopping <-chan struct{}, local bool) *fiber.App {
	all := slices.Concat(routes, resendRoutes)
	app := fiber.New(fiber.Config{
		Immutable:         true, // strings of a request stay what they are
		StreamRequestBody: true, // bodies only through our capped reader
		BodyLimit:         prereadBody,
		// Else all files of a form are on the disk before it is known who sends them.
		DisablePreParseMultipartForm: true,
		ReadBufferSize:               headerBuffer,
		ReadTimeout:                  headerTimeout,
		IdleTimeout:                  idleTimeout,
		DisableStartupMessage:        true,
		JSONEncoder:                  encodeJSON,
		ErrorHandler: func(c *fiber.Ctx, err error) error {
			return s.answerError(&call{c: c, id: requestID(c)}, routeError(err))
		},
	})
	if s.cfg.Pages != nil && !local {
		s.cfg.Pages(base, app, stopping) // before cors: other origins have no business there
	}
	if len(s.cfg.Origins) > 0 && !local {
		app.Use(s.cors)
	}
	for i := range all {
		r := &all[i]
		h := func(c *fiber.Ctx) error { return s.run(base, stopping, c, r, local) }
		app.Add(r.Method, r.Path, h)
		if r.Method == fiber.MethodGet {
			app.Head(r.Path, h)
		}
	}
	app.Use(func(c *fiber.Ctx) error { return s.noRoute(c) })
	return app
}

// call is one request on its way through a handler. It does not outlive it.
type call struct {
	c       *fiber.Ctx
	ctx     context.Context
	id      string
	route   *route
	session *keys.Session // nil at the operator's socket and on open routes
	scope   gateway.Scope
	token   string          // in the query: of a stream, where a key can't be sent
	ticket  *mailbox.Ticket // of a stream's token, shown instead of a key
	stop    <-chan struct{} // closed when the door stops
	row     gateway.Activity
	logged  bool           // the row is in a commit already
	opened  bool           // the body is, or was, read
	used    gateway.Usage  // the key's hour, as far as this request knows it
	left    keys.Allowance // of the requests of the route's class
}

// run takes one request through authentication, its handler and the log.
func (s *Server) run(base context.Context, stopping <-chan struct{}, c *fiber.Ctx, r *route, local bool) (err error) {
	ctx, cancel := context.WithTimeout(base, gateway.BodyTimeout+gateway.RequestTimeout)
	defer cancel()
	k := &call{c: c, ctx: ctx, id: requestID(c), route: r, stop: stopping, token: c.Query("token")}
	k.row = gateway.Activity{Protocol: "rest", Method: c.Method(), Endpoint: r.Path, IP: c.IP(), UserAgent: clip(c.Get("User-Agent"), 200)}
	defer func() {
		if p := recover(); p != nil {
			err = s.answerError(k, s.panicked(p))
		}
		if k.session != nil {
			s.rateHeaders(k)
			k.session.Close()
		}
		s.logCall(k)
	}()
	if err := s.authenticate(k, local); err != nil {
		return s.answerError(k, err)
	}
	if err := r.Handle(s, k); err != nil {
		k.unread(err)
		return s.answerError(k, err)
	}
	k.row.Status = c.Response().StatusCode()
	return nil
}

// requestID gives each request one id, which its answer and log line carry.
func requestID(c *fiber.Ctx) string {
	if id := c.GetRespHeader("X-Request-Id"); id != "" {
		return id
	}
	id := uuid.Must(uuid.NewV7()).String()
	c.Set("X-Request-Id", id)
	return id
}

// logCall leaves the row of a request that showed a key or a link, or failed to show
// a key.
func (s *Server) logCall(k *call) {
	if k.route.Who == open && k.row.Domain == 0 || k.logged {
		return
	}
	s.cfg.Activity.Add(k.row)
}

func clip(v string, n int) string { return v[:min(len(v), n)] }
