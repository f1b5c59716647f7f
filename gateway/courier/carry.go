package courier

import (
	"context"
	"log/slog"
	"net/netip"

	"github.com/centerleap/postern/gateway"
)

// mission is a job on its way.
type mission struct {
	job   Job
	from  string // the reverse-path as it is sent
	wide  bool   // the message, or its reverse-path, needs SMTPUTF8
	to    []*stop
	tries int64  // addresses that may still be connected to
	worst *fault // what those get who are left in the end
}

// stop is one recipient.
type stop struct {
	path    string // the forward-path as it is sent
	wide    bool   // it needs SMTPUTF8
	decided bool
	result  Result
}

// Carry delivers a message to the recipients of a job, and returns what became of it for
// each of them, in their order. An error is a fault of the job, of Kind
// InvalidParameter: nothing was tried. ctx bounds it all; a recipient whose attempt it
// cuts short is deferred, or unknown if the message was out.
//
// Hosts are tried in order until one answers for the message: RFC 5321 section 5.1. One
// that is not there, breaks off or refuses the whole session is no answer, so the next is
// tried; what it says about a recipient or the message is one, and counts. Once all of
// the message is sent no other host is tried, or it might be delivered twice.
func (c *Courier) Carry(ctx context.Context, job Job) ([]Result, error) {
	m, err := c.prepare(job)
	if err != nil {
		return nil, err
	}
	if !m.done() {
		c.travel(ctx, m)
	}
	return m.results(ctx), nil
}

// travel tries the hosts in order.
func (c *Courier) travel(ctx context.Context, m *mission) {
	hosts, f := c.route(ctx, m.job)
	if f != nil {
		m.note(f)
		return
	}
	for _, t := range hosts {
		if m.done() || ctx.Err() != nil || m.tries == 0 || m.stopped() {
			return
		}
		c.visit(ctx, m, t)
	}
}

// prepare checks a job and writes its addresses as they will be sent.
func (c *Courier) prepare(job Job) (*mission, error) {
	switch l := c.cfg.Limits; {
	case job.Open == nil:
		return nil, gateway.Fieldf(gateway.InvalidParameter, "open", "a job needs a message")
	case len(job.Recipients) == 0 || int64(len(job.Recipients)) > l.CourierRecipients:
		return nil, gateway.Fieldf(gateway.InvalidParameter, "recipients", "a job has 1 to %d recipients, not %d", l.CourierRecipients, len(job.Recipients))
	}
	m := &mission{job: job, wide: job.UTF8, tries: c.cfg.Limits.CourierTries, to: make([]*stop, len(job.Recipients))}
	for i, addr := range job.Recipients {
		to := &stop{result: Result{Recipient: addr}}
		var err error
		if to.path, to.wide, err = path(addr); err != nil {
			m.decide([]*stop{to}, ours(Failed, PhaseMessage, [3]int{5, 1, 3}, err, "the recipient is %s", err).Answer, Hop{})
		}
		m.to[i] = to
	}
	if job.ReturnPath != "" {
		from, wide, err := path(job.ReturnPath)
		if err != nil {
			m.decide(m.left(), ours(Failed, PhaseMessage, [3]int{5, 1, 7}, err, "the return path is %s", err).Answer, Hop{})
		}
		m.from, m.wide = from, m.wide || wide
	}
	return m, nil
}

// visit tries one host: on a connection that is open already, then on new ones. What
// went wrong on an old connection says nothing: it may have been closed long ago.
func (c *Courier) visit(ctx context.Context, m *mission, t target) {
	waiting, cancel := context.WithTimeout(ctx, gateway.ConnectTimeout)
	leave, err := c.pool.enter(waiting, t.key())
	cancel()
	if err != nil {
		m.note(ours(Deferred, PhaseConnect, [3]int{4, 4, 5}, err, "all connections to the mail host %s are busy", t.host))
		return
	}
	defer leave()
	if s := c.pool.take(t.key()); s != nil {
		s.target, s.hop.TLS.Policy = t, t.policy
		s.hop.Reused, s.hop.Begun = true, c.cfg.Now()
		if f := c.hand(ctx, m, s); f == nil || m.done() {
			return
		}
	}
	list, f := c.addresses(ctx, t)
	if f != nil {
		m.note(f)
		return
	}
	for _, at := range list {
		if ctx.Err() != nil || m.tries == 0 {
			return
		}
		m.tries--
		s, f := c.connect(ctx, t, at)
		if f == nil {
			f = c.hand(ctx, m, s)
		}
		if f == nil || m.done() {
			return
		}
		c.cfg.Log.LogAttrs(ctx, slog.LevelDebug, "no delivery by this address",
			slog.String("host", t.host), slog.String("addr", at.String()), slog.String("phase", string(f.Phase)), slog.Any("err", f))
		if m.note(f); f.stop {
			return
		}
	}
}

// hand gives the mission to a session, and the session to whoever comes next if it can
// be used again.
func (c *Courier) hand(ctx context.Context, m *mission, s *session) *fault {
	free := s.bind(ctx)
	f := s.deliver(ctx, m)
	bound := !free()
	switch {
	case f != nil || bound:
		if f != nil {
			f.hop = s.ended()
		}
		s.drop()
	case s.reusable():
		c.pool.keep(s.target.key(), s)
	default:
		s.quit()
	}
	return f
}

// connect opens a session. If TLS may be done without and fails, it is; but on a new
// connection, where nothing of the old one is left to confuse either side.
func (c *Courier) connect(ctx context.Context, t target, at netip.AddrPort) (*session, *fault) {
	s, f := c.open(ctx, t, at, true)
	if f == nil || !f.clear || ctx.Err() != nil {
		return s, f
	}
	why := f.hop.TLS
	if s, f = c.open(ctx, t, at, false); f == nil {
		s.hop.TLS = why
	}
	return s, f
}

// left are the recipients that are not decided.
func (m *mission) left() (list []*stop) {
	for _, to := range m.to {
		if !to.decided {
			list = append(list, to)
		}
	}
	return list
}

func (m *mission) done() bool { return len(m.left()) == 0 }

func (m *mission) decide(list []*stop, a Answer, hop Hop) {
	for _, to := range list {
		to.decided, to.result.Answer, to.result.Hop = true, a, hop
	}
}

// note remembers what a host came to. It fails only if all hosts do: one that may take
// the message tomorrow is worth waiting for. What a host says is worth more than what we
// think of it.
func (m *mission) note(f *fault) {
	if m.worst == nil || m.worst.Outcome == Failed && f.Outcome != Failed || m.worst.Outcome == f.Outcome && f.Remote && !m.worst.Remote {
		stop := m.stopped() || f.stop
		m.worst = f
		m.worst.stop = stop
		return
	}
	m.worst.stop = m.worst.stop || f.stop
}

func (m *mission) stopped() bool { return m.worst != nil && m.worst.stop }

func (m *mission) results(ctx context.Context) []Result {
	if !m.done() {
		if m.worst == nil {
			m.worst = broken(PhaseConnect, ctx.Err())
		}
		m.decide(m.left(), m.worst.Answer, m.worst.hop)
	}
	out := make([]Result, len(m.to))
	for i, to := range m.to {
		out[i] = to.result
	}
	return out
}
