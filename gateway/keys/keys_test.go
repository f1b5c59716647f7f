package keys

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/centerleap/postern/gateway"
)

// memory is a Store that forgets.
type memory struct {
	mu      sync.Mutex
	keys    map[gateway.ID]gateway.Key
	touched map[gateway.ID]time.Time
}

func (m *memory) CreateKey(_ context.Context, _ gateway.Scope, k *gateway.Key) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.keys[k.ID] = *k
	return nil
}

func (m *memory) KeyByDigest(_ context.Context, _ gateway.Scope, d gateway.Digest) (*gateway.Key, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, k := range m.keys {
		if k.Digest == d {
			return &k, nil
		}
	}
	return nil, gateway.Errorf(gateway.NotFound, "no such key")
}

func (m *memory) Key(_ context.Context, s gateway.Scope, id gateway.ID) (*gateway.Key, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	k, ok := m.keys[id]
	if !ok || !s.TouchesDomain(k.Domain) && s.Level() != gateway.LevelInstance {
		return nil, gateway.Errorf(gateway.NotFound, "no such key")
	}
	return &k, nil
}

func (m *memory) Keys(context.Context, gateway.Scope) ([]gateway.Key, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return slices.Collect(maps.Values(m.keys)), nil
}

func (m *memory) KeyPage(ctx context.Context, s gateway.Scope, _ gateway.Span) ([]gateway.Key, error) {
	return m.Keys(ctx, s)
}

func (m *memory) UpdateKey(ctx context.Context, s gateway.Scope, id gateway.ID, change func(*gateway.Key) error) (*gateway.Key, error) {
	k, err := m.Key(ctx, s, id)
	if err != nil {
		return nil, err
	}
	if err := change(k); err != nil {
		return nil, err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.keys[id] = *k
	return k, nil
}

func (m *memory) TouchKeys(_ context.Context, _ gateway.Scope, uses []gateway.KeyUse) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, u := range uses {
		m.touched[u.ID] = u.At
	}
	return nil
}

func (m *memory) lastUsed(id gateway.ID) time.Time {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.touched[id]
}

func newKeys(t *testing.T) (*Keys, *memory) {
	t.Helper()
	m := &memory{keys: make(map[gateway.ID]gateway.Key), touched: make(map[gateway.ID]time.Time)}
	k, err := New(Config{Store: m, Limits: gateway.DefaultLimits()})
	if err != nil {
		t.Fatal(err)
	}
	return k, m
}

func create(t *testing.T, k *Keys, n NewKey) (*gateway.Key, gateway.Secret) {
	t.Helper()
	key, token, err := k.Create(t.Context(), System(), n)
	if err != nil {
		t.Fatal(err)
	}
	return key, token
}

var domainKey = NewKey{Level: gateway.LevelDomain, Domain: 1}

func TestTokens(t *testing.T) {
	k, _ := newKeys(t)
	live, admin := regexp.MustCompile(`^bm_live_[0-9a-f]{40}$`), regexp.MustCompile(`^bm_admin_[0-9a-f]{40}$`)
	seen := make(map[string]bool)
	for range 100 {
		key, token := create(t, k, domainKey)
		if !live.MatchString(token.Reveal()) || seen[token.Reveal()] || key.Permission != gateway.FullAccess {
			t.Fatalf("token %q, permission %s", token.Reveal(), key.Permission)
		}
		seen[token.Reveal()] = true
		if out := fmt.Sprintf("%v %+v", *key, token); strings.Contains(out, token.Reveal()[12:40]) {
			t.Fatalf("the token shows in %s", out)
		}
	}
	if _, token := create(t, k, NewKey{Level: gateway.LevelInstance}); !admin.MatchString(token.Reveal()) {
		t.Errorf("instance token %q", token.Reveal())
	}
}

// The sessions of a deleted domain's keys end, and nobody else's.
func TestEndDomain(t *testing.T) {
	k, _ := newKeys(t)
	other := domainKey
	other.Domain++
	instance := NewKey{Level: gateway.LevelInstance}
	var open []*Session
	for _, n := range []NewKey{domainKey, other, instance} {
		_, token := create(t, k, n)
		s, err := k.Open(t.Context(), token)
		if err != nil {
			t.Fatal(err)
		}
		defer s.Close()
		open = append(open, s)
	}
	k.EndDomain(domainKey.Domain)
	if err := gateway.AsError(open[0].Err()); err == nil || err.Kind != gateway.InvalidKey {
		t.Errorf("a session of the domain: %v", err)
	}
	for _, s := range open[1:] {
		if err := s.Err(); err != nil {
			t.Errorf("a session of %v: %v", s.Scope().Level(), err)
		}
	}
}

