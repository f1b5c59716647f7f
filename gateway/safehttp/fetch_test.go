package safehttp

import (
	"bytes"
	"compress/gzip"
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"log"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/centerleap/postern/gateway"
)

// names is a resolver that gives one answer after the other.
type names map[string][]string

func (n names) LookupNetIP(_ context.Context, _, host string) ([]netip.Addr, error) {
	if len(n[host]) == 0 {
		return nil, &net.DNSError{Err: "no such host", Name: host, IsNotFound: true}
	}
	ip := netip.MustParseAddr(n[host][0])
	if len(n[host]) > 1 {
		n[host] = n[host][1:]
	}
	return []netip.Addr{ip}, nil
}

const (
	somewhere = "1.1.1.1" // a public address; the server of a test stands for it
	most      = 1000
)

// client reaches the server under the public address, and nothing else of this
// machine unless the rules let it: the judgement stays that of the room.
func client(t *testing.T, srv *httptest.Server, cfg Config) *Client {
	t.Helper()
	cfg.Roots, cfg.Log = x509.NewCertPool(), slog.New(slog.DiscardHandler)
	if srv.Certificate() != nil {
		cfg.Roots.AddCert(srv.Certificate())
	}
	c, err := New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	c.connect = func(ctx context.Context, network, address string, control control) (net.Conn, error) {
		host, _, err := net.SplitHostPort(address)
		if err != nil || host != somewhere {
			return connect(ctx, network, address, control)
		}
		if err := control("tcp4", address, nil); err != nil {
			return nil, err
		}
		return net.Dial("tcp", srv.Listener.Addr().String())
	}
	return c
}

func secure(t *testing.T, h http.HandlerFunc) *httptest.Server {
	t.Helper()
	srv := httptest.NewUnstartedServer(h)
	srv.Config.ErrorLog = log.New(io.Discard, "", 0)
	srv.StartTLS()
	t.Cleanup(srv.Close)
	return srv
}

// The certificate of httptest is for this name.
const good = "https://example.com/"

