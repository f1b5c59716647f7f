package serve

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/centerleap/postern/gateway/guard"
)

// listen opens every door that has an address, and the operator's socket.
// Whoever connects from now on is served as soon as Run begins.
func (g *Gateway) listen() (err error) {
	g.confess()
	for _, door := range built {
		if g.cfg.Listen[door] == "" {
			continue
		}
		if g.doors[door], err = g.listenDoor(door); err != nil {
			delete(g.doors, door)
			return fmt.Errorf("%s: %w", door, err)
		}
		if from := g.cfg.ProxyFrom[door]; len(from) > 0 {
			g.doors[door] = guard.NewBehind(g.doors[door], from, g.cfg.Limits, g.log)
		}
	}
	if g.cfg.CertFile != "" {
		g.secure = true
		g.doors["rest"] = tls.NewListener(g.doors["rest"], &tls.Config{
			GetCertificate: g.cert.get, MinVersion: tls.VersionTLS12, NextProtos: []string{"http/1.1"},
		})
	}
	g.socket, err = listenSocket(g.cfg.Data, g.log)
	return err
}

// built are the doors that this version has.
var built = []string{"rest", "submission", "submissions", "mx", "imap", "imaps"}

// mailTLS is the TLS of the mail doors; nil if they will have no certificate.
func (g *Gateway) mailTLS() *tls.Config {
	if g.cfg.CertFile == "" && !g.cfg.local {
		return nil
	}
	return &tls.Config{GetCertificate: g.cert.get, MinVersion: tls.VersionTLS12}
}

// confess says what was asked for and is not built, so that nobody waits for it.
func (g *Gateway) confess() {
	for _, name := range g.cfg.Idle() {
		g.log.LogAttrs(context.Background(), slog.LevelWarn, "this setting has no effect in this version", slog.String("setting", name))
	}
}

// portsTried is how many ports after a busy one are tried.
const portsTried = 100

// listenDoor takes the configured port; in quickstart, when nobody asked for
// that one and it is busy, the next free one.
func (g *Gateway) listenDoor(door string) (net.Listener, error) {
	addr := g.cfg.Listen[door]
	ln, err := net.Listen("tcp", addr)
	if !errors.Is(err, unix.EADDRINUSE) || g.cfg.chosen[door+".listen"] || !g.cfg.local {
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
		g.notes = append(g.notes, fmt.Sprintf("Port %s is busy; %s is on %d instead.", port, doorName(door), p))
		g.log.LogAttrs(context.Background(), slog.LevelWarn, "the default port is busy, the next free one is used",
			slog.String("door", door), slog.String("busy", port), slog.Int("port", p))
		return ln, nil
	}
	return nil, err
}

// doorName is how people call a door.
func doorName(door string) string {
	if door == "rest" || door == "mx" {
		return strings.ToUpper(door)
	}
	return door
}

// Addr is where a door listens; empty if it is not open.
func (g *Gateway) Addr(door string) string {
	if ln := g.doors[door]; ln != nil {
		return ln.Addr().String()
	}
	return ""
}

// URL is where REST answers.
func (g *Gateway) URL() string {
	scheme := "http"
	if g.secure {
		scheme = "https"
	}
	return scheme + "://" + g.Addr("rest")
}
