package sandbox

import (
	"context"
	"time"

	"github.com/tetratelabs/wazero"
	"github.com/tetratelabs/wazero/api"

	"github.com/centerleap/postern/plugins/sandbox/rewrite"
	"github.com/centerleap/postern/plugins/sandbox/snapshot"
)

// slice is the fuel that a module gets at once: between two of them it asks nobody, and
// the thread it runs on is nobody else's. It takes some ten microseconds; a millisecond or
// some, if the kernel has to find a page of memory all the time. A quarter as much would have
// real modules take a quarter longer. The clock is looked at once in so many slices.
const (
	slice     = 1 << 14
	clockEach = 4
)

// meter is the fuel of one call.
type meter struct {
	fuel, depth snapshot.Global // nil before and after the call
	most        int64
	slices      int64 // that were granted
	granted     int64 // so far, used or not
	rest        int64 // that was not used
}

// start gives an instance its first slice, and room for its frames. Depth is not what
// it was after a call that was stopped.
func (m *meter) start(in *instance, c *call) {
	*m = meter{fuel: in.fuel(), depth: in.depth(), most: c.most.Fuel}
	m.depth.Set(uint64(c.limits.StackBytes))
	m.grant(0)
}

// grant gives another one, up to the most there is, and reports whether there is any.
func (m *meter) grant(used int64) bool {
	if used > m.most {
		return false
	}
	next := min(slice, m.most-used)
	m.granted, m.slices = used+next, m.slices+1
	m.fuel.Set(uint64(next))
	return true
}

// used is the fuel that was used so far.
func (m *meter) used() int64 {
	if m.fuel == nil {
		return m.granted - m.rest
	}
	return m.granted - int64(m.fuel.Get())
}

// stop reads what is left, before the instance is closed.
func (m *meter) stop() {
	if m.fuel != nil {
		m.rest = int64(m.fuel.Get())
		m.fuel, m.depth = nil, nil
	}
}

// instantiateMeter offers what rewritten modules call when their fuel is used up.
func instantiateMeter(ctx context.Context, r wazero.Runtime) error {
	_, err := r.NewHostModuleBuilder(rewrite.Runtime).NewFunctionBuilder().
		WithGoModuleFunction(api.GoModuleFunc(func(ctx context.Context, _ api.Module, _ []uint64) {
			ctx.Value(callKey{}).(*call).tick()
		}), nil, nil).Export(rewrite.Tick).Instantiate(ctx)
	return err
}

// errTooDeep is the end of a call whose functions call each other without end.
var errTooDeep = &CallError{Reason: ReasonDepth, Detail: "its functions call each other too deep"}

// tick gives the module another slice, or ends the call.
func (c *call) tick() {
	if int64(c.meter.depth.Get()) < 0 {
		c.stop(errTooDeep)
	}
	if c.wanted(); c.meter.slices%clockEach == 0 {
		c.inTime()
	}
	if !c.meter.grant(c.meter.used()) {
		c.stop(&CallError{Reason: ReasonFuel, Detail: "it ran too many instructions"})
	}
}

// over ends the call if its caller waits no longer, or its time is over.
func (c *call) over() {
	c.wanted()
	c.inTime()
}

func (c *call) wanted() {
	if err := c.Err(); err != nil {
		c.stop(err)
	}
}

func (c *call) inTime() {
	if !time.Now().Before(c.until) {
		c.stop(&CallError{Reason: ReasonDeadline, Detail: "it took longer than " + c.most.Time.String()})
	}
}
