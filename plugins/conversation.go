package plugins

import (
	"encoding/json"
	"time"

	"github.com/centerleap/postern/gateway"
	"github.com/centerleap/postern/sdk/abi"
)

// heard is how many recipients of a message are listed; ours.
const heard = 50

// Thread is the conversation that the message is in, or goes into as far as is known. It
// is read once for a call.
func (g *guest) Thread() ([]byte, error) {
	switch {
	case !g.may(abi.PermitThreadRead):
		return nil, abi.Denied
	case g.look.Conversation == nil:
		return nil, abi.Absent
	case g.thread != nil:
		return g.thread, nil
	}
	c, err := g.look.Conversation()
	if err != nil {
		return nil, err
	}
	if c == nil {
		return nil, abi.Absent
	}
	g.thread, err = json.Marshal(conversation(c))
	return g.thread, err
}

func conversation(c *gateway.Conversation) *abi.Conversation {
	out := &abi.Conversation{ThreadID: c.ID.String(), Subject: c.Subject, Count: c.Count, Messages: []abi.Said{}}
	for i := range c.Messages {
		s := &c.Messages[i]
		m := s.Message
		said := abi.Said{
			ID: m.ID.String(), RFCMessageID: m.Content.MessageID, Sent: m.Sent, To: addresses(m.Content.To[:min(len(m.Content.To), heard)]),
			Time: m.Arrived.UTC().Format(time.RFC3339), Subject: m.Content.Subject, Text: s.Text, TextTruncated: s.Cut,
		}
		if len(m.Content.From) > 0 {
			said.From = abi.Address{Name: m.Content.From[0].Name, Addr: m.Content.From[0].Addr}
		}
		out.Messages = append(out.Messages, said)
	}
	return out
}
