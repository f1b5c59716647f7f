package courier

import (
	"bufio"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"io"
	"log"
	"log/slog"
	"maps"
	"math/big"
	"net"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/foxcpp/go-mockdns"
	"github.com/miekg/dns"
	"go.uber.org/goleak"

	"github.com/centerleap/postern/gateway"
	"github.com/centerleap/postern/gateway/resolve"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// server is a mail host on loopback that says whatever a test wants.
type server struct {
	t   testing.TB
	ln  net.Listener
	ext []string // what EHLO offers
	tls *tls.Config
	// answer is asked for the reply to each command, to "" for the greeting and to "."
	// for the final dot. Nil or "" is the usual one; see what else there is in say.
	answer func(n int, command string) string
	wait   sync.WaitGroup

	mu    sync.Mutex
	conns int
	lines []string // all commands, in order of arrival
	mails []string // as they were before dot-stuffing
	open  map[net.Conn]bool
}

// What answer may return instead of a reply.
const (
	drop   = "drop"  // close the connection
	hang   = "hang"  // say nothing until the client leaves
	flood  = "flood" // talk until the client leaves
	closes = "\x00"  // behind a reply: say it and close
)

var usual = []string{"PIPELINING", "SIZE 1000000", "8BITMIME", "SMTPUTF8", "ENHANCEDSTATUSCODES"}

func mx(t testing.TB, answer func(n int, command string) string, ext ...string) *server {
	t.Helper()
	if ext == nil {
		ext = usual
	}
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := &server{t: t, ln: ln, ext: ext, answer: answer, open: make(map[net.Conn]bool)}
	s.wait.Go(s.accept)
	t.Cleanup(s.stop)
	return s
}

// always makes an answer out of pairs: the start of a command, and the reply to it.
func always(pairs ...string) func(int, string) string {
	return func(_ int, command string) string {
		for i := 0; i < len(pairs); i += 2 {
			if command == pairs[i] || pairs[i] != "" && pairs[i] != "." && strings.HasPrefix(command, pairs[i]) {
				return pairs[i+1]
			}
		}
		return ""
	}
}

func (s *server) stop() {
	s.ln.Close()
	s.mu.Lock()
	for c := range s.open {
		c.Close()
	}
	s.mu.Unlock()
	s.wait.Wait()
}

func (s *server) accept() {
	for {
		c, err := s.ln.Accept()
		if err != nil {
			return
		}
		s.mu.Lock()
		s.conns++
		n := s.conns
		s.open[c] = true
		s.mu.Unlock()
		s.wait.Go(func() { defer c.Close(); s.serve(c, n) })
	}
}

func (s *server) serve(c net.Conn, n int) {
	r := bufio.NewReaderSize(c, 16<<10)
	if !s.say(c, n, "", "220 mx.test ESMTP") {
		return
	}
	for {
		line, err := r.ReadString('\n')
		if err != nil {
			return
		}
		line = strings.TrimSuffix(line, "\r\n")
		s.mu.Lock()
		s.lines = append(s.lines, line)
		s.mu.Unlock()
		verb, _, _ := strings.Cut(strings.ToUpper(line), " ")
		def := map[string]string{
			"EHLO": "250-mx.test hello\r\n250-" + strings.Join(s.ext, "\r\n250-") + "\r\n250 HELP", "DATA": "354 go on", "QUIT": "221 bye" + closes,
			"STARTTLS": "220 ready", "AUTH": "235 welcome",
		}[verb]
		if def == "" {
			def = "250 2.1.0 fine"
		}
		said := def
		if s.answer != nil {
			if a := s.answer(n, line); a != "" {
				said = a
			}
		}
		if !s.say(c, n, said, said) {
			return
		}
		switch {
		case verb == "STARTTLS" && strings.HasPrefix(said, "220") && s.tls != nil:
			t := tls.Server(c, s.tls)
			if t.Handshake() != nil {
				return
			}
			c, r = t, bufio.NewReader(t)
		case verb == "DATA" && strings.HasPrefix(said, "354"):
			if !s.mail(r) || !s.say(c, n, ".", "250 2.0.0 taken") {
				return
			}
		}
	}
}

// mail reads up to the final dot.
func (s *server) mail(r *bufio.Reader) bool {
	var b strings.Builder
	for {
		line, err := r.ReadString('\n')
		if err != nil {
			return false
		}
		if line == ".\r\n" {
			break
		}
		b.WriteString(strings.TrimPrefix(line, "."))
	}
	s.mu.Lock()
	s.mails = append(s.mails, b.String())
	s.mu.Unlock()
	return true
}

// say sends a reply. at is "" or "." where a test may have another one.
func (s *server) say(c net.Conn, n int, at, text string) bool {
	if (at == "" || at == ".") && s.answer != nil {
		if a := s.answer(n, at); a != "" {
			text = a
		}
	}
	switch text {
	case drop:
		return false
	case hang:
		io.Copy(io.Discard, c)
		return false
	case flood:
		for {
			if _, err := io.WriteString(c, "250-more and more and more of it\r\n"); err != nil {
				return false
			}
		}
	}
	text, last := strings.CutSuffix(text, closes)
	if _, err := io.WriteString(c, text+"\r\n"); err != nil {
		return false
	}
	return !last
}

func (s *server) commands() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]string(nil), s.lines...)
}

