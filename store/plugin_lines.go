package store

import (
	"context"
	"errors"

	"github.com/centerleap/postern/gateway"
	"github.com/centerleap/postern/store/engine"
)

// The lines of a plugin's log are numbered, so that a commit knows which one goes for
// the one that comes, without reading them.

func lineKey(d gateway.DomainID, id gateway.ID, n uint64) []byte {
	return key(subPluginLine, d).id(id).u64(n)
}

func lineSeqKey(d gateway.DomainID, id gateway.ID) []byte { return key(subLineCount, d).id(id) }

func encodeLine(l *gateway.PluginLine) []byte {
	e := newRecord(len(l.Text) + 128)
	e.time(1, l.At)
	e.uint(2, uint64(l.Level))
	e.text(3, l.Version)
	e.text(4, string(l.Hook))
	e.id(5, l.Email)
	e.text(6, l.MessageID)
	e.text(7, l.Text)
	return e.b
}

func decodeLine(plugin gateway.ID, n uint64, b []byte) (l gateway.PluginLine, err error) {
	l.Plugin, l.Sequence = plugin, n
	err = readRecord("line of a plugin's log", b, func(f field) error {
		switch f.n {
		case 1:
			l.At = f.time()
		case 2:
			l.Level = gateway.LineLevel(f.v)
		case 3:
			l.Version = f.text()
		case 4:
			l.Hook = gateway.Hook(f.text())
		case 5:
			l.Email = f.id()
		case 6:
			l.MessageID = f.text()
		case 7:
			l.Text = f.text()
		}
		return nil
	})
	return l, err
}

// AddPluginLines makes lines of a domain's plugins durable, in their order. Of each
// plugin so many stay as there may be, and none longer than rows of the log. Lines of
// a plugin that was deleted meanwhile are dropped.
func (s *Store) AddPluginLines(ctx context.Context, sc gateway.Scope, d gateway.DomainID, lines []gateway.PluginLine) error {
	if !sc.CoversDomain(d) || d == 0 {
		return denied("domain")
	}
	return s.update(ctx, d, func(t *tx) error { return t.addLines(lines) })
}

// addLines adds lines of plugins to a commit.
func (t *tx) addLines(lines []gateway.PluginLine) error {
	d, last := t.domain, make(map[gateway.ID]numbers)
	for i := range lines {
		l := &lines[i]
		n, known := last[l.Plugin]
		if !known {
			if _, err := t.Get(pluginKey(d, l.Plugin)); errors.Is(err, engine.ErrNotFound) {
				continue
			} else if err != nil {
				return err
			}
			var err error
			if n, err = loadOr(t, lineSeqKey(d, l.Plugin), decodeNumbers); err != nil {
				return err
			}
		}
		n[0]++
		last[l.Plugin] = n
		t.SetUntil(lineKey(d, l.Plugin, n[0]), encodeLine(l), until(l.At, t.store.cfg.ActivityRetention))
		if most := uint64(t.store.cfg.Limits.PluginLines); n[0] > most {
			t.Delete(lineKey(d, l.Plugin, n[0]-most))
		}
		if l.Pauses {
			if err := t.pluginPaused(l.Plugin, l.Hook); err != nil {
				return err
			}
		}
	}
	for id, n := range last {
		t.Set(lineSeqKey(d, id), n.encode())
	}
	return nil
}

// pluginPaused tells that a hook of a plugin is not asked for a while, unless it was
// switched off meanwhile.
func (t *tx) pluginPaused(id gateway.ID, hook gateway.Hook) error {
	p, err := readPlugin(t, t.domain, id)
	if err == nil && p.Enabled {
		t.emit(gateway.Event{Type: gateway.EventPluginDisabled, Account: p.Account, Subject: id, Detail: string(hook)})
	}
	return err
}

// PluginLines returns lines of a plugin's log, of those that are kept.
func (s *Store) PluginLines(ctx context.Context, sc gateway.Scope, id gateway.ID, f gateway.LineFilter) (page gateway.LinePage, err error) {
	d := sc.Domain()
	err = s.view(ctx, func(r engine.Reader) error {
		if _, err := pluginOf(r, sc, id); err != nil {
			return err
		}
		n, err := loadOr(r, lineSeqKey(d, id), decodeNumbers)
		if err != nil {
			return err
		}
		oldest := n[0] - min(n[0], uint64(s.cfg.Limits.PluginLines)) + 1 // a lowered limit counts at once
		rng := engine.Range{From: lineKey(d, id, oldest), To: lineKey(d, id, n[0]+1), Reverse: !f.Forward}
		page.Last = n[0]
		if f.Forward && f.Beyond > 0 {
			rng.From = lineKey(d, id, max(oldest, min(f.Beyond, n[0])+1))
		} else if f.Beyond > 0 {
			rng.To = lineKey(d, id, max(oldest, min(f.Beyond, n[0]+1)))
		}
		return r.Scan(rng, func(k, v []byte) error {
			l, err := decodeLine(id, uint64(lastNumber(k)), v)
			if err != nil || l.Level < f.Level || l.At.Before(f.Since) {
				return err
			}
			if page.More = len(page.Lines) == f.Limit; page.More {
				if f.Forward { // what is behind it was not looked at
					page.Last = page.Lines[f.Limit-1].Sequence
				}
				return engine.ErrStop
			}
			page.Lines = append(page.Lines, l)
			return ctx.Err()
		})
	})
	return page, err
}
