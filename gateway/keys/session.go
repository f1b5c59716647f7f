package keys

import (
	"context"
	"strings"
	"sync"
	"time"

	"github.com/centerleap/postern/gateway"
)

// Reasons why a key is refused, for the log. The client hears one text.
const (
	reasonMalformed = "malformed"
	reasonUnknown   = "unknown"
	reasonRevoked   = "revoked"
	reasonExpired   = "expired"
	reasonErased    = "its domain or account was deleted"
	reasonUsername  = "wrong username, or no permission for this door"
)

// place is a domain, and an account of it or 0.
type place struct {
	domain  gateway.DomainID
	account gateway.AccountID
}

// RefusedError is inside the error of Open when the token was that of a known key:
// the log may then say whose.
type RefusedError struct{ Key gateway.Key }

func (r *RefusedError) Error() string { return "key " + r.Key.Display() }

func refuse(reason string, k *gateway.Key) error {
	e := &gateway.Error{Kind: gateway.InvalidKey, Message: "API key is invalid", Reason: reason}
	if k != nil {
		e.Err = &RefusedError{Key: *k}
	}
	return e
}

// Session is one use of a key: a request, or a connection. Its owner closes it.
type Session struct {
	key   gateway.Key
	scope gateway.Scope
	reg   *registry
	done  chan struct{}
	timer *time.Timer // for the expiry; guarded by reg.mu
	onEnd func()      // guarded by reg.mu
	acts  place       // what it is used for, of all that its key reaches; guarded by reg.mu

	err error // why done is closed; read after it
}

// Open recognises the holder of a token. All refusals sound the same to a
// client: MissingKey for none, InvalidKey otherwise.
func (k *Keys) Open(ctx context.Context, token gateway.Secret) (*Session, error) {
	if token == "" {
		return nil, gateway.Errorf(gateway.MissingKey, "an API key is needed: Authorization: Bearer bm_live_...")
	}
	if !wellFormed(token.Reveal()) {
		return nil, refuse(reasonMalformed, nil)
	}
	key, err := k.cfg.Store.KeyByDigest(ctx, System(), token.Digest())
	if gateway.KindOf(err) == gateway.NotFound {
		return nil, refuse(reasonUnknown, nil)
	} else if err != nil {
		return nil, err
	}
	return k.begin(ctx, key)
}

// OpenFor is Open for who shows, instead of a token, what the gateway signed for the
// holder of a key: one of domain d, or of the instance.
func (k *Keys) OpenFor(ctx context.Context, d gateway.DomainID, id gateway.ID) (*Session, error) {
	key, err := k.cfg.Store.Key(ctx, Internal(d), id)
	if gateway.KindOf(err) == gateway.NotFound {
		key, err = k.cfg.Store.Key(ctx, System(), id)
	}
	if gateway.KindOf(err) == gateway.NotFound {
		return nil, refuse(reasonUnknown, nil)
	} else if err != nil {
		return nil, err
	}
	return k.begin(ctx, key)
}

// begin makes a session of a key that was found, if it is live.
func (k *Keys) begin(ctx context.Context, key *gateway.Key) (*Session, error) {
	now := k.cfg.Now()
	switch {
	case !key.RevokedAt.IsZero():
		return nil, refuse(reasonRevoked, key)
	case key.Expired(now):
		return nil, refuse(reasonExpired, key)
	}
	s := &Session{key: *key, scope: scopeOf(key), reg: &k.sessions, done: make(chan struct{})}
	k.sessions.add(s, now)
	// A revocation between the look-up and the registration would miss s.
	if now, err := k.cfg.Store.Key(ctx, s.scope, key.ID); err != nil || !now.RevokedAt.IsZero() {
		s.Close()
		if err != nil {
			return nil, err
		}
		return nil, refuse(reasonRevoked, now)
	}
	k.touch(key, now)
	return s, nil
}

// wellFormed is checked before anything is hashed.
func wellFormed(token string) bool {
	digits, ok := strings.CutPrefix(token, livePrefix)
	if !ok {
		digits, ok = strings.CutPrefix(token, adminPrefix)
	}
	if !ok || len(digits) != tokenHex {
		return false
	}
	for i := range len(digits) {
		if c := digits[i]; (c < '0' || c > '9') && (c < 'a' || c > 'f') {
			return false
		}
	}
	return true
}

