package smtpd

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"log/slog"
	"math/big"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/centerleap/postern/gateway"
	"github.com/centerleap/postern/gateway/domains"
	"github.com/centerleap/postern/gateway/guard"
	"github.com/centerleap/postern/gateway/keys"
	"github.com/centerleap/postern/gateway/outbound"
)

// stage is the real doors over flows that only remember, with connections in
// memory: for what is tried thousands of times, or takes hours by the clock.
type stage struct {
	server *Server
	doors  map[string]*pipes
	logs   *logged
	stop   func()

	mu    sync.Mutex
	mails []accepted
}

// accepted is what a flow was given and said yes to.
type accepted struct {
	from string
	to   []string
	body string
}

const (
	stageDomain  = "here.test"
	stageReturns = "bounce.mx.here.test"
	stageKey     = "bm_live_0123456789abcdef0123456789abcdef01234567"
)

// newStage opens the three doors. stop closes them.
func newStage(t testing.TB, change func(*Config)) *stage {
	t.Helper()
	s := &stage{doors: make(map[string]*pipes), logs: &logged{}}
	lim := gateway.DefaultLimits()
	lim.Connections, lim.NetworkConnections, lim.NetworkConnects, lim.NetworkRefusals = 1<<40, 1<<40, 1<<40, 1<<40
	log := slog.New(slog.NewTextHandler(s.logs, &slog.HandlerOptions{Level: slog.LevelDebug}))
	cfg := Config{
		Receiver: s, Sender: s, Activity: s, Hostname: "mx." + stageDomain, Username: "centerleap",
		TLS: &tls.Config{Certificates: []tls.Certificate{stageCertificate()}, MinVersion: tls.VersionTLS12}, Limits: lim, Log: log,
	}
	if change != nil {
		change(&cfg)
	}
	var err error
	if cfg.Keys, err = keys.New(keys.Config{Store: people{}, Limits: cfg.Limits}); err != nil {
		t.Fatal(err)
	}
	if cfg.Domains, err = domains.New(domains.Config{Store: places{}, Limits: cfg.Limits, Hostname: cfg.Hostname, System: keys.System()}); err != nil {
		t.Fatal(err)
	}
	if cfg.Guard, err = guard.New(guard.Config{Limits: cfg.Limits, Log: log}); err != nil {
		t.Fatal(err)
	}
	server, err := New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	s.server = server
	ctx, cancel := context.WithCancel(context.Background())
	var running sync.WaitGroup
	for name, run := range map[string]func(context.Context, net.Listener) error{
		"mx": server.ServeMX, "submission": server.ServeSubmission, "submissions": server.ServeSubmissions,
	} {
		ln := &pipes{next: make(chan net.Conn), done: make(chan struct{})}
		s.doors[name] = ln
		running.Go(func() {
			if err := run(ctx, ln); err != nil {
				t.Errorf("%s: %v", name, err)
			}
		})
	}
	s.stop = func() {
		cancel()
		running.Wait()
		s.calm(t)
	}
	return s
}

// calm wants that no code of ours has panicked. The library does, and recovers, when
// a client leaves between its first chunk and the call of Data; nothing comes of it.
func (s *stage) calm(t testing.TB) {
	t.Helper()
	for line := range strings.Lines(s.logs.String()) {
		if strings.Contains(line, "a door panicked") || strings.Contains(line, "panic serving") && strings.Contains(line, "postern/gateway/smtpd.(") {
			t.Errorf("a door panicked: %s", line)
		}
	}
}

// Find knows one domain, and everybody whose name begins with "bot".
func (s *stage) Find(_ context.Context, rcpt string) (*gateway.Domain, error) {
	local, host := gateway.SplitAddress(rcpt)
	if host != stageDomain {
		return nil, nil
	}
	d := &gateway.Domain{ID: 1, Name: host, Status: gateway.DomainVerified}
	if !strings.HasPrefix(local, "bot") {
		return d, gateway.Errorf(gateway.NotFound, "not here")
	}
	return d, nil
}

// Receive takes any mail that comes whole.
func (s *stage) Receive(_ context.Context, env gateway.Envelope, raw io.Reader) error {
	return s.keep(env.ReturnPath, env.Recipients, raw)
}

// Submit does too.
func (s *stage) Submit(_ context.Context, _ gateway.Scope, sub outbound.Submission) (outbound.Receipt, error) {
	return outbound.Receipt{}, s.keep(sub.Written.ReturnPath, sub.Written.Recipients, sub.Written.Body)
}

// Returns knows one return path.
func (s *stage) Returns(_ context.Context, addr string) (bool, error) {
	local, host := gateway.SplitAddress(addr)
	if host != stageReturns {
		return false, nil
	}
	if local != "b+good" {
		return true, gateway.Errorf(gateway.NotFound, "not here")
	}
	return true, nil
}

// Bounce takes any mail that comes whole.
func (s *stage) Bounce(_ context.Context, addr string, raw io.Reader) error {
	return s.keep("bounce", []string{addr}, raw)
}

func (s *stage) keep(from string, to []string, raw io.Reader) error {
	body, err := io.ReadAll(raw)
	if err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.mails = append(s.mails, accepted{from, to, string(body)})
	return nil
}

// Add forgets a row of the log.
func (s *stage) Add(gateway.Activity) {}

// taken returns what was accepted since it was last asked.
func (s *stage) taken() []accepted {
	s.mu.Lock()
	defer s.mu.Unlock()
	mails := s.mails
	s.mails = nil
	return mails
}

// people is the store of one domain's key.
type people struct{ keys.Store }

var theKey = gateway.Key{ID: gateway.ID{1}, Digest: gateway.Secret(stageKey).Digest(), Level: gateway.LevelDomain, Domain: 1}

func (people) KeyByDigest(_ context.Context, _ gateway.Scope, d gateway.Digest) (*gateway.Key, error) {
	if d != theKey.Digest {
		return nil, gateway.Errorf(gateway.NotFound, "no such key")
	}
	k := theKey
	return &k, nil
}

func (people) Key(context.Context, gateway.Scope, gateway.ID) (*gateway.Key, error) {
	k := theKey
	return &k, nil
}

// places is the store of one domain without accounts.
type places struct{ domains.Store }

func (places) DomainByName(_ context.Context, _ gateway.Scope, name string) (*gateway.Domain, error) {
	if name != stageDomain {
		return nil, gateway.Errorf(gateway.NotFound, "no such domain")
	}
	return &gateway.Domain{ID: 1, Name: name, Status: gateway.DomainVerified}, nil
}

func (places) Account(context.Context, gateway.Scope, gateway.DomainID, string) (*gateway.Account, error) {
	return nil, gateway.Errorf(gateway.NotFound, "no such account")
}

var stageCertificate = sync.OnceValue(func() tls.Certificate {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		panic(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), DNSNames: []string{stageDomain}, NotAfter: time.Date(2100, 1, 1, 0, 0, 0, 0, time.UTC)}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		panic(err)
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}
})

// logged is what was logged.
type logged struct {
	mu sync.Mutex
	b  strings.Builder
}

func (l *logged) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.b.Len() > 1<<20 {
		return 0, errors.New("enough was logged")
	}
	return l.b.Write(p)
}

func (l *logged) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}
