// Package store remembers: domains, accounts, keys, messages, mailboxes,
// threads, deliveries and the log, each change as one typed transaction over
// the engine contract.
//
// Every method takes the caller's scope first and reaches nothing outside it: a
// foreign id is not found, whatever it names. A method that changes something
// returns nil only when the change is durable. The methods satisfy the small
// interfaces that flows and rooms declare; package gateway has the nouns.
//
// Read keys.go for what lies where, then accept.go and deliver.go for the two
// transactions that mail is made of.
package store

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"time"

	"github.com/centerleap/postern/gateway"
	"github.com/centerleap/postern/store/engine"
)

// Threading answers the one question about conversations that is not a key
// look-up; the threading room does.
type Threading interface {
	// Joins reports whether two messages belong together by their subjects
	// alone. It is symmetric and looks at nothing but its arguments.
	Joins(a, b *gateway.ThreadFacts) bool
	// Window is how far apart the dates of two messages that Joins may be.
	Window() time.Duration
}

// Config of a Store.
type Config struct {
	Threading Threading        // required
	Limits    gateway.Limits   // required: gateway.DefaultLimits()
	Now       func() time.Time // default: time.Now
	// ActivityRetention is how long a row of the log is kept; default
	// gateway.ActivityRetention.
	ActivityRetention time.Duration
	Log               *slog.Logger // default: slog.Default()
}

// Store is the typed face of an engine.
type Store struct {
	engine    engine.Engine
	cfg       Config
	installed installed
	fronts    fronts
	intents   chan struct{} // one slot: a plugin wants mail sent
	unindexed unindexed
	uncleared chan struct{} // one slot: something is left of what was deleted
	inUse     inUse
}

