package store

import (
	"context"
	"errors"

	"github.com/centerleap/postern/gateway"
	"github.com/centerleap/postern/store/engine"
)

// A request that a client may make again without harm leaves its answer in the
// commit of what it did. Accounts don't see each other's: the same name in two
// scopes is two requests.

func onceKey(sc gateway.Scope, name string) []byte {
	return key(subOnce, sc.Domain()).account(sc.Account()).hash(name)
}

func encodeReplay(a *gateway.Replay) []byte {
	e := newRecord(64 + len(a.Answer))
	e.bytes(1, a.Digest[:])
	e.bytes(2, a.Answer)
	return e.b
}

func decodeReplay(b []byte) (a gateway.Replay, err error) {
	err = readRecord("answer", b, func(f field) error {
		switch f.n {
		case 1:
			copy(a.Digest[:], f.b)
		case 2:
			a.Answer = f.clone()
		}
		return nil
	})
	return a, err
}

// Answered finds the answer to a request of this name that has happened in the last
// gateway.OnceRetention. NotFound if none has.
func (s *Store) Answered(ctx context.Context, sc gateway.Scope, name string) (a gateway.Replay, err error) {
	if sc.Domain() == 0 {
		return a, denied("domain")
	}
	err = s.view(ctx, func(r engine.Reader) error {
		a, err = load(r, onceKey(sc, name), decodeReplay)
		return missing(err, "answer")
	})
	return a, err
}

// once keeps the answer of a request. Somebody who got here first with the same
// request is told to ask again: the answer is there then.
func (t *tx) once(sc gateway.Scope, o *gateway.Once, done []gateway.Accepted) error {
	k := onceKey(sc, o.Name)
	switch _, err := t.Get(k); {
	case err == nil:
		return gateway.Errorf(gateway.IdempotencyRunning, "another request with this Idempotency-Key was made at the same time")
	case !errors.Is(err, engine.ErrNotFound):
		return err
	}
	t.SetUntil(k, encodeReplay(&gateway.Replay{Digest: o.Digest, Answer: o.Answer(done)}), until(t.now, gateway.OnceRetention))
	return nil
}
