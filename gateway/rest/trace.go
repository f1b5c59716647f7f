package rest

import (
	"cmp"
	"encoding/hex"
	"slices"
	"time"

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

	time time.Time
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

// traceOf lists what happened. What has no time of its own stands behind what it follows
// from.
func traceOf(it *mailbox.Item, tr *mailbox.Trace) []traceEntry {
	m := it.Message
	out, stored := comes(m, tr), m.Arrived
	var later []traceEntry // what plugins were told of it once it was there
	for i := range tr.Steps {
		st := &tr.Steps[i]
		e := traceEntry{Type: "plugin", time: st.At, Plugin: stepOf(st)}
		if st.Event != "" {
			later = append(later, e)
			continue
		}
		out = append(out, e)
		if st.At.After(stored) {
			stored = st.At
		}
	}
	out = append(
		out,
		traceEntry{Type: "thread", time: stored, Thread: &placeShape{m.Thread.String(), m.Position, tr.Count, orNull(tr.By)}},
		traceEntry{Type: "stored", time: stored, Stored: &standShape{it.Folder, listed(it.Entry.Labels), flagNames(it.Entry.Flags)}},
	)
	out = append(out, later...)
	for i := range tr.Deliveries {
		out = append(out, turnsOf(&tr.Deliveries[i])...)
	}
	slices.SortStableFunc(out, func(a, b traceEntry) int { return a.time.Compare(b.time) })
	for i := range out {
		out[i].At = exactly(out[i].time)
	}
	return out
}

// comes is how an email came here, and what was found out about who sent it.
func comes(m *gateway.Message, tr *mailbox.Trace) (out []traceEntry) {
	switch a := tr.Arrival; {
	case m.Sent && m.LastEvent != gateway.LastDraft:
		out = append(out, traceEntry{Type: "accepted", time: m.Arrived, Accepted: &acceptanceShape{
			idOrNull(m.Key), idOrNull(m.Plugin), m.ReturnPath, listed(m.Recipients), stampOrNull(m.Scheduled), m.Size(),
		}})
	case a != nil:
		out = append(out, traceEntry{Type: "received", time: m.Arrived, Received: &arrivalShape{
			orNull(a.IP), orNull(a.Helo), a.Protocol, m.ReturnPath, listed(m.Recipients), m.Size(),
		}})
	}
	if m.Sent || m.Auth == (gateway.AuthResults{}) {
		return out
	}
	for _, c := range []struct {
		method string
		gateway.AuthResult
	}{{"spf", m.Auth.SPF}, {"dkim", m.Auth.DKIM}, {"dmarc", m.Auth.DMARC}} {
		check := &checkShape{Method: c.method, Result: c.Result, Domain: orNull(c.Domain), Reason: orNull(c.Reason)}
		if c.method == "dmarc" {
			check.Policy, check.Disposition = orNull(string(m.Auth.Policy)), orNull(string(cmp.Or(m.Auth.Disposition, gateway.DispositionNone)))
		}
		out = append(out, traceEntry{Type: "authentication", time: m.Arrived, Authentication: check})
	}
	return out
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

// turnsOf is what became of one delivery. One from before turns were kept has its last
// state alone.
func turnsOf(d *gateway.Delivery) (out []traceEntry) {
	for _, n := range d.Turns {
		out = append(out, traceEntry{Type: turnType(&n), time: n.At, Delivery: &turnShape{
			d.ID.String(), d.Recipient, string(n.State), orNull(string(n.Held)), n.Attempt, orNull(n.Host), orNull(n.TLS), orNull(n.Phase), n.Code, n.Text,
		}})
	}
	if len(out) == 0 && d.State.Ended() {
		n := gateway.Turn{At: d.UpdatedAt, State: d.State, Attempt: d.Attempts, Code: d.LastCode, Text: d.LastText}
		out = append(out, traceEntry{Type: turnType(&n), time: n.At, Delivery: &turnShape{
			DeliveryID: d.ID.String(), Recipient: d.Recipient, State: string(n.State), Attempt: n.Attempt, Code: n.Code, Message: n.Text,
		}})
	}
	return out
}

// turnType is what a turn is called.
func turnType(n *gateway.Turn) string {
	switch {
	case n.Attempt > 0:
		return "attempt"
	case n.Held != "" && n.State == gateway.DeliveryQueued:
		return "released"
	case n.State == gateway.DeliveryQueued:
		return "delivery_delayed" // another host says so
	}
	return string(n.State) // held, canceled, suppressed, bounced, complained
}
