// Package serve is the composition root: it opens the store, builds every room,
// starts the doors, and stops them in the other order. Only it knows them all.
package serve

import (
	"cmp"
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/url"
	"path/filepath"
	"time"

	"github.com/centerleap/postern/gateway"
	"github.com/centerleap/postern/gateway/activity"
	"github.com/centerleap/postern/gateway/content"
	"github.com/centerleap/postern/gateway/dashboard"
	"github.com/centerleap/postern/gateway/domains"
	"github.com/centerleap/postern/gateway/guard"
	"github.com/centerleap/postern/gateway/imapd"
	"github.com/centerleap/postern/gateway/inbound"
	"github.com/centerleap/postern/gateway/keys"
	"github.com/centerleap/postern/gateway/mailauth"
	"github.com/centerleap/postern/gateway/mailbox"
	"github.com/centerleap/postern/gateway/notify"
	"github.com/centerleap/postern/gateway/outbound"
	"github.com/centerleap/postern/gateway/resolve"
	"github.com/centerleap/postern/gateway/rest"
	"github.com/centerleap/postern/gateway/safehttp"
	"github.com/centerleap/postern/gateway/smtpd"
	"github.com/centerleap/postern/gateway/threading"
	"github.com/centerleap/postern/plugins"
	"github.com/centerleap/postern/store"
	"github.com/centerleap/postern/store/badgerstore"
	"github.com/centerleap/postern/store/engine"
)

// Gateway is a whole gateway, built and not yet serving.
type Gateway struct {
	cfg    *Config
	log    *slog.Logger
	now    func() time.Time
	engine engine.Engine

	Store    *store.Store
	Keys     *keys.Keys
	Domains  *domains.Domains
	Activity *activity.Log
	Receiver *inbound.Receiver
	Sender   *outbound.Sender
	Mail     *mailbox.Mail
	Events   *notify.Consumers // who tell plugins what happens
	Told     *notify.Consumers // who tell webhooks
	Ticks    *notify.Ticks     // who ask them at intervals
	Tallies  *notify.Tallies   // what happens by the hour
	rest     *rest.Server
	ui       *dashboard.Dashboard
	smtp     *smtpd.Server
	imap     *imapd.Server
	guard    *guard.Guard
	plugins  *plugins.Plugins
	hub      *notify.Hub
	webhooks *notify.Webhooks
	dns      *resolve.Resolver // nil: nobody is asked
	couriers *couriers
	cert     certificate

	uploads, replays *gateway.Slots // of all doors

	erased chan struct{}           // a domain was deleted
	doors  map[string]net.Listener // by name, as in Doors; only those that are open
	socket net.Listener
	secure bool // REST is https
	notes  []string
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
	if err := prepareData(cfg.Data); err != nil {
		return nil, err
	}
	store := badgerstore.Config{
		Dir: filepath.Join(cfg.Data, storeFolder), Log: log, Now: now, Reserve: cfg.DiskReserve, FeedRetention: days(cfg.FeedDays),
	}
	if !cfg.local {
		store.FillAhead = 256 << 20 // quickstart stays small
	}
	e, err := badgerstore.Open(store)
	if err != nil {
		return nil, err
	}
	g := &Gateway{cfg: cfg, log: log, now: now, engine: e, erased: make(chan struct{}, 1), doors: make(map[string]net.Listener)}
	if err = g.cert.configured(cfg); err == nil {
		err = g.build()
	}
	if err == nil {
		err = g.listen()
	}
	if err != nil {
		return nil, errors.Join(err, g.Close())
	}
	return g, nil
}

