package courier

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"mime"
	"net"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/centerleap/postern/gateway"
	"github.com/centerleap/postern/gateway/resolve"
)

// Policies remembers MTA-STS policies, by the domain they are for. What it forgets is
// fetched again; but whoever can keep us from that has then taken the policy away, so a
// store that outlives the process makes it better: RFC 8461 section 10.2.
type Policies interface {
	Policy(ctx context.Context, domain string) (p Policy, found bool)
	Keep(ctx context.Context, domain string, p Policy)
}

// memory is the Policies of a process.
type memory struct{ kept *lru[Policy] }

func newMemory(most int64) memory { return memory{newLRU[Policy](most)} }

// Policy finds a policy, however old.
func (m memory) Policy(_ context.Context, domain string) (Policy, bool) { return m.kept.get(domain) }

// Keep remembers a policy in place of the one before.
func (m memory) Keep(_ context.Context, domain string, p Policy) { m.kept.put(domain, p) }

// sts finds out what domains want: RFC 8461.
type sts struct {
	courier *Courier
	http    *http.Client
	failed  *lru[time.Time] // when fetching the policy of "domain id" failed

	mu      sync.Mutex
	fetches map[string]*fetching
}

// fetching lets one at a time look after the policy of a domain.
type fetching struct {
	turn  chan struct{}
	users int
}

func newSTS(c *Courier) *sts {
	s := &sts{courier: c, failed: newLRU[time.Time](c.cfg.Limits.STSPolicies), fetches: make(map[string]*fetching)}
	s.http = &http.Client{
		Timeout: gateway.STSTimeout,
		// Section 3.3: redirects are not followed.
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		Transport: &http.Transport{
			DialContext:            s.dial,
			TLSClientConfig:        &tls.Config{RootCAs: c.cfg.Roots, MinVersion: tls.VersionTLS12, Time: c.cfg.Now},
			DisableKeepAlives:      true,
			DisableCompression:     true,
			MaxResponseHeaderBytes: c.cfg.Limits.STSPolicy,
		},
	}
	return s
}

// dial connects to the host of a policy, by the same rules as to a mail host.
func (s *sts) dial(ctx context.Context, _, address string) (net.Conn, error) {
	host, _, err := net.SplitHostPort(address)
	if err != nil {
		return nil, err
	}
	list, f := s.courier.addresses(ctx, target{host: host, port: 443})
	if f != nil {
		return nil, f
	}
	ctx, cancel := context.WithTimeout(ctx, gateway.ConnectTimeout)
	defer cancel()
	for _, at := range list {
		var conn net.Conn
		if conn, err = s.courier.cfg.Dial(ctx, "tcp", at.String()); err == nil {
			return conn, nil
		}
	}
	return nil, err
}

// apply holds the hosts of a domain to its policy: those it does not name are left out,
// the others need a certificate that fits. In testing mode they are only marked.
func (s *sts) apply(ctx context.Context, domain string, hosts []target) ([]target, *fault) {
	p, ok := s.policy(ctx, domain)
	if !ok || p.Mode == ModeNone {
		return hosts, nil
	}
	var named []target
	for _, t := range hosts {
		match := p.match(t.host)
		if !match {
			s.courier.cfg.Log.LogAttrs(ctx, slog.LevelInfo, "a mail host is not in the MTA-STS policy of its domain",
				slog.String("domain", domain), slog.String("host", t.host), slog.String("mode", p.Mode))
		}
		switch {
		case p.Mode == ModeEnforce && match:
			t.strict, t.policy = true, PolicySTS
		case p.Mode == ModeEnforce:
			continue
		case t.policy == "":
			t.policy = PolicyTesting
		}
		named = append(named, t)
	}
	if len(named) == 0 {
		// Section 5: this may be an attack on DNS, or a policy that is about to
		// change; it is no reason to give up.
		return nil, ours(Deferred, PhaseRoute, [3]int{4, 7, 0}, nil, "the MTA-STS policy of %s names none of its mail hosts", domain)
	}
	return named, nil
}

