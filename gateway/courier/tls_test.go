package courier

import (
	"crypto/tls"
	"slices"
	"strings"
	"testing"
	"time"

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
