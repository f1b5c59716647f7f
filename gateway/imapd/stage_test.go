package imapd

import (
	"bufio"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
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
	"github.com/centerleap/postern/gateway/mailbox"
)

// stage is the real doors before an account that has mailboxes and no mail, with
// connections in memory: for what takes hours by the clock.
type stage struct {
	doors map[string]*pipes
	keys  *keys.Keys
	stop  func()
}

const (
	stageDomain = "here.test"
	stageKey    = "bm_live_0123456789abcdef0123456789abcdef01234567"
	stageLogin  = "a LOGIN bot@here.test " + stageKey
)

// newStage opens both doors. stop closes them and waits for every session.
func newStage(t testing.TB, change func(*Config)) *stage {
	t.Helper()
	return newStageOver(t, shelf{}, change)
}

// newStageOver is newStage over a store of one's own.
func newStageOver(t testing.TB, kept mailbox.Store, change func(*Config)) *stage {
	t.Helper()
	s := &stage{doors: make(map[string]*pipes)}
	cfg := Config{
		Activity: forgetful{}, Username: "centerleap", Limits: gateway.DefaultLimits(), Log: slog.New(slog.DiscardHandler),
		TLS: &tls.Config{Certificates: []tls.Certificate{stageCertificate()}, MinVersion: tls.VersionTLS12},
	}
	if change != nil {
		change(&cfg)
	}
	var err error
	if cfg.Keys, err = keys.New(keys.Config{Store: people{}, Limits: cfg.Limits}); err != nil {
		t.Fatal(err)
	}
	s.keys = cfg.Keys
	if cfg.Domains, err = domains.New(domains.Config{Store: places{}, Limits: cfg.Limits, Hostname: "mx." + stageDomain, System: keys.System()}); err != nil {
		t.Fatal(err)
	}
	if cfg.Guard, err = guard.New(guard.Config{Limits: cfg.Limits, Log: cfg.Log}); err != nil {
		t.Fatal(err)
	}
	if cfg.Mail, err = mailbox.New(mailbox.Config{
		Store: kept, Streams: nothingNew{}, Limits: cfg.Limits, System: keys.System(), Internal: keys.Internal,
	}); err != nil {
		t.Fatal(err)
	}
	server, err := New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	var running sync.WaitGroup
	for name, run := range map[string]func(context.Context, net.Listener) error{"imap": server.Serve, "imaps": server.ServeTLS} {
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
	}
	return s
}

// forgetful is a log of who did what that keeps nothing.
type forgetful struct{}

func (forgetful) Add(gateway.Activity) {}

// people is the store of one account's key.
type people struct{ keys.Store }

var theKey = gateway.Key{
	ID: gateway.ID{1}, Digest: gateway.Secret(stageKey).Digest(), Level: gateway.LevelAccount, Domain: 1, Account: 1, Permission: gateway.FullAccess,
}

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

// places is the store of one domain with one account.
type places struct{ domains.Store }

func (places) DomainByName(_ context.Context, _ gateway.Scope, name string) (*gateway.Domain, error) {
	if name != stageDomain {
		return nil, gateway.Errorf(gateway.NotFound, "no such domain")
	}
	return &gateway.Domain{ID: 1, Name: name, Status: gateway.DomainVerified}, nil
}

func (places) Account(_ context.Context, _ gateway.Scope, _ gateway.DomainID, email string) (*gateway.Account, error) {
	if email != "bot@"+stageDomain {
		return nil, gateway.Errorf(gateway.NotFound, "no such account")
	}
	return &gateway.Account{ID: 1, Domain: 1, Email: email}, nil
}

// shelf is the store of the account's mailboxes. What is uploaded goes nowhere.
type shelf struct{ mailbox.Store }

func (shelf) Mailboxes(context.Context, gateway.Scope, gateway.DomainID, gateway.AccountID) (all []gateway.Mailbox, err error) {
	for i, std := range gateway.StandardMailboxes {
		all = append(all, gateway.Mailbox{ID: gateway.MailboxID(i + 1), Name: std.Name, SpecialUse: std.SpecialUse, UIDValidity: 1, UIDNext: 1})
	}
	return all, nil
}

func (s shelf) MailboxNamed(ctx context.Context, sc gateway.Scope, d gateway.DomainID, a gateway.AccountID, name string) (gateway.Mailbox, error) {
	all, err := s.Mailboxes(ctx, sc, d, a)
	for i := range all {
		if all[i].Name == gateway.FoldMailbox(name) {
			return all[i], err
		}
	}
	return gateway.Mailbox{}, gateway.Errorf(gateway.NotFound, "no such folder")
}

