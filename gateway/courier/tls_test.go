package courier

import (
	"context"
	"crypto/tls"
	"errors"
	"net"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/foxcpp/go-mockdns"

	"github.com/centerleap/postern/gateway"
)

// secure is a mail host that offers STARTTLS with this configuration.
func secure(t testing.TB, cfg *tls.Config, answer func(int, string) string) *server {
	s := mx(t, answer, append([]string{"STARTTLS"}, usual...)...)
	s.tls = cfg
	return s
}

// What comes of a host's TLS, for who may do without and who may not.
func TestTLS(t *testing.T) {
	ca, other := newAuthority(t), newAuthority(t)
	soon := time.Now().Add(time.Hour)
	good := ca.server(t, soon, "mx.test")
	old := good.Clone()
	old.MaxVersion = tls.VersionTLS11
	noCommon := good.Clone()
	noCommon.MaxVersion, noCommon.CipherSuites = tls.VersionTLS12, []uint16{tls.TLS_RSA_WITH_AES_128_CBC_SHA}
	for _, tt := range []struct {
		name     string
		cfg      *tls.Config
		answers  []string
		state    TLSState // of opportunistic delivery, which always delivers
		verified bool
		fault    string // part of why
		conns    int
		enforced Outcome
		status   [3]int
	}{
		{"good", good, nil, TLSOn, true, "", 1, Delivered, [3]int{2, 0, 0}},
		{"expired", ca.server(t, time.Now().Add(-time.Minute), "mx.test"), nil, TLSOn, false, "expired", 1, Deferred, [3]int{4, 7, 5}},
		{"another name", ca.server(t, soon, "other.test"), nil, TLSOn, false, "other.test", 1, Deferred, [3]int{4, 7, 5}},
		{"unknown root", other.server(t, soon, "mx.test"), nil, TLSOn, false, "unknown authority", 1, Deferred, [3]int{4, 7, 5}},
		{"old version", old, nil, TLSOn, true, "", 1, Deferred, [3]int{4, 7, 5}},
		{"no common cipher", noCommon, nil, TLSFailed, false, "handshake failure", 2, Deferred, [3]int{4, 7, 5}},
		{"no handshake", nil, nil, TLSFailed, false, "", 2, Deferred, [3]int{4, 7, 5}},
		{"drops instead", good, []string{"STARTTLS", drop}, TLSFailed, false, "lost", 2, Deferred, [3]int{4, 4, 2}},
		{"refused", good, []string{"STARTTLS", "454 4.7.0 no"}, TLSRefused, false, "no", 1, Deferred, [3]int{4, 7, 10}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := secure(t, tt.cfg, always(tt.answers...))
			c := simple(s).courier(t, func(cfg *Config) { cfg.Roots = ca.pool })
			r := carry(t, c, job())[0]
			got := r.Hop.TLS
			if r.Outcome != Delivered || got.State != tt.state || got.Verified != tt.verified || !strings.Contains(got.Fault, tt.fault) || s.connections() != tt.conns || got.Policy != "" {
				t.Errorf("opportunistic: %s, %+v on %d connections", r.Outcome, got, s.connections())
			}
			if on := got.State == TLSOn; on != (got.Version != "") || on != (got.Cipher != "") {
				t.Errorf("%+v", got)
			}
			j := job()
			j.TLS = gateway.TLSEnforced
			r = carry(t, c, j)[0]
			if r.Outcome != tt.enforced || r.Enhanced != tt.status || r.Hop.TLS.Policy != PolicyDomain || r.Hop.Reused {
				t.Errorf("enforced: %+v, %+v", r.Answer, r.Hop)
			}
		})
	}
}

// Attack: somebody on the way takes STARTTLS out of what is offered. That is recorded, and
// the policy decides whether the message goes.
func TestAttackSTARTTLSStripped(t *testing.T) {
	s := mx(t, nil)
	c := simple(s).courier(t, nil)
	if r := carry(t, c, job())[0]; r.Outcome != Delivered || r.Hop.TLS.State != TLSNotOffered {
		t.Errorf("%+v", r)
	}
	j := job()
	j.TLS = gateway.TLSEnforced
	if r := carry(t, c, j)[0]; r.Outcome != Deferred || r.Enhanced != [3]int{4, 7, 10} || r.Phase != PhaseTLS || r.Hop.TLS.State != TLSNotOffered {
		t.Errorf("%+v", r)
	}
	if len(s.got()) != 1 {
		t.Errorf("%d messages", len(s.got()))
	}
}

