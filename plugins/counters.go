package plugins

import (
	"context"
	"sync"
	"time"

	"github.com/centerleap/postern/gateway"
	"github.com/centerleap/postern/sdk/abi"
)

// counters are the cells that plugins count in: what they count is there at once, for
// every call, and made durable in batches beside the mail. A crash takes what was counted
// since the last batch: about a second.
type counters struct {
	mu      sync.Mutex
	cells   map[cellKey]*cell
	owned   map[gateway.ID]*owned
	changed map[gateway.DomainID]int64 // cells that are not yet durable as they are
	dropped uint64                     // how often a cell was dropped

	writing sync.Mutex // one batch at a time
}

type cellKey struct {
	domain gateway.DomainID
	plugin gateway.ID
	key    string
}

// cell is one counter, or the place for one that there is not.
type cell struct {
	gateway.PluginCounter
	there   bool // it may have expired
	stored  bool // also in the store
	changed bool
	idle    int // batches since it was used
}

// owned is how many counters a plugin has, about: what has expired counts until they are
// counted anew.
type owned struct {
	count   int64
	counted time.Time
	idle    int
}

const (
	// idleBatches is after how many batches a cell is dropped that nobody uses; ours.
	idleBatches = 2
	// batchCounters is how many share a commit; ours.
	batchCounters = 1000
	// recountEvery is how often the counters of a plugin that has all it may have are
	// counted anew; ours.
	recountEvery = time.Second
)

// at is the value at a time; lives reports whether there is a counter.
func (c *cell) at(now time.Time) (value int64, lives bool) {
	if !c.there || !c.Expires.IsZero() && !now.Before(c.Expires) {
		return 0, false
	}
	return c.Value, true
}

// add adds to it, or makes it anew, for ttl seconds. It stays from 0 to the most there is.
func (c *cell) add(delta, ttl int64, now time.Time) {
	value, lives := c.at(now)
	if !lives {
		if c.there, c.Expires = true, (time.Time{}); ttl > 0 {
			c.Expires = now.Add(time.Duration(ttl) * time.Second)
		}
	}
	switch {
	case delta > gateway.MaxPluginCounter-value:
		c.Value = gateway.MaxPluginCounter
	case delta < -value:
		c.Value = 0
	default:
		c.Value = value + delta
	}
}

// cell returns the one of a name, which it reads if need be; keep has it stay. c is
// locked, but not all the time.
func (c *counters) cell(ctx context.Context, st Store, s gateway.Scope, k cellKey, keep bool) (*cell, error) {
	for {
		if known := c.cells[k]; known != nil {
			known.idle = 0
			return known, nil
		}
		dropped := c.dropped
		c.mu.Unlock()
		stored, known, err := st.PluginCounter(ctx, s, k.plugin, k.key)
		c.mu.Lock()
		if err != nil {
			return nil, err
		}
		if c.cells[k] != nil || c.dropped != dropped {
			continue // what was read may be old
		}
		read := &cell{PluginCounter: stored, there: known, stored: known}
		read.Plugin, read.Key = k.plugin, k.key
		if keep {
			if c.cells == nil {
				c.cells = make(map[cellKey]*cell)
			}
			c.cells[k] = read
		}
		return read, nil
	}
}

// owns returns how many counters a plugin has. c is locked, but not all the time.
func (c *counters) owns(ctx context.Context, st Store, s gateway.Scope, id gateway.ID, most int64, now time.Time) (*owned, error) {
	o := c.owned[id]
	if o != nil && (o.count < most || now.Sub(o.counted) < recountEvery) {
		o.idle = 0
		return o, nil
	}
	c.mu.Unlock()
	n, err := st.PluginCounters(ctx, s, id, int(most))
	c.mu.Lock()
	if err != nil {
		return nil, err
	}
	o = &owned{count: int64(n), counted: now}
	for k, known := range c.cells {
		if _, lives := known.at(now); k.plugin == id && lives && !known.stored {
			o.count++
		}
	}
	if c.owned == nil {
		c.owned = make(map[gateway.ID]*owned)
	}
	c.owned[id] = o
	return o, nil
}

// peek returns a copy of a counter as it is.
func (p *Plugins) peek(ctx context.Context, s gateway.Scope, k cellKey) (*cell, error) {
	c := &p.counters
	c.mu.Lock()
	defer c.mu.Unlock()
	known, err := c.cell(ctx, p.cfg.Store, s, k, false)
	if err != nil {
		return nil, err
	}
	copied := *known
	return &copied, nil
}

// count adds to a counter, for good, and returns its value.
func (p *Plugins) count(ctx context.Context, s gateway.Scope, k cellKey, delta, ttl int64, now time.Time) (int64, error) {
	c, lim := &p.counters, &p.cfg.Limits
	if delta == 0 {
		known, err := p.peek(ctx, s, k)
		if err != nil {
			return 0, err
		}
		value, _ := known.at(now)
		return value, nil
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	own, err := c.owns(ctx, p.cfg.Store, s, k.plugin, lim.PluginCounters, now)
	if err != nil {
		return 0, err
	}
	known, err := c.cell(ctx, p.cfg.Store, s, k, true)
	if err != nil {
		return 0, err
	}
	switch {
	case !known.there && own.count >= lim.PluginCounters, !known.changed && c.changed[k.domain] >= lim.PluginCounterChanges:
		if !known.there {
			delete(c.cells, k) // no counter: its place would be another's memory
		}
		return 0, abi.OverQuota
	case !known.there:
		own.count++
	}
	if known.add(delta, ttl, now); !known.changed {
		if c.changed == nil {
			c.changed = make(map[gateway.DomainID]int64)
		}
		known.changed = true
		c.changed[k.domain]++
	}
	return known.Value, nil
}
