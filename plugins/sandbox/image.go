package sandbox

import (
	"context"
	"errors"
	"time"

	"github.com/centerleap/postern/plugins/sandbox/snapshot"
	"github.com/centerleap/postern/sdk/abi"
)

// image is the state that every call of a module starts from: that of an instance which
// was made ready, and has seen no message.
//
// A hook that was asked once may have changed the module's variables for good, if only
// to note that it has read its configuration. So hooks are asked before the image is
// taken only of a module whose postern_init returns 0, and which thereby promises to put
// its variables back. One that returns 1 has done itself what there was to do.
type image struct {
	*snapshot.Image
	clock int64 // how far the monotonic clock of that instance was
}

// warmRounds is how often hooks are asked at most, until memory stands still; ours.
const warmRounds = 3

// takeImage makes an instance ready, and takes its image. A module that does not come
// through its warm rounds does without them. size is how large their sample is.
func (m *Module) takeImage(ctx context.Context, size int) (*image, error) {
	host := newSample(size)
	i, err := m.imageAfter(ctx, host, true)
	if errors.Is(err, errRounds) {
		return m.imageAfter(ctx, host, false)
	}
	return i, err
}

// errRounds is the end of warm rounds that went wrong.
var errRounds = errors.New("sandbox: a module failed when it was warmed")

// imageAfter takes an image of an instance that is made ready and, if it takes part,
// warmed.
func (m *Module) imageAfter(ctx context.Context, h Host, rounds bool) (*image, error) {
	in, err := m.bare(ctx, m.images.current()) // nil for the first image
	if err != nil {
		return nil, &CallError{Reason: ReasonStart, Detail: firstLine(err.Error())}
	}
	defer in.close()
	in.memory.NoteData()
	most := m.readying()
	if in.size() > most.MemoryBytes {
		return nil, &CallError{Reason: ReasonStart, Detail: "its memory is too large"}
	}
	c := &in.call
	*c = m.engine.newCall(ctx, h, time.Now(), most)
	if m.exports(initialize) {
		if _, err := in.ask(c, initialize); err != nil {
			return nil, err
		}
		c.rest()
	}
	takesPart, err := m.init(c, in)
	if err == nil && takesPart && rounds {
		if err = m.warm(c, in); err != nil {
			err = errors.Join(errRounds, err)
		}
	}
	if err != nil {
		return nil, err
	}
	i := &image{clock: c.clock}
	i.Image, err = m.engine.keeper.Take(in.memory, in.globals)
	return i, err
}

// readying are the bounds of what makes it ready: it is part of compiling, and all that
// is asked of the image must have room for it.
func (m *Module) readying() Bounds {
	l := &m.engine.cfg.Limits
	b := Bounds{Time: l.CompileTime, Fuel: l.Fuel, MemoryBytes: m.engine.mostMemory()}
	for _, hook := range abi.Hooks {
		if m.Exports(hook) {
			b.MemoryBytes = min(b.MemoryBytes, m.engine.bounds(hook, Bounds{}).MemoryBytes)
		}
	}
	return b
}

// init runs postern_init, if there is one, and reports whether warm rounds may follow.
func (m *Module) init(c *call, in *instance) (rounds bool, err error) {
	if !m.exports(abi.Init) {
		return false, nil
	}
	spoils, err := in.ask(c, abi.Init)
	c.rest()
	if spoils == nil && err != nil && in.stack[0] == abi.InitOnly {
		return false, nil
	}
	return err == nil, err
}

// warm asks all hooks about the sample until memory stands still, and has that
// forgotten. What they say does not matter.
func (m *Module) warm(c *call, in *instance) error {
	before := int64(-1)
	for range warmRounds {
		if in.size() == before {
			break
		}
		before = in.size()
		for _, hook := range abi.Hooks {
			if !m.Exports(hook) {
				continue
			}
			if spoils, _ := in.ask(c, abi.Export(hook)); spoils != nil {
				return spoils
			}
			c.rest()
		}
	}
	again, err := m.init(c, in)
	if err == nil && !again {
		err = &CallError{Reason: ReasonStatus, Detail: abi.Init + " says something else now"}
	}
	return err
}

// rest readies a call to be gone on with: what it was allowed, it is allowed again, but
// its clock goes on.
func (c *call) rest() {
	c.clock += c.meter.used()
	c.meter, c.asked, c.lines = meter{}, 0, 0
}
