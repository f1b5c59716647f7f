package courier

import (
	"context"
	"errors"
	"net"
	"strings"
	"testing"

	"github.com/foxcpp/go-mockdns"
)

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
