package rest

import (
	"crypto/sha256"
	"hash"
	"io"
	"sync"

	"github.com/centerleap/postern/gateway"
	"github.com/centerleap/postern/gateway/outbound"
)

// A send with an Idempotency-Key happens once in a day, however often it is made
// (draft-ietf-httpapi-idempotency-key-header). Its answer commits with the mail. A
// second request that comes while the first one runs is told so; later ones get the
// first answer. Only what succeeded is kept: what failed may be tried again.

// maxIdempotencyKey bounds the key, in bytes. Source: other send APIs.
const maxIdempotencyKey = 256

// claims are the requests with an Idempotency-Key that are running.
type claims struct {
	mu      sync.Mutex
	running map[claim]bool
}

// claim is whose request it is, as the store tells it too, and what its client calls it.
type claim struct {
	level   gateway.Level
	domain  gateway.DomainID
	account gateway.AccountID
	name    string
}

// take claims a request; false if somebody has it.
func (c *claims) take(r claim) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.running[r] {
		return false
	}
	if c.running == nil {
		c.running = make(map[claim]bool)
	}
	c.running[r] = true
	return true
}

func (c *claims) leave(r claim) {
	c.mu.Lock()
	delete(c.running, r)
	c.mu.Unlock()
}

// once is one request with an Idempotency-Key; nil is one without.
type once struct {
	name string
	sum  hash.Hash // of the body as it is read
}

// openOnce claims the request's Idempotency-Key until done is called. It is nil
// without one.
func (s *Server) openOnce(k *call) (o *once, done func(), err error) {
	if len(k.c.Request().Header.PeekAll("Idempotency-Key")) == 0 {
		return nil, func() {}, nil
	}
	v := k.c.Get("Idempotency-Key")
	if v == "" || len(v) > maxIdempotencyKey {
		return nil, nil, gateway.Errorf(gateway.BadIdempotencyKey, "an Idempotency-Key has 1 to %d characters", maxIdempotencyKey)
	}
	o = &once{name: k.c.Method() + " " + k.route.Path + " " + v, sum: sha256.New()}
	mine := claim{k.scope.Level(), k.scope.Domain(), k.scope.Account(), o.name}
	if !s.claims.take(mine) {
		return nil, nil, gateway.Errorf(gateway.IdempotencyRunning, "the first request with this Idempotency-Key is still running")
	}
	return o, func() { s.claims.leave(mine) }, nil
}

// reads notes what is read of the body.
func (o *once) reads(r io.Reader) io.Reader {
	if o == nil {
		return r
	}
	return io.TeeReader(r, o.sum)
}

// replay gives the first answer again, if there is one. The body has been read.
func (s *Server) replay(k *call, scope gateway.Scope, o *once) (replayed bool, err error) {
	if o == nil {
		return false, nil
	}
	before, err := s.cfg.Sender.Answered(k.ctx, scope, o.name)
	if err != nil {
		if gateway.KindOf(err) == gateway.NotFound {
			err = nil // the first of its name
		}
		return false, err
	}
	if before.Digest != [32]byte(o.sum.Sum(nil)) {
		return false, gateway.Errorf(gateway.IdempotencyMismatch, "this Idempotency-Key was used for another request")
	}
	k.c.Set("Idempotency-Replayed", "true")
	k.c.Set("Content-Type", jsonBody)
	return true, k.c.Send(before.Answer)
}

// keep says how the answer is written, for the commit.
func (o *once) keep(answer func(outbound.Receipts) any) *outbound.Once {
	if o == nil {
		return nil
	}
	return &outbound.Once{Name: o.name, Digest: [32]byte(o.sum.Sum(nil)), Answer: func(r outbound.Receipts) []byte {
		b, err := encodeJSON(answer(r))
		if err != nil { // strings and numbers only: they always encode
			panic(err)
		}
		return b
	}}
}
