package notify

import (
	"context"
	"log/slog"
	"math/rand/v2"
	"slices"
	"strings"
	"time"

	"github.com/centerleap/postern/gateway"
)

// Pauses are those after the attempts to tell an event, each a fifth shorter or longer by
// chance: five attempts take about an hour. Ours: a server that is being restarted is
// back by the second, one that somebody has to repair by the last.
var Pauses = []time.Duration{time.Minute, 5 * time.Minute, 15 * time.Minute, 40 * time.Minute}

// pause is the wait after so many attempts.
func (l *lane) pause(attempts int) time.Duration {
	all := l.c.cfg.Pauses
	wait := all[min(max(attempts, 1), len(all))-1]
	return wait*4/5 + rand.N(wait*2/5)
}

const (
	// restLeast is how long a subscription is left alone at least when it can't be told.
	restLeast = time.Second
	// maxTrouble is how often in a row an event is put off since the gateway failed, until
	// that counts as an attempt: what always fails must not be asked for ever. Ours.
	maxTrouble = 10
	// slowCall is what a call takes that takes long. Ours: a fifth of what an endpoint has.
	slowCall = 2 * time.Second
	// maxTrust bounds how many calls at once a subscription may gain, by one for each event
	// that it takes; its domain's share is less. Ours.
	maxTrust = 1000
	// commitMost is the longest wait before the store is asked again to take an outcome.
	commitMost = time.Minute
)

// outcome is what became of a job.
type outcome struct {
	sub  *subscriber
	job  *job
	life int           // of the subscriber, when the call began
	gone bool          // the subscription is none any more
	put  bool          // off: it was not told
	rest time.Duration // with put: for how long nothing is told
	next gateway.Position
	told *gateway.Told // what is durable now; nil if nothing had to be
	took time.Duration // until it was told
}

// begin starts calls, the subscriptions taking turns, as many as may run for a domain.
func (l *lane) begin(ctx, work context.Context) {
	now := l.c.cfg.Now()
	for idle := 0; idle < len(l.subs) && l.running < cap(l.results) && ctx.Err() == nil; l.turn++ {
		s := l.subs[l.turn%len(l.subs)]
		if len(s.ready) == 0 || now.Before(s.rests) || !l.mayCall(s) {
			idle++
			continue
		}
		idle = 0
		j := s.ready[0]
		s.ready = slices.Delete(s.ready, 0, 1)
		o := outcome{sub: s, job: j, life: s.life, next: s.low()}
		sub := s.Subscription // the lane may change it meanwhile
		doubtful := s.doubtful()
		l.running++
		s.calls++
		l.calls.Go(func() { l.results <- l.call(ctx, work, &sub, o, doubtful) })
	}
}

// mayCall reports whether a subscription may have one call more. Who has failed, or was
// never asked, has one at a time, and one more with each that it takes; and all who may
// keep calls for long have half of what there is together: an endpoint that hangs until
// the time is up would have others wait behind its events.
func (l *lane) mayCall(s *subscriber) bool {
	if s.calls > s.trust {
		return false
	}
	if !s.doubtful() || len(l.subs) == 1 {
		return true
	}
	kept := 0
	for _, o := range l.subs {
		if o.doubtful() {
			kept += o.calls
		}
	}
	return kept < max(1, cap(l.results)/2)
}