// Attack: bytes in the clear behind the reply to STARTTLS, to be read as if they had come
// through TLS (CVE-2011-0411). The connection ends, and nothing goes out in the clear
// instead: somebody is on the way.
func TestAttackSTARTTLSInjected(t *testing.T) {
	for _, policy := range []gateway.TLSPolicy{gateway.TLSOpportunistic, gateway.TLSEnforced} {
		ca := newAuthority(t)
		s := secure(t, ca.server(t, time.Now().Add(time.Hour), "mx.test"), always("STARTTLS", "220 ready\r\n250 injected"))
		j := job()
		j.TLS = policy
		r := carry(t, simple(s).courier(t, func(cfg *Config) { cfg.Roots = ca.pool }), j)[0]
		if r.Outcome != Deferred || r.Enhanced != [3]int{4, 7, 5} || s.connections() != 1 || len(s.got()) != 0 {
			t.Errorf("%s: %+v on %d connections", policy, r.Answer, s.connections())
		}
		if slices.ContainsFunc(s.commands(), func(l string) bool { return strings.HasPrefix(l, "MAIL") }) {
			t.Error("the envelope went out")
		}
	}
}

// What was offered before TLS counts for nothing after it.
func TestOfferAfterTLS(t *testing.T) {
	hellos := 0
	s := secure(t, newAuthority(t).server(t, time.Now().Add(time.Hour), "mx.test"), func(_ int, command string) string {
		if strings.HasPrefix(command, "EHLO") {
			if hellos++; hellos > 1 {
				return "250-mx.test\r\n250 SIZE 10"
			}
		}
		return ""
	})
	if r := carry(t, simple(s).courier(t, nil), job())[0]; r.Outcome != Failed || r.Enhanced != [3]int{5, 3, 4} {
		t.Errorf("%+v", r)
	}
}

// What was spent on replies before TLS stays spent.
func TestRepliesAcrossTLS(t *testing.T) {
	hello := "250-" + strings.Repeat("x", 500) + "\r\n250 STARTTLS"
	s := secure(t, newAuthority(t).server(t, time.Now().Add(time.Hour), "mx.test"), always("EHLO", hello))
	for most, want := range map[int64]Outcome{1000: Deferred, 2000: Delivered} {
		r := carry(t, simple(s).courier(t, func(cfg *Config) { cfg.Limits.CourierReplies = most }), job())[0]
		if r.Outcome != want {
			t.Errorf("%d bytes: %+v", most, r)
		}
	}
}

// A connection without a certificate that fits is not used for mail that needs one; and
// the other way round it might, but is not.
func TestReuseByPolicy(t *testing.T) {
	ca := newAuthority(t)
	s := secure(t, ca.server(t, time.Now().Add(time.Hour), "mx.test"), nil)
	c := simple(s).courier(t, func(cfg *Config) { cfg.Roots = ca.pool })
	enforced := job()
	enforced.TLS = gateway.TLSEnforced
	for i, j := range []Job{job(), enforced, job(), enforced} {
		if r := carry(t, c, j)[0]; r.Outcome != Delivered || r.Hop.Reused != (i > 1) {
			t.Errorf("%d: %+v", i, r)
		}
	}
	if s.connections() != 2 {
		t.Errorf("%d connections", s.connections())
	}
}

func TestParseSmartHost(t *testing.T) {
	for _, tt := range []struct {
		in   string
		want SmartHost
	}{
		{"relay.test:25", SmartHost{Host: "relay.test", Port: 25}},
		{"127.0.0.1:1025", SmartHost{Host: "127.0.0.1", Port: 1025}},
		{"[::1]:1025", SmartHost{Host: "::1", Port: 1025}},
		{"smtp://relay.test", SmartHost{Host: "relay.test", Port: 587}},
		{"smtps://u:p@Relay.test", SmartHost{Host: "relay.test", Port: 465, Username: "u", Password: "p", Implicit: true}},
		{"smtp://user%40a.test:p%3Aw@relay.test:1", SmartHost{Host: "relay.test", Port: 1, Username: "user@a.test", Password: "p:w"}},
	} {
		got, err := ParseSmartHost(tt.in)
		if err != nil || *got != tt.want {
			t.Errorf("%s: %+v, %v", tt.in, got, err)
		}
	}
	for _, in := range []string{"", "relay.test", "relay.test:0", "relay.test:70000", "relay.test:smtp", "http://relay.test", "smtp://u@relay.test", "smtp://u:hidden@relay.test/x", "smtp://:hidden@relay.test", "smtp://a b", "a b:25", "smtp://u:hidden%00@relay.test", "smtp://u:hidden%zz@relay.test"} {
		if got, err := ParseSmartHost(in); err == nil || strings.Contains(err.Error(), "hidden") {
			t.Errorf("%s: %+v, %v", in, got, err)
		}
	}
}

