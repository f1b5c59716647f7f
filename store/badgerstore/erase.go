package badgerstore

import (
	"bytes"
	"context"
	"errors"

	"github.com/centerleap/postern/store/engine"
)

// eraseBatch is how many keys go in one commit.
const eraseBatch = 1000

// Erase removes a domain's feed, sequence and bodies.
func (s *Store) Erase(ctx context.Context, domain uint32) error {
	if domain == 0 {
		return errors.New("domain 0 is the instance")
	}
	for _, sub := range []byte{engine.SubBlob, engine.SubFeed, engine.SubMeta} {
		for more := true; more; {
			err := s.own(ctx, func(t *tx) (err error) {
				more, err = t.erase(sub, domain)
				return err
			})
			if err != nil {
				return err
			}
		}
	}
	return nil
}

// erase deletes some keys of a domain in one of the engine's own sub-spaces.
func (t *tx) erase(sub byte, domain uint32) (more bool, err error) {
	if sub == engine.SubFeed {
		t.erased = domain // and what its group has not written yet
	}
	rng := engine.Prefix(ownKey(sub, domain))
	rng.Limit = eraseBatch
	n := 0
	err = t.Scan(rng, func(key, v []byte) error {
		n++
		if _, id, ok := blobKeyID(key); ok {
			rec, err := decodeBlob(domain, id, v)
			if err != nil {
				return err
			}
			t.freed = append(t.freed, rec)
		}
		t.over.put(bytes.Clone(key), cell{deleted: true})
		return nil
	})
	return n == eraseBatch, err
}
