package serve

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"strconv"

	"golang.org/x/sys/unix"

	"github.com/centerleap/postern/gateway"
)

// listen opens REST and the operator's socket. Whoever connects from now on is
// served as soon as Run begins.
func (g *Gateway) listen() (err error) {
	g.confess()
	certs, err := g.cfg.certificates()
	if err != nil {
		return err
	}
	if g.restListener, err = g.listenREST(); err != nil {
		return fmt.Errorf("rest: %w", err)
	}
	if certs != nil {
		g.secure = true
		g.restListener = tls.NewListener(g.restListener, &tls.Config{
			Certificates: certs, MinVersion: tls.VersionTLS12, NextProtos: []string{"http/1.1"},
		})
	}
	g.socket, err = listenSocket(g.cfg.Data, g.log)
	return err
}

// confess says what was asked for and is not built, so that nobody waits for it.
func (g *Gateway) confess() {
	for _, name := range g.cfg.Idle() {
		g.log.LogAttrs(context.Background(), slog.LevelWarn, "this setting has no effect in this version", slog.String("setting", name))
	}
	mode, err := g.DeliveryMode(context.Background())
	if err == nil && mode != gateway.ModeCapture {
		g.log.LogAttrs(context.Background(), slog.LevelWarn, "this version has no courier: mail to foreign domains waits in the queue",
			slog.String("mode", string(mode)))
	}
}

// portsTried is how many ports after a busy one are tried.
const portsTried = 100

// listenREST takes the configured port; in quickstart, when nobody asked for
// that one and it is busy, the next free one.
func (g *Gateway) listenREST() (net.Listener, error) {
	addr := g.cfg.Listen["rest"]
	ln, err := net.Listen("tcp", addr)
	if !errors.Is(err, unix.EADDRINUSE) || g.cfg.chosen["rest.listen"] || !g.cfg.local {
		return ln, err
	}
	host, port, splitErr := net.SplitHostPort(addr)
	first, numberErr := strconv.Atoi(port)
	if splitErr != nil || numberErr != nil {
		return nil, err
	}
	for p := first + 1; p <= first+portsTried; p++ {
		ln, nextErr := net.Listen("tcp", net.JoinHostPort(host, strconv.Itoa(p)))
		if nextErr != nil {
			continue
		}
		g.notes = append(g.notes, fmt.Sprintf("Port %s is busy; REST is on %d instead.", port, p))
		g.log.LogAttrs(context.Background(), slog.LevelWarn, "the default port is busy, the next free one is used",
			slog.String("door", "rest"), slog.String("busy", port), slog.Int("port", p))
		return ln, nil
	}
	return nil, err
}

// URL is where REST answers.
func (g *Gateway) URL() string {
	scheme := "http"
	if g.secure {
		scheme = "https"
	}
	return scheme + "://" + g.restListener.Addr().String()
}