// call waits for a slot and tells an event.
func (l *lane) call(ctx, work context.Context, sub *gateway.Subscription, o outcome, doubtful bool) outcome {
	give, ok := l.c.cfg.Slots.take(ctx, l.domain, doubtful)
	if !ok {
		o.put = true
		return o
	}
	event, began := o.job.event, time.Now()
	result, err := l.c.cfg.Teller.Tell(work, l.scope, sub, o.job.Position, &event, o.job.attempts+1)
	give()
	o.took = time.Since(began)
	told := &gateway.Told{
		Position: o.job.Position, Event: o.job.event, Next: o.next, Due: o.job.due, Attempts: o.job.attempts + 1, Result: result,
	}
	switch kind := gateway.KindOf(err); {
	case err == nil && result.Skipped && o.job.due.IsZero():
		return o
	case err == nil:
	case work.Err() != nil:
		o.put = true
		return o
	case kind == gateway.NotFound:
		o.gone = true
		return o
	case kind == gateway.InvalidState, kind == gateway.Unavailable && o.job.trouble < maxTrouble:
		o.put, o.rest = true, max(restLeast, gateway.AsError(err).Retry)
		if kind == gateway.Unavailable {
			o.job.trouble++ // it is nobody else's before it is given back
			o.rest = max(o.rest, restLeast<<o.job.trouble)
			l.c.cfg.Log.LogAttrs(work, slog.LevelWarn, "an event was put off", slog.String("subscription", sub.ID.String()), slog.Any("err", err))
		}
		return o
	default:
		l.fail(told, err)
	}
	return l.settle(work, sub, o, told)
}

// fail says when an event is told again, if it is.
func (l *lane) fail(told *gateway.Told, err error) {
	told.Result = gateway.Result{Effects: gateway.Effects{Steps: told.Effects.Steps}, Attempt: told.Attempt, Stop: told.Stop}
	most := int(l.c.cfg.Limits.EventError)
	text := err.Error()
	told.Error = strings.ToValidUTF8(text[:min(len(text), most)], "")
	if int64(told.Attempts) < l.c.cfg.Attempts && told.Stop == "" {
		told.Again = l.c.cfg.Now().Add(l.pause(told.Attempts)).Truncate(time.Millisecond)
	}
}

// settle makes an outcome durable. While the store takes nothing it is kept: telling again
// would be worse.
func (l *lane) settle(work context.Context, sub *gateway.Subscription, o outcome, told *gateway.Told) outcome {
	for wait := restLeast; ; wait = min(2*wait, commitMost) {
		err := l.c.cfg.Store.Handled(work, l.scope, sub.ID, told)
		switch {
		case err == nil:
			o.told = told
			return o
		case gateway.KindOf(err) == gateway.InvalidState: // another process was quicker
			return o
		case gateway.KindOf(err) == gateway.NotFound:
			o.gone = true
			return o
		case gateway.KindOf(err) != gateway.Unavailable:
			l.c.cfg.Log.LogAttrs(work, slog.LevelError, "an event's outcome is not stored", slog.String("subscription", sub.ID.String()), slog.Any("err", err))
			if told.Error == "" { // what it wants can't be done
				l.fail(told, err)
				continue
			}
		}
		if !sleep(work, wait) {
			o.put = true
			return o
		}
	}
}

// ended takes over what became of a call.
func (l *lane) ended(o outcome) {
	l.running--
	s, j := o.sub, o.job
	s.calls--
	switch current := o.life == s.life; {
	case o.gone && current:
		l.drop(s)
		return
	case o.gone || o.put:
		if current || !j.due.IsZero() { // else it is not told what happened before
			s.ready = append(s.ready, j) // at the end: what is behind it goes on
		}
		if o.put {
			s.rests = l.c.cfg.Now().Add(o.rest)
		}
		return
	}
	if j.due.IsZero() {
		s.done(j.Position)
	} else {
		s.again--
		if o.told != nil {
			s.waiting--
		}
	}
	if o.told == nil {
		return
	}
	if !o.told.Skipped { // else it was not asked
		s.answered(o.told.Error != "", o.took)
	}
	if s.saved.Less(o.next) {
		s.saved, s.savedAt = o.next, l.c.cfg.Now()
	}
	if again := o.told.Again; !again.IsZero() {
		s.waiting++
		if s.due.IsZero() || again.Before(s.due) {
			s.due = again
		}
	}
	if !j.due.IsZero() && s.again == 0 && s.waiting > 0 { // what came meanwhile is not known
		s.due = l.c.cfg.Now()
	}
}
