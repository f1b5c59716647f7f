package courier

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"net"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/foxcpp/go-mockdns"

	"github.com/centerleap/postern/gateway"
)

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

// Attack: a host that agrees to TLS and then says nothing. It gets the mail in the clear,
// after the time of a handshake, unless it has to have a certificate.
func TestAttackSilentHandshake(t *testing.T) {
	for policy, want := range map[gateway.TLSPolicy]Outcome{gateway.TLSOpportunistic: Delivered, gateway.TLSEnforced: Deferred} {
		synctest.Test(t, func(t *testing.T) {
			conns := 0
			c := piped(t, func(conn net.Conn) {
				conns++
				(&server{t: t, ext: []string{"STARTTLS"}, answer: func(_ int, command string) string {
					if command != "STARTTLS" {
						return ""
					}
					_, _ = io.WriteString(conn, "220 ready\r\n")
					return hang
				}}).serve(conn, 1)
			})
			begun := time.Now()
			j := job()
			j.TLS = policy
			res, err := c.Carry(t.Context(), j)
			if took := time.Since(begun); err != nil || res[0].Outcome != want || took != gateway.ConnectTimeout || res[0].Hop.TLS.State != TLSFailed {
				t.Errorf("%s: %+v, %v after %s", policy, res, err, took)
			}
			if (conns == 2) != (want == Delivered) {
				t.Errorf("%s: %d connections", policy, conns)
			}
		})
	}
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
