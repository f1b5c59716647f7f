package courier

import (
	"bufio"
	"context"
	"errors"
	"net"
	"net/netip"
	"strconv"
	"strings"
	"time"

	"github.com/centerleap/postern/gateway"
)

// session is one connection to a next hop. One goroutine at a time uses it.
type session struct {
	courier *Courier
	target  target
	strict  bool // TLS with a certificate that fits, or nothing
	hop     Hop

	raw  net.Conn // what was dialled; deadlines are set here
	conn net.Conn // the same, or TLS over it
	in   *replies
	out  *bufio.Writer
	buf  []byte // for bodies

	ext   extensions
	begun bool // a transaction was: RSET before the next
	sent  int64
}

// extensions are what EHLO offers that we use: RFC 2920, 1870, 6152, 6531, 3207, 4954.
type extensions struct {
	name                                 string // what the server calls itself
	pipelining, eightBit, utf8, startTLS bool
	authPlain, authLogin, size           bool
	most                                 int64 // bytes of a message; 0 is no limit
}

const (
	blockSize = 16 << 10 // bytes that are read and written at once
	lastWait  = 2 * time.Second
)

// open connects and gets as far as the first MAIL may go.
func (c *Courier) open(ctx context.Context, t target, at netip.AddrPort, secure bool) (*session, *fault) {
	s := &session{courier: c, target: t, strict: t.strictAt(at), buf: make([]byte, blockSize)}
	s.hop = Hop{Host: t.host, Addr: at, Begun: c.cfg.Now(), TLS: TLS{Policy: t.policy}}
	dialing, cancel := context.WithTimeout(ctx, gateway.ConnectTimeout)
	defer cancel()
	conn, err := c.cfg.Dial(dialing, "tcp", at.String())
	if err != nil {
		f := ours(Deferred, PhaseConnect, [3]int{4, 4, 1}, err, "no connection to the mail host %s", t.host)
		f.hop = s.ended()
		return nil, f
	}
	s.raw = conn
	s.wire(conn)
	free := s.bind(ctx)
	f := s.begin(ctx, secure)
	if !free() && f == nil {
		f = s.lost(ctx, PhaseHello, ctx.Err())
	}
	if f != nil {
		f.hop = s.ended()
		s.drop()
		return nil, f
	}
	return s, nil
}

// begin is all that comes before the first transaction.
func (s *session) begin(ctx context.Context, secure bool) *fault {
	smart := s.courier.cfg.SmartHost
	implicit := s.target.smart && smart.Implicit
	if implicit {
		if f := s.handshake(ctx); f != nil {
			f.clear = false // there is no clear at this port
			return f
		}
	}
	s.deadline(ctx, gateway.HopTimeout)
	rep, f := s.read(ctx, PhaseGreeting)
	if f != nil {
		return f
	}
	if rep.code != 220 {
		return said(PhaseGreeting, rep)
	}
	if f := s.hello(ctx); f != nil {
		return f
	}
	if secure && !implicit {
		if f := s.startTLS(ctx); f != nil {
			return f
		}
	}
	if s.target.smart && smart.Username != "" {
		return s.login(ctx, smart)
	}
	return nil
}

// hello says who we are and hears what is offered. A server that knows no EHLO is asked
// in the old way: RFC 5321 section 3.2.
func (s *session) hello(ctx context.Context) *fault {
	rep, f := s.ask(ctx, PhaseHello, gateway.HopTimeout, "EHLO "+s.courier.cfg.Hostname)
	if f == nil && rep.is(5) {
		if rep, f = s.ask(ctx, PhaseHello, gateway.HopTimeout, "HELO "+s.courier.cfg.Hostname); f == nil {
			rep.lines = rep.lines[:1]
		}
	}
	if f != nil {
		return f
	}
	if rep.code != 250 {
		return said(PhaseHello, rep)
	}
	s.ext = offered(rep.lines)
	if s.isUs() {
		f := ours(Failed, PhaseHello, [3]int{5, 4, 6}, errLoop, "the mail host %s is this gateway itself", s.target.host)
		f.stop = true
		return f
	}
	return nil
}

// isUs reports whether a mail host calls itself by our name. One without a dot, such as
// localhost, belongs to many.
func (s *session) isUs() bool {
	our := s.courier.cfg.Hostname
	return !s.target.smart && strings.Contains(our, ".") && strings.EqualFold(s.ext.name, our)
}

