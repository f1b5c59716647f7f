package badgerstore

import (
	"context"
	"encoding/binary"
	"fmt"
	"time"

	"github.com/centerleap/postern/store/engine"
)

// lease is one grant of a name. Its record is epoch u64, boot u64, expiry ms
// u64. The record stays when the lease ends: it is what makes epochs grow.
type lease struct {
	store *Store
	name  string
	epoch uint64
}

type leaseRecord struct{ epoch, boot, expires uint64 }

func (l leaseRecord) encode() []byte {
	b := binary.BigEndian.AppendUint64(nil, l.epoch)
	b = binary.BigEndian.AppendUint64(b, l.boot)
	return binary.BigEndian.AppendUint64(b, l.expires)
}

func readLease(r engine.Reader, name string) (l leaseRecord, err error) {
	b, err := r.Get(leaseKey(name))
	if isMissing(err) {
		return l, nil
	} else if err != nil {
		return l, err
	}
	if len(b) != 24 {
		return l, fmt.Errorf("the lease %q is damaged", name)
	}
	return leaseRecord{binary.BigEndian.Uint64(b), binary.BigEndian.Uint64(b[8:]), binary.BigEndian.Uint64(b[16:])}, nil
}

// held reports whether somebody has the lease: one of an earlier opening of the
// store is void, since its holder died with it.
func (l leaseRecord) held(s *Store, nowMilli int64) bool {
	return l.boot == s.boot && uint64(nowMilli) < l.expires
}

// Lease takes a named lease.
func (s *Store) Lease(ctx context.Context, name string, ttl time.Duration) (engine.Lease, error) {
	l := &lease{store: s, name: name}
	err := s.own(ctx, func(t *tx) error {
		rec, err := readLease(t, name)
		if err != nil {
			return err
		}
		if rec.held(s, t.base.now) {
			return fmt.Errorf("%w: %s", engine.ErrHeld, name)
		}
		l.epoch = rec.epoch + 1
		l.write(t, t.base.now+ttl.Milliseconds())
		return nil
	})
	if err != nil {
		return nil, err
	}
	return l, nil
}

// own runs a transaction on the engine's own keys.
func (s *Store) own(ctx context.Context, fn func(*tx) error) error {
	_, err := s.Update(ctx, engine.Op{Frees: true, Fn: func(t engine.Tx) error { return fn(t.(*tx)) }})
	return err
}

func (l *lease) write(t *tx, expires int64) {
	rec := leaseRecord{l.epoch, l.store.boot, uint64(expires)}
	t.put(leaseKey(l.name), cell{value: rec.encode()})
}

func (l *lease) Epoch() uint64 { return l.epoch }

func (l *lease) Check(t engine.Tx) error {
	rec, err := readLease(t, l.name)
	if err != nil {
		return err
	}
	if rec.epoch != l.epoch || !rec.held(l.store, t.(*tx).base.now) {
		return fmt.Errorf("%w: %s", engine.ErrFenced, l.name)
	}
	return nil
}

func (l *lease) Renew(ctx context.Context, ttl time.Duration) error {
	return l.store.own(ctx, func(t *tx) error {
		if err := l.Check(t); err != nil {
			return err
		}
		l.write(t, t.base.now+ttl.Milliseconds())
		return nil
	})
}

func (l *lease) Release(ctx context.Context) error {
	return l.store.own(ctx, func(t *tx) error {
		if l.Check(t) == nil { // else it is somebody else's by now
			l.write(t, 0)
		}
		return nil
	})
}