// All refusals have one text; the log gets the reason, and whose key it was.
func TestRefusals(t *testing.T) {
	k, _ := newKeys(t)
	revoked, revokedToken := create(t, k, domainKey)
	if _, err := k.Revoke(t.Context(), System(), revoked.ID); err != nil {
		t.Fatal(err)
	}
	soon := domainKey
	soon.ExpiresAt = time.Now().Add(time.Millisecond)
	_, expiredToken := create(t, k, soon)
	<-time.After(2 * time.Millisecond)
	for _, tt := range []struct {
		token  gateway.Secret
		reason string
		whose  bool
	}{
		{"x", "malformed", false},
		{"bm_live_XYZ", "malformed", false},
		{gateway.Secret("bm_live_" + strings.Repeat("A", 40)), "malformed", false},
		{gateway.Secret("bm_live_" + strings.Repeat("0", 40)), "unknown", false},
		{revokedToken, "revoked", true},
		{expiredToken, "expired", true},
	} {
		_, err := k.Open(t.Context(), tt.token)
		e := gateway.AsError(err)
		var whose *RefusedError
		if e.Kind != gateway.InvalidKey || e.Message != "API key is invalid" || e.Reason != tt.reason || errors.As(err, &whose) != tt.whose {
			t.Errorf("%s: %v, reason %q, whose %v", tt.reason, err, e.Reason, whose)
		}
		if len(tt.token) > 20 && strings.Contains(fmt.Sprintf("%v %+v", err, err), tt.token.Reveal()[12:40]) {
			t.Errorf("%s: the token shows in %v", tt.reason, err)
		}
	}
	if _, err := k.Open(t.Context(), ""); gateway.KindOf(err) != gateway.MissingKey {
		t.Errorf("no token: %v", err)
	}
}

// An open session ends with its key, and at the instant of its expiry.
func TestExpiryInstant(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k, _ := newKeys(t)
		n := domainKey
		n.ExpiresAt = time.Now().Add(time.Minute)
		_, token := create(t, k, n)
		s, err := k.Open(t.Context(), token)
		if err != nil {
			t.Fatal(err)
		}
		defer s.Close()
		time.Sleep(time.Minute - time.Millisecond)
		synctest.Wait()
		if s.Err() != nil {
			t.Fatalf("a millisecond early: %v", s.Err())
		}
		time.Sleep(time.Millisecond)
		synctest.Wait()
		if s.Err() == nil {
			t.Fatal("the session outlives its key")
		}
		if _, err := k.Open(t.Context(), token); gateway.AsError(err).Reason != "expired" {
			t.Errorf("at the instant: %v", err)
		}
	})
}

// However opening and revoking meet, no session outlives the revocation.
func TestRevokeRace(t *testing.T) {
	for range 200 {
		k, _ := newKeys(t)
		key, token := create(t, k, domainKey)
		var wg sync.WaitGroup
		var s *Session
		wg.Go(func() { s, _ = k.Open(t.Context(), token) })
		wg.Go(func() {
			if _, err := k.Revoke(t.Context(), System(), key.ID); err != nil {
				t.Error(err)
			}
		})
		wg.Wait()
		if s != nil {
			select {
			case <-s.Done():
			case <-time.After(10 * time.Second):
				t.Fatal("a session outlives the revocation of its key")
			}
			s.Close()
		}
		if k.Live(key.ID) != 0 {
			t.Fatal("a session is left behind")
		}
	}
}

