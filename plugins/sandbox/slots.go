package sandbox

import (
	"context"
	"runtime"

	"github.com/centerleap/postern/sdk/abi"
)

// slots bound how many calls run at once. Hooks that mail waits for have theirs, one for
// each processor. The late ones, which nobody waits for, have others, since they may wait
// long for servers outside: as many as those never keep an inline hook from its slot.
// While they work, rather than wait, they need a second one, of which there are half as
// many as processors: more threads of modules than that would slow down everybody.
type slots struct{ inline, late, work chan struct{} }

func newSlots(inline, late int) slots {
	return slots{inline: make(chan struct{}, inline), late: make(chan struct{}, late), work: make(chan struct{}, max(1, runtime.GOMAXPROCS(0)/2))}
}

// of are the slots that a hook needs, in this order; the second is nil if it needs one.
func (s *slots) of(hook string) (first, second chan struct{}) {
	if isLate(hook) {
		return s.late, s.work
	}
	return s.inline, nil
}

// isLate reports whether nobody waits for what a hook says.
func isLate(hook string) bool { return hook == abi.HookEvent || hook == abi.HookTick }

// take waits for a slot. One that is nil is always free.
func take(ctx context.Context, slot chan struct{}) error {
	if slot == nil {
		return nil
	}
	select {
	case slot <- struct{}{}: // mostly: to look at one channel is quick
		return nil
	default:
	}
	select {
	case slot <- struct{}{}:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func leave(slot chan struct{}) {
	if slot != nil {
		<-slot
	}
}

// wait runs what waits for something outside. Meanwhile the call's thread is not its own,
// and somebody else may work. What it has of time goes on to pass, and may be over then.
func (c *call) wait(run func(context.Context)) {
	c.unpin()
	c.idle(run)
	c.over()
}

func (c *call) idle(run func(context.Context)) {
	if c.work != nil {
		<-c.work
		defer func() { c.work <- struct{}{} }() // those who work are done soon
	}
	ctx, cancel := context.WithDeadline(c.Context, c.began.Add(c.most.Time))
	defer cancel()
	run(ctx)
}
