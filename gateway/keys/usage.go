package keys

import (
	"context"
	"log/slog"
	"maps"
	"net/netip"
	"slices"
	"sync"
	"time"

	"github.com/centerleap/postern/gateway"
)

const (
	// flushEvery is how often last-used times are stored, all together.
	flushEvery = time.Second
	// touchEvery is how often one key's is: an idle disk is worth more than the
	// exact second.
	touchEvery = time.Minute
	// maxNetworks bounds the networks whose failed logins are counted.
	maxNetworks = 100_000
)

// touch notes that a key was used.
func (k *Keys) touch(key *gateway.Key, now time.Time) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if now.Sub(k.flushed[key.ID]) >= touchEvery {
		k.touched[key.ID] = gateway.KeyUse{ID: key.ID, Domain: key.Domain, At: now}
	}
}

// Run stores last-used times until ctx ends, and then what is left.
func (k *Keys) Run(ctx context.Context) error {
	tick := time.NewTicker(flushEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			k.flush(context.WithoutCancel(ctx))
			return nil
		case <-tick.C:
			k.flush(ctx)
		}
	}
}

func (k *Keys) flush(ctx context.Context) {
	k.mu.Lock()
	batch := k.touched
	k.touched = make(map[gateway.ID]gateway.KeyUse)
	uses := slices.Collect(maps.Values(batch))
	for _, u := range uses {
		k.flushed[u.ID] = u.At
	}
	for id, at := range k.flushed { // keys that went quiet
		if k.cfg.Now().Sub(at) > 2*touchEvery {
			delete(k.flushed, id)
		}
	}
	k.mu.Unlock()
	k.requests.forget(k.cfg.Now())
	if len(batch) == 0 {
		return
	}
	if err := k.cfg.Store.TouchKeys(ctx, System(), uses); err != nil {
		k.cfg.Log.LogAttrs(ctx, slog.LevelWarn, "last-used times not stored", slog.Int("keys", len(batch)), slog.Any("err", err))
	}
}

// attempts counts failed logins by network, over all doors.
type attempts struct {
	mu     sync.Mutex
	byNet  map[netip.Prefix]*failures
	minute int
	day    int
	exempt bool
	now    func() time.Time
}

type failures struct {
	minute, day       int
	minuteAt, dayFrom time.Time
}

func (a *attempts) init(cfg Config) {
	a.byNet = make(map[netip.Prefix]*failures)
	a.minute, a.day = int(cfg.Limits.FailedLoginsMinute), int(cfg.Limits.FailedLoginsDay)
	a.exempt, a.now = cfg.ExemptLoopback, cfg.Now
}

// network is what counts as one caller: an IPv4 address, or an IPv6 /64, which
// is the least that one customer has.
func network(ip string) (netip.Prefix, bool) {
	a, err := netip.ParseAddr(ip)
	if err != nil {
		return netip.Prefix{}, false
	}
	a = a.Unmap().WithZone("")
	bits := 32
	if a.Is6() {
		bits = 64
	}
	p, err := a.Prefix(bits)
	return p, err == nil
}

// Allow fails with RateLimited when a network has failed too often to log in.
func (k *Keys) Allow(ip string) error {
	a := &k.attempts
	net, ok := network(ip)
	if !ok || a.exempt && net.Addr().IsLoopback() {
		return nil
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	f := a.byNet[net]
	if f == nil {
		return nil
	}
	now := a.now()
	f.roll(now)
	var wait time.Duration
	switch {
	case f.day >= a.day:
		wait = f.dayFrom.Add(24 * time.Hour).Sub(now)
	case f.minute >= a.minute:
		wait = f.minuteAt.Add(time.Minute).Sub(now)
	default:
		return nil
	}
	return &gateway.Error{
		Kind: gateway.RateLimited, Limit: "failed_logins", Retry: wait, Reason: "too many failed logins",
		Message: "too many failed logins from your network; wait before the next",
	}
}

func (f *failures) roll(now time.Time) {
	if now.Sub(f.minuteAt) >= time.Minute {
		f.minute, f.minuteAt = 0, now
	}
	if now.Sub(f.dayFrom) >= 24*time.Hour {
		f.day, f.dayFrom = 0, now
	}
}

// Failed counts a failed login of a network.
func (k *Keys) Failed(ip string) {
	a := &k.attempts
	net, ok := network(ip)
	if !ok {
		return
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	now := a.now()
	f := a.byNet[net]
	if f == nil {
		if len(a.byNet) >= maxNetworks {
			a.forget(now)
		}
		f = &failures{minuteAt: now, dayFrom: now}
		a.byNet[net] = f
	}
	f.roll(now)
	f.minute++
	f.day++
}

// forget makes room: networks whose day has passed go, and if none has, any one
// does. mu is held.
func (a *attempts) forget(now time.Time) {
	for net, f := range a.byNet {
		if now.Sub(f.dayFrom) >= 24*time.Hour {
			delete(a.byNet, net)
		}
	}
	for net := range a.byNet {
		if len(a.byNet) < maxNetworks {
			return
		}
		delete(a.byNet, net)
	}
}
