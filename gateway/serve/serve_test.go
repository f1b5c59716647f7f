package serve

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/centerleap/postern/gateway"
)

func TestEverySetting(t *testing.T) {
	good := map[kind]string{textKind: "x", boolKind: "true", numberKind: "7", sizeKind: "64MiB", listKind: "h:1, [::1]:2"}
	special := map[string]string{
		"delivery.mode": "direct", "inbound.dmarc": "enforce", "log.level": "debug", "log.format": "json",
		"delivery.smarthost": "h:25", "dns.servers": "192.0.2.53", "tls.cert_file": os.DevNull, "tls.key_file": os.DevNull,
		"rest.url": "https://mail.example.com/api", "rest.origins": "https://app.example.com, http://localhost:3000",
		"imap.hide":       "quota",
		"dashboard.hosts": "mail.example.com, localhost",
		"plugins.signers": strings.Repeat("A", 43) + "=, " + strings.Repeat("A", 42) + "E=",
	}
	c := Defaults()
	for _, s := range settings() {
		v := good[s.kind]
		if x, ok := special[s.name]; ok {
			v = x
		} else if strings.HasSuffix(s.name, ".listen") {
			v = "127.0.0.1:0"
		} else if strings.HasSuffix(s.name, ".proxy_from") {
			v = "192.0.2.1, 2001:db8::/32"
		}
		variable := "POSTERN_" + strings.ToUpper(strings.ReplaceAll(s.name, ".", "_"))
		if err := c.LoadEnv([]string{variable + "=" + v}); err != nil {
			t.Errorf("%s=%s: %v", variable, v, err)
		}
	}
	if c.Memory != 64<<20 || c.DiskReserve != 7 || c.FeedDays != 7 || c.ActivityDays != 7 || c.TrashDays != 7 || c.Limits.Batch != 7 || c.Mode != "direct" || c.Listen["imaps"] != "127.0.0.1:0" || !c.AllowPrivate ||
		!c.RemoteAttachments || !slices.Equal(c.HTTPAllow, []string{"h:1", "[::1]:2"}) || c.RESTURL != "https://mail.example.com/api" ||
		!slices.Equal(c.Origins, []string{"https://app.example.com", "http://localhost:3000"}) || len(c.PluginSigners) != 2 || len(c.HiddenIMAP) != 1 || len(c.DashboardHosts) != 2 {
		t.Errorf("%+v", c)
	}
	if want := []netip.Prefix{netip.MustParsePrefix("192.0.2.1/32"), netip.MustParsePrefix("2001:db8::/32")}; c.BannerMillis != 7 || !slices.Equal(c.ProxyFrom["mx"], want) {
		t.Errorf("%v, %v", c.BannerMillis, c.ProxyFrom)
	}
	for _, row := range gateway.LimitTable {
		if *row.Field(&c.Limits) != 7 {
			t.Errorf("limits.%s was not set", row.Name)
		}
	}
}

