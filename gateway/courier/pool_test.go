package courier

import (
	"context"
	"net"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/foxcpp/go-mockdns"

	"github.com/centerleap/postern/gateway"
)

// Messages for a host go over one connection, with RSET between them, as many as allowed.
func TestReuse(t *testing.T) {
	s := mx(t, nil)
	w := simple(s)
	w.zones["b.test."] = w.zones["a.test."] // has the same host
	c := w.courier(t, func(cfg *Config) { cfg.Limits.CourierMessages = 4 })
	for i := range 10 {
		j := job()
		j.Domain = []string{"a.test", "b.test"}[i%2]
		if r := carry(t, c, j)[0]; r.Outcome != Delivered || r.Hop.Reused != (i%4 != 0) || r.Hop.Addr.String() != "5.0.0.1:25" {
			t.Errorf("%d: %+v", i, r)
		}
	}
	c.Close()
	s.stop()
	all := strings.Join(s.commands(), "\n")
	if n := s.connections(); n != 3 || strings.Count(all, "QUIT") != 3 || strings.Count(all, "RSET\nMAIL") != 7 || len(s.got()) != 10 {
		t.Errorf("%d connections: %s", n, all)
	}
}

// An old connection that is dead is no reason to put mail off: a new one is made.
func TestReuseOfTheDead(t *testing.T) {
	for name, answers := range map[string][]string{
		"closed behind the reply": {".", "250 ok" + closes},
		"closed at RSET":          {"RSET", drop},
		"421 at RSET":             {"RSET", "421 4.4.2 idle for too long" + closes},
		"RSET refused":            {"RSET", "500 what"},
		"spoke meanwhile":         {".", "250 ok\r\n421 4.4.2 good bye" + closes},
	} {
		t.Run(name, func(t *testing.T) {
			s := mx(t, always(answers...))
			c := simple(s).courier(t, nil)
			for range 3 {
				if r := carry(t, c, job())[0]; r.Outcome != Delivered {
					t.Errorf("%+v", r)
				}
			}
			if n := len(s.got()); n != 3 {
				t.Errorf("%d messages", n)
			}
		})
	}
}

// A host that says goodbye in answer to a message is not asked again on that connection.
func TestGoodbyeIsNotReused(t *testing.T) {
	s := mx(t, always(".", "421 4.3.2 closing"))
	c := simple(s).courier(t, nil)
	for range 2 {
		if r := carry(t, c, job())[0]; r.Outcome != Deferred || r.Code != 421 || r.Hop.Reused {
			t.Errorf("%+v", r)
		}
	}
	if slices.Contains(s.commands(), "RSET") || s.connections() != 2 {
		t.Errorf("%d connections: %q", s.connections(), s.commands())
	}
}

// A connection that has heard half of what it may is not used again: the next message
// would break off for it.
func TestTalkativeIsNotReused(t *testing.T) {
	s := mx(t, always("RSET", "250 "+strings.Repeat("x", 300)))
	c := simple(s).courier(t, func(cfg *Config) { cfg.Limits.CourierReplies = 2000 })
	for range 10 {
		if r := carry(t, c, job())[0]; r.Outcome != Delivered {
			t.Errorf("%+v", r)
		}
	}
	if n := s.connections(); n < 3 || n > 5 {
		t.Errorf("%d connections", n)
	}
}

// A connection that breaks after the message was sent says nothing about it, old or new:
// it is not sent again here, nor to another address.
func TestReuseUnknown(t *testing.T) {
	var mails atomic.Int64
	s := mx(t, func(_ int, command string) string {
		if command == "." {
			if n := mails.Add(1); n == 2 || n == 3 {
				return drop
			}
		}
		return ""
	})
	w := simple(s)
	w.zones["mx.test."] = mockdns.Zone{A: []string{"5.0.0.1", "5.0.0.2"}}
	w.at["5.0.0.2:25"] = w.at["5.0.0.1:25"]
	c := w.courier(t, nil)
	for _, want := range []Outcome{Delivered, Unknown, Unknown, Delivered} {
		if r := carry(t, c, job())[0]; r.Outcome != want {
			t.Errorf("%+v, want %s", r, want)
		}
	}
	if n := len(w.dialled()); n != 3 {
		t.Errorf("dialled %v", w.dialled())
	}
}

// No more connections to a host than allowed, however many want one; all get through.
func TestConnectionsAtOnce(t *testing.T) {
	s := mx(t, nil)
	c := simple(s).courier(t, func(cfg *Config) { cfg.Limits.CourierHost = 3 })
	var wait sync.WaitGroup
	for range 40 {
		wait.Go(func() {
			if r := carry(t, c, job())[0]; r.Outcome != Delivered {
				t.Errorf("%+v", r)
			}
		})
	}
	wait.Wait()
	if n := s.connections(); n > 3 {
		t.Errorf("%d connections", n)
	}
	if idle, _ := kept(c); idle < 1 || idle > 3 {
		t.Errorf("%d are kept", idle)
	}
	c.Close()
	if idle, hosts := kept(c); idle != 0 || hosts != 0 {
		t.Errorf("%d kept, of %d hosts, after Close", idle, hosts)
	}
	r := carry(t, c, job())[0]
	if idle, _ := kept(c); r.Outcome != Delivered || idle != 0 {
		t.Errorf("after Close: %+v, %d kept", r, idle)
	}
}

// kept is how many connections rest, and how many hosts the pool knows.
func kept(c *Courier) (idle, hosts int) {
	c.pool.mu.Lock()
	defer c.pool.mu.Unlock()
	return int(c.pool.idle), len(c.pool.hosts)
}

// Who waits for a connection can be stopped.
func TestWaitingEnds(t *testing.T) {
	p := newPool(gateway.Limits{CourierHost: 1})
	leave, err := p.enter(context.Background(), key{host: "a"})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if _, err := p.enter(ctx, key{host: "a"}); err == nil {
		t.Error("two at once")
	}
	leave()
	if len(p.hosts) != 0 {
		t.Error("the host stays")
	}
}

// More hosts than connections may be kept for.
func TestIdleInAll(t *testing.T) {
	s := mx(t, nil)
	w := simple(s)
	for _, name := range []string{"b", "c", "d"} {
		w.zones[name+".test."] = mockdns.Zone{MX: []net.MX{{Host: "mx" + name + ".test."}}}
		w.zones["mx"+name+".test."] = mockdns.Zone{A: []string{"5.0.0.1"}}
	}
	c := w.courier(t, func(cfg *Config) { cfg.Limits.CourierIdle = 2 })
	for _, name := range []string{"a", "b", "c", "d"} {
		j := job()
		j.Domain = name + ".test"
		if r := carry(t, c, j)[0]; r.Outcome != Delivered {
			t.Errorf("%+v", r)
		}
	}
	if idle, _ := kept(c); idle != 2 {
		t.Errorf("%d are kept", idle)
	}
}
