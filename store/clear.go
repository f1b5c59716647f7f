package store

import (
	"context"
	"encoding/binary"
	"log/slog"

	"github.com/centerleap/postern/gateway"
	"github.com/centerleap/postern/store/engine"
)

// What deleted plugins and webhooks leave is cleared after the commit that deletes them,
// in commits of its own: nobody knows how much it is. A mark in that first commit says so.

// valuesPerCommit bounds how many values are deleted in one commit.
const valuesPerCommit = 1000

// ofPluginKeys are the sub-spaces of what a plugin remembers and said, by its id.
var ofPluginKeys = []byte{subPluginKV, subPluginLine, subCounter, subAgain, subFailure, subReplied, subHeard}

// clearSoon clears what is left of deleted plugins and webhooks. That they are deleted is
// durable: if this fails, FinishDeletions does it.
func (s *Store) clearSoon(ctx context.Context, d gateway.DomainID) {
	err := s.clearPlugins(ctx, d)
	if err == nil {
		return
	}
	s.cfg.Log.LogAttrs(ctx, slog.LevelWarn, "what a deleted plugin or webhook leaves is cleared later", slog.Uint64("domain", uint64(d)), slog.Any("err", err))
	select {
	case s.uncleared <- struct{}{}:
	default:
	}
}

// Uncleared receives when a deletion left something that FinishDeletions has to clear.
func (s *Store) Uncleared() <-chan struct{} { return s.uncleared }

// finishPlugins clears what is left of deleted plugins and webhooks of any domain.
func (s *Store) finishPlugins(ctx context.Context) error {
	left := make(map[gateway.DomainID]bool)
	err := s.view(ctx, func(r engine.Reader) error {
		return r.Scan(engine.Prefix([]byte{subPluginUse}), func(k, v []byte) error {
			n, err := decodeNumbers(v)
			if err == nil && n[1] == 1 {
				left[gateway.DomainID(binary.BigEndian.Uint32(k[1:]))] = true
			}
			return err
		})
	})
	for d := range left {
		if err == nil {
			err = s.clearPlugins(ctx, d)
		}
	}
	return err
}

// clearPlugins deletes what deleted installations remembered and said, those too whose
// clearing was cut off.
func (s *Store) clearPlugins(ctx context.Context, d gateway.DomainID) error {
	for {
		var gone []gateway.ID
		err := s.view(ctx, func(r engine.Reader) error {
			return r.Scan(engine.Prefix(key(subPluginUse, d)), func(k, v []byte) error {
				n, err := decodeNumbers(v)
				if err == nil && n[1] == 1 {
					gone = append(gone, lastID(k))
				}
				return err
			})
		})
		if err != nil || len(gone) == 0 {
			return err
		}
		for _, id := range gone {
			if err := s.clearPlugin(ctx, d, id); err != nil {
				return err
			}
		}
	}
}

// clearPlugin deletes what one remembered, and the mark that it has to be cleared last.
func (s *Store) clearPlugin(ctx context.Context, d gateway.DomainID, id gateway.ID) error {
	if err := s.dropIntents(ctx, d, func(in *gateway.Intent) bool { return in.Plugin == id }); err != nil {
		return err
	}
	for n := valuesPerCommit; n == valuesPerCommit; {
		err := s.frees(ctx, d, func(t *tx) (err error) {
			for _, sub := range ofPluginKeys {
				if n, err = t.clear(key(sub, d).id(id)); err != nil || n == valuesPerCommit {
					return err
				}
			}
			t.Delete(intentUseKey(d).id(id))
			t.Delete(pluginUsageKey(d, id))
			t.Delete(lineSeqKey(d, id))
			t.Delete(pluginUseKey(d, id))
			return nil
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// clear deletes what begins with prefix, so many keys in one commit.
func (t *tx) clear(prefix []byte) (int, error) {
	return t.DeleteRange(prefix, engine.After(prefix), valuesPerCommit)
}