func TestFaults(t *testing.T) {
	for name, want := range map[string]string{
		"POSTERN_REST_LISTEN=8080": "address", "POSTERN_LIMITS_BATCH=x": "number", "POSTERN_LIMITS_BATCHES=1": "did you mean POSTERN_LIMITS_BATCH?",
		"POSTERN_PLUGINS_UPLOADS=maybe": "true or false", "POSTERN_PLUGINS_SIGNERS=a2V5": "Ed25519 public key", "POSTERN_PLUGINS_SIGNERS=-": "Ed25519 public key",
		"POSTERN_TLS_CERT_FILE=/nowhere": "no such file",
		"POSTERN_RETENTION_FEED_DAYS=0":  "from 1 to 3650", "POSTERN_RETENTION_ACTIVITY_DAYS=3651": "from 1 to 3650", "POSTERN_RETENTION_TRASH_DAYS=-1": "from 0 to 3650",
		"POSTERN_SERVER_MEMORY=63MiB": "64MiB", "POSTERN_SERVER_MEMORY=large": "default, small", "POSTERN_SERVER_MEMORY=99999999999999MiB": "to \"1048576MiB\"", "POSTERN_RETENTION_DAYS=1": "did you mean",
		"POSTERN_MX_PROXY_FROM=192.0.2.1,proxy": "a network", "POSTERN_REST_PROXY_FROM=0.0.0.0/0": "a network", "POSTERN_MX_BANNER_MILLIS=30001": "from 0 to 30000",
		"POSTERN_IMAP_HIDE=IDLE": "one of", "POSTERN_HTTP_ALLOW=h:1,h": "host and port", "POSTERN_REST_URL=mail.example.com": "URL", "POSTERN_REST_URL=https://a/?b": "URL", "POSTERN_ATTACHMENTS_REMOTE=maybe": "true or false",
		"POSTERN_REST_ORIGINS=*": "origin", "POSTERN_REST_ORIGINS=null": "origin", "POSTERN_REST_ORIGINS=https://a.example/": "origin", "POSTERN_REST_ORIGINS=https://A.example": "origin",
	} {
		if err := Defaults().LoadEnv([]string{name}); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", name, err, want)
		}
	}
	if err := Defaults().LoadEnv([]string{"POSTERN_KEY=x", "POSTERN_URL=x", "POSTERN_SOMETHING=x", "PATH=x"}); err != nil {
		t.Errorf("variables that are no settings: %v", err)
	}
	c := Defaults()
	c.Mode, c.CertFile = "relay", "x"
	if err := c.Check(); err == nil || !strings.Contains(err.Error(), "smarthost") || !strings.Contains(err.Error(), "belong together") {
		t.Errorf("both faults are told: %v", err)
	}
}

// A list stands in a file as one, and each fault of it has its line.
func TestListInFile(t *testing.T) {
	c := Defaults()
	if err := c.load("x.toml", []byte("[attachments]\nremote = true\n[http]\nallow = [\"files.internal:8080\", \"10.0.0.1:80\"]\n")); err != nil {
		t.Fatal(err)
	}
	if !c.RemoteAttachments || !slices.Equal(c.HTTPAllow, []string{"files.internal:8080", "10.0.0.1:80"}) {
		t.Errorf("%v, %v", c.RemoteAttachments, c.HTTPAllow)
	}
	for _, v := range []string{`"h:1"`, `[1]`, `["h:1,g:2"]`, `["h"]`} {
		if err := Defaults().load("x.toml", []byte("[http]\nallow = "+v+"\n")); err == nil || !strings.Contains(err.Error(), "x.toml:2: http.allow") {
			t.Errorf("%s: %v", v, err)
		}
	}
	if Defaults().RemoteAttachments || !LocalDefaults().RemoteAttachments {
		t.Error("remote attachments are for quickstart, until the operator wants them")
	}
}

// The local CA is made once, signs what it is asked for, and renews in time.
func TestLocalCA(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "tls")
	now := time.Now()
	names := []string{"localhost", "127.0.0.1", "::1", "demo.localhost"}
	read := func() []string {
		var all []string
		for _, f := range []string{"ca.pem", "server.pem"} {
			b, err := os.ReadFile(filepath.Join(dir, f))
			if err != nil {
				t.Fatal(err)
			}
			all = append(all, string(b))
		}
		return all
	}
	if _, err := localCA(dir, names, now); err != nil {
		t.Fatal(err)
	}
	first := read()
	if info, err := os.Stat(filepath.Join(dir, "ca.key")); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("ca.key: %v, %v", info.Mode(), err)
	}
	if _, err := localCA(dir, names, now); err != nil || !slices.Equal(read(), first) {
		t.Errorf("a second start makes others: %v", err)
	}
	if _, err := localCA(dir, append(names, "other.localhost"), now); err != nil || read()[0] != first[0] || read()[1] == first[1] {
		t.Errorf("another name: %v", err)
	}
	second := read()
	if _, err := localCA(dir, names, now.Add(certLife-certRenew+time.Hour)); err != nil || read()[1] == second[1] {
		t.Errorf("near its end: %v", err)
	}
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM([]byte(first[0]))
	cert, err := tls.LoadX509KeyPair(filepath.Join(dir, "server.pem"), filepath.Join(dir, "server.key"))
	if err != nil {
		t.Fatal(err)
	}
	for _, n := range names {
		if _, err := cert.Leaf.Verify(x509.VerifyOptions{Roots: roots, DNSName: n, CurrentTime: now.Add(certLife - certRenew + 2*time.Hour)}); err != nil {
			t.Errorf("%s: %v", n, err)
		}
	}
}

