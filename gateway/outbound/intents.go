package outbound

import (
	"cmp"
	"context"
	"log/slog"
	"sync"
	"time"

	"github.com/centerleap/postern/gateway"
)

// Mail that plugins want sent is durable with what they were asked about. Here it goes the
// way of all mail that leaves, and the commit that accepts it ends the wish for it: so a
// crash at any time sends it once.

const (
	// intentsAtOnce is how many mails of plugins are submitted side by side, intentsDomain
	// how many of one domain: its outbound hooks may be slow. Ours.
	intentsAtOnce = 8
	intentsDomain = 4
	// intentTime bounds one try; ours: as a client's request.
	intentTime = gateway.RequestTimeout
	// busyWait is how long the worker rests when what is due has to wait for its turn.
	busyWait = time.Second
)

// intentWaits are the pauses after the first tries; the last one repeats. What is in the
// way is the gateway's own, such as a limit or a full disk, and is gone sooner than
// another host's trouble.
var intentWaits = []time.Duration{30 * time.Second, 2 * time.Minute, 10 * time.Minute, 30 * time.Minute, time.Hour}

// sendIntents submits what plugins want sent until ctx ends; then it waits for what is
// under way.
func (s *Sender) sendIntents(ctx context.Context) {
	w := &intents{s: s, busy: make(map[gateway.DomainID]int), left: make(chan struct{}, 1)}
	defer w.all.Wait()
	for ctx.Err() == nil {
		w.begin(ctx)
		w.rest(ctx)
	}
}

// intents is one run of it.
type intents struct {
	s    *Sender
	all  sync.WaitGroup
	left chan struct{} // one slot: a try has ended

	mu   sync.Mutex
	busy map[gateway.DomainID]int
	now  int
}

// begin starts as many tries as may be.
func (w *intents) begin(ctx context.Context) {
	w.mu.Lock()
	free := intentsAtOnce - w.now
	w.mu.Unlock()
	if free == 0 {
		return
	}
	leased, err := w.s.cfg.Store.LeaseIntents(ctx, w.s.cfg.System, free, w.room, gateway.LeaseTime)
	if err != nil && ctx.Err() == nil {
		w.s.cfg.Log.LogAttrs(ctx, slog.LevelError, "mail of plugins can't be leased", slog.Any("err", err))
	}
	for i := range leased { // also what was leased before an error
		in := &leased[i]
		w.move(in.Domain, 1)
		w.all.Go(func() {
			defer func() {
				w.move(in.Domain, -1)
				select {
				case w.left <- struct{}{}:
				default:
				}
			}()
			w.s.attemptIntent(context.WithoutCancel(ctx), in)
		})
	}
}

// room is how many more tries a domain may have.
func (w *intents) room(d gateway.DomainID) int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return intentsDomain - w.busy[d]
}

func (w *intents) move(d gateway.DomainID, by int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.now += by
	if w.busy[d] += by; w.busy[d] == 0 {
		delete(w.busy, d)
	}
}

// rest waits until something may be done.
func (w *intents) rest(ctx context.Context) {
	wait := idlePoll
	next, err := w.s.cfg.Store.NextIntent(ctx, w.s.cfg.System)
	w.mu.Lock()
	under := w.now
	w.mu.Unlock()
	switch now := w.s.cfg.Now(); {
	case err != nil:
		wait = troubleWait
	case next.IsZero():
	case under > 0 && !next.After(now):
		wait = busyWait
	default:
		wait = min(wait, max(next.Sub(now), time.Millisecond))
	}
	timer := time.NewTimer(wait)
	defer timer.Stop()
	select {
	case <-ctx.Done():
	case <-w.s.cfg.Store.IntentsAdded():
	case <-w.left:
	case <-timer.C:
	}
}

