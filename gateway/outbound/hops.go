package outbound

import (
	"math/rand/v2"
	"sync"
	"time"

	"github.com/centerleap/postern/gateway"
)

// hops is what this process knows of the next hops: how many attempts run, and which hops
// are down. It is a memory of its own, since losing it costs a few attempts.
type hops struct {
	limits gateway.Limits

	mu       sync.Mutex
	running  int64
	byDomain map[gateway.DomainID]int64
	by       map[string]*hop
}

// hop is one next hop. Those that work and have no work are forgotten.
type hop struct {
	running int64
	busy    time.Time // since when there has been work
	faults  int       // attempts in a row that showed it down
	shut    int       // times in a row that it was shut
	until   time.Time // shut until then; after it one attempt probes
}

const (
	// faultsToShut is how many attempts in a row have to find a hop down. Ours: one may be
	// bad luck, and a third may already take as long as two.
	faultsToShut = 3
	// shutFirst is how long a hop is left alone that is down; each time in a row doubles it,
	// up to shutMost. Ours: who waits for a mail waits little longer than the outage took.
	shutFirst = time.Minute
	shutMost  = time.Hour
	// rampStart is with how many attempts at once a hop is met, and rampStep how many more
	// each second of work adds: mail.md 4.4, "2 new connections per second".
	rampStart = 2
	rampStep  = 2
)

func newHops(l gateway.Limits) *hops {
	return &hops{limits: l, byDomain: make(map[gateway.DomainID]int64), by: make(map[string]*hop)}
}

// plan is what may be done about a hop now.
type plan struct {
	shut  time.Time // nothing before that; zero: it is not shut
	slots int       // attempts that may begin
	probe bool      // one message, to see whether the hop is back
	ramp  bool      // there are few slots only because the work has just begun
}

// plan says what mail of a domain may use of a hop.
func (h *hops) plan(name string, d gateway.DomainID, now time.Time) plan {
	h.mu.Lock()
	defer h.mu.Unlock()
	most := min(h.limits.QueueAttempts-h.running, h.limits.QueueDomain-h.byDomain[d])
	at := h.by[name]
	switch {
	case at == nil:
		return plan{slots: int(max(0, min(most, rampStart, h.limits.QueueSite)))}
	case now.Before(at.until):
		return plan{shut: at.until}
	case at.shut > 0:
		return plan{slots: int(max(0, min(most, 1-at.running))), probe: true}
	}
	ramp := rampStart + int64(now.Sub(at.busy).Seconds()*rampStep)
	if at.running == 0 {
		ramp = rampStart
	}
	allowed := min(ramp, h.limits.QueueSite)
	return plan{slots: int(max(0, min(most, allowed-at.running))), ramp: allowed < h.limits.QueueSite}
}

// free reports whether anything may begin at all.
func (h *hops) free() bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.running < h.limits.QueueAttempts
}

// enter counts attempts that begin, leave one that ended.
func (h *hops) enter(name string, d gateway.DomainID, n int, now time.Time) {
	h.mu.Lock()
	defer h.mu.Unlock()
	at := h.get(name)
	if at.running == 0 {
		at.busy = now
	}
	at.running += int64(n)
	h.running += int64(n)
	h.byDomain[d] += int64(n)
}

func (h *hops) leave(name string, d gateway.DomainID) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.running--
	if h.byDomain[d]--; h.byDomain[d] == 0 {
		delete(h.byDomain, d)
	}
	at := h.by[name]
	if at.running--; at.running == 0 && at.faults == 0 {
		delete(h.by, name)
	}
}

// get finds a hop, or begins to know it. Beyond the bound, one that is down is forgotten.
func (h *hops) get(name string) *hop {
	if at := h.by[name]; at != nil {
		return at
	}
	if int64(len(h.by)) >= h.limits.QueueSites {
		for other, at := range h.by {
			if at.running == 0 {
				delete(h.by, other)
				break
			}
		}
	}
	at := new(hop)
	h.by[name] = at
	return at
}

// works notes that a hop spoke SMTP with us.
func (h *hops) works(name string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if at := h.by[name]; at != nil {
		at.faults, at.shut, at.until = 0, 0, time.Time{}
	}
}

// down notes that a hop was not there; it returns until when it is left alone, which is
// the zero time while that may be bad luck.
func (h *hops) down(name string, now time.Time) time.Time {
	h.mu.Lock()
	defer h.mu.Unlock()
	at := h.get(name)
	at.faults++
	if now.Before(at.until) || at.shut == 0 && at.faults < faultsToShut {
		return at.until // shut by another attempt that ran beside this one
	}
	wait := min(shutMost, shutFirst<<min(at.shut, 10))
	at.shut++
	at.until = now.Add(jittered(wait, jitter())).Truncate(time.Millisecond) // as the store keeps it
	return at.until
}

// retry has a hop tried again at once.
func (h *hops) retry(name string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if at := h.by[name]; at != nil {
		at.until = time.Time{}
	}
}

// shutUntil is until when a hop is left alone; the zero time if it is not.
func (h *hops) shutUntil(name string, now time.Time) time.Time {
	h.mu.Lock()
	defer h.mu.Unlock()
	if at := h.by[name]; at != nil && now.Before(at.until) {
		return at.until
	}
	return time.Time{}
}

// jitter is a factor of +-10 %, so that a site isn't met by all at once.
func jitter() float64 { return 0.9 + rand.Float64()*0.2 }

func jittered(d time.Duration, by float64) time.Duration { return time.Duration(float64(d) * by) }