func TestFetch(t *testing.T) {
	var bomb bytes.Buffer
	z := gzip.NewWriter(&bomb)
	_, _ = z.Write(make([]byte, 100<<10))
	z.Close()
	for _, tt := range []struct {
		name    string
		url     string
		handler http.HandlerFunc
		want    gateway.Fetched
		kind    gateway.Kind // Internal: no error
	}{
		{"a file", good + "a/report%20.pdf?x", func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "application/pdf; v=1")
			io.WriteString(w, "12345")
		}, gateway.Fetched{ContentType: "application/pdf", Filename: "report .pdf", Size: 5}, 0},
		{"with a name", good + "x", func(w http.ResponseWriter, _ *http.Request) {
			w.Header()["Content-Type"] = nil
			w.Header().Set("Content-Disposition", `attachment; filename="a.txt"`)
		}, gateway.Fetched{Filename: "a.txt"}, 0},
		{"without any", good, func(w http.ResponseWriter, _ *http.Request) { w.Header().Set("Content-Type", ";") }, gateway.Fetched{}, 0},
		{"as large as may be", good, func(w http.ResponseWriter, _ *http.Request) {
			w.Header()["Content-Type"] = nil
			io.WriteString(w, strings.Repeat("x", most))
		}, gateway.Fetched{Size: most}, 0},
		{"announced too large", good, func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Length", "1001")
			io.WriteString(w, strings.Repeat("x", most+1))
		}, gateway.Fetched{}, gateway.TooLarge},
		{"endless", good, func(w http.ResponseWriter, r *http.Request) {
			for r.Context().Err() == nil {
				if _, err := w.Write(make([]byte, 1000)); err != nil {
					return
				}
			}
		}, gateway.Fetched{}, gateway.TooLarge},
		{"shorter than announced", good, func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Length", "100")
			io.WriteString(w, "x")
		}, gateway.Fetched{}, gateway.Unavailable},
		{"slow", good, func(w http.ResponseWriter, r *http.Request) {
			w.(http.Flusher).Flush()
			<-r.Context().Done()
		}, gateway.Fetched{}, gateway.Unavailable},
		{"silent", good, func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }, gateway.Fetched{}, gateway.Unavailable},
		{"packed, unasked", good, func(w http.ResponseWriter, r *http.Request) {
			if r.Header.Get("Accept-Encoding") != "identity" {
				return // would be taken as an empty file
			}
			w.Header().Set("Content-Encoding", "gzip")
			w.Write(bomb.Bytes())
		}, gateway.Fetched{}, gateway.Unavailable},
		{"a packed file stays packed", good, func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "application/gzip")
			w.Write(bomb.Bytes())
		}, gateway.Fetched{ContentType: "application/gzip", Size: int64(bomb.Len())}, 0},
		{"endless header", good, func(w http.ResponseWriter, _ *http.Request) {
			for i := range 100 {
				w.Header().Set(fmt.Sprint("X-", i), strings.Repeat("x", 1000))
			}
		}, gateway.Fetched{}, gateway.Unavailable},
		{"not found", good, func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(404) }, gateway.Fetched{}, gateway.Unavailable},
		{"unknown host", "https://nowhere.example/", nil, gateway.Fetched{}, gateway.Unavailable},
		{"not https", "http://example.com/", nil, gateway.Fetched{}, gateway.InvalidParameter},
		{"another's certificate", "https://other.test/", nil, gateway.Fetched{}, gateway.Unavailable},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Setenv("HTTPS_PROXY", "http://127.0.0.1:1")
			c := client(t, secure(t, tt.handler), Config{Resolver: names{"example.com": {somewhere}, "other.test": {somewhere}}, Timeout: 300 * time.Millisecond})
			var out bytes.Buffer
			got, err := c.Fetch(t.Context(), tt.url, most, &out)
			if gateway.KindOf(err) != tt.kind || (err == nil) != (tt.kind == 0) {
				t.Fatalf("%v, want %v", err, tt.kind)
			}
			if err == nil && (got != tt.want || int64(out.Len()) != tt.want.Size) {
				t.Errorf("%+v and %d bytes, want %+v", got, out.Len(), tt.want)
			}
			if out.Len() > most+1 {
				t.Errorf("%d bytes were written", out.Len())
			}
		})
	}
}

// A redirect is judged as the first URL was, and so is each address that a name
// gets: the second answer of a name may be another one than the first.
func TestRedirects(t *testing.T) {
	for _, tt := range []struct {
		name, to string
		names    names
		kind     gateway.Kind
	}{
		{"elsewhere", good + "end", names{"example.com": {somewhere}}, 0},
		{"relative", "/end", names{"example.com": {somewhere}}, 0},
		{"to loopback", "https://127.0.0.1:PORT/end", names{"example.com": {somewhere}}, gateway.Restricted},
		{"to mapped loopback", "https://[::ffff:127.0.0.1]:PORT/end", names{"example.com": {somewhere}}, gateway.Restricted},
		{"to private", "https://10.0.0.1/end", names{"example.com": {somewhere}}, gateway.Restricted},
		{"to a name of loopback", "https://inside.test:PORT/end", names{"example.com": {somewhere}, "inside.test": {"127.0.0.1"}}, gateway.Restricted},
		{"rebound", "https://example.com:PORT/end", names{"example.com": {somewhere, "127.0.0.1"}}, gateway.Restricted},
		{"to http", "http://example.com/end", names{"example.com": {somewhere}}, gateway.Restricted},
		{"to a file", "file:///etc/passwd", names{"example.com": {somewhere}}, gateway.Restricted},
		{"to a number", "https://2130706433:PORT/end", names{"example.com": {somewhere}}, gateway.Restricted},
		{"nowhere", "", names{"example.com": {somewhere}}, gateway.Unavailable},
		{"in a circle", good, names{"example.com": {somewhere}}, gateway.Unavailable},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var reached int
			var port string
			srv := secure(t, func(w http.ResponseWriter, r *http.Request) {
				if reached++; r.URL.Path == "/end" {
					return
				}
				if r.Header.Get("Cookie") != "" {
					t.Error("a cookie was kept")
				}
				w.Header().Set("Set-Cookie", "a=b")
				w.Header().Set("Location", strings.ReplaceAll(tt.to, "PORT", port))
				w.WriteHeader(302)
			})
			_, port, _ = net.SplitHostPort(srv.Listener.Addr().String())
			_, err := client(t, srv, Config{Resolver: tt.names}).Fetch(t.Context(), good, most, io.Discard)
			if gateway.KindOf(err) != tt.kind || (err == nil) != (tt.kind == 0) {
				t.Errorf("%v, want %v", err, tt.kind)
			}
			if tt.kind == gateway.Restricted && reached != 1 {
				t.Errorf("the server was reached %d times", reached)
			}
			if reached > 1+MaxRedirects {
				t.Errorf("%d requests", reached)
			}
		})
	}
}

