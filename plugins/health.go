package plugins

import (
	"context"
	"errors"
	"log/slog"
	"math/bits"
	"sync"
	"time"

	"github.com/centerleap/postern/gateway"
	"github.com/centerleap/postern/plugins/sandbox"
)

// health is how each installation did, in this process: who fails too often is not asked
// for a while, since every mail would wait for a failure whose answer is known. Its
// failure policy answers at once meanwhile. Then one call tries, and decides.
type health struct {
	mu sync.Mutex
	of map[gateway.ID]*condition
}

// condition is that of one installation, as long as its code is the same. Each hook has
// a breaker of its own: every mail asks several, and one that works says nothing of
// another.
type condition struct {
	code  [32]byte
	gone  bool // forgotten: the installation, or its code
	hooks map[gateway.Hook]*breaker
	stats stats
}

// breaker knows how one hook did.
type breaker struct {
	row    int64     // failures since the last good call
	last   uint64    // the last calls, a bit each: 1 if it failed
	paused time.Time // until when it is not asked; zero: it is asked
	trying bool      // the pause is over, and one call tries
}

// window is how many calls breaker.last is about; ours. The limits say how many of them
// may fail.
const window = 50

// maxConditions bounds how many installations are known, 3 KiB each; ours.
const maxConditions = 4096

// turn is a call that may be made, or not.
type turn struct {
	of         *condition
	breaker    *breaker
	may, trial bool
}

// condition returns that of an installation; h is locked.
func (h *health) condition(inst *gateway.Plugin) *condition {
	if c := h.of[inst.ID]; c != nil && c.code == inst.SHA256 {
		return c
	}
	h.drop(inst.ID)
	for id := range h.of {
		if len(h.of) < maxConditions {
			break
		}
		h.drop(id) // any: it is asked again, and counted from zero
	}
	if h.of == nil {
		h.of = make(map[gateway.ID]*condition)
	}
	c := &condition{code: inst.SHA256, hooks: map[gateway.Hook]*breaker{}}
	h.of[inst.ID] = c
	return c
}

// drop forgets an installation. Calls that run have nothing to say of it any more; h is
// locked.
func (h *health) drop(id gateway.ID) {
	if c := h.of[id]; c != nil {
		c.gone = true
		delete(h.of, id)
	}
}

func (c *condition) breaker(hook gateway.Hook) *breaker {
	b := c.hooks[hook]
	if b == nil {
		b = &breaker{}
		c.hooks[hook] = b
	}
	return b
}

// admit says whether a plugin may be asked. Whoever asks says later how it went.
func (h *health) admit(inst *gateway.Plugin, hook gateway.Hook, now time.Time) turn {
	h.mu.Lock()
	defer h.mu.Unlock()
	c := h.condition(inst)
	b := c.breaker(hook)
	switch {
	case b.paused.IsZero():
		return turn{of: c, breaker: b, may: true}
	case b.trying || now.Before(b.paused):
		return turn{of: c, breaker: b}
	}
	b.trying = true
	return turn{of: c, breaker: b, may: true, trial: true}
}

// resting is how long a hook is not asked, if it is not.
func (h *health) resting(inst *gateway.Plugin, hook gateway.Hook, now time.Time) time.Duration {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.condition(inst).breaker(hook).paused.Sub(now)
}

// change is what a call made of an installation.
type change int

const (
	changedNothing change = iota
	changedPaused
	changedStill // the call that tried failed: it is paused once more
	changedWell
)

// went tells how a call ended. err is nil if it went well; an error that is ours counts
// for nothing.
func (h *health) went(t turn, now time.Time, took time.Duration, err error, l *gateway.Limits) change {
	h.mu.Lock()
	defer h.mu.Unlock()
	if t.of.gone { // deleted meanwhile, or it has new code, of which this says nothing
		return changedNothing
	}
	blamed := blames(err)
	if err == nil || blamed || errors.Is(err, context.DeadlineExceeded) {
		t.of.stats.add(took, err)
	}
	return t.breaker.went(t, now, err == nil, blamed, l)
}

// went is what a call that went well, or failed by the plugin's fault, makes of it.
func (b *breaker) went(t turn, now time.Time, well, blamed bool, l *gateway.Limits) change {
	trial := t.trial && b.trying // else somebody ended the pause meanwhile
	if trial {
		b.trying = false
	}
	switch {
	case !well && !blamed || !b.paused.IsZero() && !trial: // or it began before the pause
		return changedNothing
	case trial && well:
		*b = breaker{}
		return changedWell
	}
	b.last = b.last << 1 & (1<<window - 1)
	if well {
		b.row = 0
		return changedNothing
	}
	b.row, b.last = b.row+1, b.last|1
	if trial || b.row >= l.PluginFailuresRow || int64(bits.OnesCount64(b.last)) >= l.PluginFailuresFifty {
		b.paused = now.Add(time.Duration(l.PluginPauseSeconds) * time.Second)
		if trial {
			return changedStill
		}
		return changedPaused
	}
	return changedNothing
}

// blames reports whether an error is the plugin's fault.
func blames(err error) bool {
	_, failed := errors.AsType[*sandbox.CallError](err)
	_, unfit := errors.AsType[*sandbox.FaultError](err)
	return failed || unfit || errors.Is(err, errRefused)
}

// errRefused marks a verdict that can't be acted on.
var errRefused = errors.New("its verdict is refused")

// forget ends a pause, or all that is known of an installation that is gone.
func (h *health) forget(id gateway.ID, gone bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if gone {
		h.drop(id)
	} else if c := h.of[id]; c != nil {
		for _, b := range c.hooks {
			*b = breaker{} // which calls that run have
		}
	}
}

// Stats tells how an installation did since this process began, or its code changed.
func (p *Plugins) Stats(inst *gateway.Plugin) gateway.PluginStats {
	h := &p.health
	h.mu.Lock()
	defer h.mu.Unlock()
	c := h.of[inst.ID]
	if c == nil || c.code != inst.SHA256 {
		return gateway.PluginStats{}
	}
	out := c.stats.shown()
	for _, b := range c.hooks {
		out.Paused = out.Paused || !b.paused.IsZero()
	}
	return out
}

// tell says in the logs that a plugin is paused, or asked again; that it begins to be
// paused is an event, too.
func (p *Plugins) tell(ctx context.Context, inst *gateway.Plugin, hook gateway.Hook, look *gateway.Look, c change) {
	row := gateway.Activity{At: p.cfg.Now(), Domain: inst.Domain, Account: inst.Account, Protocol: "plugin", Method: string(hook), Endpoint: inst.Name, Status: 200, Reason: "it is asked again"}
	line := gateway.PluginLine{Level: gateway.LineInfo, Text: row.Reason}
	if c != changedWell {
		row.Status, row.Error = 503, "plugin_paused"
		if row.Reason = "it failed too often: for a while its failure policy answers"; isLate(hook) {
			row.Reason = "it failed too often: for a while it is not asked"
		}
		line = gateway.PluginLine{Level: gateway.LineError, Text: row.Reason, Pauses: c == changedPaused}
	}
	p.cfg.Log.LogAttrs(ctx, slog.LevelWarn, "plugin health", slog.String("plugin", inst.ID.String()), slog.String("state", row.Reason))
	p.cfg.Activity.Add(row)
	p.note(inst, hook, look, []gateway.PluginLine{line}, nil)
}
