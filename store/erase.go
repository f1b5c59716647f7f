package store

import (
	"context"
	"encoding/binary"

	"github.com/centerleap/postern/gateway"
	"github.com/centerleap/postern/store/engine"
)

// DeleteDomain removes a domain with everything in it: accounts, mail, keys,
// plugins, the queue, the log. When it returns nil, nothing of it can be found by
// anybody; Compact then takes its bytes off the disk.
//
// First the domain loses its name and a mark is set, in one commit. The rest goes
// in bounded commits; should the process die meanwhile, FinishDeletions goes on.
func (s *Store) DeleteDomain(ctx context.Context, sc gateway.Scope, id gateway.DomainID) error {
	if sc.Level() != gateway.LevelInstance {
		return denied("domain")
	}
	d, err := s.Domain(ctx, sc, id)
	if err != nil {
		return err
	}
	err = s.frees(ctx, 0, func(t *tx) error {
		t.Delete(routeByName(d.Name))
		t.Delete(routeByUUID(d.UUID))
		t.Set(erasingKey(id), encodeNamed(d))
		return t.announceMade(d)
	})
	if err != nil {
		return err
	}
	return s.erase(ctx, id)
}

// FinishDeletions goes on with deletions of domains, accounts, plugins and webhooks that
// were cut short, and tells of domains that nobody was told of. It returns the domains
// that are gone now.
func (s *Store) FinishDeletions(ctx context.Context, sc gateway.Scope) (gone []gateway.DomainID, err error) {
	if sc.Level() != gateway.LevelInstance {
		return nil, denied("domain")
	}
	var ids []gateway.DomainID
	err = s.view(ctx, func(r engine.Reader) error {
		return r.Scan(engine.Prefix(key(subSetting, 0).text("erasing/")), func(k, _ []byte) error {
			ids = append(ids, gateway.DomainID(binary.BigEndian.Uint32(k[len(k)-4:])))
			return nil
		})
	})
	for _, id := range ids {
		if err == nil {
			err = s.erase(ctx, id)
		}
		if err == nil {
			gone = append(gone, id)
		}
	}
	if err == nil {
		err = s.finishAccounts(ctx, sc)
	}
	if err == nil {
		err = s.finishPlugins(ctx)
	}
	if err == nil {
		err = s.finishMaking(ctx)
	}
	return gone, translate(err)
}

// Compact takes off the disk what was deleted before: see engine.Engine.
func (s *Store) Compact(ctx context.Context, sc gateway.Scope) error {
	if sc.Level() != gateway.LevelInstance {
		return denied("store")
	}
	return translate(s.engine.Compact(ctx))
}

// Sizes of the commits of a deletion.
const (
	erasePage = 200
	eraseKeys = 2000
)

// ofDomain are the sub-spaces whose keys have the domain as their second field.
// The others are dealt with by name: 01 first, 07 by the keys in 06, 31 and 32 by
// the deliveries in 30, 33 by the check in 0C, 37 by the rows of 38, 3B by the intents
// in 3A, 47 by the turns in 46.
var ofDomain = []byte{
	subAccount, subAddress, subKey, subDomainSeq, subAccountSeq, subErasing, subSigning, subCheck, subMessage, subUUID, subMailbox, subEntry, subList,
	subMessageID, subThread, subNode, subTrace, subSegment, subFlags, subStructure, subMember, subSubject, subVanished, subDelivery, subSite, subSiteMark, subWaiting, subCarried, subOutcome,
	subSuppressed, subRefused, subOrigin, subFollows, subAgain, subFailure, subWebhook, subHeard, subTally, subTurn, subPlugin, subPluginUse, subPluginKV, subPluginLine, subLineCount, subCounter, subActivity, subByKey, subKeyUsage, subDomUsage, subOnce,
	subIntent, subIntentUse, subPlugUsage, subReplied, subReplies,
}

func (s *Store) erase(ctx context.Context, id gateway.DomainID) error {
	// Without its record and its keys nobody gets in any more.
	err := s.frees(ctx, id, func(t *tx) error {
		t.Delete(domainKey(id))
		return t.forgetCheck()
	})
	if err != nil {
		return err
	}
	// Nor does a plugin that is being changed get a turn, or have mail sent: the rows that
	// other domains' work is found by would be left behind.
	if _, err := s.eraseSub(ctx, id, subPlugin); err != nil {
		return err
	}
	s.installed.forget(id)
	if err := s.page(ctx, id, subKey, (*tx).forgetKey); err != nil {
		return err
	}
	if err := s.page(ctx, id, subDelivery, (*tx).forgetDelivery); err != nil {
		return err
	}
	if err := s.page(ctx, id, subSiteMark, (*tx).forgetMark); err != nil {
		return err
	}
	if err := s.page(ctx, id, subIntent, (*tx).forgetIntent); err != nil {
		return err
	}
	if err := s.page(ctx, id, subTurn, (*tx).forgetTurn); err != nil {
		return err
	}
	for gone := 1; gone > 0; { // again, until nothing was left by what was under way
		gone = 0
		for _, sub := range ofDomain {
			n, err := s.eraseSub(ctx, id, sub)
			if err != nil {
				return err
			}
			gone += n
		}
	}
	s.installed.forget(id)
	if err := s.engine.Erase(ctx, uint32(id)); err != nil {
		return translate(err)
	}
	return s.frees(ctx, 0, func(t *tx) error {
		d, err := loadOr(t, erasingKey(id), decodeNamed)
		if err != nil {
			return err
		}
		return t.announce(erasingKey(id), gateway.EventDomainDeleted, d)
	})
}

// page runs forget on every record of a sub-space, some in each commit.
func (s *Store) page(ctx context.Context, id gateway.DomainID, sub byte, forget func(t *tx, k, v []byte) error) error {
	return s.pageOf(ctx, id, key(sub, id), forget)
}

func (s *Store) pageOf(ctx context.Context, id gateway.DomainID, prefix []byte, forget func(t *tx, k, v []byte) error) error {
	for n := erasePage; n == erasePage; {
		err := s.frees(ctx, id, func(t *tx) error {
			n = 0
			rng := engine.Prefix(prefix)
			rng.Limit = erasePage
			return t.Scan(rng, func(k, v []byte) error {
				n++
				t.Delete(append([]byte(nil), k...))
				return forget(t, k, v)
			})
		})
		if err != nil {
			return err
		}
	}
	return nil
}

func (t *tx) forgetKey(_, v []byte) error {
	rec, err := decodeKey(v)
	if err == nil {
		t.Delete(digestKey(rec.Digest))
	}
	return err
}

func (t *tx) forgetDelivery(k, v []byte) error {
	j, err := decodeDelivery(t.domain, lastID(k), v)
	if err == nil {
		t.unqueue(j)
	}
	return err
}

func (s *Store) eraseSub(ctx context.Context, id gateway.DomainID, sub byte) (gone int, err error) {
	return s.eraseRange(ctx, id, engine.Prefix(key(sub, id)))
}

func (s *Store) eraseRange(ctx context.Context, id gateway.DomainID, rng engine.Range) (gone int, err error) {
	for n := eraseKeys; n == eraseKeys; gone += n {
		err := s.frees(ctx, id, func(t *tx) (err error) {
			n, err = t.DeleteRange(rng.From, rng.To, eraseKeys)
			return err
		})
		if err != nil {
			return gone, err
		}
	}
	return gone, nil
}
