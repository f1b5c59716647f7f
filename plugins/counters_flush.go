package plugins

import (
	"context"
	"log/slog"

	"github.com/centerleap/postern/gateway"
)

// settle makes durable what was counted. What can't be stays, for the next time.
func (p *Plugins) settle(ctx context.Context) {
	c := &p.counters
	c.writing.Lock()
	defer c.writing.Unlock()
	ctx = context.WithoutCancel(ctx) // it is nobody's alone
	for d, rest := range c.take(p) {
		for len(rest) > 0 {
			n := min(len(rest), batchCounters)
			err := p.cfg.Store.SetPluginCounters(ctx, p.cfg.Internal(d), d, rest[:n])
			if err != nil {
				p.cfg.Log.LogAttrs(ctx, slog.LevelWarn, "counters of plugins not stored", slog.Int("counters", n), slog.Any("err", err))
			}
			c.settled(d, rest[:n], err == nil)
			rest = rest[n:]
		}
	}
}

// take returns what has changed, and drops what nobody uses.
func (c *counters) take(p *Plugins) map[gateway.DomainID][]gateway.PluginCounter {
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.cells)+len(c.owned) == 0 {
		return nil
	}
	now, all := p.cfg.Now(), make(map[gateway.DomainID][]gateway.PluginCounter)
	for k, known := range c.cells {
		_, lives := known.at(now)
		switch {
		case lives && known.changed:
			all[k.domain] = append(all[k.domain], known.PluginCounter)
			known.changed = false
		case !lives || known.idle >= idleBatches:
			delete(c.cells, k)
			c.dropped++
		default:
			known.idle++
		}
	}
	for id, o := range c.owned {
		if o.idle++; o.idle > idleBatches {
			delete(c.owned, id)
		}
	}
	c.changed = nil
	return all
}

// settled notes what was stored, or was not.
func (c *counters) settled(d gateway.DomainID, all []gateway.PluginCounter, well bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for i := range all {
		known := c.cells[cellKey{d, all[i].Plugin, all[i].Key}]
		switch {
		case known == nil:
		case well:
			known.stored = true
		case !known.changed:
			if c.changed == nil {
				c.changed = make(map[gateway.DomainID]int64)
			}
			known.changed = true
			c.changed[d]++
		}
	}
}
