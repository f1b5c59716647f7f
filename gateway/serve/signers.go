package serve

import (
	recent "container/list"
	"context"
	"io"
	"slices"
	"sync"
	"time"

	"github.com/centerleap/postern/gateway"
	"github.com/centerleap/postern/gateway/mailauth"
)

// signersKept is how many domains' parsed keys stay in memory, about 5 KiB each; ours.
// Parsing an RSA key takes a third of the time of a signature.
const signersKept = 256

// signers sign with the keys that a domain has now, and remember them parsed.
type signers struct {
	keys   func(context.Context, gateway.Scope, *gateway.Domain) ([]gateway.SigningKey, error)
	limits gateway.Limits
	now    func() time.Time

	mu    sync.Mutex
	order *recent.List // of *signerKept, the last used in front
	by    map[gateway.DomainID]*recent.Element
}

type signerKept struct {
	domain gateway.DomainID
	keys   []gateway.SigningKey // that signer was made of
	signer *mailauth.Signer
}

func newSigners(keys func(context.Context, gateway.Scope, *gateway.Domain) ([]gateway.SigningKey, error), limits gateway.Limits, now func() time.Time) *signers {
	return &signers{keys: keys, limits: limits, now: now, order: recent.New(), by: make(map[gateway.DomainID]*recent.Element)}
}

// Sign implements outbound.Signer. The keys are read for every message: so new ones
// count from the next message on, on any node.
func (s *signers) Sign(ctx context.Context, sc gateway.Scope, d *gateway.Domain, inside bool, message io.Reader) ([]byte, error) {
	keys, err := s.keys(ctx, sc, d)
	if err != nil {
		return nil, err
	}
	signer := s.kept(d.ID, keys)
	if signer == nil {
		if signer, err = mailauth.NewSigner(mailauth.SignerConfig{Domain: d.Name, Keys: keys, Limits: s.limits, Now: s.now}); err != nil {
			return nil, err
		}
		s.keep(&signerKept{d.ID, keys, signer})
	}
	if inside {
		return signer.SignInside(message)
	}
	return signer.Sign(message)
}

// kept is the signer of a domain, if it is made of these keys.
func (s *signers) kept(d gateway.DomainID, keys []gateway.SigningKey) *mailauth.Signer {
	s.mu.Lock()
	defer s.mu.Unlock()
	e := s.by[d]
	if e == nil {
		return nil
	}
	k := e.Value.(*signerKept)
	if !slices.EqualFunc(k.keys, keys, func(a, b gateway.SigningKey) bool { return a.Selector == b.Selector && a.Private == b.Private }) {
		return nil
	}
	s.order.MoveToFront(e)
	return k.signer
}

func (s *signers) keep(k *signerKept) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if e := s.by[k.domain]; e != nil {
		s.order.Remove(e)
	}
	s.by[k.domain] = s.order.PushFront(k)
	if s.order.Len() > signersKept {
		delete(s.by, s.order.Remove(s.order.Back()).(*signerKept).domain)
	}
}
