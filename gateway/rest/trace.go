package rest

import (
	"encoding/hex"

	"github.com/centerleap/postern/gateway"
	"github.com/centerleap/postern/gateway/mailbox"
)

// traceShape is how an email became what it is: what happened, in order of time.
type traceShape struct {
	Object  string       `json:"object"`
	EmailID string       `json:"email_id"`
	Email   string       `json:"email"`
	LeftOut int          `json:"left_out"`
	Data    []traceEntry `json:"data"`
}

// traceEntry has, besides its type and time, the one part that its type says.
type traceEntry struct {
	Type           string           `json:"type"`
	At             string           `json:"at"`
	Received       *arrivalShape    `json:"received,omitempty"`
	Accepted       *acceptanceShape `json:"accepted,omitempty"`
	Authentication *checkShape      `json:"authentication,omitempty"`
	Plugin         *stepShape       `json:"plugin,omitempty"`
	Thread         *placeShape      `json:"thread,omitempty"`
	Stored         *standShape      `json:"stored,omitempty"`
	Delivery       *turnShape       `json:"delivery,omitempty"`
}

type arrivalShape struct {
	RemoteIP   *string  `json:"remote_ip"`
	Helo       *string  `json:"helo"`
	Protocol   string   `json:"protocol"`
	ReturnPath string   `json:"return_path"`
	Recipients []string `json:"recipients"`
	SizeBytes  int64    `json:"size_bytes"`
}

type acceptanceShape struct {
	KeyID       *string  `json:"key_id"`
	PluginID    *string  `json:"plugin_id"`
	ReturnPath  string   `json:"return_path"`
	Recipients  []string `json:"recipients"`
	ScheduledAt *string  `json:"scheduled_at"`
	SizeBytes   int64    `json:"size_bytes"`
}

// checkShape is one check of who sent it. Policy and disposition are of DMARC.
type checkShape struct {
	Method      string  `json:"method"`
	Result      string  `json:"result"`
	Domain      *string `json:"domain"`
	Reason      *string `json:"reason"`
	Policy      *string `json:"policy"`
	Disposition *string `json:"disposition"`
}

type stepShape struct {
	Hook       gateway.Hook `json:"hook"`
	PluginID   string       `json:"plugin_id"`
	Name       string       `json:"name"`
	Of         string       `json:"of"`
	Version    string       `json:"version"`
	SHA256     string       `json:"sha256"`
	Event      *string      `json:"event"`
	Paused     bool         `json:"paused"`
	Verdict    verdictShape `json:"verdict"`
	Changes    changesShape `json:"changes"`
	Error      *string      `json:"error"`
	Logs       []trialLine  `json:"logs"`
	DurationUS int64        `json:"duration_us"`
	HostCalls  int64        `json:"host_calls"`
	Fuel       int64        `json:"fuel"`
}

type placeShape struct {
	ThreadID string  `json:"thread_id"`
	Position int     `json:"position"`
	Count    int     `json:"count"`
	By       *string `json:"by"`
}

type standShape struct {
	Folder string   `json:"folder"`
	Labels []string `json:"labels"`
	Flags  []string `json:"flags"`
}

type turnShape struct {
	DeliveryID string  `json:"delivery_id"`
	Recipient  string  `json:"recipient"`
	State      string  `json:"state"`
	Reason     *string `json:"reason"`
	Attempt    int     `json:"attempt"`
	Host       *string `json:"host"`
	TLS        *string `json:"tls"`
	Phase      *string `json:"phase"`
	Code       int     `json:"code"`
	Message    string  `json:"message"`
}

// getTrace shows how an email became what it is.
func (s *Server) getTrace(k *call) error {
	scope, it, err := s.item(k)
	if err != nil {
		return err
	}
	tr, err := s.cfg.Mail.Trace(k.ctx, scope, it)
	if err != nil {
		return err
	}
	out := traceShape{Object: "trace", EmailID: it.Message.ID.String(), Email: it.Email, LeftOut: tr.LeftOut, Data: traceOf(&it, &tr)}
	return k.json(out)
}

// traceOf lists what happened.
func traceOf(it *mailbox.Item, tr *mailbox.Trace) []traceEntry {
	out := []traceEntry{}
	for _, one := range tr.Timeline(it.Message) {
		out = append(out, momentOf(it, tr, &one))
	}
	return out
}

func momentOf(it *mailbox.Item, tr *mailbox.Trace, one *mailbox.Moment) traceEntry {
	m, e := it.Message, traceEntry{Type: string(one.Kind), At: exactly(one.At)}
	switch one.Kind {
	case mailbox.Received:
		a := one.Arrival
		e.Received = &arrivalShape{orNull(a.IP), orNull(a.Helo), a.Protocol, m.ReturnPath, listed(m.Recipients), m.Size()}
	case mailbox.Accepted:
		e.Accepted = &acceptanceShape{idOrNull(m.Key), idOrNull(m.Plugin), m.ReturnPath, listed(m.Recipients), stampOrNull(m.Scheduled), m.Size()}
	case mailbox.Checked:
		c := one.Check
		e.Authentication = &checkShape{c.Method, c.Result, orNull(c.Domain), orNull(c.Reason), orNull(string(c.Policy)), orNull(string(c.Disposition))}
	case mailbox.Asked:
		e.Plugin = stepOf(one.Step)
	case mailbox.Joined:
		e.Thread = &placeShape{m.Thread.String(), m.Position, tr.Count, orNull(tr.By)}
	case mailbox.Stored:
		e.Stored = &standShape{it.Folder, listed(it.Entry.Labels), flagNames(it.Entry.Flags)}
	case mailbox.Delivered:
		e.Type, e.Delivery = one.Turn.Name(), turnOf(one.Delivery, one.Turn)
	}
	return e
}

func stepOf(st *gateway.Step) *stepShape {
	of := "domain"
	if st.Account != 0 {
		of = "account"
	}
	return &stepShape{
		st.Hook, st.Plugin.String(), st.Name, of, st.Version, hex.EncodeToString(st.SHA256[:]), orNull(string(st.Event)), st.Paused,
		verdictOf(st.Hook, &st.Verdict, st.Reason), changesOf(&st.Verdict), orNull(st.Failure), linesOf(st.Lines),
		st.Took.Microseconds(), st.Calls, st.Fuel,
	}
}

func turnOf(d *gateway.Delivery, n *gateway.Turn) *turnShape {
	return &turnShape{
		d.ID.String(), d.Recipient, string(n.State), orNull(string(n.Held)), n.Attempt, orNull(n.Host), orNull(n.TLS), orNull(n.Phase), n.Code, n.Text,
	}
}
