// Package serve is the composition root: it opens the store, builds every room,
// starts the doors, and stops them in the other order. Only it knows them all.
package serve

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"path/filepath"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/centerleap/postern/gateway"
	"github.com/centerleap/postern/gateway/activity"
	"github.com/centerleap/postern/gateway/domains"
	"github.com/centerleap/postern/gateway/inbound"
	"github.com/centerleap/postern/gateway/keys"
	"github.com/centerleap/postern/gateway/mailbox"
	"github.com/centerleap/postern/gateway/outbound"
	"github.com/centerleap/postern/gateway/rest"
	"github.com/centerleap/postern/gateway/threading"
	"github.com/centerleap/postern/store"
	"github.com/centerleap/postern/store/badgerstore"
	"github.com/centerleap/postern/store/engine"
)

// Gateway is a whole gateway, built and not yet serving.
type Gateway struct {
	cfg    *Config
	log    *slog.Logger
	engine engine.Engine

	Store    *store.Store
	Keys     *keys.Keys
	Domains  *domains.Domains
	Activity *activity.Log
	Receiver *inbound.Receiver
	Sender   *outbound.Sender
	Mail     *mailbox.Mail
	rest     *rest.Server

	restListener net.Listener
	socket       net.Listener
	secure       bool // REST is https
	notes        []string
}

// Open opens the store in cfg.Data, builds every room, and listens. now may be
// nil. Close it, or Run it, which closes it.
func Open(cfg *Config, log *slog.Logger, now func() time.Time) (*Gateway, error) {
	if err := cfg.Check(); err != nil {
		return nil, err
	}
	if now == nil {
		now = time.Now
	}
	e, err := badgerstore.Open(badgerstore.Config{Dir: filepath.Join(cfg.Data, "store"), Log: log, Now: now})
	if err != nil {
		return nil, err
	}
	g := &Gateway{cfg: cfg, log: log, engine: e}
	if err := errors.Join(g.build(now), g.listen()); err != nil {
		return nil, errors.Join(err, g.Close())
	}
	return g, nil
}

// build makes every room, those that are called before those that call them.
func (g *Gateway) build(now func() time.Time) (err error) {
	lim := g.cfg.Limits
	if g.Store, err = store.New(g.engine, store.Config{Threading: threading.Rules{}, Limits: lim, Now: now}); err != nil {
		return err
	}
	if g.Keys, err = keys.New(keys.Config{Store: g.Store, Limits: lim, Log: g.log, Now: now, ExemptLoopback: g.cfg.local}); err != nil {
		return err
	}
	if g.Domains, err = domains.New(domains.Config{Store: g.Store, Limits: lim, Hostname: g.cfg.Hostname}); err != nil {
		return err
	}
	if g.Activity, err = activity.New(activity.Config{Store: g.Store, Scope: keys.System(), Limits: lim, Log: g.log, Now: now}); err != nil {
		return err
	}
	if g.Receiver, err = inbound.New(inbound.Config{
		Store: g.Store, System: keys.System(), Internal: keys.Internal, Hostname: g.cfg.Hostname, Limits: lim, Log: g.log, Now: now,
	}); err != nil {
		return err
	}
	if g.Sender, err = outbound.New(outbound.Config{
		Store: g.Store, Receiver: g.Receiver, System: keys.System(), Internal: keys.Internal, Mode: g.DeliveryMode, Limits: lim, Log: g.log, Now: now,
	}); err != nil {
		return err
	}
	if g.Mail, err = mailbox.New(mailbox.Config{Store: g.Store, Limits: lim}); err != nil {
		return err
	}
	g.rest, err = rest.New(rest.Config{
		Sender: g.Sender, Mail: g.Mail, Keys: g.Keys, Domains: g.Domains, Activity: g.Activity, Instance: g, Ready: g.Store.Ready,
		Local: keys.System(), Limits: lim, SpoolDir: filepath.Join(g.cfg.Data, "spool"), Log: g.log, Now: now,
	})
	return err
}

