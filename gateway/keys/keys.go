// Package keys answers who is calling, what they may do, and how long: it makes
// API keys, recognises them, and ends every session of a key the moment the key
// is revoked or expires.
//
// It is the one room that makes scopes. Doors open a Session with the token a
// client shows and pass its Scope on; Postern's own work uses Internal and
// System.
package keys

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"io"
	"log/slog"
	"sync"
	"time"

	"github.com/google/uuid"

	"github.com/centerleap/postern/gateway"
)

// Store is the part of the store that keys need. What lies outside a scope is
// NotFound.
type Store interface {
	CreateKey(ctx context.Context, s gateway.Scope, k *gateway.Key) error
	KeyByDigest(ctx context.Context, s gateway.Scope, d gateway.Digest) (*gateway.Key, error)
	Key(ctx context.Context, s gateway.Scope, id gateway.ID) (*gateway.Key, error)
	Keys(ctx context.Context, s gateway.Scope) ([]gateway.Key, error)
	// KeyPage returns keys behind the one with the id after, at most most; NotFound if
	// there is no such key.
	KeyPage(ctx context.Context, s gateway.Scope, w gateway.Span) ([]gateway.Key, error)
	UpdateKey(ctx context.Context, s gateway.Scope, id gateway.ID, change func(*gateway.Key) error) (*gateway.Key, error)
	TouchKeys(ctx context.Context, s gateway.Scope, uses []gateway.KeyUse) error
}

// Config of a Keys.
type Config struct {
	Store  Store            // required
	Limits gateway.Limits   // required
	Log    *slog.Logger     // default: slog.Default()
	Now    func() time.Time // default: time.Now
	Random io.Reader        // default: crypto/rand
	// ExemptLoopback takes loopback callers out of the limits on failed logins.
	ExemptLoopback bool
}

// Keys recognises keys and holds their live sessions.
type Keys struct {
	cfg      Config
	sessions registry
	attempts attempts
	requests requests
	streams  streams

	mu      sync.Mutex
	touched map[gateway.ID]gateway.KeyUse // used since the last flush
	flushed map[gateway.ID]time.Time      // as last stored
}