// All mail goes to the smart host: over TLS with a certificate that fits, unless it is on
// this machine; with a login if there is one.
func TestSmartHost(t *testing.T) {
	ca := newAuthority(t)
	good, wrong := ca.server(t, time.Now().Add(time.Hour), "relay.test"), ca.server(t, time.Now().Add(time.Hour), "other.test")
	plain, login := "AUTH PLAIN AHVzZXIAc2VjcmV0", []string{"AUTH LOGIN", "dXNlcg==", "c2VjcmV0"}
	loginReplies := []string{"AUTH LOGIN", "334 VXNlcm5hbWU6", "dXNlcg==", "334 UGFzc3dvcmQ6", "c2VjcmV0", "235 ok"}
	for _, tt := range []struct {
		name     string
		url      string
		cfg      *tls.Config
		ext      []string
		answers  []string
		want     Outcome
		status   [3]int
		contains []string
	}{
		{"no TLS", "relay.test:25", nil, []string{"SIZE"}, nil, Deferred, [3]int{4, 7, 10}, nil},
		{"without a login", "relay.test:25", good, []string{"STARTTLS"}, nil, Delivered, [3]int{2, 0, 0}, nil},
		{"PLAIN", "smtp://user:secret@relay.test:25", good, []string{"STARTTLS", "AUTH LOGIN PLAIN"}, nil, Delivered, [3]int{2, 0, 0}, []string{plain}},
		{"LOGIN", "smtp://user:secret@relay.test:25", good, []string{"STARTTLS", "AUTH LOGIN"}, loginReplies, Delivered, [3]int{2, 0, 0}, login},
		{"neither", "smtp://user:secret@relay.test:25", good, []string{"STARTTLS", "AUTH GSSAPI"}, nil, Deferred, [3]int{4, 7, 0}, nil},
		{"another certificate", "smtp://user:secret@relay.test:25", wrong, []string{"STARTTLS", "AUTH PLAIN"}, nil, Deferred, [3]int{4, 7, 5}, nil},
		{"no TLS, a login", "smtp://user:secret@relay.test:25", nil, []string{"AUTH PLAIN"}, nil, Deferred, [3]int{4, 7, 10}, nil},
		{"the login is refused", "smtp://user:secret@relay.test:25", good, []string{"STARTTLS", "AUTH PLAIN"}, []string{"AUTH", "535 5.7.8 no: " + plain}, Deferred, [3]int{4, 7, 0}, []string{plain}},
		{"the login ends it", "smtp://user:secret@relay.test:25", good, []string{"STARTTLS", "AUTH PLAIN"}, []string{"AUTH", "421 4.7.0 no: " + plain}, Deferred, [3]int{4, 7, 0}, []string{plain}},
		{"LOGIN refuses the user", "smtp://user:secret@relay.test:25", good, []string{"STARTTLS", "AUTH LOGIN"}, []string{"AUTH LOGIN", "334 x", "dXNlcg==", "535 no"}, Deferred, [3]int{4, 7, 0}, login[:2]},
		{"on this machine", "smtp://user:secret@127.0.0.1:25", nil, []string{"AUTH PLAIN"}, nil, Delivered, [3]int{2, 0, 0}, []string{plain}},
		{"on this machine, any certificate", "smtp://user:secret@127.0.0.1:25", wrong, []string{"STARTTLS", "AUTH PLAIN"}, nil, Delivered, [3]int{2, 0, 0}, []string{plain}},
		{"in this network", "10.0.0.1:25", nil, []string{"SIZE"}, nil, Deferred, [3]int{4, 7, 10}, nil},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := mx(t, always(tt.answers...), tt.ext...)
			s.tls = tt.cfg
			smart, err := ParseSmartHost(tt.url)
			if err != nil {
				t.Fatal(err)
			}
			to := s.ln.Addr().String()
			w := &world{zones: map[string]mockdns.Zone{"relay.test.": {A: []string{"5.0.0.1"}}}, at: map[string]string{"5.0.0.1:25": to, "127.0.0.1:25": to, "10.0.0.1:25": to}}
			c := w.courier(t, func(cfg *Config) { cfg.SmartHost, cfg.Roots = smart, ca.pool })
			r := carry(t, c, job("you@no-such-domain.test"))[0]
			if r.Outcome != tt.want || r.Enhanced != tt.status {
				t.Errorf("%+v", r)
			}
			if strings.Contains(r.Text, "AHVz") || strings.Contains(r.Text, "secret") {
				t.Errorf("the password shows: %q", r.Text)
			}
			var said []string
			for _, line := range s.commands() {
				if strings.HasPrefix(line, "AUTH") || !strings.Contains(line, " ") && strings.HasSuffix(line, "=") || line == "c2VjcmV0" {
					said = append(said, line)
				}
			}
			if !slices.Equal(said, tt.contains) {
				t.Errorf("said %q, want %q", said, tt.contains)
			}
		})
	}
}

