package sandbox

import (
	"bytes"
	"context"
	"errors"
	"strconv"
	"strings"
	"time"

	"github.com/tetratelabs/wazero"
	"github.com/tetratelabs/wazero/api"
	"github.com/tetratelabs/wazero/sys"

	"github.com/centerleap/postern/sdk/abi"
)

// call is one run of one hook. Imports find it in their context.
type call struct {
	host   Host
	limits *Limits
	until  time.Time
	meter  meter
	memory int64 // bytes it had
	asked  int64 // imports used
	lines  int64 // logged
	inside bool  // a host's method runs
	failed error // why the call is being ended; nil if the module ended it
}

type callKey struct{}

// Call asks one hook, on a fresh instance. It returns nil if the module returned 0,
// a *CallError if it failed, a *HostError if h did or no slot was free until ctx
// ended, and ctx's error if ctx ended while the module ran.
func (m *Module) Call(ctx context.Context, hook string, h Host) (Usage, error) {
	select {
	case m.engine.slots <- struct{}{}:
		defer func() { <-m.engine.slots }()
	case <-ctx.Done():
		return Usage{}, &HostError{Err: ctx.Err()} // others had the slots all along
	}
	m.calls.Add(1)
	defer m.calls.Done()
	started := time.Now()
	c := &call{host: h, limits: &m.engine.cfg.Limits}
	c.until = started.Add(c.limits.CallTime)
	status, err := m.run(context.WithValue(ctx, callKey{}, c), c, hook)
	used := Usage{Fuel: c.meter.used(), HostCalls: c.asked, MemoryBytes: c.memory, Wall: time.Since(started)}
	switch {
	case c.failed != nil:
		return used, c.failed
	case err != nil && c.inside:
		return used, &HostError{Err: err}
	case err != nil && ctx.Err() != nil:
		return used, ctx.Err()
	case err != nil:
		return used, blame(err)
	case status != 0:
		return used, &CallError{Reason: ReasonStatus, Detail: "the hook returned " + strconv.Itoa(int(status))}
	}
	return used, nil
}

// run makes an instance, readies it and asks it.
func (m *Module) run(ctx context.Context, c *call, hook string) (status int32, err error) {
	instance, err := m.runtime.InstantiateModule(ctx, m.code, m.config(ctx, c))
	if err != nil {
		return 0, err
	}
	defer func() {
		c.memory = int64(instance.Memory().Size())
		c.meter.stop()
		_ = instance.Close(context.WithoutCancel(ctx)) // it is gone, whatever it says
	}()
	c.meter.start(instance, c.limits)
	if f := instance.ExportedFunction(initialize); f != nil {
		c.meter.ready()
		if _, err := f.Call(ctx); err != nil {
			return 0, err
		}
	}
	f := instance.ExportedFunction(abi.Export(hook))
	if f == nil {
		return 0, &CallError{Reason: ReasonStart, Detail: "the module does not export " + abi.Export(hook)}
	}
	c.meter.ready()
	result, err := f.Call(ctx)
	if err != nil {
		return 0, err
	}
	return api.DecodeI32(result[0]), nil
}

// config is all that an instance has of the world. Files, network, arguments and
// environment are absent; nothing sleeps.
func (m *Module) config(ctx context.Context, c *call) wazero.ModuleConfig {
	now := time.UnixMilli(c.host.Now())
	print := func(level int) *lineWriter { return &lineWriter{call: c, level: level, over: func() { c.over(ctx) }} }
	return wazero.NewModuleConfig().WithName("").WithStartFunctions().
		WithStdout(print(logInfo)).WithStderr(print(logWarn)).
		WithRandSource(random(func() { c.over(ctx) })).
		WithWalltime(func() (int64, int32) { return now.Unix(), int32(now.Nanosecond()) }, sys.ClockResolution(time.Millisecond))
}

// blame says in a module's terms how it failed.
func blame(err error) error {
	if known, ok := errors.AsType[*CallError](err); ok {
		return known
	}
	if exit, ok := errors.AsType[*sys.ExitError](err); ok {
		return &CallError{Reason: ReasonStatus, Detail: "it exited with " + strconv.FormatUint(uint64(exit.ExitCode()), 10)}
	}
	if strings.Contains(err.Error(), "stack overflow") { // of the engine's own stack, which is larger than ours
		return errTooDeep
	}
	return &CallError{Reason: ReasonTrap, Detail: strings.TrimPrefix(firstLine(err.Error()), "wasm error: ")}
}

// stop ends the call from within an import.
func (c *call) stop(err error) {
	c.failed = err
	panic(err) // wazero unwinds the module and returns it
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

// lineWriter makes log lines of what a module prints.
type lineWriter struct {
	call  *call
	level int
	held  []byte // the start of a line
	over  func() // ends the call if its time is
}

// Write takes what one buffer holds. A module can name half a million of them at
// once, each of all its memory, and nothing else stops it meanwhile.
func (w *lineWriter) Write(p []byte) (int, error) {
	w.call.spend()
	w.over()
	n := len(p)
	for w.call.lines < w.call.limits.LogLines {
		line, rest, whole := bytes.Cut(p, []byte("\n"))
		if room := w.call.limits.LogBytes - int64(len(w.held)); room > 0 {
			w.held = append(w.held, line[:min(int64(len(line)), room)]...)
		}
		if !whole {
			return n, nil
		}
		w.call.log(w.level, w.held)
		w.held, p = w.held[:0], rest
	}
	return n, nil
}