// New checks cfg and fills its defaults. It starts nothing.
func New(cfg Config) (*Keys, error) {
	if cfg.Store == nil || cfg.Limits == (gateway.Limits{}) {
		return nil, errors.New("keys: Store and Limits are required")
	}
	if cfg.Log == nil {
		cfg.Log = slog.Default()
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	if cfg.Random == nil {
		cfg.Random = rand.Reader
	}
	k := &Keys{cfg: cfg, touched: make(map[gateway.ID]gateway.KeyUse), flushed: make(map[gateway.ID]time.Time)}
	k.sessions.live = make(map[gateway.ID]map[*Session]struct{})
	k.requests.windows = make(map[counted]*window)
	k.attempts.init(cfg)
	return k, nil
}

// Internal is the scope of Postern's own work inside one domain: receiving, the
// queue, hooks.
func Internal(d gateway.DomainID) gateway.Scope {
	return gateway.NewScope(gateway.LevelDomain, d, 0, gateway.ID{})
}

// System is the scope of Postern's own work on all of an instance, and of the
// operator at its socket.
func System() gateway.Scope { return gateway.NewScope(gateway.LevelInstance, 0, 0, gateway.ID{}) }

// Narrow returns the part of s that is domain d, or account a in it. NotFound
// when s does not reach that far.
func Narrow(s gateway.Scope, d gateway.DomainID, a gateway.AccountID) (gateway.Scope, error) {
	switch {
	case a == 0 && s.CoversDomain(d):
		return gateway.NewScope(gateway.LevelDomain, d, 0, s.Key()), nil
	case a != 0 && s.Covers(d, a):
		return gateway.NewScope(gateway.LevelAccount, d, a, s.Key()), nil
	}
	return gateway.Scope{}, gateway.Errorf(gateway.NotFound, "no such domain")
}

// scopeOf is what the holder of a key may touch.
func scopeOf(k *gateway.Key) gateway.Scope {
	return gateway.NewScope(k.Level, k.Domain, k.Account, k.ID)
}

// NewKey says what key to make. Zero values: full access, no expiry, the default
// limits.
type NewKey struct {
	Name       string
	Permission gateway.Permission
	Level      gateway.Level
	Domain     gateway.DomainID
	Account    gateway.AccountID
	ExpiresAt  time.Time
	Limits     *gateway.KeyLimits
}

// Create makes a key. The token is returned this once and stored nowhere. A key
// makes only keys inside its own scope, that last no longer than itself.
func (k *Keys) Create(ctx context.Context, s gateway.Scope, n NewKey) (*gateway.Key, gateway.Secret, error) {
	if n.Permission == "" {
		n.Permission = gateway.FullAccess
	}
	if err := k.mayCreate(ctx, s, &n); err != nil {
		return nil, "", err
	}
	token, err := k.newToken(n.Level)
	if err != nil {
		return nil, "", err
	}
	plain := token.Reveal()
	key := &gateway.Key{
		ID: gateway.ID(uuid.Must(uuid.NewV7())), Name: n.Name, Prefix: plain[:12], Last4: plain[len(plain)-4:], Digest: token.Digest(),
		Permission: n.Permission, Level: n.Level, Domain: n.Domain, Account: n.Account,
		CreatedAt: k.cfg.Now().UTC(), ExpiresAt: n.ExpiresAt,
		Limits: gateway.KeyLimits{Messages: k.cfg.Limits.KeyMessages, Recipients: k.cfg.Limits.KeyRecipients},
	}
	if n.Limits != nil {
		key.Limits = *n.Limits
	}
	if err := k.cfg.Store.CreateKey(ctx, s, key); err != nil {
		return nil, "", err
	}
	return key, token, nil
}

func badName() error {
	return gateway.Fieldf(gateway.InvalidParameter, "name", "name is one line of at most 200 bytes")
}

func (k *Keys) mayCreate(ctx context.Context, s gateway.Scope, n *NewKey) error {
	switch {
	case !gateway.ValidName(n.Name):
		return badName()
	case n.Permission != gateway.FullAccess && n.Permission != gateway.SendOnly:
		return gateway.Fieldf(gateway.InvalidParameter, "permission", "permission is full_access or send_only")
	case n.Level > s.Level(), n.Level == gateway.LevelNone:
		return gateway.Errorf(gateway.Restricted, "the key can't make keys of a wider scope than its own")
	case !n.ExpiresAt.IsZero() && !n.ExpiresAt.After(k.cfg.Now()):
		return gateway.Fieldf(gateway.InvalidParameter, "expires_at", "expires_at is in the past")
	case n.Limits != nil && s.Level() != gateway.LevelInstance:
		return gateway.Errorf(gateway.Restricted, "only the operator sets limits")
	case n.Limits != nil && (n.Limits.Messages < 0 || n.Limits.Recipients < 0):
		return gateway.Fieldf(gateway.InvalidParameter, "rate_limit", "a limit is a whole number from 0; 0 is none")
	}
	if s.Key().IsZero() {
		return nil
	}
	own, err := k.cfg.Store.Key(ctx, s, s.Key())
	if err != nil {
		return err
	}
	if own.Permission != gateway.FullAccess {
		return gateway.Errorf(gateway.Restricted, "a send-only key can't manage keys")
	}
	if !own.ExpiresAt.IsZero() && (n.ExpiresAt.IsZero() || n.ExpiresAt.After(own.ExpiresAt)) {
		return gateway.Fieldf(gateway.InvalidParameter, "expires_at", "the new key can't outlive the key that makes it")
	}
	if s.Level() != gateway.LevelInstance {
		n.Limits = &gateway.KeyLimits{
			Messages:   tighter(own.Limits.Messages, k.cfg.Limits.KeyMessages),
			Recipients: tighter(own.Limits.Recipients, k.cfg.Limits.KeyRecipients),
		}
	}
	return nil
}

// tighter is the smaller of two limits, of which 0 is none: a key that the operator has
// limited makes no key that may do more.
func tighter(a, b int64) int64 {
	if a == 0 || b != 0 && b < a {
		return b
	}
	return a
}

// Prefixes of tokens. Source: API guide, "Key Format"; the second is ours.
const (
	livePrefix  = "bm_live_"
	adminPrefix = "bm_admin_"
	tokenHex    = 40
)

func (k *Keys) newToken(l gateway.Level) (gateway.Secret, error) {
	var b [tokenHex / 2]byte
	if _, err := io.ReadFull(k.cfg.Random, b[:]); err != nil {
		return "", err
	}
	prefix := livePrefix
	if l == gateway.LevelInstance {
		prefix = adminPrefix
	}
	return gateway.Secret(prefix + hex.EncodeToString(b[:])), nil
}

// List returns the keys of a scope, newest first.
func (k *Keys) List(ctx context.Context, s gateway.Scope) ([]gateway.Key, error) {
	return k.cfg.Store.Keys(ctx, s)
}

// Page returns a span of the keys of a scope: those of the instance, then those of
// each domain, newest first. more says whether the list goes on where the span ends.
func (k *Keys) Page(ctx context.Context, s gateway.Scope, w gateway.Span) (page []gateway.Key, more bool, err error) {
	found, err := k.cfg.Store.KeyPage(ctx, s, w.Wider())
	if gateway.KindOf(err) == gateway.NotFound && err != nil {
		name := "after"
		if !w.Before.IsZero() {
			name = "before"
		}
		return nil, false, gateway.Fieldf(gateway.InvalidParameter, name, "%s names no key", name)
	}
	page, more = gateway.Cut(found, w)
	return page, more, err
}

// Get returns one key.
func (k *Keys) Get(ctx context.Context, s gateway.Scope, id gateway.ID) (*gateway.Key, error) {
	return k.cfg.Store.Key(ctx, s, id)
}

// Revoke ends a key: nothing is accepted from it after the return, and its open
// sessions are closed. Revoking twice is fine.
func (k *Keys) Revoke(ctx context.Context, s gateway.Scope, id gateway.ID) (*gateway.Key, error) {
	now := k.cfg.Now().UTC()
	key, err := k.cfg.Store.UpdateKey(ctx, s, id, func(key *gateway.Key) error {
		if key.RevokedAt.IsZero() {
			key.RevokedAt = now
		}
		return nil
	})
	if err == nil {
		k.sessions.end(id, reasonRevoked)
	}
	return key, err
}

// Change is an update of a key; nil fields stay.
type Change struct {
	Name       *string
	ExpiresAt  *time.Time // the zero time: never
	Messages   *int64
	Recipients *int64
}

// Update changes a key. Only an instance scope sets limits or puts the expiry
// later. The next use sees the change.
func (k *Keys) Update(ctx context.Context, s gateway.Scope, id gateway.ID, c Change) (*gateway.Key, error) {
	operator := s.Level() == gateway.LevelInstance
	if (c.Messages != nil || c.Recipients != nil) && !operator {
		return nil, gateway.Errorf(gateway.Restricted, "only the operator sets limits")
	}
	for _, n := range []*int64{c.Messages, c.Recipients} {
		if n != nil && *n < 0 {
			return nil, gateway.Fieldf(gateway.InvalidParameter, "rate_limit", "a limit is 0, for none, or more")
		}
	}
	key, err := k.cfg.Store.UpdateKey(ctx, s, id, func(key *gateway.Key) error {
		if c.ExpiresAt != nil {
			later := c.ExpiresAt.IsZero() || !key.ExpiresAt.IsZero() && c.ExpiresAt.After(key.ExpiresAt)
			if later && !operator {
				return gateway.Fieldf(gateway.Restricted, "expires_at", "only the operator puts an expiry later")
			}
			key.ExpiresAt = *c.ExpiresAt
		}
		return c.apply(key)
	})
	if err == nil {
		k.sessions.refresh(key, k.cfg.Now())
	}
	return key, err
}

func (c *Change) apply(key *gateway.Key) error {
	if c.Name != nil {
		if !gateway.ValidName(*c.Name) {
			return badName()
		}
		key.Name = *c.Name
	}
	if c.Messages != nil {
		key.Limits.Messages = *c.Messages
	}
	if c.Recipients != nil {
		key.Limits.Recipients = *c.Recipients
	}
	return nil
}
