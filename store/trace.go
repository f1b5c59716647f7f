package store

import (
	"context"
	"encoding/binary"
	"errors"
	"slices"
	"strings"

	"github.com/centerleap/postern/gateway"
	"github.com/centerleap/postern/store/engine"
)

// The trace of a message is one record, written with the message; what plugins are asked
// later is added to it. It expires, and mail that no plugin was asked about has none.

func traceKey(d gateway.DomainID, a gateway.AccountID, n gateway.MessageNumber) []byte {
	return key(subTrace, d).account(a).number(n)
}

// traced keeps which part plugins had in one of the messages that this commit brings.
func (t *tx) traced(m *stored, steps []gateway.Step, messages int) {
	if len(steps) > 0 {
		t.putTrace(m.Account, m.Number, &gateway.Trace{}, steps, messages)
	}
}

// tracedCopy is traced for one of some copies: what was asked about another is not for its
// owner.
func (t *tx) tracedCopy(m *stored, mailbox string, steps []gateway.Step, copies int) {
	others := func(s gateway.Step) bool { return s.Mailbox != "" && !strings.EqualFold(s.Mailbox, mailbox) }
	if slices.ContainsFunc(steps, others) {
		steps = slices.DeleteFunc(slices.Clone(steps), others)
	}
	t.traced(m, steps, copies)
}

// tracedLater adds what plugins said of a message afterwards, if it is still there.
func (t *tx) tracedLater(a gateway.AccountID, n gateway.MessageNumber, steps []gateway.Step) error {
	if len(steps) == 0 {
		return nil
	}
	if _, err := t.Get(messageKey(t.domain, a, n)); err != nil {
		return ignoreMissing(err)
	}
	was, err := loadOr(t, traceKey(t.domain, a, n), decodeTrace)
	if err == nil {
		t.putTrace(a, n, &was, steps, 1)
	}
	return err
}

// tracesPerCommit is how many traces of full size one commit may hold; those of more
// messages or copies are shorter. Ours: 256 KiB, as plugin_write_bytes.
const tracesPerCommit = 4

func (t *tx) putTrace(a gateway.AccountID, n gateway.MessageNumber, was *gateway.Trace, steps []gateway.Step, copies int) {
	lim := &t.store.cfg.Limits
	b := encodeTrace(was, steps, lim.TraceSteps, min(lim.TraceBytes, lim.TraceBytes*tracesPerCommit/int64(copies)))
	t.SetUntil(traceKey(t.domain, a, n), b, until(t.now, t.store.cfg.ActivityRetention))
}

// Trace returns which part plugins had in a message; none if none had, or it is long ago.
func (s *Store) Trace(ctx context.Context, sc gateway.Scope, d gateway.DomainID, a gateway.AccountID, n gateway.MessageNumber) (tr gateway.Trace, err error) {
	if !sc.Covers(d, a) {
		return tr, denied("email")
	}
	err = s.view(ctx, func(r engine.Reader) error {
		tr, err = loadOr(r, traceKey(d, a, n), decodeTrace)
		return err
	})
	return tr, err
}

// checkTraces finds traces whose message is gone.
func (c *checker) checkTraces() error {
	return c.r.Scan(engine.Prefix(key(subTrace, c.domain)), func(k, v []byte) error {
		if _, err := decodeTrace(v); err != nil {
			return err
		}
		at := append([]byte{subMessage}, k[1:]...)
		if _, err := c.r.Get(at); !errors.Is(err, engine.ErrNotFound) {
			return err
		}
		a := gateway.AccountID(binary.BigEndian.Uint32(k[5:]))
		if gone, err := closing(c.r, c.domain, a); gone || err != nil {
			return err // it goes with the rest of the account
		}
		c.report("account %d: there is a trace of message %d, which is gone", a, lastNumber(k))
		return nil
	})
}

// turn notes what became of a delivery: its newest turns are kept.
func (t *tx) turn(j *gateway.Delivery, now gateway.Turn) {
	now.At = t.now
	j.Turns = append(j.Turns, now)
	if over := len(j.Turns) - int(t.store.cfg.Limits.DeliveryTurns); over > 0 {
		j.Turns = j.Turns[over:]
	}
}

// tried is the turn of an attempt that ended so.
func tried(j *gateway.Delivery, o *gateway.Outcome) gateway.Turn {
	return gateway.Turn{State: o.State, Attempt: j.Attempts, Code: o.Code, Text: cutText(o.Words(), mostTurnText), Host: o.Host, TLS: o.TLS, Phase: o.Phase}
}

// phaseReport is the phase of what another host said later, in a report.
const phaseReport = "report"

// mostTurnText is how much a turn keeps of what a host said, in bytes; ours: a reply line
// of RFC 5321 section 4.5.3.1.5.
const mostTurnText = 512

func cutText(s string, most int) string {
	if len(s) <= most {
		return s
	}
	return strings.ToValidUTF8(s[:most], "")
}