// attemptIntent tries to send one mail of a plugin, and settles what becomes of it.
// Whatever goes wrong with that leaves the lease to run out: it is tried again.
func (s *Sender) attemptIntent(ctx context.Context, in *gateway.Intent) {
	ctx, cancel := context.WithTimeout(ctx, intentTime)
	defer cancel()
	sub, silent, err := s.intended(ctx, in)
	if err == nil && silent == "" {
		_, err = s.Submit(ctx, s.cfg.Internal(in.Domain), sub)
	}
	if err == nil && silent == "" {
		s.cfg.Log.LogAttrs(ctx, slog.LevelInfo, "sent for a plugin", slog.String("plugin", in.Plugin.String()), slog.Int("attempt", in.Tried))
		return
	}
	err = s.settle(context.WithoutCancel(ctx), in, silent, err)
	if err != nil {
		s.cfg.Log.LogAttrs(ctx, slog.LevelError, "the mail of a plugin was not settled", slog.String("plugin", in.Plugin.String()), slog.Any("err", err))
	}
}

// settle has a mail that was not sent tried again, or gives it up.
func (s *Sender) settle(ctx context.Context, in *gateway.Intent, silent string, cause error) error {
	sc, verb := s.cfg.Internal(in.Domain), verbOf(in)
	if silent != "" { // nothing went wrong, so it is no row of the domain's log
		defer s.cfg.Said(in.Plugin)
		return s.cfg.Store.EndIntent(ctx, sc, in, gateway.LineInfo, "no "+verb+": "+silent, nil)
	}
	e := gateway.AsError(cause)
	log := s.cfg.Log.With(slog.String("plugin", in.Plugin.String()), slog.Int("attempt", in.Tried), slog.Any("err", cause))
	now, end := s.cfg.Now(), in.Created.Add(time.Duration(s.cfg.Limits.PluginIntentHours)*time.Hour)
	if !e.Kind.Reply().Permanent() && now.Before(end) {
		log.LogAttrs(ctx, slog.LevelInfo, "the mail of a plugin waits")
		due := now.Add(max(jittered(intentWaits[min(max(in.Tried, 1), len(intentWaits))-1], jitter()), e.Retry))
		if due.After(end) {
			due = end // the last try is worth making
		}
		return s.cfg.Store.PostponeIntent(ctx, sc, in, due)
	}
	log.LogAttrs(ctx, slog.LevelInfo, "the mail of a plugin is not sent")
	row := &gateway.Activity{
		Protocol: "plugin", Method: verb, Status: e.Kind.Reply().Status, Error: e.Kind.String(), Reason: cmp.Or(e.Reason, e.Message), Email: in.Answers,
	}
	defer s.cfg.Said(in.Plugin)
	return s.cfg.Store.EndIntent(ctx, sc, in, gateway.LineWarning, verb+" not sent: "+e.Message, row)
}

// verbOf is what a plugin wants, as the log says it.
func verbOf(in *gateway.Intent) string {
	if in.Answers.IsZero() {
		return "send"
	}
	return "reply"
}

// lone drops what plugins want sent because of the mail of a plugin: two that do would
// never end.
func (s *Sender) lone(ctx context.Context, t *tray) {
	if t.sub.Intent == nil || len(t.effects.Intents) == 0 {
		return
	}
	var lines []gateway.PluginLine
	for _, in := range t.effects.Intents {
		lines = append(lines, gateway.PluginLine{
			Plugin: in.Plugin, At: t.now, Level: gateway.LineWarning, Hook: gateway.HookOutbound, Email: t.message.ID,
			Text: verbOf(&in) + " not sent: mail of plugins leads to no other",
		})
		defer s.cfg.Said(in.Plugin)
	}
	t.effects.Intents = nil
	if err := s.cfg.Store.AddPluginLines(ctx, s.cfg.Internal(t.domain.ID), t.domain.ID, lines); err != nil {
		s.cfg.Log.LogAttrs(ctx, slog.LevelWarn, "lines of plugins not stored", slog.Any("err", err))
	}
}
