// Package outbound is the one way out: whatever leaves an account, from REST,
// SMTP, a plugin or Postern itself, passes Submit; and the queue carries what
// Submit accepted to its recipients.
//
// Read submit.go first, then queue.go and deliver.go. The package decides; the
// store, the receiving flow, the hooks and the signer reach it as the small
// interfaces it declares here, and so will the courier.
package outbound

import (
	"cmp"
	"context"
	"errors"
	"io"
	"log/slog"
	"sync"
	"time"

	"github.com/centerleap/postern/gateway"
)

// Submission is a message that wants to leave: described, written, or a draft.
type Submission struct {
	Compose *gateway.Compose
	Written *Written         // instead of Compose
	Stored  *gateway.Message // instead of both: a draft, which it replaces

	// Intent, if set, is what a plugin wants sent, and Compose completes: the commit
	// ends it, or refuses with InvalidState if it has ended.
	Intent *gateway.Intent
	Thread gateway.ID // that it belongs to, unless a plugin says otherwise; zero: as its References say

	Draft bool      // keep it as a draft: nothing leaves, no hook is asked
	At    time.Time // when it leaves; zero: at once
	// Activity, if set, is the log row that becomes durable with the message;
	// the commit fills in whom and what it was about.
	Activity *gateway.Activity
}

// Written is a message in its sender's own bytes, with its envelope.
type Written struct {
	ReturnPath string   // empty is the null reverse-path
	Recipients []string // forward-paths
	Body       io.Reader
}

// Batch is what is submitted in one commit of one domain.
type Batch struct {
	List       []Submission
	Permissive bool  // what can't be sent is left out, instead of stopping all
	Once       *Once // may be nil
}

// Once makes a batch happen once: its answer is kept with it, for who asks again.
type Once struct {
	Name   string
	Digest [32]byte
	Answer func(Receipts) []byte
}

// Receipts are what became of a batch, in its order.
type Receipts struct {
	Sent    []Receipt
	Refused []Refusal // of a permissive batch
}

// Refusal is a message of a batch that can't be sent.
type Refusal struct {
	Index int
	Err   *gateway.Error
}

// Receipt is what the sender gets: the message is durable when it is returned.
type Receipt struct {
	ID        gateway.ID
	MessageID string // with angle brackets
	Thread    gateway.ID
	Account   gateway.AccountID
	Used      gateway.Usage // of the key, this message included
}

