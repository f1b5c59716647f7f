package outbound

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/centerleap/postern/gateway"
)

// waits are the pauses after the first attempts; the last one repeats. RFC 5321
// section 4.5.4.1 wants at least 30 minutes after the first; mail from people to
// people here is answered in seconds, so the first retries come sooner.
var waits = []time.Duration{5 * time.Minute, 15 * time.Minute, 30 * time.Minute, time.Hour, 2 * time.Hour, 4 * time.Hour, 6 * time.Hour}

// againSoon is how long a host that greylists wants its clients to wait, about: RFC 6647
// section 5 has a minute to a day, and what is in use takes five.
const againSoon = 5 * time.Minute

// untoldAfter is how long a delivery may wait behind a site that is down before it is
// treated as tried: its sender has to learn that it is late. RFC 5321 section 4.5.4.1
// leaves the time to us; mail.md 4.4 has four hours.
const untoldAfter = 4 * time.Hour

// again says when a deferred delivery is due next, or that its time is over. Those that
// were tried together are tried together again: they share the jitter that wait has.
func (s *Sender) again(d *gateway.Delivery, o gateway.Outcome, wait time.Duration) gateway.Outcome {
	now := s.cfg.Now()
	life := time.Duration(s.cfg.Limits.QueueHours) * time.Hour
	if now.Sub(d.CreatedAt) >= life {
		o.State, o.Code, o.Enhanced, o.Remote = gateway.DeliveryFailed, 451, [3]int{4, 4, 7}, false
		o.Text = fmt.Sprintf("gave up after %d hours; last: %s", s.cfg.Limits.QueueHours, o.Text)
		return o
	}
	if greylisted(o.Code, o.Text) && !greylisted(d.LastCode, d.LastText) {
		wait = againSoon
	}
	o.Retry = now.Add(wait)
	if end := d.CreatedAt.Add(life); o.Retry.After(end) && end.After(now) {
		o.Retry = end // the last attempt is worth making
	}
	return o
}

// pause is the wait after the nth attempt.
func pause(attempts int) time.Duration { return waits[min(max(attempts, 1), len(waits))-1] }

// pauseAt is the wait of a delivery of an age, had it always been tried when it was due.
func pauseAt(age time.Duration) time.Duration {
	step := 0
	for ; step < len(waits)-1 && waits[step] <= age; step++ {
		age -= waits[step]
	}
	return waits[step]
}

// greylisted reports whether a host asks to come back, as opposed to being in trouble.
func greylisted(code int, text string) bool {
	text = strings.ToLower(text)
	return (code == 421 || code == 450 || code == 451) && (strings.Contains(text, "greylist") || strings.Contains(text, "graylist"))
}

// takesNone is what a null MX means. It is DNS that says it, but the domain's own word.
var takesNone = [3]int{5, 1, 10}

// goneFor are the answers of a host after which its address gets nothing any more: no such
// mailbox, no such system, bad syntax, a null MX, a mailbox that is disabled. Source:
// DESIGN section 4; RFC 3463 section 3.2 and 3.3, RFC 7505 section 4.2.
var goneFor = [][3]int{{5, 1, 1}, {5, 1, 2}, {5, 1, 3}, {5, 1, 10}, {5, 2, 1}}

// classify says what the words of another host mean for a delivery.
func classify(o gateway.Outcome) gateway.Outcome {
	switch {
	case o.State == gateway.DeliveryFailed && fullForNow(&o):
		o.State = gateway.DeliveryQueued
	case o.State == gateway.DeliveryFailed && (o.Remote || o.Enhanced == takesNone):
		o.State = gateway.DeliveryBounced
		if slices.Contains(goneFor, o.Enhanced) {
			o.Suppress = gateway.SuppressedBounce
		}
	}
	return o
}

// fullForNow are the refusals for good that mean later: a full mailbox empties, and 552
// to a RCPT means too many of them, RFC 5321 section 4.5.3.1.10.
func fullForNow(o *gateway.Outcome) bool {
	if !o.Remote || o.Code != 552 {
		return false
	}
	return o.Enhanced == [3]int{5, 2, 2} || o.Phase == phaseRcpt && (o.Enhanced == [3]int{5, 0, 0} || o.Enhanced == [3]int{5, 5, 3})
}

// phaseRcpt is the courier's word for RCPT TO.
const phaseRcpt = "rcpt"
