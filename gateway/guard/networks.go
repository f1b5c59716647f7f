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
	refused int64 // refusals in a minute, of one network
	exempt  bool
	now     func() time.Time
	cleaned time.Time
}

type visits struct {
	open           int64
	fresh, refused int64
	since          time.Time // of fresh and refused
}

// roll starts the next minute, if it is time.
func (v *visits) roll(now time.Time) {
	if now.Sub(v.since) >= time.Minute {
		v.fresh, v.refused, v.since = 0, 0, now
	}
}

func (n *networks) init(cfg Config) {
	n.byNet = make(map[netip.Prefix]*visits)
	n.most, n.perNet, n.perMin = cfg.Limits.Connections, cfg.Limits.NetworkConnections, cfg.Limits.NetworkConnects
	n.refused = cfg.Limits.NetworkRefusals
	n.exempt, n.now = cfg.ExemptLoopback, cfg.Now
}

// enter counts one connection, which leave takes back. The visits are nil for who
// has no limit of its own.
func (n *networks) enter(ip string) (v *visits, ok bool) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.open >= n.most {
		return nil, false
	}
	p, known := prefix(ip)
	if !known || n.exempt && p.Addr().IsLoopback() {
		n.open++
		return nil, true
	}
	now := n.now()
	n.clean(now)
	if v = n.byNet[p]; v == nil {
		v = &visits{since: now}
		n.byNet[p] = v
	}
	v.roll(now)
	if v.open >= n.perNet || v.fresh >= n.perMin || v.refused >= n.refused {
		return nil, false
	}
	n.open++
	v.open++
	v.fresh++
	return v, true
}

// refuse counts one refusal, and reports whether the network had more than it may.
func (n *networks) refuse(v *visits) bool {
	if v == nil {
		return false
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	v.roll(n.now())
	v.refused++
	return v.refused >= n.refused
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
