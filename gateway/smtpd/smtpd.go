// Package smtpd is the SMTP door: the MX that other servers deliver to, and the
// submission ports on which a key's holder sends. It translates; who may send is
// decided by keys and the outbound flow, what becomes of arriving mail by the
// inbound flow.
//
// Before go-smtp sees a connection, our front has greeted the client, put TLS on
// it, and keeps watching its bytes (front.go, conn.go, wire.go): that is where
// the faults of the library are fenced in. faults_test.go names each of them, and
// testdata/attacks.txt what else is tried on the doors.
package smtpd

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"log"
	"log/slog"
	"net"
	"time"

	"github.com/emersion/go-smtp"

	"github.com/centerleap/postern/gateway"
	"github.com/centerleap/postern/gateway/domains"
	"github.com/centerleap/postern/gateway/guard"
	"github.com/centerleap/postern/gateway/keys"
	"github.com/centerleap/postern/gateway/outbound"
)

// Activity is the log of who did what.
type Activity interface {
	Add(row gateway.Activity)
}

// Receiver is the inbound flow.
type Receiver interface {
	// Find says where an address lives: its domain, nil if that is none of ours.
	// NotFound, with the domain, when nobody there has the name.
	Find(ctx context.Context, rcpt string) (*gateway.Domain, error)
	// Receive returns nil when the message is durable.
	Receive(ctx context.Context, env gateway.Envelope, raw io.Reader) error
}

// Sender is the outbound flow.
type Sender interface {
	// Submit returns when the message is durable.
	Submit(ctx context.Context, s gateway.Scope, sub outbound.Submission) (outbound.Receipt, error)
	// Returns reports whether an address is at the host of our return paths. NotFound if
	// it is none of them.
	Returns(ctx context.Context, addr string) (bool, error)
	// Bounce takes what came to a return path. It returns when what it says is durable.
	Bounce(ctx context.Context, addr string, raw io.Reader) error
}

// Config of a Server. All but the defaults named is required.
type Config struct {
	Guard    *guard.Guard
	Keys     *keys.Keys
	Domains  *domains.Domains
	Receiver Receiver
	Sender   Sender
	Activity Activity
	Hostname string      // in the greeting
	Username string      // that goes with any key; API guide, "Authentication Summary"
	TLS      *tls.Config // nil: the MX offers no STARTTLS, and submission can't be served
	Limits   gateway.Limits
	// BannerWait is how long a client of the MX must be silent before it is greeted;
	// default: what it has sent by then is looked at, and nobody waits.
	BannerWait time.Duration
	Log        *slog.Logger     // default: slog.Default()
	Now        func() time.Time // default: time.Now
}

// Server is the door.
type Server struct{ cfg Config }

// New checks cfg and fills its defaults. It starts nothing.
func New(cfg Config) (*Server, error) {
	if cfg.Guard == nil || cfg.Keys == nil || cfg.Domains == nil || cfg.Receiver == nil || cfg.Sender == nil || cfg.Activity == nil ||
		cfg.Hostname == "" || cfg.Username == "" || cfg.Limits == (gateway.Limits{}) {
		return nil, errors.New("smtpd: a required field of Config is missing")
	}
	if cfg.Log == nil {
		cfg.Log = slog.Default()
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	return &Server{cfg: cfg}, nil
}

// role is what a listener is for.
type role struct {
	name     string
	implicit bool // TLS from the first byte, RFC 8314
	submit   bool // clients log in and send; without it others deliver to us
	most     func(gateway.Limits) int64
}

var (
	mx          = role{"mx", false, false, func(l gateway.Limits) int64 { return l.RecipientsMX }}
	submission  = role{"submission", false, true, func(l gateway.Limits) int64 { return l.RecipientsSubmission }}
	submissions = role{"submissions", true, true, submission.most}
)

// ServeMX receives mail on ln until ctx ends. It closes ln.
func (s *Server) ServeMX(ctx context.Context, ln net.Listener) error { return s.serve(ctx, ln, mx) }

// ServeSubmission sends mail for those who log in, after STARTTLS.
func (s *Server) ServeSubmission(ctx context.Context, ln net.Listener) error {
	return s.serve(ctx, ln, submission)
}

// ServeSubmissions is ServeSubmission with TLS from the first byte.
func (s *Server) ServeSubmissions(ctx context.Context, ln net.Listener) error {
	return s.serve(ctx, ln, submissions)
}

// door is one listener with the library behind it.
type door struct {
	*Server
	role  role
	after *guard.Handoff
}

func (s *Server) serve(ctx context.Context, ln net.Listener, r role) error {
	if r.submit && s.cfg.TLS == nil {
		return errors.Join(errors.New("smtpd: submission needs TLS"), ln.Close())
	}
	d := &door{Server: s, role: r, after: guard.NewHandoff(ln.Addr())}
	library := d.library()
	ended := make(chan error, 1)
	go func() { ended <- library.Serve(d.after) }()
	busy := "421 4.7.0 " + s.cfg.Hostname + " too many connections from your network\r\n"
	if r.implicit {
		busy = "" // it would not be TLS
	}
	err := s.cfg.Guard.Serve(ctx, ln, guard.Door{Name: r.name, Busy: busy, Handle: d.handle})
	d.after.Close()
	if gone := <-ended; !errors.Is(gone, net.ErrClosed) {
		err = errors.Join(err, gone)
	}
	// The connections are closed; what the library still has to do with them is
	// to notice.
	notice, cancel := context.WithTimeout(context.WithoutCancel(ctx), gateway.DataTimeout)
	defer cancel()
	return errors.Join(err, library.Shutdown(notice))
}

// library sets go-smtp up: TLS, the greeting and every limit are ours.
func (d *door) library() *smtp.Server {
	l := smtp.NewServer(smtp.BackendFunc(d.session))
	l.Domain = d.cfg.Hostname
	l.AllowInsecureAuth = true // the front lets nobody log in without TLS
	l.ReadTimeout = gateway.CommandTimeout
	l.WriteTimeout = gateway.CommandTimeout
	l.MaxLineLength = maxLine
	l.EnableSMTPUTF8 = true
	l.MaxRecipients = int(d.role.most(d.cfg.Limits))
	l.MaxMessageBytes = d.cfg.Limits.MessageBytes + 1 // the library refuses the limit itself
	l.ErrorLog = log.New(debugLog{d.cfg.Log, d.role.name}, "", 0)
	return l
}

// maxLine bounds a line, of a message too: the library cuts sessions that pass
// it. Real mail holds lines far over the 998 bytes of RFC 5322 section 2.1.1.
const maxLine = 64 << 10

// debugLog takes the library's log: what it says are faults of clients.
type debugLog struct {
	log  *slog.Logger
	door string
}

func (w debugLog) Write(p []byte) (int, error) {
	w.log.LogAttrs(context.Background(), slog.LevelDebug, "smtp library", slog.String("door", w.door), slog.String("line", string(p)))
	return len(p), nil
}

var _ io.Writer = debugLog{}
