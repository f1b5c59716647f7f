package courier

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"net"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

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

// A host whose connections are all busy puts mail off after a while: the queue has other
// mail to send.
func TestBusy(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := piped(t, func(conn net.Conn) { (&server{t: t, ext: usual, answer: always("MAIL", hang)}).serve(conn, 1) })
		c.cfg.Limits.CourierHost = 1
		c.pool.limits.CourierHost = 1
		ctx, cancel := context.WithCancel(t.Context())
		var wait sync.WaitGroup
		wait.Go(func() { _, _ = c.Carry(ctx, job()) })
		synctest.Wait()
		begun := time.Now()
		if r := carry(t, c, job())[0]; r.Outcome != Deferred || r.Enhanced != [3]int{4, 4, 5} || time.Since(begun) > gateway.ConnectTimeout {
			t.Errorf("%+v after %s", r, time.Since(begun))
		}
		cancel()
		wait.Wait()
	})
}

// An address that swallows packets costs its time once, and the next one is tried.
func TestConnectTimeout(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &server{t: t, ext: usual}
		c := piped(t, func(conn net.Conn) { s.serve(conn, 1) })
		c.cfg.Resolver.(fixed)["mx.test."] = mockdns.Zone{A: []string{"5.0.0.66", "5.0.0.1"}}
		dial := c.cfg.Dial
		c.cfg.Dial = func(ctx context.Context, network, address string) (net.Conn, error) {
			if address == "5.0.0.66:25" {
				<-ctx.Done()
				return nil, ctx.Err()
			}
			return dial(ctx, network, address)
		}
		begun := time.Now()
		res, err := c.Carry(t.Context(), job())
		if took := time.Since(begun); err != nil || res[0].Outcome != Delivered || took != gateway.ConnectTimeout {
			t.Errorf("%+v, %v after %s", res, err, took)
		}
	})
}

// The host of a policy that never answers keeps mail for a minute at most, once.
func TestSTSTimeout(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &server{t: t, ext: usual}
		c := piped(t, func(conn net.Conn) { s.serve(conn, 1) })
		zones := c.cfg.Resolver.(fixed)
		zones["_mta-sts.a.test."] = mockdns.Zone{TXT: []string{"v=STSv1; id=1;"}}
		zones["mta-sts.a.test."] = mockdns.Zone{A: []string{"5.0.0.2", "5.0.0.3", "5.0.0.4"}}
		dial := c.cfg.Dial
		c.cfg.Dial = func(ctx context.Context, network, address string) (net.Conn, error) {
			if strings.HasSuffix(address, ":443") {
				<-ctx.Done()
				return nil, ctx.Err()
			}
			return dial(ctx, network, address)
		}
		for _, most := range []time.Duration{gateway.STSTimeout, 0} {
			begun := time.Now()
			res, err := c.Carry(t.Context(), job())
			if took := time.Since(begun); err != nil || res[0].Outcome != Delivered || took > most {
				t.Errorf("%+v, %v after %s", res, err, took)
			}
		}
	})
}

// A host that says in the middle of a message why it does not want it is heard.
func TestRefusedMidway(t *testing.T) {
	for reply, want := range map[string]Outcome{"552 5.3.4 too big": Failed, "451 4.3.1 disk full": Deferred, "421 4.3.2 closing": Deferred} {
		synctest.Test(t, func(t *testing.T) {
			c := piped(t, func(conn net.Conn) {
				buf := make([]byte, 512)
				for _, r := range []string{"220 hi", "250 mx.test", "250 ok", "250 ok", "354 go", reply} {
					if _, err := io.WriteString(conn, r+"\r\n"); err != nil {
						return
					}
					if _, err := conn.Read(buf); err != nil {
						return
					}
				}
			})
			j := job()
			j.Open = text(strings.Repeat("0123456789\r\n", 10000))
			res, err := c.Carry(t.Context(), j)
			if err != nil || res[0].Outcome != want || !res[0].Remote || !strings.HasPrefix(reply, fmt.Sprint(res[0].Code)) || !strings.HasSuffix(reply, res[0].Text) {
				t.Errorf("%q: %+v, %v", reply, res, err)
			}
		})
	}
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

// piped is a courier whose connections are pipes to serve, inside a bubble of time.
func piped(t *testing.T, serve func(net.Conn)) *Courier {
	t.Helper()
	w := simple(&server{ln: nobody{}})
	var wait sync.WaitGroup
	c, err := New(Config{Resolver: fixed(w.zones), Hostname: "gw.test", Limits: gateway.DefaultLimits(), Log: slog.New(slog.DiscardHandler), Dial: func(context.Context, string, string) (net.Conn, error) {
		ours, theirs := net.Pipe()
		wait.Go(func() { defer theirs.Close(); serve(theirs) })
		return ours, nil
	}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close(); wait.Wait() })
	return c
}

// A connection nobody needs is closed after its time, with QUIT.
func TestIdleEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &server{t: t, ext: usual}
		c := piped(t, func(conn net.Conn) { s.serve(conn, 1) })
		if r := carry(t, c, job())[0]; r.Outcome != Delivered {
			t.Fatalf("%+v", r)
		}
		time.Sleep(gateway.HopIdle - time.Millisecond)
		synctest.Wait()
		if idle, _ := kept(c); strings.Contains(strings.Join(s.commands(), "\n"), "QUIT") || idle != 1 {
			t.Error("closed too early")
		}
		time.Sleep(2 * time.Millisecond)
		synctest.Wait()
		if idle, hosts := kept(c); !strings.Contains(strings.Join(s.commands(), "\n"), "QUIT") || idle != 0 || hosts != 0 {
			t.Error("not closed")
		}
	})
}