// build makes every room, those that are called before those that call them.
func (g *Gateway) build() (err error) {
	lim, now := g.cfg.Limits, g.now
	if g.dns, err = g.cfg.resolver(now); err != nil {
		return err
	}
	if g.Store, err = store.New(g.engine, store.Config{
		Threading: threading.Rules{}, Limits: lim, Now: now, ActivityRetention: days(g.cfg.ActivityDays), Log: g.log,
	}); err != nil {
		return err
	}
	if g.Keys, err = keys.New(keys.Config{Store: g.Store, Limits: lim, Log: g.log, Now: now, ExemptLoopback: g.cfg.local}); err != nil {
		return err
	}
	check, err := g.checker()
	if err != nil {
		return err
	}
	if err = g.buildDomains(check.mail); err != nil {
		return err
	}
	if g.Activity, err = activity.New(activity.Config{Store: g.Store, Scope: keys.System(), Limits: lim, Log: g.log, Now: now}); err != nil {
		return err
	}
	web, err := newPluginWeb(g.cfg, g.log)
	if err != nil {
		return err
	}
	if g.plugins, err = plugins.New(plugins.Config{
		Store: g.Store, Activity: g.Activity, Uploads: g.cfg.PluginUploads, Signers: g.cfg.PluginSigners, CacheDir: cmp.Or(g.cfg.PluginCache, filepath.Join(g.cfg.Data, "cache", "plugins")),
		Internal: keys.Internal, Check: g.cfg.PluginCheck,
		CheckHeaders: func(fields []gateway.HeaderField) error { return content.CheckHeaders(fields, lim) },
		ParseAddress: content.ParseAddress, CheckMail: func(c *gateway.Compose) error { return content.CheckCompose(c, lim) }, Web: web,
		Look: func(ctx context.Context, s gateway.Scope, e *gateway.Event) (*gateway.Look, error) {
			return g.Mail.LookAtEvent(ctx, s, e)
		},
		Changed: func(d gateway.DomainID) { g.Events.Refresh(d); g.Ticks.Wake() },
		Limits:  lim, Log: g.log, Now: now,
	}); err != nil {
		return err
	}
	if g.Receiver, err = inbound.New(inbound.Config{
		Store: g.Store, Checker: check, DMARC: inbound.DMARC(g.cfg.DMARC), Hooks: g.plugins, Router: router{g}, System: keys.System(), Internal: keys.Internal, Hostname: g.cfg.Hostname, Limits: lim, Log: g.log, Now: now,
	}); err != nil {
		return err
	}
	if err = g.buildCouriers(); err != nil {
		return err
	}
	if g.Sender, err = outbound.New(outbound.Config{
		Store: g.Store, Receiver: g.Receiver, Courier: g.couriers, Hooks: g.plugins, Said: g.plugins.Said, Signer: newSigners(g.Domains.SigningKeys, lim, now),
		System: keys.System(), Internal: keys.Internal, Hostname: g.cfg.Hostname, Mode: g.DeliveryMode, Limits: lim, Log: g.log, Now: now,
	}); err != nil {
		return err
	}
	if g.hub, err = notify.New(notify.Config{Store: g.Store, Internal: ofFeed, Log: g.log}); err != nil {
		return err
	}
	if g.Mail, err = mailbox.New(mailbox.Config{
		Store: g.Store, Streams: g.hub, Limits: lim, Log: g.log, Now: now, TrashRetention: days(g.cfg.TrashDays),
		System: keys.System(), Internal: keys.Internal,
	}); err != nil {
		return err
	}
	if g.Tallies, err = notify.NewTallies(notify.TalliesConfig{Store: g.Store, System: keys.System(), Internal: keys.Internal, Log: g.log}); err != nil {
		return err
	}
	slots := notify.NewSlots(int(lim.PluginEventCalls))
	if g.Ticks, err = notify.NewTicks(notify.TicksConfig{
		Store: g.Store, Ticker: g.plugins, Job: "notify/ticks", System: keys.System(), Internal: keys.Internal, Slots: slots, Log: g.log, Now: now,
	}); err != nil {
		return err
	}
	if g.Events, err = notify.NewConsumers(notify.ConsumersConfig{
		Store: g.Store, Teller: g.plugins, Job: "notify/plugins", System: keys.System(), Internal: keys.Internal,
		Slots: slots, Attempts: lim.EventAttempts, Limits: lim, Log: g.log, Now: now,
	}); err != nil {
		return err
	}
	if err = g.buildWebhooks(); err != nil {
		return err
	}
	if g.guard, err = guard.New(guard.Config{Limits: lim, Log: g.log, Now: now, ExemptLoopback: g.cfg.local}); err != nil {
		return err
	}
	if g.smtp, err = smtpd.New(smtpd.Config{
		Guard: g.guard, Keys: g.Keys, Domains: g.Domains, Receiver: g.Receiver, Sender: g.Sender, Activity: g.Activity,
		Hostname: g.cfg.Hostname, Username: g.cfg.SMTPUsername, TLS: g.mailTLS(), Limits: lim, Log: g.log, Now: now,
		BannerWait: time.Duration(g.cfg.BannerMillis) * time.Millisecond,
	}); err != nil {
		return err
	}
	if g.imap, err = imapd.New(imapd.Config{
		Guard: g.guard, Keys: g.Keys, Domains: g.Domains, Mail: g.Mail, Activity: g.Activity,
		Username: g.cfg.SMTPUsername, TLS: g.mailTLS(), Limits: lim, Hidden: g.cfg.HiddenIMAP, Version: g.cfg.Version, Log: g.log, Now: now,
	}); err != nil {
		return err
	}
	g.uploads = gateway.NewSlots(lim.PluginUploads, "plugins are being uploaded", 2*time.Second)
	g.replays = gateway.NewSlots(lim.ReplaysAtOnce, "replays are under way", 5*time.Second)
	if err = g.buildDashboard(); err != nil {
		return err
	}
	return g.buildREST()
}