func (shelf) CreateBlob(context.Context, gateway.Scope, gateway.DomainID, int64) (gateway.BlobWriter, error) {
	return nowhere{io.Discard}, nil
}

type nowhere struct{ io.Writer }

func (nowhere) Seal() (gateway.Blob, error) {
	return gateway.Blob{}, gateway.Errorf(gateway.Unavailable, "nothing is kept here")
}
func (nowhere) Close() error { return nil }

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

// pipes is a listener without a network.
type pipes struct {
	next chan net.Conn
	done chan struct{}
	once sync.Once
}

func (p *pipes) Accept() (net.Conn, error) {
	select {
	case c := <-p.next:
		return c, nil
	case <-p.done:
		return nil, net.ErrClosed
	}
}

func (p *pipes) Close() error {
	p.once.Do(func() { close(p.done) })
	return nil
}

func (p *pipes) Addr() net.Addr { return &net.TCPAddr{} }

// pipeEnd is the server's end of a connection in memory.
type pipeEnd struct {
	net.Conn
	ip   net.IP
	gone chan struct{}
	once sync.Once
}

func (p *pipeEnd) RemoteAddr() net.Addr { return &net.TCPAddr{IP: p.ip, Port: 4711} }

func (p *pipeEnd) Close() error {
	p.once.Do(func() { close(p.gone) })
	return p.Conn.Close()
}

// client is one conversation with a door.
type client struct {
	net.Conn
	t   testing.TB
	in  *bufio.Reader
	end *pipeEnd
}

// dial comes from a network of that number.
func (s *stage) dial(t testing.TB, door string, network byte) *client {
	a, b := net.Pipe()
	end := &pipeEnd{Conn: b, ip: net.IPv4(192, 0, 2, network), gone: make(chan struct{})}
	s.doors[door].next <- end
	return &client{Conn: a, t: t, in: bufio.NewReader(a), end: end}
}

// secure puts TLS on.
func (c *client) secure() {
	c.t.Helper()
	leaf, err := x509.ParseCertificate(stageCertificate().Certificate[0])
	if err != nil {
		c.t.Fatal(err)
	}
	pool := x509.NewCertPool()
	pool.AddCert(leaf)
	secured := tls.Client(c.Conn, &tls.Config{RootCAs: pool, ServerName: stageDomain, MinVersion: tls.VersionTLS12})
	if err := secured.Handshake(); err != nil {
		c.t.Fatal(err)
	}
	c.Conn, c.in = secured, bufio.NewReader(secured)
}

// greeted is a client that has TLS and was greeted, and may log in.
func (s *stage) greeted(t testing.TB, door string) *client {
	t.Helper()
	c := s.dial(t, door, 1)
	if door == "imap" {
		c.ask("", "* OK")
		c.ask("s STARTTLS", "s OK")
	}
	c.secure()
	if door == "imaps" {
		c.ask("", "* OK")
	}
	return c
}

// user is a client that has logged in.
func (s *stage) user(t testing.TB, door string) *client {
	t.Helper()
	c := s.greeted(t, door)
	c.ask(stageLogin, "a OK")
	return c
}

// say sends text; that the server has gone is seen when it is listened to.
func (c *client) say(text string) { _, _ = io.WriteString(c.Conn, text) }

// hears reads one line; "" at the end.
func (c *client) hears() string {
	line, err := c.in.ReadString('\n')
	if err != nil {
		return ""
	}
	return strings.TrimRight(line, "\r\n")
}

// ask sends a line and wants the next to begin so.
func (c *client) ask(line, want string) {
	c.t.Helper()
	if line != "" {
		c.say(line + "\r\n")
	}
	if got := c.hears(); !strings.HasPrefix(got, want) {
		c.t.Fatalf("%q: got %q, want %s", line, got, want)
	}
}

// last reads all lines to the end and returns the last.
func (c *client) last() (reply string) {
	for line := c.hears(); line != ""; line = c.hears() {
		reply = line
	}
	return reply
}

// drip sends one byte every so often, until the server has gone.
func (c *client) drip(text string, every time.Duration) {
	for i := 0; c.wait(every); i++ {
		c.say(text[i%len(text):][:1])
	}
}

// pour sends all of it every so often.
func (c *client) pour(text string, every time.Duration) {
	for c.wait(every) {
		c.say(text)
	}
}

// wait reports whether the server is still there after a while.
func (c *client) wait(d time.Duration) bool {
	select {
	case <-c.end.gone:
		return false
	case <-time.After(d):
		return true
	}
}