// listen opens REST and the operator's socket. Doors that are not built yet are
// named, so that nobody waits for them.
func (g *Gateway) listen() (err error) {
	if g.rest == nil {
		return nil // build has failed
	}
	for _, door := range Doors[1:] {
		if g.cfg.chosen[door+".listen"] && g.cfg.Listen[door] != "" {
			g.log.LogAttrs(context.Background(), slog.LevelWarn, "this door is not built yet", slog.String("door", door))
		}
	}
	if g.restListener, err = g.listenREST(); err != nil {
		return err
	}
	if g.cfg.CertFile != "" {
		cert, err := tls.LoadX509KeyPair(g.cfg.CertFile, g.cfg.KeyFile)
		if err != nil {
			return fmt.Errorf("tls: %w", err)
		}
		g.secure = true
		g.restListener = tls.NewListener(g.restListener, &tls.Config{Certificates: []tls.Certificate{cert}, MinVersion: tls.VersionTLS12})
	}
	g.socket, err = listenSocket(g.cfg.Data)
	return err
}

// listenREST takes the configured port; when nobody asked for that one and it is
// busy, the next free one.
func (g *Gateway) listenREST() (net.Listener, error) {
	addr := g.cfg.Listen["rest"]
	ln, err := net.Listen("tcp", addr)
	if err == nil || g.cfg.chosen["rest.listen"] || !g.cfg.local {
		return ln, err
	}
	host, port, _ := net.SplitHostPort(addr)
	first, _ := net.LookupPort("tcp", port)
	for p := first + 1; p < first+100; p++ {
		if ln, err := net.Listen("tcp", net.JoinHostPort(host, fmt.Sprint(p))); err == nil {
			g.notes = append(g.notes, fmt.Sprintf("Port %s is busy; REST is on %d instead.", port, p))
			return ln, nil
		}
	}
	return nil, err
}

// Snapshot writes a consistent copy of the whole store.
func (g *Gateway) Snapshot(ctx context.Context, w io.Writer) error { return g.engine.Snapshot(ctx, w) }

// URL is where REST answers.
func (g *Gateway) URL() string {
	scheme := "http"
	if g.secure {
		scheme = "https"
	}
	return scheme + "://" + g.restListener.Addr().String()
}

// Run serves until ctx ends or a part fails, then stops everything: doors first,
// then the flows behind them, then the store.
func (g *Gateway) Run(ctx context.Context) error {
	behind, stopBehind := context.WithCancel(context.WithoutCancel(ctx))
	defer stopBehind()
	doors, doorCtx := errgroup.WithContext(ctx)
	var flows errgroup.Group
	for _, run := range []func(context.Context) error{g.Keys.Run, g.Activity.Run, g.Sender.Run} {
		flows.Go(func() error { return run(behind) })
	}
	doors.Go(func() error { return g.rest.Serve(doorCtx, g.restListener) })
	doors.Go(func() error { return g.rest.ServeLocal(doorCtx, g.socket) })
	err := doors.Wait()
	stopBehind()
	return errors.Join(err, flows.Wait(), g.Close())
}

// Close releases the listeners and the store.
func (g *Gateway) Close() error {
	for _, ln := range []net.Listener{g.restListener, g.socket} {
		if ln != nil {
			_ = ln.Close() // Run has closed it, perhaps
		}
	}
	return g.engine.Close()
}

// settingMode is where go-live is remembered; it is stronger than the file.
const settingMode = "delivery_mode"

// DeliveryMode says what becomes of mail to foreign domains.
func (g *Gateway) DeliveryMode(ctx context.Context) (gateway.DeliveryMode, error) {
	v, err := g.Store.Setting(ctx, keys.System(), settingMode)
	if err != nil || v != "" {
		return gateway.DeliveryMode(v), err
	}
	return gateway.DeliveryMode(g.cfg.Mode), nil
}

// SetDeliveryMode changes it for mail accepted from now on.
func (g *Gateway) SetDeliveryMode(ctx context.Context, m gateway.DeliveryMode) error {
	switch m {
	case gateway.ModeCapture, gateway.ModeDirect:
	case gateway.ModeRelay:
		if g.cfg.SmartHost == "" {
			return gateway.Fieldf(gateway.InvalidParameter, "delivery_mode", "relay needs a smart host in the configuration")
		}
	default:
		return gateway.Fieldf(gateway.InvalidParameter, "delivery_mode", "delivery_mode is capture, direct or relay")
	}
	return g.Store.SetSetting(ctx, keys.System(), settingMode, string(m))
}