func (s *server) got() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]string(nil), s.mails...)
}

func (s *server) connections() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.conns
}

// world is where a courier of a test lives: DNS on loopback, and public addresses that
// lead to servers on loopback.
type world struct {
	zones map[string]mockdns.Zone
	mu    sync.Mutex
	at    map[string]string // "ip:port" to where it really is
	tried []string          // what was dialled, in order
}

func (w *world) dial(ctx context.Context, network, address string) (net.Conn, error) {
	w.mu.Lock()
	w.tried = append(w.tried, address)
	to := w.at[address]
	w.mu.Unlock()
	if to == "" {
		return nil, errors.New("connection refused")
	}
	return new(net.Dialer).DialContext(ctx, network, to)
}

func (w *world) dialled() []string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return append([]string(nil), w.tried...)
}

// simple is a.test with one mail host, mx.test, that is s.
func simple(s *server) *world {
	return &world{
		zones: map[string]mockdns.Zone{"a.test.": {MX: []net.MX{{Host: "mx.test.", Pref: 10}}}, "mx.test.": {A: []string{"5.0.0.1"}}},
		at:    map[string]string{"5.0.0.1:25": s.ln.Addr().String()},
	}
}

// dns serves the zones, as they are now, on loopback. The library's server is not stopped by a Close that
// comes before it has begun, so it has to answer once first.
func (w *world) dns(t testing.TB) string {
	t.Helper()
	s, err := mockdns.NewServerWithLogger(maps.Clone(w.zones), log.New(io.Discard, "", 0), false)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	at := s.LocalAddr().String()
	for _, network := range []string{"udp", "tcp"} {
		c := dns.Client{Net: network, Timeout: 10 * time.Second}
		if _, _, err := c.Exchange(new(dns.Msg).SetQuestion("begun.test.", dns.TypeA), at); err != nil {
			t.Fatal(err)
		}
	}
	return at
}

// courier makes one in this world; change may change its Config.
func (w *world) courier(t testing.TB, change func(*Config)) *Courier {
	t.Helper()
	r, err := resolve.New(resolve.Config{Servers: []string{w.dns(t)}, Limits: gateway.DefaultLimits(), Timeout: 2 * time.Second, Try: time.Second})
	if err != nil {
		t.Fatal(err)
	}
	cfg := Config{Resolver: r, Hostname: "gw.test", Limits: gateway.DefaultLimits(), Dial: w.dial, Log: slog.New(slog.DiscardHandler)}
	if change != nil {
		change(&cfg)
	}
	c, err := New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return c
}

const letter = "From: me@here.test\r\nSubject: hi\r\n\r\nhello\r\n.a dot\r\n..two\r\n.\r\nend\r\n"

// job is letter to recipients of a.test.
func job(to ...string) Job {
	if len(to) == 0 {
		to = []string{"you@a.test"}
	}
	return Job{Domain: "a.test", ReturnPath: "me@here.test", Recipients: to, Size: int64(len(letter)), Open: text(letter)}
}

func text(s string) func() (io.ReadCloser, error) {
	return func() (io.ReadCloser, error) { return io.NopCloser(strings.NewReader(s)), nil }
}

