// Package guard stands before the mail doors: one accept loop, the same limits
// on connections per network, the same deadline on TLS handshakes, and the same
// way to stop, whatever is spoken behind it. Behind proxies, Behind finds out who
// the client is.
//
// A door hands Serve its listener and a Handle for each connection. Handle speaks
// the first words itself, or gives the connection to a protocol library through
// a Handoff. Failed logins are counted elsewhere, by keys.
package guard

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
	"runtime/debug"
	"time"

	"github.com/centerleap/postern/gateway"
)

// Config of a Guard.
type Config struct {
	Limits gateway.Limits   // required
	Log    *slog.Logger     // default: slog.Default()
	Now    func() time.Time // default: time.Now
	// ExemptLoopback takes loopback callers out of the limits per network.
	ExemptLoopback bool
}

// Guard counts the connections of all doors together.
type Guard struct {
	cfg      Config
	networks networks
}

// New checks cfg and fills its defaults. It starts nothing.
func New(cfg Config) (*Guard, error) {
	if cfg.Limits == (gateway.Limits{}) {
		return nil, errors.New("guard: Limits are required")
	}
	if cfg.Log == nil {
		cfg.Log = slog.Default()
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	g := &Guard{cfg: cfg}
	g.networks.init(cfg)
	return g, nil
}

// Door is what is spoken behind a listener.
type Door struct {
	Name   string // for the log
	Busy   string // what a client over a limit is told, with its line end; may be empty
	Handle func(*Conn)
}

// Serve accepts connections on ln until ctx ends; then it closes ln, asks each
// connection to stop, and cuts what is left after gateway.DrainTimeout. When it
// returns no connection is open.
func (g *Guard) Serve(ctx context.Context, ln net.Listener, d Door) error {
	h := newHall()
	unhook := context.AfterFunc(ctx, func() { _ = ln.Close() })
	defer unhook()
	var err error
	for {
		raw, acceptErr := ln.Accept()
		if acceptErr != nil {
			if ctx.Err() == nil && transient(acceptErr) {
				g.cfg.Log.LogAttrs(ctx, slog.LevelWarn, "accept failed", slog.String("door", d.Name), slog.Any("err", acceptErr))
				pause(ctx, acceptPause)
				continue
			}
			if ctx.Err() == nil {
				err = acceptErr
			}
			break
		}
		g.admit(raw, h, d)
	}
	_ = ln.Close()
	h.stop()
	if !h.wait(gateway.DrainTimeout) {
		g.cfg.Log.LogAttrs(ctx, slog.LevelWarn, "connections were cut at the end of the drain", slog.String("door", d.Name))
		h.cut()
		h.wait(gateway.DrainTimeout)
	}
	return err
}

// acceptPause is the wait after a failed accept, such as one that found no free
// file descriptor.
const acceptPause = 50 * time.Millisecond

func transient(err error) bool {
	return !errors.Is(err, net.ErrClosed) && !errors.Is(err, io.EOF)
}

func pause(ctx context.Context, d time.Duration) {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
	case <-ctx.Done():
	}
}

// admit lets one connection in, or tells it that there are too many.
func (g *Guard) admit(raw net.Conn, h *hall, d Door) {
	c := &Conn{Conn: raw, guard: g, hall: h, IP: remoteIP(raw)}
	var ok bool
	if c.visits, ok = g.networks.enter(c.IP); !ok {
		_ = raw.SetWriteDeadline(time.Now().Add(time.Second))
		_, _ = io.WriteString(raw, d.Busy)
		_ = raw.Close()
		g.cfg.Log.LogAttrs(context.Background(), slog.LevelDebug, "connection refused: too many", slog.String("door", d.Name))
		return
	}
	if !h.add(c) {
		_ = c.Close()
		return
	}
	go func() {
		defer func() {
			if p := recover(); p != nil {
				g.cfg.Log.LogAttrs(context.Background(), slog.LevelError, "a door panicked",
					slog.String("door", d.Name), slog.Any("panic", p), slog.String("stack", string(debug.Stack())))
				_ = c.Close()
			}
		}()
		d.Handle(c)
	}()
}

func remoteIP(c net.Conn) string {
	host, _, err := net.SplitHostPort(c.RemoteAddr().String())
	if err != nil {
		return ""
	}
	return host
}