// Store is the part of the store that sending needs.
type Store interface {
	Domain(ctx context.Context, s gateway.Scope, id gateway.DomainID) (*gateway.Domain, error)
	DomainByName(ctx context.Context, s gateway.Scope, name string) (*gateway.Domain, error)
	Account(ctx context.Context, s gateway.Scope, d gateway.DomainID, email string) (*gateway.Account, error)
	AccountByID(ctx context.Context, s gateway.Scope, d gateway.DomainID, id gateway.AccountID) (*gateway.Account, error)
	Message(ctx context.Context, s gateway.Scope, id gateway.ID) (*gateway.Message, error)
	MessagesByMessageID(ctx context.Context, s gateway.Scope, a gateway.AccountID, msgid string) ([]*gateway.Message, error)

	CreateBlob(ctx context.Context, s gateway.Scope, d gateway.DomainID, sizeHint int64) (gateway.BlobWriter, error)
	OpenBlob(ctx context.Context, s gateway.Scope, b gateway.Blob, off, n int64) (io.ReadCloser, error)
	// AcceptAll makes all submissions durable, or none; with once, the answer too.
	AcceptAll(ctx context.Context, s gateway.Scope, list []*gateway.Acceptance, once *gateway.Once) ([]gateway.Accepted, error)
	// Answered finds the answer of a request that happened. NotFound if none did.
	Answered(ctx context.Context, s gateway.Scope, name string) (gateway.Replay, error)

	// What a sender may change before the first attempt; InvalidState after it.
	Cancel(ctx context.Context, s gateway.Scope, m *gateway.Message) error
	Reschedule(ctx context.Context, s gateway.Scope, m *gateway.Message, at time.Time) error
	Release(ctx context.Context, s gateway.Scope, m *gateway.Message) error
	CancelOfKey(ctx context.Context, s gateway.Scope, d gateway.DomainID, key gateway.ID) (int, error)

	// What waits, of the domain that the scope is for, and what may be done about one of
	// it: InvalidState if it is being tried, or can't be done.
	Waiting(ctx context.Context, s gateway.Scope, f gateway.QueueFilter) (all []gateway.Delivery, at gateway.ID, more bool, err error)
	Delivery(ctx context.Context, s gateway.Scope, id gateway.ID) (*gateway.Delivery, error)
	HoldDelivery(ctx context.Context, s gateway.Scope, id gateway.ID, why gateway.HeldReason) (*gateway.Delivery, error)
	ReleaseDelivery(ctx context.Context, s gateway.Scope, id gateway.ID, may func(gateway.HeldReason) error) (*gateway.Delivery, error)
	RetryDelivery(ctx context.Context, s gateway.Scope, id gateway.ID) (*gateway.Delivery, error)
	CancelDelivery(ctx context.Context, s gateway.Scope, id gateway.ID) (*gateway.Delivery, error)
	QueueUse(ctx context.Context, s gateway.Scope, d gateway.DomainID) (gateway.QueueUse, error)
	DropDelivery(ctx context.Context, s gateway.Scope, id gateway.ID) (*gateway.Delivery, error)

	// Suppressions of the domain that the scope is for. NotFound if there is none of
	// that id or address; added is false if the address was suppressed before.
	AddSuppression(ctx context.Context, s gateway.Scope, addr string, origin gateway.SuppressionOrigin) (sup *gateway.Suppression, added bool, err error)
	RemoveSuppression(ctx context.Context, s gateway.Scope, id gateway.ID) error
	Suppression(ctx context.Context, s gateway.Scope, id gateway.ID) (*gateway.Suppression, error)
	SuppressionOf(ctx context.Context, s gateway.Scope, addr string) (*gateway.Suppression, error)
	// Suppressions lists them newest first, older than before, of one origin or all.
	Suppressions(ctx context.Context, s gateway.Scope, origin gateway.SuppressionOrigin, w gateway.Span) ([]gateway.Suppression, error)

	// Candidates returns the conversations that a message belongs to by its facts.
	Candidates(ctx context.Context, s gateway.Scope, a gateway.AccountID, f *gateway.ThreadFacts) ([]gateway.Thread, error)
	// Conversation returns a conversation with its newest messages, newest first.
	Conversation(ctx context.Context, s gateway.Scope, id gateway.ID, most int) (gateway.Thread, []*gateway.Message, error)
	// RemindPlugins makes durable what plugins remember, and want sent, because of a
	// message that is not kept.
	RemindPlugins(ctx context.Context, s gateway.Scope, e gateway.Effects) error
	Plugin(ctx context.Context, s gateway.Scope, id gateway.ID) (*gateway.Plugin, error)
	AddPluginLines(ctx context.Context, s gateway.Scope, d gateway.DomainID, lines []gateway.PluginLine) error

	// LeaseIntents takes mail that plugins want sent and that is due, of each domain as
	// many as it has room for. Nobody else gets it until the lease ends.
	LeaseIntents(ctx context.Context, s gateway.Scope, most int, room func(gateway.DomainID) int, lease time.Duration) ([]gateway.Intent, error)
	// PostponeIntent has one tried again, EndIntent gives it up: its plugin's log says
	// why, and so does row, which may be nil. One whose lease was lost stays as it is.
	PostponeIntent(ctx context.Context, s gateway.Scope, in *gateway.Intent, due time.Time) error
	EndIntent(ctx context.Context, s gateway.Scope, in *gateway.Intent, level gateway.LineLevel, why string, row *gateway.Activity) error
	ReclaimIntents(ctx context.Context, s gateway.Scope) error
	NextIntent(ctx context.Context, s gateway.Scope) (time.Time, error)
	// IntentsAdded is woken when there may be more.
	IntentsAdded() <-chan struct{}

	// Deliveries lists those of a message.
	Deliveries(ctx context.Context, s gateway.Scope, d gateway.DomainID, a gateway.AccountID, n gateway.MessageNumber) ([]gateway.Delivery, error)
	// Returned makes durable what another host said of a delivery after its attempt, with
	// d.Report. What can't be so any more changes nothing.
	Returned(ctx context.Context, s gateway.Scope, d gateway.Delivery, o gateway.Outcome) error
	// Setting reads a value of the instance, empty if it has none; KeepSetting makes one
	// durable unless there is one, and returns the one that stands.
	Setting(ctx context.Context, s gateway.Scope, name string) (string, error)
	KeepSetting(ctx context.Context, s gateway.Scope, name, value string) (string, error)

	// LeaseDue takes deliveries inside, LeaseSite those to a site: of most messages, each
	// of one. Nobody else gets them until the lease ends, which Renew puts off.
	LeaseDue(ctx context.Context, s gateway.Scope, most int, lease time.Duration) ([]gateway.Delivery, error)
	LeaseSite(ctx context.Context, s gateway.Scope, at gateway.DueSite, most, each int, lease time.Duration) ([]gateway.Delivery, error)
	Renew(ctx context.Context, s gateway.Scope, under []gateway.Delivery, lease time.Duration) error
	// DueSites lists sites at which something is due, behind one of the page before;
	// PostponeSite has one not listed before a time.
	DueSites(ctx context.Context, s gateway.Scope, behind *gateway.DueSite, most int) ([]gateway.DueSite, error)
	PostponeSite(ctx context.Context, s gateway.Scope, at gateway.DueSite, until time.Time) error
	// Finish records attempts, of one domain. One whose lease was lost changes nothing.
	Finish(ctx context.Context, s gateway.Scope, attempts ...gateway.Attempt) error
	Reclaim(ctx context.Context, s gateway.Scope) error
	NextDue(ctx context.Context, s gateway.Scope) (time.Time, error)
}

