package rest

import (
	"fmt"
	"math"
	"strings"
	"time"

	"github.com/centerleap/postern/gateway"
	"github.com/centerleap/postern/gateway/keys"
)

// rate is one limit of a key, as its answers show it.
type rate struct {
	name       string
	most, left int64
	window     time.Duration
	reset      time.Duration
}

// counted notes the key's hour after a send; a draft counts as nothing.
func (k *call) counted(u gateway.Usage) {
	if !u.Opened.IsZero() {
		k.used = u
	}
}

// rates are the limits that hold for a call; those that are off are left out. The
// hours of an instance key are one for each domain: they are known after a send.
func (s *Server) rates(k *call) (all []rate) {
	key, now := k.session.Key(), s.cfg.Now()
	if used := k.used.At(now); key.Level != gateway.LevelInstance || !used.Opened.IsZero() {
		reset := gateway.Window // of an hour that would open now
		if !used.Opened.IsZero() {
			reset = used.Opened.Add(gateway.Window).Sub(now)
		}
		all = append(all,
			rate{"emails", key.Limits.Messages, key.Limits.Messages - used.Messages, gateway.Window, reset},
			rate{"recipients", key.Limits.Recipients, key.Limits.Recipients - used.Recipients, gateway.Window, reset})
	}
	all = append(all, rate{k.route.Class.String(), k.left.Most, k.left.Left, keys.RequestWindow, k.left.Reset})
	kept := all[:0]
	for _, r := range all {
		if r.most > 0 {
			kept = append(kept, r)
		}
	}
	return kept
}

// rateHeaders tell a key what it has left: the fields of
// draft-ietf-httpapi-ratelimit-headers for every limit, and the older trio, which
// has room for one, for the guide's.
func (s *Server) rateHeaders(k *call) {
	var policies, states []string
	for _, r := range s.rates(k) {
		left, reset := max(0, r.left), seconds(r.reset)
		policies = append(policies, fmt.Sprintf(`"%s";q=%d;w=%d`, r.name, r.most, seconds(r.window)))
		states = append(states, fmt.Sprintf(`"%s";r=%d;t=%d`, r.name, left, reset))
		if r.name == "emails" {
			k.c.Set("RateLimit-Limit", fmt.Sprint(r.most))
			k.c.Set("RateLimit-Remaining", fmt.Sprint(left))
			k.c.Set("RateLimit-Reset", fmt.Sprint(reset))
		}
	}
	if len(policies) > 0 {
		k.c.Set("RateLimit-Policy", strings.Join(policies, ", "))
		k.c.Set("RateLimit", strings.Join(states, ", "))
	}
}

// seconds rounds up: who waits that long does not come too early.
func seconds(d time.Duration) int { return int(math.Ceil(max(d, 0).Seconds())) }