// Attack: silence, or a byte a minute, in each phase. Its deadline is absolute, and the
// worst case of all of them together is the caller's to cut.
func TestAttackSlow(t *testing.T) {
	for _, tt := range []struct {
		name, at string
		max      time.Duration
		want     Outcome
	}{
		{"greeting", "", gateway.HopTimeout, Deferred},
		{"EHLO", "EHLO", gateway.HopTimeout, Deferred},
		{"MAIL", "MAIL", gateway.HopTimeout, Deferred},
		{"RCPT", "RCPT", gateway.HopTimeout, Deferred},
		{"DATA", "DATA", gateway.HopDataTimeout, Deferred},
		{"final dot", ".", gateway.HopEndTimeout, Unknown},
	} {
		for _, drip := range []bool{false, true} {
			t.Run(tt.name, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					s := &server{t: t, ext: usual}
					c := piped(t, func(conn net.Conn) {
						s.answer = func(_ int, command string) string {
							if command != tt.at && (tt.at == "" || tt.at == "." || !strings.HasPrefix(command, tt.at)) {
								return ""
							}
							if drip {
								for {
									if _, err := io.WriteString(conn, "2"); err != nil {
										return drop
									}
									time.Sleep(time.Minute)
								}
							}
							return hang
						}
						s.serve(conn, 1)
					})
					begun := time.Now()
					res, err := c.Carry(t.Context(), job())
					if err != nil || res[0].Outcome != tt.want || res[0].Enhanced != [3]int{4, 4, 2} {
						t.Errorf("%+v, %v", res, err)
					}
					if took := time.Since(begun); took != tt.max {
						t.Errorf("took %s, want %s", took, tt.max)
					}
				})
			})
		}
	}
}

// Attack: a host that reads the message a byte a minute, or not at all.
func TestAttackSlowReader(t *testing.T) {
	for name, tt := range map[string]struct {
		read int // bytes, every two minutes
		max  time.Duration
	}{"not at all": {0, gateway.HopPause}, "a byte": {1, gateway.HopPause}, "a block": {blockSize, gateway.TransferTimeout}} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c := piped(t, func(conn net.Conn) {
					replies := []string{"220 hi\r\n", "250 mx.test\r\n", "250 ok\r\n", "250 ok\r\n", "354 go\r\n"}
					buf := make([]byte, blockSize)
					for _, r := range replies {
						if _, err := io.WriteString(conn, r); err != nil {
							return
						}
						if r != replies[len(replies)-1] {
							conn.Read(buf)
						}
					}
					for tt.read > 0 {
						if _, err := conn.Read(buf[:tt.read]); err != nil {
							return
						}
						time.Sleep(2 * time.Minute)
					}
					<-t.Context().Done()
				})
				begun := time.Now()
				j := job()
				j.Open = text(strings.Repeat("0123456789\r\n", 100000))
				res, err := c.Carry(t.Context(), j)
				if err != nil || res[0].Outcome != Deferred {
					t.Errorf("%+v, %v", res, err)
				}
				if took := time.Since(begun); took < tt.max || took > tt.max+lastWait {
					t.Errorf("took %s, want %s", took, tt.max)
				}
			})
		})
	}
}
