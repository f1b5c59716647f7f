package courier

import (
	"context"
	"crypto/tls"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/foxcpp/go-mockdns"

	"github.com/centerleap/postern/gateway"
)

// publisher is a world in which a.test has a policy, and a mail host with STARTTLS.
type publisher struct {
	*world
	ca      *authority
	mx      *server
	web     *httptest.Server
	fetched atomic.Int64
	mu      sync.Mutex
	serve   http.HandlerFunc
	now     time.Time
}

const enforce = "version: STSv1\nmode: enforce\nmx: mx.test\nmax_age: 864000\n"

// publish makes one: the policy's text or handler, and the names in both certificates.
func publish(t *testing.T, policy, hostCert, webCert string) *publisher {
	t.Helper()
	p := &publisher{ca: newAuthority(t), now: time.Now()}
	p.set(policy)
	p.mx = secure(t, p.ca.server(t, p.now.AddDate(1, 0, 0), hostCert), nil)
	p.web = httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		p.fetched.Add(1)
		p.mu.Lock()
		serve := p.serve
		p.mu.Unlock()
		serve(w, r)
	}))
	p.web.TLS = p.ca.server(t, p.now.AddDate(1, 0, 0), webCert)
	p.web.Config.ErrorLog = log.New(io.Discard, "", 0)
	p.web.StartTLS()
	t.Cleanup(p.web.Close)
	p.world = simple(p.mx)
	p.zones["_mta-sts.a.test."] = mockdns.Zone{TXT: []string{"v=STSv1; id=1;"}}
	p.zones["mta-sts.a.test."] = mockdns.Zone{A: []string{"5.0.0.9"}}
	p.at["5.0.0.9:443"] = p.web.Listener.Addr().String()
	return p
}

func (p *publisher) set(policy string) {
	p.handle(func(w http.ResponseWriter, r *http.Request) {
		if r.Host != "mta-sts.a.test" || r.URL.Path != "/.well-known/mta-sts.txt" {
			http.NotFound(w, r)
			return
		}
		w.Header().Set("Content-Type", "text/plain; charset=utf-8")
		io.WriteString(w, policy)
	})
}

func (p *publisher) handle(h http.HandlerFunc) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.serve = h
}

func (p *publisher) courier(t *testing.T, change func(*Config)) *Courier {
	return p.world.courier(t, func(cfg *Config) {
		cfg.Roots = p.ca.pool
		cfg.Now = func() time.Time { p.mu.Lock(); defer p.mu.Unlock(); return p.now }
		if change != nil {
			change(cfg)
		}
	})
}

func (p *publisher) later(d time.Duration) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.now = p.now.Add(d)
}

// What a policy does to a delivery, by its mode, its hosts and the certificates.
func TestSTS(t *testing.T) {
	tested := strings.Replace(enforce, "enforce", "testing", 1)
	for _, tt := range []struct {
		name, policy, hostCert string
		want                   Outcome
		status                 [3]int
		marked                 string
	}{
		{"enforce, good", enforce, "mx.test", Delivered, [3]int{2, 0, 0}, PolicySTS},
		{"enforce, by asterisk", strings.Replace(enforce, "mx.test", "*.test", 1), "mx.test", Delivered, [3]int{2, 0, 0}, PolicySTS},
		{"enforce, another certificate", enforce, "other.test", Deferred, [3]int{4, 7, 5}, PolicySTS},
		{"enforce, another host", strings.Replace(enforce, "mx.test", "*.mx.test", 1), "mx.test", Deferred, [3]int{4, 7, 0}, ""},
		{"testing, another certificate", tested, "other.test", Delivered, [3]int{2, 0, 0}, PolicyTesting},
		{"testing, another host", strings.Replace(tested, "mx.test", "x.test", 1), "mx.test", Delivered, [3]int{2, 0, 0}, PolicyTesting},
		{"none", "version: STSv1\nmode: none\nmax_age: 10\n", "other.test", Delivered, [3]int{2, 0, 0}, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			p := publish(t, tt.policy, tt.hostCert, "mta-sts.a.test")
			r := carry(t, p.courier(t, nil), job())[0]
			if r.Outcome != tt.want || r.Enhanced != tt.status || r.Hop.TLS.Policy != tt.marked || p.fetched.Load() != 1 {
				t.Errorf("%+v, %d fetches", r, p.fetched.Load())
			}
		})
	}
}