func (g *Gateway) buildDomains(published *mailauth.Checker) (err error) {
	c := domains.Config{
		Store: g.Store, Reader: published, Limits: g.cfg.Limits, Hostname: g.cfg.Hostname, System: keys.System(), Log: g.log, Now: g.now,
	}
	if g.dns != nil { // a nil one is no interface without a value
		c.Resolver = g.dns
	}
	g.Domains, err = domains.New(c)
	return err
}

func (g *Gateway) buildDashboard() (err error) {
	hosts := append([]string{g.cfg.Hostname}, g.cfg.DashboardHosts...)
	if u, err := url.Parse(g.cfg.RESTURL); err == nil && u.Hostname() != "" {
		hosts = append(hosts, u.Hostname())
	}
	// Mail names these addresses, so this machine is not among them, in quickstart neither.
	images, err := safehttp.New(safehttp.Config{Allow: g.cfg.HTTPAllow, Log: g.log})
	if err != nil {
		return err
	}
	g.ui, err = dashboard.New(dashboard.Config{
		Sender: g.Sender, Mail: g.Mail, Keys: g.Keys, Domains: g.Domains, Activity: g.Activity, Webhooks: g.webhooks, Uploads: g.uploads, Replays: g.replays, Hosts: hosts,
		Tallies: g.Tallies, Instance: g, Streams: g.hub, Plugins: g.plugins,
		Images:     images,
		Submission: func() string { return g.Addr("submission") }, SMTPUsername: g.cfg.SMTPUsername, Limits: g.cfg.Limits, Log: g.log, Now: g.now,
	})
	return err
}

func (g *Gateway) buildREST() (err error) {
	c := rest.Config{
		Sender: g.Sender, Mail: g.Mail, Keys: g.Keys, Domains: g.Domains, Activity: g.Activity, Instance: g, Streams: g.hub, Plugins: g.plugins, Webhooks: g.webhooks, Uploads: g.uploads, Replays: g.replays, Ready: g.Store.Ready,
		Local: keys.System(), URL: g.cfg.RESTURL, Here: g.URL, Pages: g.ui.Mount, Origins: g.cfg.Origins, Limits: g.cfg.Limits, SpoolDir: filepath.Join(g.cfg.Data, "spool"), Log: g.log, Now: g.now,
	}
	if g.cfg.RemoteAttachments {
		// In quickstart a developer's own server is as far away as any.
		if c.Remote, err = safehttp.New(safehttp.Config{AllowLoopback: g.cfg.local, Allow: g.cfg.HTTPAllow, Log: g.log}); err != nil {
			return err
		}
	}
	g.rest, err = rest.New(c)
	return err
}

// days is a number of them as a time; none is 0, which each room reads its way.
func days(n int64) time.Duration { return time.Duration(n) * 24 * time.Hour }

// Snapshot writes a consistent copy of the whole store.
func (g *Gateway) Snapshot(ctx context.Context, w io.Writer) error { return g.engine.Snapshot(ctx, w) }

// Close releases the listeners and the store.
func (g *Gateway) Close() error {
	for _, ln := range g.doors {
		_ = ln.Close() // Run has closed it, perhaps
	}
	if g.socket != nil {
		_ = g.socket.Close()
	}
	if g.couriers != nil && g.couriers.direct != nil {
		g.couriers.close()
	}
	var err error
	if g.plugins != nil {
		err = g.plugins.Close()
	}
	return errors.Join(err, g.engine.Close())
}

// Ready is nil while mail and changes are accepted.
func (g *Gateway) Ready() error { return g.Store.Ready() }

// Version is that of the program.
func (g *Gateway) Version() string { return g.cfg.Version }

// Listeners are the doors, and where they listen.
func (g *Gateway) Listeners() (all []gateway.Listener) {
	for _, door := range built {
		all = append(all, gateway.Listener{Name: door, Address: g.Addr(door)})
	}
	return all
}

// settingMode is where go-live is remembered; it is stronger than the file.
const settingMode = "delivery_mode"

// DeliveryMode says what becomes of mail to foreign domains.
func (g *Gateway) DeliveryMode(ctx context.Context) (gateway.DeliveryMode, error) {
	v, err := g.Store.Setting(ctx, keys.System(), settingMode)
	if v == "" || v == string(gateway.ModeRelay) && g.cfg.SmartHost == "" {
		v = g.cfg.Mode
	}
	return gateway.DeliveryMode(v), err
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