// A key makes only keys inside its own scope, that last no longer.
func TestCreateWithin(t *testing.T) {
	k, _ := newKeys(t)
	n := domainKey
	n.ExpiresAt = time.Now().Add(time.Hour)
	own, _ := create(t, k, n)
	send, _ := create(t, k, NewKey{Level: gateway.LevelDomain, Domain: 1, Permission: gateway.SendOnly})
	sc := scopeOf(own)
	for _, tt := range []struct {
		name string
		s    gateway.Scope
		n    NewKey
		want gateway.Kind
	}{
		{"wider", sc, NewKey{Level: gateway.LevelInstance}, gateway.Restricted},
		{"never expires", sc, domainKey, gateway.InvalidParameter},
		{"expires later", sc, NewKey{Level: gateway.LevelDomain, Domain: 1, ExpiresAt: time.Now().Add(2 * time.Hour)}, gateway.InvalidParameter},
		{"in the past", System(), NewKey{Level: gateway.LevelDomain, Domain: 1, ExpiresAt: time.Now().Add(-time.Second)}, gateway.InvalidParameter},
		{"limits", sc, NewKey{Level: gateway.LevelDomain, Domain: 1, ExpiresAt: own.ExpiresAt, Limits: &gateway.KeyLimits{}}, gateway.Restricted},
		{"send only", scopeOf(send), domainKey, gateway.Restricted},
		{"no such permission", System(), NewKey{Level: gateway.LevelDomain, Domain: 1, Permission: "all"}, gateway.InvalidParameter},
	} {
		if _, _, err := k.Create(t.Context(), tt.s, tt.n); gateway.KindOf(err) != tt.want || err == nil {
			t.Errorf("%s: %v, want %v", tt.name, err, tt.want)
		}
	}
	if _, _, err := k.Create(t.Context(), sc, NewKey{Level: gateway.LevelDomain, Domain: 1, ExpiresAt: own.ExpiresAt}); err != nil {
		t.Errorf("as long as itself: %v", err)
	}
}

func TestNarrow(t *testing.T) {
	own := gateway.NewScope(gateway.LevelDomain, 1, 0, gateway.ID{9})
	s, err := Narrow(System(), 1, 0)
	if err != nil || s.Level() != gateway.LevelDomain || s.Domain() != 1 {
		t.Errorf("%+v, %v", s, err)
	}
	if s, err = Narrow(own, 1, 2); err != nil || s.Level() != gateway.LevelAccount || s.Account() != 2 || s.Key() != own.Key() {
		t.Errorf("%+v, %v", s, err)
	}
	for _, d := range []gateway.DomainID{0, 2} {
		if _, err := Narrow(own, d, 0); gateway.KindOf(err) != gateway.NotFound {
			t.Errorf("domain %d: %v", d, err)
		}
	}
}

func TestFailedLogins(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k, _ := newKeys(t)
		fail := func(ip string, n int) {
			for range n {
				k.Failed(ip)
			}
		}
		fail("192.0.2.1", 9)
		if err := k.Allow("192.0.2.1"); err != nil {
			t.Errorf("after 9: %v", err)
		}
		fail("192.0.2.1", 1)
		if err := k.Allow("192.0.2.1"); gateway.KindOf(err) != gateway.RateLimited || gateway.AsError(err).Retry != time.Minute {
			t.Errorf("after 10: %v", err)
		}
		if err := k.Allow("192.0.2.2"); err != nil {
			t.Errorf("another address: %v", err)
		}
		time.Sleep(time.Minute)
		if err := k.Allow("192.0.2.1"); err != nil {
			t.Errorf("a minute later: %v", err)
		}
		for range 5 {
			fail("192.0.2.1", 9)
			time.Sleep(time.Minute)
		}
		if err := k.Allow("192.0.2.1"); gateway.KindOf(err) != gateway.RateLimited || gateway.AsError(err).Retry < 23*time.Hour {
			t.Errorf("after 55 in a day: %v", err)
		}
		fail("2001:db8::1", 10)
		if err := k.Allow("2001:db8::ffff"); gateway.KindOf(err) != gateway.RateLimited {
			t.Errorf("the same /64: %v", err)
		}
		if err := k.Allow("2001:db8:0:1::1"); err != nil {
			t.Errorf("another /64: %v", err)
		}
	})
}

func TestLastUsed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k, m := newKeys(t)
		key, token := create(t, k, domainKey)
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error)
		go func() { done <- k.Run(ctx) }()
		use := func() time.Time {
			s, err := k.Open(t.Context(), token)
			if err != nil {
				t.Fatal(err)
			}
			s.Close()
			return time.Now()
		}
		first := use()
		time.Sleep(2 * time.Second)
		synctest.Wait()
		if at := m.lastUsed(key.ID); !at.Equal(first) {
			t.Errorf("last used %v, want %v", at, first)
		}
		time.Sleep(2 * time.Minute)
		last := use()
		cancel()
		if err := <-done; err != nil || !m.lastUsed(key.ID).Equal(last) {
			t.Errorf("at the end: %v, last used %v, want %v", err, m.lastUsed(key.ID), last)
		}
	})
}