// Hosts that the policy does not name are passed over, not the mail.
func TestSTSSomeHosts(t *testing.T) {
	p := publish(t, enforce, "mx.test", "mta-sts.a.test")
	p.zones["a.test."] = mockdns.Zone{MX: []net.MX{{Host: "evil.test.", Pref: 1}, {Host: "mx.test.", Pref: 9}}}
	p.zones["evil.test."] = mockdns.Zone{A: []string{"5.0.0.66"}}
	if r := carry(t, p.courier(t, nil), job())[0]; r.Outcome != Delivered || slices.Contains(p.dialled(), "5.0.0.66:25") {
		t.Errorf("%+v after %v", r, p.dialled())
	}
}

// What asks for a certificate is told for each message, whatever its connection was made
// for.
func TestPolicyOfReused(t *testing.T) {
	p := publish(t, enforce, "mx.test", "mta-sts.a.test")
	p.zones["b.test."] = p.zones["a.test."]
	c := p.courier(t, nil)
	other := job()
	other.Domain, other.TLS = "b.test", gateway.TLSEnforced
	for i, want := range []string{PolicyDomain, PolicySTS, PolicyDomain} {
		if r := carry(t, c, []Job{other, job()}[i%2])[0]; r.Hop.TLS.Policy != want || r.Hop.Reused != (i > 0) {
			t.Errorf("%d: %+v", i, r)
		}
	}
}

// What is no policy does not count, and is not fetched for each mail.
func TestSTSNotFetched(t *testing.T) {
	write := func(kind, text string) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", kind)
			io.WriteString(w, text)
		}
	}
	for _, tt := range []struct {
		name    string
		handle  http.HandlerFunc
		webCert string
	}{
		{"not there", http.NotFound, "mta-sts.a.test"},
		{"another certificate", write("text/plain", enforce), "a.test"},
		{"not text", write("text/html", enforce), "mta-sts.a.test"},
		{"not a policy", write("text/plain", "hello"), "mta-sts.a.test"},
		{"too long", write("text/plain", enforce+strings.Repeat("x: y\n", 20000)), "mta-sts.a.test"},
		{"elsewhere", func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Path != "/policy" {
				http.Redirect(w, r, "/policy", http.StatusFound)
				return
			}
			write("text/plain", enforce)(w, r)
		}, "mta-sts.a.test"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			p := publish(t, enforce, "other.test", tt.webCert)
			p.handle(tt.handle)
			c := p.courier(t, nil)
			fetches := func() (n int) {
				for _, at := range p.dialled() {
					if at == "5.0.0.9:443" {
						n++
					}
				}
				return n
			}
			for range 3 {
				if r := carry(t, c, job())[0]; r.Outcome != Delivered || r.Hop.TLS.Policy != "" {
					t.Errorf("%+v", r)
				}
			}
			if n := fetches(); n != 1 {
				t.Errorf("%d fetches", n)
			}
			p.later(gateway.STSPause)
			carry(t, c, job())
			if n := fetches(); n != 2 {
				t.Errorf("%d fetches after the pause", n)
			}
		})
	}
}

// Attack: the host of the policy leads inside.
func TestAttackSTSInside(t *testing.T) {
	p := publish(t, enforce, "mx.test", "mta-sts.a.test")
	for _, inside := range []string{"127.0.0.1", "10.0.0.1", "169.254.169.254"} {
		p.zones["mta-sts.a.test."] = mockdns.Zone{A: []string{inside}}
		p.at[inside+":443"] = p.web.Listener.Addr().String()
		if r := carry(t, p.courier(t, nil), job())[0]; r.Outcome != Delivered || p.fetched.Load() != 0 {
			t.Errorf("%s: %+v", inside, r)
		}
	}
}