// policy is the one that holds for a domain now. Section 5.1: one that is known and not
// too old holds even if there seems to be none any more, since that is what an attacker
// would make us believe.
func (s *sts) policy(ctx context.Context, domain string) (Policy, bool) {
	ans := s.courier.cfg.Resolver.TXT(ctx, "_mta-sts."+domain)
	id, published := "", false
	if ans.Class == resolve.Found {
		id, published = recordID(ans.Records)
	}
	known, valid := s.known(ctx, domain)
	if !published || valid && s.fresh(known, id) {
		return known, valid
	}
	leave, err := s.enter(ctx, domain)
	if err != nil {
		return known, valid
	}
	defer leave()
	if known, valid = s.known(ctx, domain); valid && s.fresh(known, id) {
		return known, valid // somebody else has fetched it meanwhile
	}
	if p, ok := s.renew(ctx, domain, id); ok {
		return p, true
	}
	return known, valid
}

// fresh reports whether a policy needs no look at the one that is published.
func (s *sts) fresh(p Policy, id string) bool {
	return p.ID == id && s.courier.cfg.Now().Before(p.Fetched.Add(gateway.STSFresh))
}

// renew fetches a policy and remembers it, or that it can't be had for now.
func (s *sts) renew(ctx context.Context, domain, id string) (Policy, bool) {
	c, now, memo := s.courier, s.courier.cfg.Now(), domain+" "+id
	if at, failed := s.failed.get(memo); failed && now.Before(at.Add(gateway.STSPause)) {
		return Policy{}, false
	}
	p, err := s.fetch(ctx, domain)
	if err != nil {
		s.failed.put(memo, now)
		c.cfg.Log.LogAttrs(ctx, slog.LevelInfo, "no MTA-STS policy", slog.String("domain", domain), slog.Any("err", err))
		return Policy{}, false
	}
	p.ID, p.Fetched = id, now
	c.cfg.Policies.Keep(ctx, domain, p)
	return p, p.valid(now)
}

func (s *sts) known(ctx context.Context, domain string) (Policy, bool) {
	p, found := s.courier.cfg.Policies.Policy(ctx, domain)
	return p, found && p.valid(s.courier.cfg.Now())
}

var errPolicy = errors.New("not a policy")

// fetch gets the policy of a domain: RFC 8461 section 3.3.
func (s *sts) fetch(ctx context.Context, domain string) (Policy, error) {
	ctx, cancel := context.WithTimeout(ctx, gateway.STSTimeout)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "https://mta-sts."+domain+"/.well-known/mta-sts.txt", http.NoBody)
	if err != nil {
		return Policy{}, err
	}
	res, err := s.http.Do(req)
	if err != nil {
		return Policy{}, err
	}
	defer res.Body.Close()
	if res.StatusCode != http.StatusOK {
		return Policy{}, fmt.Errorf("status %d", res.StatusCode)
	}
	if kind, _, err := mime.ParseMediaType(res.Header.Get("Content-Type")); err != nil || !strings.EqualFold(kind, "text/plain") {
		return Policy{}, errPolicy
	}
	most := s.courier.cfg.Limits.STSPolicy
	text, err := io.ReadAll(io.LimitReader(res.Body, most+1))
	if err != nil {
		return Policy{}, err
	}
	p, ok := parsePolicy(string(text))
	if !ok || int64(len(text)) > most {
		return Policy{}, errPolicy
	}
	return p, nil
}

// enter waits for the turn to look after the policy of a domain: others want the same.
func (s *sts) enter(ctx context.Context, domain string) (leave func(), err error) {
	s.mu.Lock()
	f := s.fetches[domain]
	if f == nil {
		f = &fetching{turn: make(chan struct{}, 1)}
		s.fetches[domain] = f
	}
	f.users++
	s.mu.Unlock()
	out := func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		if f.users--; f.users == 0 {
			delete(s.fetches, domain)
		}
	}
	select {
	case f.turn <- struct{}{}:
		return func() { <-f.turn; out() }, nil
	case <-ctx.Done():
		out()
		return nil, ctx.Err()
	}
}
