// Package imapd is the IMAP door: the readers people have see the same mail that
// REST shows, with the API key as their password.
//
// Between the client and go-imap's server stands our front (conn.go, intake.go, response.go). It reads
// each command whole (command.go), takes out what the library cannot parse and
// leaves a note about it (note.go), and hands on one line without literals. The
// library parses the rest, keeps the state of the connection and writes the
// tagged line; the session writes all data lines itself, from stored records and
// byte ranges: nothing is parsed when it is read. That shape fences in the faults
// of the library, which faults_test.go names one by one.
package imapd

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log"
	"log/slog"
	"net"
	"sync"
	"time"

	"github.com/emersion/go-imap/v2"
	"github.com/emersion/go-imap/v2/imapserver"

	"github.com/centerleap/postern/gateway"
	"github.com/centerleap/postern/gateway/domains"
	"github.com/centerleap/postern/gateway/guard"
	"github.com/centerleap/postern/gateway/keys"
	"github.com/centerleap/postern/gateway/mailbox"
)

// Activity is the log of who did what.
type Activity interface {
	Add(row gateway.Activity)
}

// Config of a Server. All but the defaults named is required.
type Config struct {
	Guard    *guard.Guard
	Keys     *keys.Keys
	Domains  *domains.Domains
	Mail     *mailbox.Mail
	Activity Activity
	Username string      // that goes with an account's key; the SMTP door has the same
	TLS      *tls.Config // without it the door can't be opened
	Limits   gateway.Limits
	Hidden   []string         // of Extensions: what is not served
	Version  string           // that ID shows; empty: none
	Log      *slog.Logger     // default: slog.Default()
	Now      func() time.Time // default: time.Now
}

// Server is the door.
type Server struct {
	cfg    Config
	offers offers
}

// New checks cfg and fills its defaults. It starts nothing.
func New(cfg Config) (*Server, error) {
	if cfg.Guard == nil || cfg.Keys == nil || cfg.Domains == nil || cfg.Mail == nil || cfg.Activity == nil ||
		cfg.Username == "" || cfg.Limits == (gateway.Limits{}) {
		return nil, errors.New("imapd: a required field of Config is missing")
	}
	if cfg.Log == nil {
		cfg.Log = slog.Default()
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	for _, name := range cfg.Hidden {
		if err := CheckExtension(name); err != nil {
			return nil, fmt.Errorf("imapd: %w", err)
		}
	}
	return &Server{cfg: cfg, offers: offersWithout(cfg.Hidden)}, nil
}

// Serve speaks IMAP on ln until ctx ends, TLS coming with STARTTLS. It closes ln.
func (s *Server) Serve(ctx context.Context, ln net.Listener) error {
	return s.serve(ctx, ln, "imap", false)
}

// ServeTLS is Serve with TLS from the first byte, RFC 8314.
func (s *Server) ServeTLS(ctx context.Context, ln net.Listener) error {
	return s.serve(ctx, ln, "imaps", true)
}

// capabilities are those that the library parses and our session answers; the
// front adds ID and Extensions.
var capabilities = imap.CapSet{
	imap.CapIMAP4rev2: {}, imap.CapIMAP4rev1: {}, imap.CapBinary: {}, imap.CapNamespace: {}, imap.CapUIDPlus: {}, imap.CapESearch: {}, imap.CapSearchRes: {},
	imap.CapListExtended: {}, imap.CapListStatus: {}, imap.CapMove: {}, imap.CapStatusSize: {}, imap.CapChildren: {},
	imap.CapSpecialUse: {}, imap.CapCreateSpecialUse: {},
}

// door is one listener with the library behind it.
type door struct {
	*Server
	name     string
	implicit bool
	after    *guard.Handoff
	sessions sync.WaitGroup
}

func (s *Server) serve(ctx context.Context, ln net.Listener, name string, implicit bool) error {
	if s.cfg.TLS == nil {
		return errors.Join(errors.New("imapd: nobody logs in without TLS"), ln.Close())
	}
	d := &door{Server: s, name: name, implicit: implicit, after: guard.NewHandoff(ln.Addr())}
	library := imapserver.New(&imapserver.Options{
		Caps: capabilities, InsecureAuth: true, // the front lets nobody log in without TLS
		NewSession: d.session, Logger: log.New(debugLog{s.cfg.Log, name}, "", 0),
	})
	ended := make(chan error, 1)
	go func() { ended <- library.Serve(d.after) }()
	busy := "* BYE [LIMIT] too many connections from your network\r\n"
	if implicit {
		busy = "" // it would not be TLS
	}
	err := s.cfg.Guard.Serve(ctx, ln, guard.Door{Name: name, Busy: busy, Handle: d.handle})
	d.after.Close()
	err = errors.Join(err, <-ended)
	d.sessions.Wait() // their connections are closed
	return err
}

func (d *door) session(lib *imapserver.Conn) (imapserver.Session, *imapserver.GreetingData, error) {
	c, ok := lib.NetConn().(*conn)
	if !ok {
		return nil, nil, fmt.Errorf("imapd: a connection of type %T", lib.NetConn())
	}
	if c.session != nil { // the library has rested
		return c.session, &imapserver.GreetingData{PreAuth: true}, nil
	}
	ctx, cancel := context.WithCancel(context.Background())
	s := &session{door: d, c: c, ctx: ctx, cancel: cancel}
	c.session = s
	d.sessions.Add(1)
	return s, nil, nil
}

// debugLog takes the library's log: what it says are faults of clients, or goes
// to them as NO [SERVERBUG]. But a panic is ours, and ends the session.
type debugLog struct {
	log  *slog.Logger
	door string
}

// Write takes one line.
func (w debugLog) Write(p []byte) (int, error) {
	level := slog.LevelDebug
	if bytes.HasPrefix(p, []byte("panic ")) {
		level = slog.LevelError
	}
	w.log.LogAttrs(context.Background(), level, "imap library", slog.String("door", w.door), slog.String("line", string(p)))
	return len(p), nil
}