// New returns a Store over e, which the caller opens and closes.
func New(e engine.Engine, cfg Config) (*Store, error) {
	if e == nil || cfg.Threading == nil {
		return nil, errors.New("store: an engine and Threading are required")
	}
	if cfg.Limits == (gateway.Limits{}) {
		cfg.Limits = gateway.DefaultLimits()
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	if cfg.ActivityRetention == 0 {
		cfg.ActivityRetention = gateway.ActivityRetention
	}
	if cfg.Log == nil {
		cfg.Log = slog.Default()
	}
	return &Store{
		engine: e, cfg: cfg, intents: make(chan struct{}, 1), uncleared: make(chan struct{}, 1),
		unindexed: unindexed{all: make(map[gateway.AccountRef]struct{}), wake: make(chan struct{}, 1)},
	}, nil
}

// Ready returns nil while writes are accepted.
func (s *Store) Ready() error {
	if h := s.engine.Health(); !h.Writable {
		return &gateway.Error{Kind: gateway.Unavailable, Message: "the store accepts no changes", Reason: h.Reason, Err: h.Err}
	}
	return nil
}

// tx is one transaction in the lane of a domain.
type tx struct {
	engine.Tx
	store   *Store
	domain  gateway.DomainID
	entries *entryReader // of the domain, as the transaction has left them
	now     time.Time
	plugin  bool                // an installation has changed
	cause   gateway.ID          // the plugin whose event hook made this happen, if one has
	intent  bool                // a plugin wants more mail sent
	sends   int64               // bytes of the mail that plugins want sent in this commit
	moved   int64               // bytes of records that conversations have it rewrite
	whole   map[gateway.ID]bool // those of which all records are counted there
	timed   [len(timedIndexes)]timedPut
	left    []departure         // what it takes out of mailboxes
	got     []gateway.AccountID // whom it brings mail

	dropped int // labels that mailboxes had no room for
}

// update runs fn durably in the lane of d.
func (s *Store) update(ctx context.Context, d gateway.DomainID, fn func(*tx) error) error {
	return s.orRecount(ctx, func() error { return s.commit(ctx, engine.Op{Domain: uint32(d)}, fn) })
}

// frees is update for what gives space back, or has to go on so that space comes
// back: deleting, moving, flags, the queue, the end of a key. It is accepted when
// the disk is nearly full. What adds something is not for it, however small: the
// rest of the disk is there for this.
func (s *Store) frees(ctx context.Context, d gateway.DomainID, fn func(*tx) error) error {
	return s.orRecount(ctx, func() error { return s.commit(ctx, engine.Op{Domain: uint32(d), Frees: true}, fn) })
}

// committer is update or frees.
type committer func(ctx context.Context, d gateway.DomainID, fn func(*tx) error) error

func (s *Store) commit(ctx context.Context, op engine.Op, fn func(*tx) error) error {
	now, d := s.cfg.Now(), gateway.DomainID(op.Domain)
	var ran tx
	op.Fn = func(t engine.Tx) error {
		ran = tx{Tx: t, store: s, domain: d, now: now, entries: &entryReader{Reader: t, domain: d, all: true}}
		if err := fn(&ran); err != nil {
			return err
		}
		ran.keepVanished()
		return nil
	}
	_, err := s.engine.Update(ctx, op)
	if ran.plugin { // whatever err says, here and below: it may be there all the same
		s.installed.forget(d)
	}
	if ran.dropped > 0 && err == nil {
		s.cfg.Log.LogAttrs(ctx, slog.LevelInfo, "labels dropped: a folder has all it may have", slog.Any("domain", d), slog.Int("labels", ran.dropped))
	}
	s.noteTimed(&ran)
	s.unindexed.add(d, ran.got...)
	if ran.intent {
		select {
		case s.intents <- struct{}{}:
		default:
		}
	}
	return translate(err)
}

// view runs fn on a snapshot.
func (s *Store) view(ctx context.Context, fn func(engine.Reader) error) error {
	return translate(s.engine.View(ctx, fn))
}

// translate gives the engine's errors the Kind a client needs.
func translate(err error) error {
	var known *gateway.Error
	switch {
	case err == nil || errors.As(err, &known):
		return err
	case errors.Is(err, engine.ErrReadOnly), errors.Is(err, engine.ErrClosed):
		return &gateway.Error{Kind: gateway.Unavailable, Message: "the gateway accepts no changes at the moment", Retry: time.Minute, Err: err}
	case errors.Is(err, engine.ErrFull):
		return &gateway.Error{Kind: gateway.Unavailable, Message: "the disk is nearly full: at most deleting is possible at the moment", Retry: time.Minute, Err: err}
	case errors.Is(err, engine.ErrDamaged):
		return fmt.Errorf("%w: %w", gateway.ErrDamaged, err)
	case errors.Is(err, engine.ErrTooLarge):
		return &gateway.Error{Kind: gateway.TooLarge, Message: "the change is too large for one transaction", Err: err}
	}
	return err
}

// missing turns "no such key" into the NotFound a client sees.
func missing(err error, what string) error {
	if errors.Is(err, engine.ErrNotFound) {
		return gateway.Errorf(gateway.NotFound, "no such %s", what)
	}
	return err
}

// denied is the answer for what lies outside the scope: the same as for what
// does not exist.
func denied(what string) error { return gateway.Errorf(gateway.NotFound, "no such %s", what) }

// load reads and decodes one record.
func load[T any](r engine.Reader, k []byte, decode func([]byte) (T, error)) (T, error) {
	b, err := r.Get(k)
	if err != nil {
		var zero T
		return zero, err
	}
	return decode(b)
}

// loadOr is load with an empty value for a record that does not exist yet.
func loadOr[T any](r engine.Reader, k []byte, decode func([]byte) (T, error)) (T, error) {
	v, err := load(r, k, decode)
	if errors.Is(err, engine.ErrNotFound) {
		var zero T
		return zero, nil
	}
	return v, err
}

// emit appends an event to the domain's feed and returns its sequence. What becomes of
// a report to a sender is no event: it is no email of anybody's.
func (t *tx) emit(v gateway.Event) uint64 {
	if !v.Delivery.IsZero() && v.Email.IsZero() {
		return 0
	}
	v.At, v.Plugin = t.now, t.cause
	return t.Emit(encodeEvent(&v))
}

// CreateBlob starts a message body of domain d. A body that is announced as
// large, or grows so, goes to a file of its own before any commit names it.
func (s *Store) CreateBlob(ctx context.Context, sc gateway.Scope, d gateway.DomainID, sizeHint int64) (gateway.BlobWriter, error) {
	if !sc.TouchesDomain(d) {
		return nil, denied("domain")
	}
	w, err := s.engine.Blobs().Create(ctx, uint32(d), sizeHint)
	if err != nil {
		return nil, translate(err)
	}
	return blobWriter{w}, nil
}

// OpenBlob reads n bytes of a body from off; n < 0 means to its end. gateway.ErrDamaged where
// it is found to be other bytes than were stored.
func (s *Store) OpenBlob(ctx context.Context, sc gateway.Scope, b gateway.Blob, off, n int64) (io.ReadCloser, error) {
	if !sc.TouchesDomain(b.Domain) {
		return nil, denied("message")
	}
	r, err := s.engine.Blobs().Open(ctx, blobRef(b), off, n)
	return r, missing(translate(err), "message")
}

// blobWriter speaks of gateway.Blob where the engine says BlobRef.
type blobWriter struct{ engine.BlobWriter }

func (w blobWriter) Write(p []byte) (int, error) {
	n, err := w.BlobWriter.Write(p)
	return n, translate(err)
}

func (w blobWriter) Seal() (gateway.Blob, error) {
	r, err := w.BlobWriter.Seal()
	if err != nil {
		return gateway.Blob{}, translate(err)
	}
	return gateway.Blob{Domain: gateway.DomainID(r.Domain), ID: r.ID, Size: r.Size, SHA256: r.SHA256, CRC32C: r.CRC32C}, nil
}

func blobRef(b gateway.Blob) engine.BlobRef {
	return engine.BlobRef{Domain: uint32(b.Domain), ID: b.ID, Size: b.Size, SHA256: b.SHA256, CRC32C: b.CRC32C}
}
