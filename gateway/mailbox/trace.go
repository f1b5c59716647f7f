package mailbox

import (
	"context"
	"slices"
	"strings"

	"github.com/centerleap/postern/gateway"
	"github.com/centerleap/postern/gateway/content"
	"github.com/centerleap/postern/gateway/threading"
)

// Trace is what is known of how a message became what it is.
type Trace struct {
	Arrival *Arrival // nil if nobody received it
	Steps   []gateway.Step
	LeftOut int    // steps that nobody kept
	Count   int    // messages of its conversation, as it is now
	By      string // what put it there, as far as that can be seen; "" if it can't
	// Deliveries are of a sent one, or of one that was sent on and kept.
	Deliveries []gateway.Delivery
}

// Arrival is what the Received field that receiving wrote says: RFC 5321 section 4.4.
type Arrival struct {
	Helo, IP string // empty for mail from inside
	Protocol string // LOCAL for mail from inside
}

// What put a message into its conversation.
const (
	ByPlugin     = "plugin"
	ByReferences = "references" // it names one that is there
	BySubject    = "subject"    // it is a reply by its subject alone
)

// Trace tells how a message became what it is. An account's key is not shown what the
// plugins of its domain said: their log is not for it.
func (m *Mail) Trace(ctx context.Context, s gateway.Scope, it Item) (tr Trace, err error) {
	msg := it.Message
	kept, err := m.cfg.Store.Trace(ctx, s, msg.Domain, msg.Account, msg.Number)
	if err != nil {
		return tr, err
	}
	tr.Steps, tr.LeftOut = kept.Steps, kept.LeftOut
	if s.Level() == gateway.LevelAccount {
		for i := range tr.Steps {
			if one := &tr.Steps[i]; one.Account == 0 {
				one.Lines = nil
				if one.Failure != "" {
					one.Failure = "the plugin is the domain's, and so is its log"
				}
			}
		}
	}
	if tr.Arrival, err = m.arrival(msg); err != nil {
		return tr, err
	}
	if tr.By, tr.Count, err = m.joined(ctx, s, msg, tr.Steps); err != nil {
		return tr, err
	}
	tr.Deliveries, err = m.Deliveries(ctx, s, it)
	return tr, err
}

// arrival reads the first Received field of what stands before the bytes of a copy.
func (m *Mail) arrival(msg *gateway.Message) (*Arrival, error) {
	if msg.Sent || len(msg.Prefix) == 0 {
		return nil, nil
	}
	fields, err := content.Header(strings.NewReader(string(msg.Prefix)+"\r\n"), m.cfg.Limits)
	if err != nil {
		return nil, err
	}
	for _, f := range fields {
		if f.Name == "Received" {
			return readArrival(f.Value), nil
		}
	}
	return nil, nil
}

// readArrival reads a Received field of ours. What it does not say stays empty.
func readArrival(field string) *Arrival {
	a := &Arrival{}
	from, rest, _ := strings.Cut(strings.Join(strings.Fields(field), " "), " by ")
	_, with, _ := strings.Cut(rest, " with ")
	a.Protocol, _, _ = strings.Cut(with, " ")
	helo, ip, found := strings.Cut(strings.TrimPrefix(from, "from "), " ([")
	if found {
		a.Helo, a.IP = helo, strings.TrimPrefix(strings.TrimSuffix(ip, "])"), "IPv6:")
	}
	return a
}

// joined says what put a message into its conversation, and how many are there.
func (m *Mail) joined(ctx context.Context, s gateway.Scope, msg *gateway.Message, steps []gateway.Step) (by string, count int, err error) {
	th, _, err := m.cfg.Store.Thread(ctx, s, msg.Thread, 0, 0)
	if gateway.KindOf(err) == gateway.NotFound {
		return "", 0, nil // it went meanwhile
	} else if err != nil {
		return "", 0, err
	}
	for i := range steps {
		if c := &steps[i].Verdict.Thread; !c.None() && (c.Join.IsZero() || c.Join == msg.Thread) {
			return ByPlugin, th.Count, nil
		}
	}
	facts := threading.Facts(&msg.Content, msg.Arrived)
	if facts.Headerless() && th.Count > 1 {
		return BySubject, th.Count, nil
	}
	for _, id := range facts.Links[max(0, len(facts.Links)-mostLinks):] {
		found, err := m.cfg.Store.MessagesByMessageID(ctx, s, msg.Account, id)
		if err != nil {
			return "", th.Count, err
		}
		if slices.ContainsFunc(found, func(f *gateway.Message) bool { return f.Thread == msg.Thread && f.Number != msg.Number }) {
			return ByReferences, th.Count, nil
		}
	}
	return "", th.Count, nil
}

// mostLinks is how many of the messages that one refers to are looked for, the last ones;
// ours.
const mostLinks = 10
