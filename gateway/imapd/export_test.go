package imapd

import (
	"context"
	"errors"
	"log"
	"net"

	"github.com/emersion/go-imap/v2/imapserver"

	"github.com/centerleap/postern/gateway/guard"
)

// ServeInside is ServeTLS for connections that need no TLS: what is tried many
// thousand times.
func (s *Server) ServeInside(ctx context.Context, ln net.Listener) error {
	d := &door{Server: s, name: "inside", implicit: true, after: guard.NewHandoff(ln.Addr())}
	library := imapserver.New(&imapserver.Options{
		Caps: capabilities, InsecureAuth: true, NewSession: d.session, Logger: log.New(debugLog{s.cfg.Log, d.name}, "", 0),
	})
	ended := make(chan error, 1)
	go func() { ended <- library.Serve(d.after) }()
	err := s.cfg.Guard.Serve(ctx, ln, guard.Door{Name: d.name, Handle: func(gc *guard.Conn) {
		d.after.Give(newConn(gc, s.cfg.Limits, s.offers, identity(s.cfg.Version)))
	}})
	d.after.Close()
	err = errors.Join(err, <-ended)
	d.sessions.Wait()
	return err
}
