package courier

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"net/netip"

	"github.com/centerleap/postern/gateway"
)

// Policies that ask for TLS, or would.
const (
	PolicyDomain    = "domain"      // the sender's domain: gateway.TLSEnforced
	PolicySmartHost = "smarthost"   // the connection to the smart host
	PolicySTS       = "sts-enforce" // the recipient's domain: RFC 8461
	PolicyTesting   = "sts-testing" // the same, which would like to be told only
)

// TLSState says how private a connection was.
type TLSState string

// The states; empty if it did not come to that. Of NotOffered nobody can say whether the host has no TLS, or somebody on
// the way took the offer out of its reply.
const (
	TLSNotOffered TLSState = "not_offered"
	TLSRefused    TLSState = "refused" // offered, but STARTTLS was answered with an error
	TLSFailed     TLSState = "failed"  // the handshake failed; a new connection was in the clear
	TLSOn         TLSState = "on"
)

// TLS is what is known of the privacy of a connection.
type TLS struct {
	State    TLSState
	Version  string // as crypto/tls writes it: "TLS 1.3"
	Cipher   string
	Verified bool   // the certificate fits the host's name and leads to a known root
	Fault    string // why it is not on, or not verified
	Policy   string // that asked for it; empty if none did
}

// strictAt reports whether a connection needs a certificate that fits. One to a smart
// host on this machine does not: nobody is in between, RFC 8314 section 3.
func (t target) strictAt(at netip.AddrPort) bool {
	return t.strict && (!t.smart || !at.Addr().IsLoopback())
}

// tlsConfig is for one connection. Opportunistic TLS takes any certificate and old
// versions too, since the other choice is the clear: RFC 7435 section 3.
func (s *session) tlsConfig() *tls.Config {
	cfg := &tls.Config{ServerName: s.target.host, RootCAs: s.courier.cfg.Roots, MinVersion: tls.VersionTLS12, Time: s.courier.cfg.Now}
	if !s.strict {
		cfg.MinVersion = tls.VersionTLS10
		cfg.InsecureSkipVerify = true
	}
	return cfg
}

// handshake puts TLS on the connection.
func (s *session) handshake(ctx context.Context) *fault {
	s.deadline(ctx, gateway.ConnectTimeout)
	conn := tls.Client(s.conn, s.tlsConfig())
	if err := conn.HandshakeContext(ctx); err != nil {
		s.hop.TLS.State, s.hop.TLS.Fault = TLSFailed, oneLine(err.Error())
		f := ours(Deferred, PhaseTLS, [3]int{4, 7, 5}, err, "TLS with the next hop failed: %s", err)
		f.clear = !s.strict
		return f
	}
	s.wire(conn)
	st := conn.ConnectionState()
	on := TLS{State: TLSOn, Version: tls.VersionName(st.Version), Cipher: tls.CipherSuiteName(st.CipherSuite), Policy: s.hop.TLS.Policy, Verified: true}
	if !s.strict {
		if err := s.verify(st.PeerCertificates); err != nil {
			on.Verified, on.Fault = false, oneLine(err.Error())
		}
	}
	s.hop.TLS = on
	return nil
}

// verify is what crypto/tls would have done, for those who only want to know.
func (s *session) verify(chain []*x509.Certificate) error {
	opts := x509.VerifyOptions{DNSName: s.target.host, Roots: s.courier.cfg.Roots, Intermediates: x509.NewCertPool(), CurrentTime: s.courier.cfg.Now()}
	for _, cert := range chain[1:] {
		opts.Intermediates.AddCert(cert)
	}
	_, err := chain[0].Verify(opts)
	return err
}

// startTLS asks for TLS if it is offered, and does without only if it may.
func (s *session) startTLS(ctx context.Context) *fault {
	if !s.ext.startTLS {
		s.hop.TLS.State = TLSNotOffered
		if s.strict {
			return ours(Deferred, PhaseTLS, [3]int{4, 7, 10}, nil, "the next hop offers no TLS, which is required")
		}
		return nil
	}
	rep, f := s.ask(ctx, PhaseTLS, gateway.HopTimeout, "STARTTLS")
	if f != nil {
		f.clear = !s.strict && !errors.Is(f.err, errTurn)
		s.hop.TLS.State, s.hop.TLS.Fault = TLSFailed, f.Text
		return f
	}
	if rep.code != 220 { // nothing has begun: the connection is as good as it was
		s.hop.TLS.State, s.hop.TLS.Fault = TLSRefused, rep.text()
		if s.strict {
			return ours(Deferred, PhaseTLS, [3]int{4, 7, 10}, nil, "the next hop refuses TLS, which is required: %s", rep.text())
		}
		return nil
	}
	if !s.in.quiet() {
		return ours(Deferred, PhaseTLS, [3]int{4, 7, 5}, errTurn, "somebody put bytes behind the answer to STARTTLS")
	}
	if f := s.handshake(ctx); f != nil {
		return f
	}
	return s.hello(ctx)
}
