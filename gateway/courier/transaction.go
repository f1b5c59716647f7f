package courier

import (
	"context"
	"strconv"

	"github.com/centerleap/postern/gateway"
)

// deliver sends the message to whoever of its recipients is not decided. Without a fault
// all are. After one the session is of no more use, and those left may go elsewhere.
func (s *session) deliver(ctx context.Context, m *mission) *fault {
	if s.fit(m); m.done() {
		return nil
	}
	body, err := m.job.Open()
	if err != nil {
		m.decide(m.left(), ours(Deferred, PhaseMessage, [3]int{4, 3, 0}, err, "the message can't be read now").Answer, s.ended())
		return nil
	}
	defer body.Close()
	e := envelope{session: s, mission: m}
	if f := e.send(ctx); f != nil {
		return f
	}
	switch {
	case !e.ready:
		return nil
	case len(e.taken) == 0:
		return s.nothing(ctx)
	}
	return s.content(ctx, m, e.taken, body)
}

// fit fails the recipients for whom the next hop lacks what the message needs. Nothing
// of it has been sent then.
//
// RFC 6152 section 3 forbids to send a body with 8-bit bytes where 8BITMIME is not
// offered. It leaves two ways: to encode it anew, or to give up. What we carry is signed,
// and another encoding breaks the signature; so we give up, and the sender can send it
// encoded. Composed mail always is.
func (s *session) fit(m *mission) {
	no := func(list []*stop, code int, enhanced [3]int, why string) {
		f := ours(Failed, PhaseHello, enhanced, nil, "%s", why)
		f.Code = code
		m.decide(list, f.Answer, s.ended())
	}
	switch {
	case s.ext.most > 0 && m.job.Size > s.ext.most:
		no(m.left(), 552, [3]int{5, 3, 4}, "the message has "+strconv.FormatInt(m.job.Size, 10)+" bytes, the next hop takes at most "+strconv.FormatInt(s.ext.most, 10))
	case m.job.EightBit && !s.ext.eightBit:
		no(m.left(), 554, [3]int{5, 6, 3}, "the message has 8-bit text, which the next hop does not take")
	case !s.ext.utf8 && m.wide:
		no(m.left(), 550, [3]int{5, 6, 7}, "the message needs SMTPUTF8, which the next hop does not offer")
	case !s.ext.utf8:
		var wide []*stop
		for _, to := range m.left() {
			if to.wide {
				wide = append(wide, to)
			}
		}
		no(wide, 550, [3]int{5, 6, 7}, "the address needs SMTPUTF8, which the next hop does not offer")
	}
}

// envelope is MAIL, RCPT and DATA of one transaction.
type envelope struct {
	*session
	mission *mission
	taken   []*stop // accepted, and nothing but the message is missing
	ready   bool    // 354: the next hop waits for the message
	refused bool    // there is nothing more to send
}

// command is a line of it and how its reply is read.
type command struct {
	line   string
	at     Phase
	to     *stop // of RCPT
	answer func(command, reply) *fault
}

// maxGroup bounds what is sent before replies are read, in bytes: both sides could else
// wait for the other to read. RFC 2920 section 3.1.
const maxGroup = 4 << 10

// send sends the commands, several at once where that is offered. RFC 2920 section 3.1:
// DATA ends a group.
func (e *envelope) send(ctx context.Context) *fault {
	cmds := e.commands()
	e.begun = true
	for len(cmds) > 0 && !e.refused {
		if cmds[0].at == PhaseData && len(e.taken) == 0 {
			return nil
		}
		n := e.group(cmds)
		if f := e.exchange(ctx, cmds[:n]); f != nil {
			return f
		}
		cmds = cmds[n:]
	}
	return nil
}

func (e *envelope) group(cmds []command) int {
	if !e.ext.pipelining {
		return 1
	}
	n, size := 0, 0
	for n < len(cmds) && (n == 0 || size+len(cmds[n].line)+2 <= maxGroup) {
		size += len(cmds[n].line) + 2
		n++
	}
	return n
}

// exchange sends a group and reads all its replies, whatever they are: each is for its
// command.
func (e *envelope) exchange(ctx context.Context, cmds []command) *fault {
	if !e.in.quiet() {
		return broken(cmds[0].at, errTurn)
	}
	lines := make([]string, len(cmds))
	for i, c := range cmds {
		lines[i] = c.line
	}
	e.deadline(ctx, gateway.HopTimeout)
	if err := e.session.send(lines...); err != nil {
		return e.lastWords(ctx, cmds[0].at, err)
	}
	for _, c := range cmds {
		wait := gateway.HopTimeout
		if c.at == PhaseData {
			wait = gateway.HopDataTimeout
		}
		e.deadline(ctx, wait)
		rep, f := e.read(ctx, c.at)
		if f == nil {
			f = c.answer(c, rep)
		}
		if f != nil {
			return f
		}
	}
	return nil
}

func (e *envelope) commands() []command {
	m := e.mission
	left := m.left()
	cmds := make([]command, 0, len(left)+3)
	if e.begun {
		cmds = append(cmds, command{"RSET", PhaseMail, nil, e.onReset})
	}
	mail := "MAIL FROM:<" + m.from + ">"
	if e.ext.size && m.job.Size > 0 {
		mail += " SIZE=" + strconv.FormatInt(m.job.Size, 10)
	}
	if e.ext.eightBit && m.job.EightBit {
		mail += " BODY=8BITMIME"
	}
	wide := m.wide
	for _, to := range left {
		wide = wide || to.wide
	}
	if e.ext.utf8 && wide {
		mail += " SMTPUTF8"
	}
	cmds = append(cmds, command{mail, PhaseMail, nil, e.onMail})
	for _, to := range left {
		cmds = append(cmds, command{"RCPT TO:<" + to.path + ">", PhaseRcpt, to, e.onRcpt})
	}
	return append(cmds, command{"DATA", PhaseData, nil, e.onData})
}

func (e *envelope) onReset(c command, rep reply) *fault {
	if !rep.is(2) {
		return said(c.at, rep)
	}
	return nil
}

func (e *envelope) onMail(c command, rep reply) *fault {
	if rep.is(3) {
		return broken(c.at, errSyntax)
	}
	if e.refused = !rep.is(2); e.refused {
		e.mission.decide(e.mission.left(), rep.answer(c.at), e.ended())
	}
	return nil
}

func (e *envelope) onRcpt(c command, rep reply) *fault {
	switch {
	case rep.is(3):
		return broken(c.at, errSyntax)
	case c.to.decided: // MAIL was refused, and this is only the echo
	case rep.is(2):
		e.taken = append(e.taken, c.to)
	default:
		e.mission.decide([]*stop{c.to}, rep.answer(c.at), e.ended())
	}
	return nil
}

func (e *envelope) onData(c command, rep reply) *fault {
	switch {
	case rep.code == 354:
		e.ready = true
	case rep.is(2), rep.is(3):
		return broken(c.at, errSyntax)
	default:
		e.mission.decide(e.taken, rep.answer(c.at), e.ended())
	}
	return nil
}

// nothing ends a transaction in which DATA was granted although no recipient was taken:
// it was sent before that was known. RFC 2920 section 3.1.
func (s *session) nothing(ctx context.Context) *fault {
	_, f := s.ask(ctx, PhaseEnd, gateway.HopEndTimeout, ".")
	return f
}
