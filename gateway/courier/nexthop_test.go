package courier

import (
	"fmt"
	"io"
	"net"
	"slices"
	"strings"
	"testing"

	"github.com/foxcpp/go-mockdns"
)

// The next host is tried when one is not there, breaks off or refuses the session; not
// when it answers for the message.
func TestNextHost(t *testing.T) {
	for _, tt := range []struct {
		name    string
		answers []string
		next    bool
		want    Outcome
	}{
		{"not there", nil, true, Delivered},
		{"drops the connection", []string{"", drop}, true, Delivered},
		{"no service", []string{"", "554 no"}, true, Delivered},
		{"busy", []string{"", "421 busy"}, true, Delivered},
		{"not SMTP", []string{"", "SSH-2.0-OpenSSH"}, true, Delivered},
		{"drops at EHLO", []string{"EHLO", drop}, true, Delivered},
		{"drops at MAIL", []string{"MAIL", drop}, true, Delivered},
		{"421 at MAIL", []string{"MAIL", "421 no"}, true, Delivered},
		{"drops at RCPT", []string{"RCPT", drop}, true, Delivered},
		{"421 at RCPT", []string{"RCPT", "421 no"}, true, Delivered},
		{"drops at DATA", []string{"DATA", drop}, true, Delivered},
		{"421 at DATA", []string{"DATA", "421 no"}, true, Delivered},
		{"refuses the recipient", []string{"RCPT", "550 no"}, false, Failed},
		{"puts the recipient off", []string{"RCPT", "450 no"}, false, Deferred},
		{"puts the message off", []string{".", "451 no"}, false, Deferred},
		{"drops at the dot", []string{".", drop}, false, Unknown},
	} {
		t.Run(tt.name, func(t *testing.T) {
			first, second := mx(t, always(tt.answers...)), mx(t, nil)
			w := simple(second)
			w.zones["a.test."] = mockdns.Zone{MX: []net.MX{{Host: "mx.test.", Pref: 20}, {Host: "first.test.", Pref: 10}}}
			w.zones["first.test."] = mockdns.Zone{A: []string{"5.0.0.2"}}
			if tt.answers != nil {
				w.at["5.0.0.2:25"] = first.ln.Addr().String()
			}
			r := carry(t, w.courier(t, nil), job())[0]
			if next := len(w.dialled()) == 2; r.Outcome != tt.want || next != tt.next || w.dialled()[0] != "5.0.0.2:25" {
				t.Errorf("%+v after dialling %v", r.Answer, w.dialled())
			}
		})
	}
}

// A host that breaks off in the middle of a message can't have taken it: the next one gets
// all of it, from the start.
func TestNextHostMidway(t *testing.T) {
	first := mx(t, always("DATA", "354 go"+closes))
	ln, total := sink(t)
	w := simple(&server{ln: ln})
	w.zones["a.test."] = mockdns.Zone{MX: []net.MX{{Host: "mx.test.", Pref: 20}, {Host: "first.test.", Pref: 10}}}
	w.zones["first.test."] = mockdns.Zone{A: []string{"5.0.0.2"}}
	w.at["5.0.0.2:25"] = first.ln.Addr().String()
	j := job()
	const size = 300_000 * int64(len(largeLine)) // more than buffers of the system hold
	j.Size, j.Open = 0, func() (io.ReadCloser, error) { return &large{size}, nil }
	r := carry(t, w.courier(t, nil), j)[0]
	if r.Outcome != Delivered || r.Hop.Host != "mx.test" || total() < size {
		t.Errorf("%+v, %d bytes", r, total())
	}
}

// The dialer is the system's unless a test has another one.
func TestDial(t *testing.T) {
	s := mx(t, nil)
	at := s.ln.Addr().(*net.TCPAddr).AddrPort()
	w := &world{}
	smart := func(cfg *Config) {
		cfg.Dial, cfg.SmartHost = nil, &SmartHost{Host: at.Addr().String(), Port: at.Port()}
	}
	if r := carry(t, w.courier(t, smart), job())[0]; r.Outcome != Delivered || r.Hop.Addr != at {
		t.Errorf("%+v", r)
	}
	s.stop()
	r := carry(t, w.courier(t, smart), job())[0]
	if r.Outcome != Deferred || r.Enhanced != [3]int{4, 4, 1} || r.Phase != PhaseConnect || strings.Contains(r.Text, "refused") {
		t.Errorf("%+v", r)
	}
}

// A closed network may have private mail hosts.
func TestAllowPrivate(t *testing.T) {
	w := simple(mx(t, nil))
	w.zones["mx.test."] = mockdns.Zone{A: []string{"10.1.2.3"}}
	w.at["10.1.2.3:25"] = w.at["5.0.0.1:25"]
	for allow, want := range map[bool]Outcome{false: Failed, true: Delivered} {
		if r := carry(t, w.courier(t, func(cfg *Config) { cfg.AllowPrivate = allow }), job())[0]; r.Outcome != want {
			t.Errorf("allowed %v: %+v", allow, r)
		}
	}
}

// A recipient that one host has refused is not offered to the next.
func TestNextHostForTheRest(t *testing.T) {
	first, second := mx(t, always("RCPT TO:<a@", "550 5.1.1 no", "RCPT TO:<b@", "421 4.3.2 closing")), mx(t, nil)
	w := simple(second)
	w.zones["a.test."] = mockdns.Zone{MX: []net.MX{{Host: "mx.test.", Pref: 20}, {Host: "first.test.", Pref: 10}}}
	w.zones["first.test."] = mockdns.Zone{A: []string{"5.0.0.2"}}
	w.at["5.0.0.2:25"] = first.ln.Addr().String()
	res := carry(t, w.courier(t, nil), job("a@a.test", "b@a.test"))
	if res[0].Outcome != Failed || res[0].Hop.Host != "first.test" || res[1].Outcome != Delivered || res[1].Hop.Host != "mx.test" {
		t.Errorf("%+v", res)
	}
	if slices.Contains(second.commands(), "RCPT TO:<a@a.test>") {
		t.Error("offered again")
	}
}

// All hosts have to refuse for a failure: one that may be back tomorrow is waited for.
func TestWorst(t *testing.T) {
	for _, tt := range []struct {
		first, second string
		want          string
	}{
		{"554 5.3.0 no", "554 5.3.2 never", "failed 5.3.0"},
		{"554 5.3.0 no", "421 4.3.2 busy", "deferred 4.3.2"},
		{"421 4.3.2 busy", "554 5.3.0 no", "deferred 4.3.2"},
		{drop, "451 4.3.0 busy", "deferred 4.3.0"},
		{"451 4.3.0 busy", drop, "deferred 4.3.0"},
	} {
		first, second := mx(t, always("", tt.first)), mx(t, always("", tt.second))
		w := simple(first)
		w.zones["mx.test."] = mockdns.Zone{A: []string{"5.0.0.1", "5.0.0.2"}}
		w.at["5.0.0.2:25"] = second.ln.Addr().String()
		r := carry(t, w.courier(t, nil), job())[0]
		got := fmt.Sprintf("%s %d.%d.%d", r.Outcome, r.Enhanced[0], r.Enhanced[1], r.Enhanced[2])
		// the resolver may give the addresses in either order: of two failures either may be told
		if got != tt.want && (tt.want != "failed 5.3.0" || got != "failed 5.3.2") {
			t.Errorf("%s, then %s: %s, want %s", tt.first, tt.second, got, tt.want)
		}
	}
}