func offered(lines []string) (e extensions) {
	e.name, _, _ = strings.Cut(lines[0], " ")
	for _, line := range lines[1:] {
		words := strings.Fields(strings.ToUpper(line))
		if len(words) == 0 {
			continue
		}
		switch words[0] {
		case "PIPELINING":
			e.pipelining = true
		case "8BITMIME":
			e.eightBit = true
		case "SMTPUTF8":
			e.utf8 = true
		case "STARTTLS":
			e.startTLS = true
		case "SIZE":
			e.size = true
			if len(words) > 1 {
				if n, err := strconv.ParseInt(words[1], 10, 64); err == nil && n > 0 {
					e.most = n
				}
			}
		case "AUTH":
			for _, mechanism := range words[1:] {
				e.authPlain = e.authPlain || mechanism == "PLAIN"
				e.authLogin = e.authLogin || mechanism == "LOGIN"
			}
		}
	}
	return e
}

// wire puts reader and writer on a connection. What was spent on replies stays spent.
func (s *session) wire(conn net.Conn) {
	s.conn = conn
	in := newReplies(conn, s.courier.cfg.Limits)
	if s.in != nil {
		in.left = s.in.left
	}
	s.in, s.out = in, bufio.NewWriterSize(conn, blockSize)
}

// past is a deadline that is over.
var past = time.Unix(1, 0)

// bind lets the end of ctx end whatever the session waits for. free takes that back; it
// is false if it has happened.
func (s *session) bind(ctx context.Context) (free func() bool) {
	return context.AfterFunc(ctx, func() { _ = s.raw.SetDeadline(past) })
}

// deadline is for what comes next, absolute: a byte now and then does not move it.
func (s *session) deadline(ctx context.Context, d time.Duration) {
	until := time.Now().Add(d)
	if end, ok := ctx.Deadline(); ok && end.Before(until) {
		until = end
	}
	if err := s.raw.SetDeadline(until); err != nil || ctx.Err() != nil {
		_ = s.raw.SetDeadline(past) // bind may have done so before us
	}
}

// ask sends a command and reads its reply.
func (s *session) ask(ctx context.Context, at Phase, d time.Duration, line string) (reply, *fault) {
	if !s.in.quiet() {
		return reply{}, broken(at, errTurn)
	}
	s.deadline(ctx, d)
	if err := s.send(line); err != nil {
		return reply{}, s.lastWords(ctx, at, err)
	}
	return s.read(ctx, at)
}

func (s *session) send(lines ...string) error {
	for _, line := range lines {
		_, _ = s.out.WriteString(line) // its error stays: Flush returns it
		_, _ = s.out.WriteString("\r\n")
	}
	return s.out.Flush()
}

// read reads the next reply. 421 may come at any time and ends the session: RFC 5321
// section 3.8.
func (s *session) read(ctx context.Context, at Phase) (reply, *fault) {
	rep, err := s.in.next()
	if err != nil {
		return reply{}, s.lost(ctx, at, err)
	}
	if rep.code == 421 {
		return reply{}, said(at, rep)
	}
	return rep, nil
}

// lost is the fault of an error of the connection, which may be that ctx ended.
func (s *session) lost(ctx context.Context, at Phase, err error) *fault {
	if ctx.Err() != nil {
		err = errors.Join(ctx.Err(), err)
	}
	return broken(at, err)
}

// lastWords is for when writing fails: the other side often says why before it closes.
func (s *session) lastWords(ctx context.Context, at Phase, err error) *fault {
	s.deadline(ctx, lastWait)
	if rep, rerr := s.in.next(); rerr == nil && (rep.is(4) || rep.is(5)) {
		return said(at, rep)
	}
	return s.lost(ctx, at, err)
}

// ended is the hop as it is now, for a result.
func (s *session) ended() Hop {
	hop := s.hop
	hop.Ended = s.courier.cfg.Now()
	return hop
}

// reusable reports whether another message may go the same way.
func (s *session) reusable() bool {
	l := s.courier.cfg.Limits
	return s.sent < l.CourierMessages && s.in.left > l.CourierReplies/2 && s.in.quiet()
}

// drop ends the connection without a word.
func (s *session) drop() { _ = s.raw.Close() }

// quit ends it as RFC 5321 section 4.1.1.10 wants it, if that goes quickly.
func (s *session) quit() {
	_ = s.raw.SetDeadline(time.Now().Add(lastWait))
	if s.send("QUIT") == nil {
		_, _ = s.in.next()
	}
	_ = s.conn.Close()
}