// A policy is fetched once, again when its id changes or it is a day old; and counts on
// when all signs of it are gone, until its time is over: RFC 8461 section 5.1.
func TestSTSRemembered(t *testing.T) {
	p := publish(t, enforce, "mx.test", "mta-sts.a.test")
	kept := newMemory(10)
	courier := func() *Courier { return p.courier(t, func(cfg *Config) { cfg.Policies = kept }) }
	c := courier()
	expect := func(what string, c *Courier, policy string, fetches int64) {
		t.Helper()
		r := carry(t, c, job())[0]
		if r.Outcome != Delivered || r.Hop.TLS.Policy != policy || p.fetched.Load() != fetches {
			t.Errorf("%s: %+v, %d fetches", what, r, p.fetched.Load())
		}
	}
	expect("first", c, PolicySTS, 1)
	expect("again", c, PolicySTS, 1)
	p.later(gateway.STSFresh)
	expect("a day later", c, PolicySTS, 2)
	p.zones["_mta-sts.a.test."] = mockdns.Zone{TXT: []string{"v=STSv1; id=2;"}}
	p.set(strings.Replace(enforce, "enforce", "testing", 1))
	expect("another id", courier(), PolicyTesting, 3)
	p.zones["_mta-sts.a.test."] = mockdns.Zone{TXT: []string{"v=STSv1; id=3;"}}
	p.set(enforce)
	expect("a third", courier(), PolicySTS, 4)
	p.zones["_mta-sts.a.test."] = mockdns.Zone{TXT: []string{"v=STSv1; id=4;"}}
	p.handle(http.NotFound)
	expect("can't be fetched", courier(), PolicySTS, 5)
	delete(p.zones, "_mta-sts.a.test.")
	expect("the record is gone", courier(), PolicySTS, 5)
	p.zones["_mta-sts.a.test."] = mockdns.Zone{Err: errServFail}
	expect("DNS fails", courier(), PolicySTS, 5)
	p.later(10 * 24 * time.Hour)
	delete(p.zones, "_mta-sts.a.test.")
	expect("too old", courier(), "", 5)
}

// Many who need the same policy fetch it once.
func TestSTSTogether(t *testing.T) {
	p := publish(t, enforce, "mx.test", "mta-sts.a.test")
	c := p.courier(t, nil)
	var wait sync.WaitGroup
	for range 20 {
		wait.Go(func() {
			if r := carry(t, c, job())[0]; r.Outcome != Delivered {
				t.Errorf("%+v", r)
			}
		})
	}
	wait.Wait()
	if n := p.fetched.Load(); n != 1 || len(c.sts.fetches) != 0 {
		t.Errorf("%d fetches, %d under way", n, len(c.sts.fetches))
	}
}

// What is remembered is bounded; what was used last stays.
func TestMemory(t *testing.T) {
	m, ctx := newMemory(2), context.Background()
	for _, d := range []string{"a", "b"} {
		m.Keep(ctx, d, Policy{ID: d})
	}
	m.Policy(ctx, "a")
	m.Keep(ctx, "c", Policy{ID: "c"})
	m.Keep(ctx, "c", Policy{ID: "d"})
	for d, want := range map[string]string{"a": "a", "b": "", "c": "d"} {
		if p, found := m.Policy(ctx, d); p.ID != want || found != (want != "") {
			t.Errorf("%s: %+v, %v", d, p, found)
		}
	}
}

// A smart host takes all mail, whatever policies there are.
func TestSTSSmartHost(t *testing.T) {
	p := publish(t, enforce, "mx.test", "mta-sts.a.test")
	c := p.courier(t, func(cfg *Config) { cfg.SmartHost = &SmartHost{Host: "mx.test", Port: 25} })
	if r := carry(t, c, job())[0]; r.Outcome != Delivered || p.fetched.Load() != 0 || r.Hop.TLS.Version != tls.VersionName(tls.VersionTLS13) {
		t.Errorf("%+v", r)
	}
}
