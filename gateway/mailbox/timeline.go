package mailbox

import (
	"cmp"
	"slices"
	"time"

	"github.com/centerleap/postern/gateway"
)

// Moment is one thing of how a message became what it is. Besides its time it has the one
// part that its Kind says.
type Moment struct {
	Kind MomentKind
	At   time.Time

	Arrival  *Arrival          // Received
	Check    *Check            // Checked
	Step     *gateway.Step     // Asked
	Delivery *gateway.Delivery // Delivered, with
	Turn     *gateway.Turn     // that became of it
}

// MomentKind says what a moment is of.
type MomentKind string

// The kinds.
const (
	Received  MomentKind = "received"       // somebody brought it
	Accepted  MomentKind = "accepted"       // an account sent it
	Checked   MomentKind = "authentication" // who really sent it
	Asked     MomentKind = "plugin"
	Joined    MomentKind = "thread" // it came into its conversation
	Stored    MomentKind = "stored"
	Delivered MomentKind = "delivery" // a turn of it, whatever it is
)

// Check is what one method found out about who sent a message.
type Check struct {
	Method string // spf, dkim or dmarc
	gateway.AuthResult
	Policy, Disposition gateway.Disposition // of dmarc; see gateway.AuthResults
}

// Timeline lists what happened to a message, in order of time. What has no time of its own
// stands behind what it follows from.
func (tr *Trace) Timeline(msg *gateway.Message) []Moment {
	out, stored := tr.comes(msg), msg.Arrived
	var later []Moment // what plugins were told of it once it was there
	for i := range tr.Steps {
		st := &tr.Steps[i]
		one := Moment{Kind: Asked, At: st.At, Step: st}
		if st.Event != "" {
			later = append(later, one)
			continue
		}
		out = append(out, one)
		if st.At.After(stored) {
			stored = st.At
		}
	}
	out = append(out, Moment{Kind: Joined, At: stored}, Moment{Kind: Stored, At: stored})
	out = append(out, later...)
	for i := range tr.Deliveries {
		out = append(out, turnsOf(&tr.Deliveries[i])...)
	}
	slices.SortStableFunc(out, func(a, b Moment) int { return a.At.Compare(b.At) })
	return out
}

// comes is how a message came here, and what was found out about who sent it.
func (tr *Trace) comes(msg *gateway.Message) (out []Moment) {
	switch {
	case msg.Sent && msg.LastEvent != gateway.LastDraft:
		out = append(out, Moment{Kind: Accepted, At: msg.Arrived})
	case tr.Arrival != nil:
		out = append(out, Moment{Kind: Received, At: msg.Arrived, Arrival: tr.Arrival})
	}
	for _, c := range Checks(msg) {
		out = append(out, Moment{Kind: Checked, At: msg.Arrived, Check: &c})
	}
	return out
}

// Checks is what was found out about who sent a message; none of one that was sent from
// here, or never checked.
func Checks(msg *gateway.Message) []Check {
	if msg.Sent || msg.Auth == (gateway.AuthResults{}) {
		return nil
	}
	return []Check{
		{Method: "spf", AuthResult: msg.Auth.SPF},
		{Method: "dkim", AuthResult: msg.Auth.DKIM},
		{
			Method: "dmarc", AuthResult: msg.Auth.DMARC,
			Policy: msg.Auth.Policy, Disposition: cmp.Or(msg.Auth.Disposition, gateway.DispositionNone),
		},
	}
}

// turnsOf is what became of one delivery. One from before turns were kept has its last
// state alone.
func turnsOf(d *gateway.Delivery) (out []Moment) {
	for i := range d.Turns {
		out = append(out, Moment{Kind: Delivered, At: d.Turns[i].At, Delivery: d, Turn: &d.Turns[i]})
	}
	if len(out) == 0 && d.State.Ended() {
		last := &gateway.Turn{At: d.UpdatedAt, State: d.State, Attempt: d.Attempts, Code: d.LastCode, Text: d.LastText}
		out = append(out, Moment{Kind: Delivered, At: last.At, Delivery: d, Turn: last})
	}
	return out
}
