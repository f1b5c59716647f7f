package guard

import (
	"net/netip"
	"sync"
	"time"
)

// networks counts open and new connections per network: an IPv4 address, or an
// IPv6 /64, which is the least that one customer has.
type networks struct {
	mu      sync.Mutex
	byNet   map[netip.Prefix]*visits
	open    int64
	most    int64 // open, all together
	perNet  int64 // open, of one network
	perMin  int64 // new in a minute, of one network
	exempt  bool
	now     func() time.Time
	cleaned time.Time
}

type visits struct {
	open, fresh int64
	since       time.Time // of fresh
}

func (n *networks) init(cfg Config) {
	n.byNet = make(map[netip.Prefix]*visits)
	n.most, n.perNet, n.perMin = cfg.Limits.Connections, cfg.Limits.NetworkConnections, cfg.Limits.NetworkConnects
	n.exempt, n.now = cfg.ExemptLoopback, cfg.Now
}

// enter counts one connection; release takes it back.
func (n *networks) enter(ip string) (release func(), ok bool) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.open >= n.most {
		return nil, false
	}
	p, known := prefix(ip)
	if !known || n.exempt && p.Addr().IsLoopback() {
		n.open++
		return func() { n.leave(nil) }, true
	}
	now := n.now()
	n.clean(now)
	v := n.byNet[p]
	if v == nil {
		v = &visits{since: now}
		n.byNet[p] = v
	}
	if now.Sub(v.since) >= time.Minute {
		v.fresh, v.since = 0, now
	}
	if v.open >= n.perNet || v.fresh >= n.perMin {
		return nil, false
	}
	n.open++
	v.open++
	v.fresh++
	return func() { n.leave(v) }, true
}

func (n *networks) leave(v *visits) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.open--
	if v != nil {
		v.open--
	}
}

// clean forgets, once a minute, the networks that were quiet for one. mu is held.
func (n *networks) clean(now time.Time) {
	if now.Sub(n.cleaned) < time.Minute {
		return
	}
	n.cleaned = now
	for p, v := range n.byNet {
		if v.open == 0 && now.Sub(v.since) >= time.Minute {
			delete(n.byNet, p)
		}
	}
}

func prefix(ip string) (netip.Prefix, bool) {
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