func carry(t testing.TB, c *Courier, j Job) []Result {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	res, err := c.Carry(ctx, j)
	if err != nil {
		t.Fatal(err)
	}
	if len(res) != len(j.Recipients) {
		t.Fatalf("%d results for %d recipients", len(res), len(j.Recipients))
	}
	for i, r := range res {
		fit(t, r)
		if r.Recipient != j.Recipients[i] {
			t.Errorf("result %d is of %q", i, r.Recipient)
		}
	}
	return res
}

// fit is what every result has to be, whatever the other side did.
func fit(t testing.TB, r Result) {
	t.Helper()
	switch {
	case r.Outcome == "" || r.Phase == "" || r.Code < 200 || r.Code > 599:
		t.Errorf("not whole: %+v", r)
	case len(r.Text) > maxText || r.Text != oneLine(r.Text):
		t.Errorf("not one line of at most %d: %q", maxText, r.Text)
	case r.Outcome == Delivered && (r.Phase != PhaseEnd || !r.Remote):
		t.Errorf("delivered, says nobody: %+v", r)
	case r.Enhanced[0] < 2 || r.Enhanced[0] > 5:
		t.Errorf("enhanced code %v", r.Enhanced)
	}
}

// authority signs certificates for tests.
type authority struct {
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
	pool *x509.CertPool
}

func newAuthority(t testing.TB) *authority {
	t.Helper()
	a := &authority{pool: x509.NewCertPool()}
	var der []byte
	der, a.key = certificate(t, nil, &x509.Certificate{Subject: pkix.Name{CommonName: "root"}, IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign})
	var err error
	if a.cert, err = x509.ParseCertificate(der); err != nil {
		t.Fatal(err)
	}
	a.pool.AddCert(a.cert)
	return a
}

func certificate(t testing.TB, by *authority, tpl *x509.Certificate) ([]byte, *ecdsa.PrivateKey) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	tpl.SerialNumber = big.NewInt(1)
	if tpl.NotAfter.IsZero() {
		tpl.NotAfter = time.Now().AddDate(2, 0, 0)
	}
	parent, signer := tpl, key
	if by != nil {
		parent, signer = by.cert, by.key
	}
	der, err := x509.CreateCertificate(rand.Reader, tpl, parent, &key.PublicKey, signer)
	if err != nil {
		t.Fatal(err)
	}
	return der, key
}

// server is a configuration with a certificate for names, that is good until then.
func (a *authority) server(t testing.TB, until time.Time, names ...string) *tls.Config {
	t.Helper()
	tpl := &x509.Certificate{DNSNames: names, NotAfter: until, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}}
	for _, n := range names {
		if ip, err := netip.ParseAddr(n); err == nil {
			tpl.DNSNames, tpl.IPAddresses = nil, []net.IP{ip.AsSlice()}
		}
	}
	der, key := certificate(t, a, tpl)
	return &tls.Config{Certificates: []tls.Certificate{{Certificate: [][]byte{der}, PrivateKey: key}}, MinVersion: tls.VersionTLS10}
}

// errServFail makes the DNS of tests fail for a name.
var errServFail = &net.DNSError{Err: "failed", IsTemporary: true}

// nobody is a listener that has an address alone.
type nobody struct{ net.Listener }

func (nobody) Addr() net.Addr { return &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: 1} }

// fixed is DNS without a network, for tests in a bubble of time.
type fixed map[string]mockdns.Zone

func (z fixed) TXT(_ context.Context, name string) resolve.Answer[string] {
	if list := z[name+"."].TXT; list != nil {
		return resolve.Answer[string]{Records: list}
	}
	return resolve.Answer[string]{Class: resolve.NXDomain}
}

func (z fixed) MX(_ context.Context, name string) (ans resolve.Answer[resolve.MX]) {
	for _, mx := range z[name+"."].MX {
		ans.Records = append(ans.Records, resolve.MX{Preference: mx.Pref, Host: strings.TrimSuffix(mx.Host, ".")})
	}
	return ans
}

func (z fixed) Addresses(_ context.Context, name string) (ans resolve.Answer[netip.Addr]) {
	for _, a := range z[name+"."].A {
		ans.Records = append(ans.Records, netip.MustParseAddr(a))
	}
	return ans
}