// Receiver takes mail for recipients that live here; the receiving flow does.
type Receiver interface {
	// Receive returns nil once the message is durable and visible. Receiving the
	// same Envelope.Delivery again changes nothing.
	Receive(ctx context.Context, env gateway.Envelope, raw io.Reader) error
}

// Courier carries mail to other hosts; the courier room does.
type Courier interface {
	// Hop names the next hop of a site: what its connections, and so their limits, are
	// shared by.
	Hop(ctx context.Context, site string) (string, error)
	// Carry makes one attempt, and says what came of it for each recipient, in their
	// order: delivered, sent, failed, or queued to be tried again.
	Carry(ctx context.Context, t Trip) ([]gateway.Outcome, error)
}

// Trip is a message on its way to recipients of one site.
type Trip struct {
	Site       string
	ReturnPath string   // empty is the null reverse-path
	Recipients []string // forward-paths
	Size       int64    // bytes that Open gives
	EightBit   bool     // it has bytes over 127: RFC 6152
	UTF8       bool     // its header has: RFC 6531
	TLS        gateway.TLSPolicy
	// Open gives the message from its first byte, with CRLF line ends, as often as it is
	// called.
	Open func() (io.ReadCloser, error)
}

// nowhere is the courier of a gateway that has none.
type nowhere struct{}

// Hop implements Courier.
func (nowhere) Hop(_ context.Context, site string) (string, error) { return site, nil }

// Carry implements Courier: what it gets waits.
func (nowhere) Carry(_ context.Context, t Trip) ([]gateway.Outcome, error) {
	out := make([]gateway.Outcome, len(t.Recipients))
	for i := range out {
		out[i] = gateway.Outcome{State: gateway.DeliveryQueued, Code: 450, Enhanced: [3]int{4, 4, 0}, Text: "this gateway has no courier", Down: true}
	}
	return out, nil
}

// Config of a Sender.
type Config struct {
	Store    Store
	Receiver Receiver
	Courier  Courier // default: mail for other hosts waits
	// System and Internal are the scopes of Postern's own work: all of it, and
	// that of one domain. The keys room makes them.
	System   gateway.Scope
	Internal func(gateway.DomainID) gateway.Scope
	Hooks    Hooks  // default: none are installed
	Signer   Signer // default: mail leaves unsigned
	// Said is told of plugins whose log has a new line; default: nobody follows them.
	Said func(plugin gateway.ID)
	// Hostname is the name of this host: in reports, and behind "bounce." in return paths.
	Hostname string // default: localhost
	// Mode says what becomes of mail to foreign domains; default: capture.
	Mode   func(ctx context.Context) (gateway.DeliveryMode, error)
	Limits gateway.Limits   // required
	Log    *slog.Logger     // default: slog.Default()
	Now    func() time.Time // default: time.Now
}

// Sender is the outbound flow and its queue.
type Sender struct {
	cfg  Config
	wake chan struct{} // one slot: something may be due
	hops *hops

	inside places
	secret struct { // of return paths
		sync.Mutex
		value string // empty: not read yet
	}
}

// New checks cfg and fills its defaults. It starts nothing; Run is the queue.
func New(cfg Config) (*Sender, error) {
	if cfg.Store == nil || cfg.Receiver == nil || cfg.Internal == nil || cfg.System.Level() != gateway.LevelInstance {
		return nil, errors.New("outbound: Store, Receiver, System and Internal are required")
	}
	if cfg.Limits == (gateway.Limits{}) {
		return nil, errors.New("outbound: Limits are required")
	}
	cfg.Hostname = cmp.Or(cfg.Hostname, "localhost")
	if cfg.Mode == nil {
		cfg.Mode = func(context.Context) (gateway.DeliveryMode, error) { return gateway.ModeCapture, nil }
	}
	if cfg.Said == nil {
		cfg.Said = func(gateway.ID) {}
	}
	if cfg.Log == nil {
		cfg.Log = slog.Default()
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	if cfg.Courier == nil {
		cfg.Courier = nowhere{}
	}
	return &Sender{cfg: cfg, wake: make(chan struct{}, 1), hops: newHops(cfg.Limits)}, nil
}

// Wake makes the queue look for due deliveries now.
func (s *Sender) Wake() {
	select {
	case s.wake <- struct{}{}:
	default:
	}
}
