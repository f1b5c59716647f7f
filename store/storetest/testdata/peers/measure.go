package main

import (
	"context"
	"errors"
	"os"
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"github.com/centerleap/postern/store/storetest"
)

// peer is one way to keep mail.
type peer struct {
	name string
	open func(dir string) (store, error)
}

// store is an open peer.
type store interface {
	// accept returns when the message is durable. Many callers call it at once.
	accept(ctx context.Context, m *storetest.Message) error
	Close() error
}

// result is what one peer did in one round. Costs are per message and contain
// what it costs to make one.
type result struct {
	perSecond  float64
	p50, p99   time.Duration
	cpu        time.Duration // of the whole process
	allocs     float64
	allocBytes float64
}

// phases of a measurement.
const (
	warming = iota
	measuring
	ending
)

// measure opens an empty store and lets callers accept one message after the
// other, first for a quarter of d without looking.
func measure(ctx context.Context, p peer, dir string, callers int, d time.Duration) (r result, err error) {
	if err := os.Mkdir(dir, 0o700); err != nil {
		return r, err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	s, err := p.open(dir)
	if err != nil {
		return r, err
	}
	c := &crowd{store: s, took: make([]latencies, callers)}
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	for i := range callers {
		c.wait.Go(func() {
			if err := c.call(ctx, i); err != nil {
				cancel(err)
			}
		})
	}
	pause(ctx, d/4)
	before := c.look()
	c.phase.Store(measuring)
	pause(ctx, d)
	after := c.look()
	c.phase.Store(ending)
	c.wait.Wait()
	if err := errors.Join(context.Cause(ctx), s.Close()); err != nil {
		return r, err
	}
	n := float64(after.accepted - before.accepted)
	if n == 0 {
		return r, errors.New("it accepted nothing")
	}
	all := merge(c.took)
	return result{
		perSecond: n / after.at.Sub(before.at).Seconds(),
		p50:       all.quantile(0.5), p99: all.quantile(0.99),
		cpu:        time.Duration(float64(after.cpu-before.cpu) / n),
		allocs:     float64(after.mem.Mallocs-before.mem.Mallocs) / n,
		allocBytes: float64(after.mem.TotalAlloc-before.mem.TotalAlloc) / n,
	}, nil
}

// crowd is the callers of one measurement.
type crowd struct {
	store    store
	wait     sync.WaitGroup
	phase    atomic.Int32
	number   atomic.Uint64 // of the last message begun
	accepted atomic.Uint64
	took     []latencies // of each caller while measuring
}

func (c *crowd) call(ctx context.Context, i int) error {
	for c.phase.Load() != ending && ctx.Err() == nil {
		m := storetest.NewMessage(c.number.Add(1))
		began := time.Now()
		if err := c.store.accept(ctx, m); err != nil {
			return err
		}
		c.accepted.Add(1)
		if c.phase.Load() == measuring {
			c.took[i].add(time.Since(began))
		}
	}
	return nil
}

// counts are counters that only grow.
type counts struct {
	at       time.Time
	accepted uint64
	cpu      time.Duration
	mem      runtime.MemStats
}

func (c *crowd) look() (n counts) {
	runtime.ReadMemStats(&n.mem)
	n.cpu = cpuTime()
	n.accepted, n.at = c.accepted.Load(), time.Now()
	return n
}

func pause(ctx context.Context, d time.Duration) {
	select {
	case <-ctx.Done():
	case <-time.After(d):
	}
}
