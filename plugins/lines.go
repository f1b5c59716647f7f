package plugins

import (
	"context"
	"encoding/hex"
	"log/slog"
	"sync"
	"time"

	"github.com/centerleap/postern/gateway"
)

// lines is what plugins said and the store does not have yet. It is written in batches
// beside the mail, which never waits for it: what a crash takes of it is lost.
type lines struct {
	mu      sync.Mutex
	waiting map[gateway.DomainID][]gateway.PluginLine
	count   int
	lost    int
	heard   map[gateway.ID]map[chan struct{}]struct{} // who follows a plugin

	writing sync.Mutex // so that lines stay in their order
}

const (
	// flushEvery is how long a line may wait in memory.
	flushEvery = time.Second
	// maxWaiting bounds the lines in memory, about 1 KiB each; of these one domain has a
	// quarter. More are dropped, and counted.
	maxWaiting = 8192
	// batchLines is how many lines share a commit.
	batchLines = 500
)

// add takes lines of a domain's plugin. It waits for nothing.
func (l *lines) add(d gateway.DomainID, said []gateway.PluginLine) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.waiting == nil {
		l.waiting = make(map[gateway.DomainID][]gateway.PluginLine)
	}
	room := max(0, min(maxWaiting-l.count, maxWaiting/4-len(l.waiting[d])))
	taken := said[:min(room, len(said))]
	l.waiting[d] = append(l.waiting[d], taken...)
	l.count += len(taken)
	l.lost += len(said) - len(taken)
}

// take returns all that waits.
func (l *lines) take() (all map[gateway.DomainID][]gateway.PluginLine, lost int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	all, lost = l.waiting, l.lost
	l.waiting, l.count, l.lost = nil, 0, 0
	return all, lost
}

// watch is woken when there may be something new of a plugin, until stop.
func (l *lines) watch(id gateway.ID) (wake <-chan struct{}, stop func()) {
	c := make(chan struct{}, 1)
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.heard == nil {
		l.heard = make(map[gateway.ID]map[chan struct{}]struct{})
	}
	if l.heard[id] == nil {
		l.heard[id] = make(map[chan struct{}]struct{})
	}
	l.heard[id][c] = struct{}{}
	return c, func() {
		l.mu.Lock()
		defer l.mu.Unlock()
		if delete(l.heard[id], c); len(l.heard[id]) == 0 {
			delete(l.heard, id)
		}
	}
}

func (l *lines) wake(id gateway.ID) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for c := range l.heard[id] {
		select {
		case c <- struct{}{}:
		default: // it will look anyway
		}
	}
}

// Run writes what plugins say and count until ctx ends, and then what is left.
func (p *Plugins) Run(ctx context.Context) error {
	tick := time.NewTicker(flushEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			p.flush(context.WithoutCancel(ctx))
			p.settle(ctx)
			return nil
		case <-tick.C:
			p.flush(ctx)
			p.settle(ctx)
		}
	}
}

// flush writes what waits. Lines that can't be written are lost, and the process log
// says so: a log must never be what stops mail.
func (p *Plugins) flush(ctx context.Context) {
	p.lines.writing.Lock()
	defer p.lines.writing.Unlock()
	all, lost := p.lines.take()
	ctx = context.WithoutCancel(ctx) // they are nobody's alone
	for d, rest := range all {
		for len(rest) > 0 {
			n := min(len(rest), batchLines)
			if err := p.cfg.Store.AddPluginLines(ctx, p.cfg.Internal(d), d, rest[:n]); err != nil {
				lost += n
				p.cfg.Log.LogAttrs(ctx, slog.LevelWarn, "lines of plugins not stored", slog.Any("err", err))
			}
			for i := range rest[:n] {
				p.lines.wake(rest[i].Plugin)
			}
			rest = rest[n:]
		}
	}
	if lost > 0 {
		p.cfg.Log.LogAttrs(ctx, slog.LevelWarn, "lines of plugins lost", slog.Int("lines", lost))
	}
}

// Lines returns lines of a plugin's log. What was said before is in it.
func (p *Plugins) Lines(ctx context.Context, s gateway.Scope, id gateway.ID, f gateway.LineFilter) (gateway.LinePage, error) {
	if most := p.cfg.Limits.PageSize; f.Limit < 1 || int64(f.Limit) > most {
		return gateway.LinePage{}, gateway.Fieldf(gateway.InvalidParameter, "limit", "limit must be 1 to %d", most)
	}
	if _, err := p.cfg.Store.Plugin(ctx, s, id); err != nil {
		return gateway.LinePage{}, err
	}
	p.flush(ctx)
	return p.cfg.Store.PluginLines(ctx, s, id, f)
}

// Watch is woken when a plugin may have new lines, or is deleted; the caller stops it.
func (p *Plugins) Watch(id gateway.ID) (wake <-chan struct{}, stop func()) { return p.lines.watch(id) }

// Said wakes who follows a plugin whose log has a line that the store wrote.
func (p *Plugins) Said(id gateway.ID) { p.lines.wake(id) }

// note keeps what a plugin said during a call, and why it failed; a failure leaves a row
// in its tenant's log too.
func (p *Plugins) note(inst *gateway.Plugin, hook gateway.Hook, look *gateway.Look, said []gateway.PluginLine, err error) {
	about := look.Message
	if about == nil { // of a tick
		about = &gateway.Message{}
	}
	if err != nil {
		text := cut(err.Error(), p.cfg.Limits.PluginLogLine)
		said = append(said, gateway.PluginLine{Level: gateway.LineError, Text: text})
		p.cfg.Activity.Add(gateway.Activity{
			At: p.cfg.Now(), Domain: inst.Domain, Account: inst.Account, Protocol: "plugin", Method: string(hook), Endpoint: inst.Name,
			Status: 500, Error: "plugin_failed", Email: about.ID, Reason: text,
		})
	}
	if len(said) == 0 {
		return
	}
	now := p.cfg.Now()
	for i := range said {
		l := &said[i]
		l.Plugin, l.At, l.Hook, l.Version = inst.ID, now, hook, inst.Version
		l.Email, l.MessageID = about.ID, cut(about.Content.MessageID, maxMessageID)
		if l.Version == "" {
			l.Version = hex.EncodeToString(inst.SHA256[:6])
		}
	}
	p.lines.add(inst.Domain, said)
}

// maxMessageID bounds what a line keeps of a Message-ID, in bytes; ours.
const maxMessageID = 250
