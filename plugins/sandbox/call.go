package sandbox

import (
	"bytes"
	"context"
	"errors"
	"io"
	"strconv"
	"strings"
	"time"

	"github.com/tetratelabs/wazero/api"

	"github.com/centerleap/postern/plugins/sandbox/snapshot"
)

// call is one run of one hook. It is the context that the engine runs it with, and hands
// to imports as it is: it ends when its caller's does, and has nothing else of that.
type call struct {
	context.Context
	host   Host
	limits *Limits
	most   Bounds // of this call
	began  time.Time
	work   chan struct{} // the slot that is given back while it waits; nil: it has none
	meter  meter
	clock  int64              // where the monotonic clock begins, in nanoseconds
	random io.Reader          // of this call alone
	state  *snapshot.Instance // nil while no call is to be undone
	names  map[string]string  // that its instance asked for before; nil: none are kept
	one    one                // the import that is used
	piece  []byte             // for what imports read
	asked  int64              // imports used
	lines  int64              // logged
	inside bool               // a host's method runs
	failed error              // why the call is being ended; nil if the module ended it

	stdout, stderr lineWriter
}

// Value is nothing: whatever the caller's context holds is not for the engine, which asks
// for several things at each entry.
func (*call) Value(any) any { return nil }

// newCall makes one that began at a time, and may take most from then on.
func (e *Engine) newCall(ctx context.Context, h Host, began time.Time, most Bounds) call {
	return call{
		Context: ctx, host: h, limits: &e.cfg.Limits, most: most, began: began, random: e.random(),
		stdout: lineWriter{level: logInfo}, stderr: lineWriter{level: logWarn},
	}
}

// Call asks one hook for somebody, on an instance that is as if it were new. It returns nil if the
// module returned 0, a *CallError if it failed, a *HostError if h did, there was no
// memory or no slot was free until ctx ended, and ctx's error if ctx ended while the
// module ran.
func (m *Module) Call(ctx context.Context, owner Owner, hook string, h Host) (Usage, error) {
	return m.CallWithin(ctx, owner, hook, h, Bounds{})
}

// CallWithin is Call with limits of its own.
func (m *Module) CallWithin(ctx context.Context, owner Owner, hook string, h Host, b Bounds) (Usage, error) {
	first, second := m.engine.slots.of(hook)
	if err := take(ctx, first); err != nil {
		return Usage{}, &HostError{Err: err} // others had the slots all along
	}
	defer leave(first)
	if err := take(ctx, second); err != nil {
		return Usage{}, &HostError{Err: err}
	}
	defer leave(second)
	m.calls.Add(1)
	defer m.calls.Done()
	started := time.Now()
	in, err := m.instance(ctx, owner)
	if err != nil {
		return Usage{}, &HostError{Err: err}
	}
	c := &in.call // again and again: what is allocated during a call may have its thread fault
	*c = m.engine.newCall(ctx, h, started, m.engine.bounds(hook, b))
	c.state, c.clock, c.names, c.work = in.state, in.image.clock, in.names, second
	var answer error
	spoiled := in.state.Run(func() (spoils error) {
		spoils, answer = in.ask(c, m.hooks[hook])
		return spoils
	})
	used := Usage{Fuel: c.meter.used(), HostCalls: c.asked, MemoryBytes: in.size(), Wall: time.Since(started)}
	*c = call{} // of what the caller had, nothing is kept
	m.giveBack(in, spoiled, started.Add(used.Wall))
	if diff, found := errors.AsType[*snapshot.DiffError](spoiled); found && answer == nil {
		answer = &HostError{Err: diff} // only looked for with Config.Check
	}
	return used, answer
}

// ask calls a function that takes nothing and returns a status. If what it left can't be
// undone, spoils is not nil; then answer is the same.
func (in *instance) ask(c *call, name string) (spoils, answer error) {
	f := in.function(name)
	if f == nil {
		return nil, &CallError{Reason: ReasonStart, Detail: "the module does not export " + name}
	}
	in.memory.Bound(uint64(c.most.MemoryBytes))
	c.meter.start(in, c)
	in.stack[0] = 0
	err := f.CallWithStack(c, in.stack[:])
	c.meter.stop()
	if err == nil {
		if status := api.DecodeI32(in.stack[0]); status != 0 {
			answer = &CallError{Reason: ReasonStatus, Detail: name + " returned " + strconv.Itoa(int(status))}
		}
		return nil, answer
	}
	err = c.ended(err)
	return err, err
}

// ended says why a call did not return.
func (c *call) ended(err error) error {
	switch {
	case c.failed != nil:
		return c.failed
	case c.inside:
		return &HostError{Err: err}
	case c.Err() != nil:
		return c.Err()
	}
	return blame(err)
}

// blame says in a module's terms how it failed.
func blame(err error) error {
	if known, ok := errors.AsType[*CallError](err); ok {
		return known
	}
	if strings.Contains(err.Error(), "stack overflow") { // of the engine's own stack, which is larger than ours
		return errTooDeep
	}
	return &CallError{Reason: ReasonTrap, Detail: strings.TrimPrefix(firstLine(err.Error()), "wasm error: ")}
}

// exited is the end of a module that left its process.
func exited(code uint32) *CallError {
	return &CallError{Reason: ReasonStatus, Detail: "it exited with " + strconv.FormatUint(uint64(code), 10)}
}

// stop ends the call from within an import.
func (c *call) stop(err error) {
	c.failed = err
	panic(err) // wazero unwinds the module and returns it
}

// unpin lets others write to the module's memory until the call ends.
func (c *call) unpin() {
	if c.state != nil {
		c.state.Unpin()
	}
}

// The levels of the log, as the import log has them.
const (
	logInfo = 1
	logWarn = 2
)

// spend counts a question, and ends the call if there were too many.
func (c *call) spend() {
	if c.asked++; c.asked > c.limits.HostCalls {
		c.stop(&CallError{Reason: ReasonHostCalls, Detail: "it used too many imports"})
	}
}

// log hands a line to the host, within the call's budget.
func (c *call) log(level int, text []byte) {
	if c.lines++; c.lines > c.limits.LogLines {
		return
	}
	text = text[:min(int64(len(text)), c.limits.LogBytes)]
	c.host.Log(level, strings.ToValidUTF8(string(text), "\uFFFD"))
}

// mostPrinted is how much of one buffer is looked at for lines, in bytes; ours. Those that
// are kept are much shorter.
const mostPrinted = 256 << 10

// lineWriter makes log lines of what a module prints.
type lineWriter struct {
	level int
	held  []byte // the start of a line
}

func (w *lineWriter) write(c *call, p []byte) {
	p = p[:min(len(p), mostPrinted)]
	for c.lines < c.limits.LogLines {
		line, rest, whole := bytes.Cut(p, []byte("\n"))
		if room := c.limits.LogBytes - int64(len(w.held)); room > 0 {
			w.held = append(w.held, line[:min(int64(len(line)), room)]...)
		}
		if !whole {
			return
		}
		c.log(w.level, w.held)
		w.held, p = w.held[:0], rest
	}
}