// TLS from the first byte, and never without.
func TestSmartHostImplicit(t *testing.T) {
	ca := newAuthority(t)
	for name, want := range map[string]Outcome{"relay.test": Delivered, "other.test": Deferred, "127.0.0.1": Deferred} {
		s := mx(t, nil, "AUTH PLAIN")
		front, err := tls.Listen("tcp", "127.0.0.1:0", ca.server(t, time.Now().Add(time.Hour), name))
		if err != nil {
			t.Fatal(err)
		}
		defer front.Close()
		s.wait.Go(func() {
			for {
				c, err := front.Accept()
				if err != nil {
					return
				}
				s.wait.Go(func() { defer c.Close(); s.serve(c, 1) })
			}
		})
		t.Cleanup(func() { front.Close() })
		// On this machine any certificate would do, but this one speaks no TLS at all.
		w := &world{zones: map[string]mockdns.Zone{"relay.test.": {A: []string{"5.0.0.1"}}}, at: map[string]string{"5.0.0.1:465": front.Addr().String(), "127.0.0.1:465": s.ln.Addr().String()}}
		host := "relay.test"
		if name == "127.0.0.1" {
			host = name
		}
		c := w.courier(t, func(cfg *Config) {
			cfg.Roots = ca.pool
			cfg.SmartHost = &SmartHost{Host: host, Port: 465, Username: "user", Password: "secret", Implicit: true}
		})
		if r := carry(t, c, job())[0]; r.Outcome != want || len(w.dialled()) != 1 || r.Hop.TLS.Policy != PolicySmartHost {
			t.Errorf("%s: %+v after %v", name, r, w.dialled())
		}
		c.Close()
		front.Close()
	}
}

// A mail host that says in EHLO that it is us is us, however we got there.
func TestLoopByName(t *testing.T) {
	s := mx(t, always("EHLO", "250 GW.test at your service"))
	w := simple(s)
	w.zones["a.test."] = mockdns.Zone{MX: []net.MX{{Host: "mx.test.", Pref: 1}, {Host: "next.test.", Pref: 2}}}
	w.zones["next.test."] = mockdns.Zone{A: []string{"5.0.0.2"}}
	w.zones["mx.test."] = mockdns.Zone{A: []string{"5.0.0.1", "5.0.0.3"}}
	w.at["5.0.0.3:25"] = w.at["5.0.0.1:25"]
	r := carry(t, w.courier(t, nil), job())[0]
	if r.Outcome != Failed || r.Enhanced != [3]int{5, 4, 6} || len(w.dialled()) != 1 {
		t.Errorf("%+v after %v", r, w.dialled())
	}
}

// Whoever is called localhost is not alone: a mail host of that name may be another one.
func TestLoopByCommonName(t *testing.T) {
	c := simple(mx(t, always("EHLO", "250 localhost"))).courier(t, func(cfg *Config) { cfg.Hostname = "localhost" })
	if r := carry(t, c, job())[0]; r.Outcome != Delivered {
		t.Errorf("%+v", r)
	}
}

// The end of the context ends an attempt: what was not sent is put off, what was is
// unknown.
func TestContextEnds(t *testing.T) {
	for at, want := range map[string]Outcome{"": Deferred, "EHLO": Deferred, "RCPT": Deferred, "DATA": Deferred, ".": Unknown} {
		ctx, cancel := context.WithCancelCause(context.Background())
		s := mx(t, func(_ int, command string) string {
			if command == at || at != "" && at != "." && strings.HasPrefix(command, at) {
				cancel(errors.New("enough"))
				return hang
			}
			return ""
		})
		c := simple(s).courier(t, nil)
		res, err := c.Carry(ctx, job())
		if err != nil || res[0].Outcome != want {
			t.Errorf("at %q: %+v, %v", at, res, err)
		}
		fit(t, res[0])
		cancel(nil)
	}
}
