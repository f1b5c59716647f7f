package sandbox

import (
	"context"
	"errors"

	"github.com/centerleap/postern/plugins/sandbox/snapshot"
	"github.com/centerleap/postern/sdk/abi"
)

// image is the state that every call of a module starts from: that of an instance which
// was made ready, and has seen no message.
//
// A hook that was asked once may have changed the module's variables for good, if only
// to note that it has read its configuration. So hooks are asked before the image is
// taken only of a module that exports postern_init, and thereby promises to put its
// variables back.
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
	if m.exports(abi.Init) {
		i, err := m.imageAfter(ctx, host, m.warm)
		if _, failed := errors.AsType[*CallError](err); !failed {
			return i, err
		}
	}
	return m.imageAfter(ctx, host, func(context.Context, *call, *instance) error { return nil })
}

// imageAfter takes an image of an instance that is made ready, and warmed.
func (m *Module) imageAfter(ctx context.Context, h Host, warm func(context.Context, *call, *instance) error) (*image, error) {
	in, err := m.bare(ctx)
	if err != nil {
		return nil, &CallError{Reason: ReasonStart, Detail: firstLine(err.Error())}
	}
	defer in.close()
	c := m.engine.newCall(h, m.engine.cfg.Limits.CompileTime) // it is part of making it ready
	for _, name := range []string{initialize, abi.Init} {
		if !m.exports(name) {
			continue
		}
		if _, err := in.ask(ctx, c, name); err != nil {
			return nil, err
		}
		c.rest()
	}
	if err := warm(ctx, c, in); err != nil {
		return nil, err
	}
	i := &image{clock: c.clock}
	i.Image, err = m.engine.keeper.Take(in.memory, in.globals)
	return i, err
}

// warm asks all hooks about the sample until memory stands still, and has that
// forgotten. What they say does not matter.
func (m *Module) warm(ctx context.Context, c *call, in *instance) error {
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
			if spoils, _ := in.ask(ctx, c, abi.Export(hook)); spoils != nil {
				return spoils
			}
			c.rest()
		}
	}
	_, err := in.ask(ctx, c, abi.Init)
	c.rest()
	return err
}

// rest readies a call to be gone on with: what it was allowed, it is allowed again, but
// its clock goes on.
func (c *call) rest() {
	c.clock += c.meter.used()
	c.meter, c.asked, c.lines = meter{}, 0, 0
}