// Key is the key as it was when the session began.
func (s *Session) Key() gateway.Key { return s.key }

// Scope is what the session may touch.
func (s *Session) Scope() gateway.Scope { return s.scope }

// Done is closed when the key is revoked or expires.
func (s *Session) Done() <-chan struct{} { return s.done }

// Err says why Done is closed; nil while it is not.
func (s *Session) Err() error {
	select {
	case <-s.done:
		return s.err
	default:
		return nil
	}
}

// Close forgets the session. It may be called twice.
func (s *Session) Close() { s.reg.remove(s) }

// registry holds the live sessions of each key.
type registry struct {
	mu   sync.Mutex
	live map[gateway.ID]map[*Session]struct{}
}

func (r *registry) add(s *Session, now time.Time) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.live[s.key.ID] == nil {
		r.live[s.key.ID] = make(map[*Session]struct{})
	}
	r.live[s.key.ID][s] = struct{}{}
	r.arm(s, s.key.ExpiresAt, now)
}

// arm sets the timer that ends s at its key's expiry. mu is held.
func (r *registry) arm(s *Session, expires, now time.Time) {
	if s.timer != nil {
		s.timer.Stop()
		s.timer = nil
	}
	if !expires.IsZero() {
		s.timer = time.AfterFunc(expires.Sub(now), func() {
			r.mu.Lock()
			defer r.mu.Unlock()
			r.finish(s, reasonExpired)
		})
	}
}

// finish ends one session. mu is held.
func (r *registry) finish(s *Session, reason string) {
	if _, live := r.live[s.key.ID][s]; !live {
		return
	}
	s.err = refuse(reason, &s.key)
	close(s.done)
	if s.onEnd != nil {
		go s.onEnd() // it may take locks of its own, and wait for a client
	}
	r.drop(s)
}

// drop forgets one session. mu is held.
func (r *registry) drop(s *Session) {
	if s.timer != nil {
		s.timer.Stop()
	}
	delete(r.live[s.key.ID], s)
	if len(r.live[s.key.ID]) == 0 {
		delete(r.live, s.key.ID)
	}
}

func (r *registry) remove(s *Session) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.drop(s)
}

// end closes all sessions of a key.
func (r *registry) end(id gateway.ID, reason string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for s := range r.live[id] {
		r.finish(s, reason)
	}
}

// EndDomain closes the sessions of all keys of a domain that was deleted, and those of
// the instance's keys that act for it.
func (k *Keys) EndDomain(d gateway.DomainID) {
	k.sessions.erased(func(s *Session) bool { return s.scope.Domain() == d || s.acts.domain == d })
}

// EndAccount closes the sessions of an account that was deleted: those of its keys, and
// those of other keys that act for it.
func (k *Keys) EndAccount(d gateway.DomainID, a gateway.AccountID) {
	k.sessions.erased(func(s *Session) bool {
		return s.scope.Domain() == d && s.scope.Account() == a || s.acts == place{d, a}
	})
}

// erased closes the sessions of what was deleted.
func (r *registry) erased(of func(*Session) bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, sessions := range r.live {
		for s := range sessions {
			if of(s) {
				r.finish(s, reasonErased)
			}
		}
	}
}

// ActFor notes for which domain, and which account of it or 0, a session is, where its
// key reaches more: it ends when that is deleted.
func (s *Session) ActFor(d gateway.DomainID, a gateway.AccountID) {
	s.reg.mu.Lock()
	defer s.reg.mu.Unlock()
	s.acts = place{d, a}
}

// refresh applies a changed expiry to the open sessions of a key.
func (r *registry) refresh(k *gateway.Key, now time.Time) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for s := range r.live[k.ID] {
		if k.Expired(now) {
			r.finish(s, reasonExpired)
		} else {
			r.arm(s, k.ExpiresAt, now)
		}
	}
}

// Live is how many sessions a key has.
func (k *Keys) Live(id gateway.ID) int {
	k.sessions.mu.Lock()
	defer k.sessions.mu.Unlock()
	return len(k.sessions.live[id])
}

// OnEnd has f called, in a goroutine of its own, when the key is revoked or
// expires; at once if it has. It is called at most once per session, and not for
// a session that was closed before.
func (s *Session) OnEnd(f func()) {
	s.reg.mu.Lock()
	defer s.reg.mu.Unlock()
	select {
	case <-s.done:
		go f()
	default:
		s.onEnd = f
	}
}
