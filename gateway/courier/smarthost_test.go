package courier

import (
	"crypto/tls"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/foxcpp/go-mockdns"
)

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
