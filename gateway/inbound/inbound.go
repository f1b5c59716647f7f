// Package inbound is the one way in: whatever arrives for an account, from port
// 25 or from the queue, passes Receive.
//
// Read receive.go first. The package decides; the store, the hooks and the checks of
// who sent a mail reach it as small interfaces that it declares.
package inbound

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"time"

	"github.com/centerleap/postern/gateway"
)

// Store is the part of the store that receiving needs.
type Store interface {
	DomainByName(ctx context.Context, s gateway.Scope, name string) (*gateway.Domain, error)
	Account(ctx context.Context, s gateway.Scope, d gateway.DomainID, email string) (*gateway.Account, error)
	// Received returns what became of a delivery from inside, if it is known.
	Received(ctx context.Context, s gateway.Scope, id gateway.ID) (gateway.Outcome, bool, error)
	CreateBlob(ctx context.Context, s gateway.Scope, d gateway.DomainID, sizeHint int64) (gateway.BlobWriter, error)
	OpenBlob(ctx context.Context, s gateway.Scope, b gateway.Blob, off, n int64) (io.ReadCloser, error)
	// Candidates returns the conversations that a message belongs to by its facts.
	Candidates(ctx context.Context, s gateway.Scope, a gateway.AccountID, f *gateway.ThreadFacts) ([]gateway.Thread, error)
	// Conversation returns a conversation with its newest messages, newest first.
	Conversation(ctx context.Context, s gateway.Scope, id gateway.ID, most int) (gateway.Thread, []*gateway.Message, error)
	// RemindPlugins makes durable what plugins remember of a message that is not kept.
	RemindPlugins(ctx context.Context, s gateway.Scope, e gateway.Effects) error
	// Deliver makes a message durable and visible in every copy's account, or in
	// none; a delivery it has seen changes nothing.
	Deliver(ctx context.Context, s gateway.Scope, f *gateway.Filing) error
}

// Config of a Receiver.
type Config struct {
	Store Store
	// System and Internal are the scopes of Postern's own work: all of it, and
	// that of one domain. The keys room makes them.
	System   gateway.Scope
	Internal func(gateway.DomainID) gateway.Scope
	Checker  Checker          // required
	DMARC    DMARC            // default: DMARCJunk
	Hooks    Hooks            // default: none are installed
	Router   Router           // default: what plugins send on stays
	Hostname string           // required: in Received and as authserv-id
	Limits   gateway.Limits   // required
	Log      *slog.Logger     // default: slog.Default()
	Now      func() time.Time // default: time.Now
}

// Receiver is the inbound flow.
type Receiver struct{ cfg Config }

// New checks cfg and fills its defaults. It starts nothing.
func New(cfg Config) (*Receiver, error) {
	if cfg.Store == nil || cfg.Checker == nil || cfg.Internal == nil || cfg.System.Level() != gateway.LevelInstance || cfg.Hostname == "" {
		return nil, errors.New("inbound: Store, Checker, System, Internal and Hostname are required")
	}
	if cfg.Limits == (gateway.Limits{}) {
		return nil, errors.New("inbound: Limits are required")
	}
	if cfg.DMARC == "" {
		cfg.DMARC = DMARCJunk
	}
	if cfg.Log == nil {
		cfg.Log = slog.Default()
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	return &Receiver{cfg: cfg}, nil
}
