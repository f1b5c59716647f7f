package outbound

import (
	"math/rand/v2"
	"time"

	"github.com/centerleap/postern/gateway"
)

// waits are the pauses after the first attempts; the last one repeats. RFC 5321
// section 4.5.4.1 wants at least 30 minutes after the first; mail from people to
// people here is answered in seconds, so the first retries come sooner.
var waits = []time.Duration{5 * time.Minute, 15 * time.Minute, 30 * time.Minute, time.Hour, 2 * time.Hour, 4 * time.Hour, 6 * time.Hour}

// lifetime is how long a delivery is tried. RFC 5321 section 4.5.4.1 says 4 to 5
// days; senders of transactional mail want to know sooner.
const lifetime = 48 * time.Hour

// again says when a deferred delivery is due next, or that its time is over.
func (s *Sender) again(d gateway.Delivery, o gateway.Outcome) gateway.Outcome {
	now := s.cfg.Now()
	if now.Sub(d.CreatedAt) >= lifetime {
		o.State = gateway.DeliveryFailed
		o.Text = "4.4.7 gave up after 48 hours; last: " + o.Text
		return o
	}
	wait := waits[min(max(d.Attempts, 1), len(waits))-1]
	jitter := time.Duration((rand.Float64()*0.2 - 0.1) * float64(wait)) // +-10 %, so that a site isn't met by all at once
	o.Retry = now.Add(wait + jitter)
	return o
}
