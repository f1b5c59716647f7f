package gateway

import (
	"fmt"
	"strings"
	"time"
)

// Delivery is the job of carrying one message to one recipient.
type Delivery struct {
	ID         ID
	Domain     DomainID // of the sender
	Account    AccountID
	Message    MessageNumber
	Email      ID // the message's public id
	Key        ID
	Plugin     ID // that had it sent, if one had
	ReturnPath string
	Author     string // the From domain that Submit authorised
	Blob       Blob   // the bytes to carry; linked until the delivery ends
	Prefix     []byte // what stands before them; there when it is leased
	Recipient  string
	Site       string // that it goes to: the recipient's domain; empty if that lives here
	State      DeliveryState
	Held       HeldReason // why, when State is held
	Then       HeldReason // what holds it after that
	Until      time.Time  // when what holds it lets it go by itself; zero: never, or at Due if it is its time
	Attempts   int
	Due        time.Time
	LastCode   int
	LastText   string
	CreatedAt  time.Time
	UpdatedAt  time.Time
	Fence      uint64 // of the newest lease; results of older ones are refused
	Warned     bool   // its sender was told that it takes long
	Redirected bool   // a plugin has received mail sent on: nobody hears of it but by events
	Client     Client // that brought it, then; empty if it came from inside
	Turns      []Turn // what became of it so far, the newest ones

	Report *Report // to its sender, which the next commit about it queues; not stored
}

// Report is a delivery status notification that waits to be queued, in one commit with
// what it tells. Close drops its body, if no commit has taken it.
type Report struct {
	BlobWriter
	Blob   Blob
	Prefix []byte // signatures
	To     string
	Author string     // the domain that it comes from
	Site   string     // that it goes to; empty if its recipient lives here
	Held   HeldReason // what holds it, if anything does
}

// Drop lets go of a report that no commit has taken. It may always be deferred.
func (d *Delivery) Drop() {
	if d.Report != nil {
		_ = d.Report.Close()
		d.Report = nil
	}
}

// DeliveryState is where a delivery stands.
type DeliveryState string

// The states: queued -> leased -> delivered | sent | queued again | failed | bounced; or
// held; or suppressed, from the start. Of what was sent or delivered somebody may say
// later that it bounced, or complain.
const (
	DeliveryQueued    DeliveryState = "queued"
	DeliveryLeased    DeliveryState = "leased"
	DeliveryDelivered DeliveryState = "delivered"
	// DeliverySent is in the hands of a smart host: what that one does with it only a
	// report tells.
	DeliverySent       DeliveryState = "sent"
	DeliveryFailed     DeliveryState = "failed"  // we gave up
	DeliveryBounced    DeliveryState = "bounced" // another host refused it for good
	DeliveryComplained DeliveryState = "complained"
	DeliveryHeld       DeliveryState = "held"
	DeliveryCanceled   DeliveryState = "canceled"
	// DeliverySuppressed is never tried: its recipient is not to get mail.
	DeliverySuppressed DeliveryState = "suppressed"
)

// Ended reports whether no attempt will follow: the bytes are let go.
func (s DeliveryState) Ended() bool {
	return s != DeliveryQueued && s != DeliveryLeased && s != DeliveryHeld
}

// Returns reports whether a report that says that a delivery is now in state, or, for
// queued, that it is delayed, changes anything. Only what was tried can come back, and
// each thing is heard once.
func (d *Delivery) Returns(state DeliveryState) bool {
	switch state {
	case DeliveryQueued:
		return d.tried() && !d.Warned
	case DeliveryBounced:
		return d.tried()
	case DeliveryComplained:
		return d.tried() || d.State == DeliveryBounced
	}
	return false
}

// tried reports whether another host may have the message.
func (d *Delivery) tried() bool {
	switch d.State {
	case DeliveryDelivered, DeliverySent, DeliveryLeased:
		return true
	case DeliveryQueued:
		return d.Attempts > 0
	}
	return false
}

// HeldReason says why a delivery waits for somebody.
type HeldReason string

// The reasons to hold.
const (
	HeldCapture   HeldReason = "capture"   // the gateway keeps foreign mail until an operator releases it
	HeldScheduled HeldReason = "scheduled" // until its time
	HeldPlugin    HeldReason = "plugin"    // an outbound hook asked for approval
	HeldOperator  HeldReason = "operator"  // until an operator releases it
	HeldDomain    HeldReason = "domain"    // until the domain releases it, or an operator
)

// LastDraft is the last event of a message that was never sent. Source: the list of
// statuses in openapi.yaml.
const LastDraft = "draft"

// Outcome is how one attempt ended, and in whose words.
type Outcome struct {
	State    DeliveryState // delivered, sent, failed, bounced, or queued to try again
	Code     int           // SMTP reply code, or ours
	Enhanced [3]int        // RFC 3463; zero if there is none
	Text     string        // one line, without the codes
	Retry    time.Time     // when State is queued

	Remote bool   // code and text are another host's
	Host   string // the one that was asked last; empty if none was
	TLS    string // of the connection to it, such as "TLS 1.3"; empty if it was in the clear
	Phase  string // how far the attempt came, in the courier's words
	// Unknown: the whole message was sent and no reply came. It may have arrived.
	Unknown bool
	// Down: no host of the site took a connection, or spoke SMTP. So it is about the
	// site, and not about this message.
	Down bool
	// Untried: nobody was asked. The attempt does not count, and nobody hears of it.
	Untried bool
	// Recorded: what brought about the outcome has recorded it, in its own commit.
	Recorded bool
	// Suppress, if set, has the sender's domain send nothing to the recipient any more.
	Suppress SuppressionOrigin
}

// Status is the enhanced status code as text, such as 5.1.1; empty if there is none.
func (o *Outcome) Status() string {
	if o.Enhanced == ([3]int{}) {
		return ""
	}
	return fmt.Sprintf("%d.%d.%d", o.Enhanced[0], o.Enhanced[1], o.Enhanced[2])
}

// Words are status and text, as SMTP has them behind the reply code.
func (o *Outcome) Words() string { return strings.TrimSpace(o.Status() + " " + o.Text) }

// Attempt is a leased delivery and how its attempt ended.
type Attempt struct {
	Delivery Delivery
	Outcome  Outcome
}

// QueueFilter narrows a listing of what waits, which is oldest first.
type QueueFilter struct {
	State DeliveryState // queued, leased or held; empty: all
	Held  HeldReason    // empty: whatever holds it
	Site  string
	Email ID
	After ID // cursor: behind this one
	Limit int
}

// Wants reports whether a delivery is in the list.
func (f *QueueFilter) Wants(d *Delivery) bool {
	return (f.State == "" || f.State == d.State) && (f.Held == "" || f.Held == d.Held) && (f.Site == "" || f.Site == d.Site) && (f.Email.IsZero() || f.Email == d.Email)
}

// QueueUse is how much mail of a domain waits for other hosts.
type QueueUse struct {
	Deliveries int64
	Bytes      int64 // of the bodies that they carry, counted for each
}

// DueSite is a site at which mail of a domain is due.
type DueSite struct {
	At     time.Time
	Domain DomainID
	Site   string
}

// DeliveryMode says what becomes of mail to foreign domains.
type DeliveryMode string

// The modes. Capture is quickstart's: nobody sends real mail by accident.
const (
	ModeCapture DeliveryMode = "capture"
	ModeDirect  DeliveryMode = "direct"
	ModeRelay   DeliveryMode = "relay"
)