// dataDir is an empty folder; that of t.TempDir may be too long for a socket.
func dataDir(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "postern")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	return dir
}

func open(t *testing.T, c *Config) (*Gateway, error) {
	t.Helper()
	c.Data = dataDir(t)
	g, err := Open(c, slog.New(slog.DiscardHandler), nil)
	if err == nil {
		t.Cleanup(func() { _ = g.Close() })
	}
	return g, err
}

// A busy port moves when nobody asked for it, and is an error when somebody did.
func TestBusyPort(t *testing.T) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	c := LocalDefaults()
	c.Listen["rest"] = ln.Addr().String()
	g, err := open(t, c)
	if err != nil || g.URL() == "http://"+ln.Addr().String() || len(g.notes) != 1 {
		t.Errorf("%v, %v", err, g)
	}
	c = LocalDefaults()
	if err := c.Set("rest.listen", ln.Addr().String()); err != nil {
		t.Fatal(err)
	}
	if _, err := open(t, c); err == nil {
		t.Error("a port that was asked for moved")
	}
}

// REST speaks TLS with certificate files.
func TestCertificateFiles(t *testing.T) {
	dir := t.TempDir()
	ca, err := localCA(dir, []string{"127.0.0.1"}, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	c := LocalDefaults()
	c.Listen["rest"], c.CertFile, c.KeyFile = "127.0.0.1:0", filepath.Join(dir, "server.pem"), filepath.Join(dir, "server.key")
	g, err := open(t, c)
	if err != nil {
		t.Fatal(err)
	}
	ended := make(chan error)
	ctx, cancel := context.WithCancel(t.Context())
	go func() { ended <- g.Run(ctx) }()
	pem, err := os.ReadFile(ca)
	if err != nil {
		t.Fatal(err)
	}
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(pem)
	hc := &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: roots}}}
	resp, err := hc.Get(g.URL() + "/readyz")
	if err != nil {
		t.Fatal(err)
	}
	body, _ := io.ReadAll(resp.Body)
	resp.Body.Close()
	if resp.StatusCode != 200 || string(body) != `{"status":"ready"}` {
		t.Errorf("%d %s", resp.StatusCode, body)
	}
	hc.CloseIdleConnections()
	cancel()
	if err := <-ended; err != nil {
		t.Error(err)
	}
}

// A start that was cut before it showed its keys leaves none behind that work.
func TestUnshownKeys(t *testing.T) {
	c := LocalDefaults()
	c.Listen["rest"] = "127.0.0.1:0"
	g, err := open(t, c)
	if err != nil {
		t.Fatal(err)
	}
	q := Quickstart{Domain: "demo.localhost"}
	first, err := g.Start(t.Context(), q)
	if err != nil || first.Keys == nil {
		t.Fatal(err)
	}
	second, err := g.Start(t.Context(), q)
	if err != nil || second.Keys == nil {
		t.Fatal(err)
	}
	if _, err := g.Keys.Open(t.Context(), gateway.Secret(first.Keys.Domain)); gateway.KindOf(err) != gateway.InvalidKey || err == nil {
		t.Errorf("a key nobody has seen works: %v", err)
	}
	s, err := g.Keys.Open(t.Context(), gateway.Secret(second.Keys.Domain))
	if err != nil {
		t.Fatal(err)
	}
	s.Close()
	if err := g.Shown(t.Context()); err != nil {
		t.Fatal(err)
	}
	if third, err := g.Start(t.Context(), q); err != nil || third.Keys != nil {
		t.Errorf("keys are shown again: %v, %v", third, err)
	}
}
