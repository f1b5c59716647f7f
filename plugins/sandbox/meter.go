package sandbox

import (
	"context"
	"time"

	"github.com/tetratelabs/wazero"
	"github.com/tetratelabs/wazero/api"

	"github.com/centerleap/postern/plugins/sandbox/rewrite"
	"github.com/centerleap/postern/plugins/sandbox/snapshot"
)

// The fuel that a module gets at once: between two slices it asks nobody, and the thread
// it runs on is nobody else's, which stopping the world waits for. A large one takes some ten
// microseconds, but milliseconds if the kernel has to find a page of memory for each
// instruction. Were all as small as the smallest, real modules would take twice as long; so
// an instance begins with that, and gets larger ones while it is quick: up to mostSlice
// while its memory has no more than smallMemory bytes, as what Go's compiler makes has at
// first, and up to mostLarge else. Both are some 2,000 pages at most: to write to one that
// was not there takes four of fuel, and the kernel half a microsecond.
const (
	leastSlice  = 1 << 11
	mostLarge   = 1 << 13
	mostSlice   = 1 << 16
	smallMemory = 8 << 20
	// mostMoved bounds slices times the values that a function has at once. Where blocks join,
	// an engine moves each value that differs between them, though nothing was written there
	// that could be paid for: a third of a nanosecond each. What compilers write for speed has
	// 30 to 70 values at most; 128 still permit the largest slices.
	mostMoved = mostSlice * 128
	// quickSlice is below what one may take so that the next is twice as large, and slowSlice
	// is what makes it the smallest again.
	quickSlice = 100 * time.Microsecond
	slowSlice  = 250 * time.Microsecond
	// manyFaults is how many pages the kernel has found in a call of which a slice was slow,
	// so that it is the module that is, and not the machine: from then on no instance of it
	// gets larger slices. A plugin in Go has up to 300 found in the first call of an instance.
	manyFaults = 600
)

// meter is the fuel of one call.
type meter struct {
	fuel, depth snapshot.Global // nil before and after the call
	in          *instance
	most        int64
	at          time.Duration // of the call, when it got this slice
	granted     int64         // so far, used or not
	rest        int64         // that was not used
}

// start gives an instance its first slice, and room for its frames. Depth is not what
// it was after a call that was stopped.
func (m *meter) start(in *instance, c *call) {
	*m = meter{fuel: in.fuel(), depth: in.depth(), in: in, most: c.most.Fuel}
	m.depth.Set(api.EncodeI32(int32(c.limits.StackBytes)))
	m.grant(0)
}

// grant gives another one, up to the most there is, and reports whether there is any.
func (m *meter) grant(used int64) bool {
	if used > m.most {
		return false
	}
	next := min(m.in.slice, m.most-used)
	m.granted = used + next
	m.fuel.Set(api.EncodeI32(int32(next)))
	return true
}

// pace decides how large the next slice is, up to most, by how long the one took that ends
// now.
func (m *meter) pace(now time.Duration, most int64) {
	took := now - m.at
	m.at = now
	m.in.slice = min(m.in.slice, most)
	switch {
	case took > slowSlice:
		if m.in.slice = leastSlice; m.in.faults() > manyFaults {
			m.in.of.slow.Store(true)
		}
	case took < quickSlice && m.in.pinned() && !m.in.of.slow.Load(): // else its faults are not counted
		m.in.slice = min(2*m.in.slice, most)
	}
}

// used is the fuel that was used so far.
func (m *meter) used() int64 {
	if m.fuel == nil {
		return m.granted - m.rest
	}
	return m.granted - left(m.fuel)
}

// left is what a module's counter says.
func left(of snapshot.Global) int64 { return int64(api.DecodeI32(of.Get())) }

// stop reads what is left, before the instance is closed.
func (m *meter) stop() {
	if m.fuel != nil {
		m.rest = left(m.fuel)
		m.fuel, m.depth, m.in = nil, nil, nil
	}
}

// instantiateMeter offers what rewritten modules call when their fuel is used up.
func instantiateMeter(ctx context.Context, r wazero.Runtime) error {
	_, err := r.NewHostModuleBuilder(rewrite.Runtime).NewFunctionBuilder().
		WithGoModuleFunction(api.GoModuleFunc(func(ctx context.Context, _ api.Module, _ []uint64) {
			ctx.(*call).tick()
		}), nil, nil).Export(rewrite.Tick).Instantiate(ctx)
	return err
}

// errTooDeep is the end of a call whose functions call each other without end.
var errTooDeep = &CallError{Reason: ReasonDepth, Detail: "its functions call each other too deep"}

// tick gives the module another slice, or ends the call.
func (c *call) tick() {
	if left(c.meter.depth) < 0 {
		c.stop(errTooDeep)
	}
	c.wanted()
	c.meter.pace(c.inTime(), c.meter.in.mostSlice())
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

// inTime ends the call if its time is over, and returns how long it runs: of the clock the
// part that is quick to read.
func (c *call) inTime() time.Duration {
	now := time.Since(c.began)
	if now >= c.most.Time {
		c.stop(&CallError{Reason: ReasonDeadline, Detail: "it took longer than " + c.most.Time.String()})
	}
	return now
}