// The real dialer asks: a name of this machine is refused unless the operator
// allows it, and then plain http is fine.
func TestLoopback(t *testing.T) {
	reached := 0
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { reached++ }))
	t.Cleanup(srv.Close)
	_, port, err := net.SplitHostPort(srv.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	resolver := names{"inside.test": {"127.0.0.1"}, "mapped.test": {"::ffff:127.0.0.1"}}
	for _, tt := range []struct {
		name, url string
		cfg       Config
		kind      gateway.Kind
	}{
		{"nothing allowed", "https://inside.test:" + port, Config{}, gateway.Restricted},
		{"nothing allowed, mapped", "https://mapped.test:" + port, Config{}, gateway.Restricted},
		{"nothing allowed, literal", "https://127.0.0.1:" + port, Config{}, gateway.Restricted},
		{"loopback allowed", "http://inside.test:" + port, Config{AllowLoopback: true}, 0},
		{"loopback allowed, literal", srv.URL, Config{AllowLoopback: true}, 0},
		{"named", "http://inside.test:" + port, Config{Allow: []string{"inside.test:" + port}}, 0},
		{"another port named", "http://inside.test:" + port, Config{Allow: []string{"inside.test:1"}}, gateway.InvalidParameter},
		{"another name of it", "https://mapped.test:" + port, Config{Allow: []string{"inside.test:" + port}}, gateway.Restricted},
	} {
		t.Run(tt.name, func(t *testing.T) {
			tt.cfg.Resolver, tt.cfg.Log, reached = resolver, slog.New(slog.DiscardHandler), 0
			c, err := New(tt.cfg)
			if err != nil {
				t.Fatal(err)
			}
			_, err = c.Fetch(t.Context(), tt.url, most, io.Discard)
			if gateway.KindOf(err) != tt.kind || (err == nil) != (tt.kind == 0) || (reached == 1) != (err == nil) {
				t.Errorf("%v, want %v; reached %d times", err, tt.kind, reached)
			}
		})
	}
}

type fullDisk struct{}

func (fullDisk) Write([]byte) (int, error) { return 0, errors.New("no space left") }

func TestDo(t *testing.T) {
	srv := secure(t, func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		if r.Method == "GET" {
			io.WriteString(w, "x")
			return
		}
		if r.Method != "POST" || r.Header.Get("X-Sign") != "s" {
			t.Errorf("%s %v", r.Method, r.Header)
		}
		w.Header().Set("Location", "https://127.0.0.1/")
		w.WriteHeader(307)
		fmt.Fprintf(w, "%s%s", body, strings.Repeat("x", 2*most))
	})
	c := client(t, srv, Config{Resolver: names{"example.com": {somewhere}, "inside.test": {"10.0.0.1"}}})
	a, err := c.Do(t.Context(), "POST", good, http.Header{"X-Sign": {"s"}}, []byte("hello"), most)
	if err != nil || a.Status != 307 || len(a.Body) != most || !bytes.HasPrefix(a.Body, []byte("hello")) {
		t.Errorf("%v: %d with %d bytes", err, a.Status, len(a.Body))
	}
	if _, err := c.Do(t.Context(), "POST", "https://inside.test/", nil, nil, most); gateway.KindOf(err) != gateway.Restricted {
		t.Errorf("a private address: %v", err)
	}
	if _, err := c.Fetch(t.Context(), good, most, fullDisk{}); err == nil {
		t.Error("a failed write is no failure")
	}
}
