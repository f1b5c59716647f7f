// Package activity keeps the log of who did what: every use of a key leaves a
// row, with the precise reason when it was refused.
//
// Rows of requests that change nothing are written in batches, each second;
// what changes something logs itself in its own commit. Source: API guide,
// "Audit logging" and "Monitoring Usage".
package activity

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"time"

	"github.com/google/uuid"

	"github.com/centerleap/postern/gateway"
)

// Store is the part of the store that the log needs.
type Store interface {
	AddActivity(ctx context.Context, s gateway.Scope, rows []gateway.Activity) error
	Activity(ctx context.Context, s gateway.Scope, f gateway.ActivityFilter) (rows []gateway.Activity, more bool, err error)
	ActivityByID(ctx context.Context, s gateway.Scope, d gateway.DomainID, id gateway.ID) (*gateway.Activity, error)
}

// Config of a Log.
type Config struct {
	Store  Store            // required
	Scope  gateway.Scope    // required: the instance's own
	Limits gateway.Limits   // required
	Log    *slog.Logger     // default: slog.Default()
	Now    func() time.Time // default: time.Now
}

const (
	// flushEvery is how long a row may wait in memory.
	flushEvery = time.Second
	// maxWaiting bounds the rows in memory; more are dropped, and counted.
	maxWaiting = 65_536
	// batchRows is how many rows share a commit.
	batchRows = 2_000
)

// Log collects rows and writes them in batches.
type Log struct {
	cfg Config

	mu      sync.Mutex
	rows    []gateway.Activity
	dropped int
}

// New checks cfg and fills its defaults. It starts nothing.
func New(cfg Config) (*Log, error) {
	if cfg.Store == nil || cfg.Scope.Level() != gateway.LevelInstance || cfg.Limits == (gateway.Limits{}) {
		return nil, errors.New("activity: Store, Scope and Limits are required")
	}
	if cfg.Log == nil {
		cfg.Log = slog.Default()
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	return &Log{cfg: cfg}, nil
}

// Add takes a row. It waits for nothing.
func (l *Log) Add(row gateway.Activity) {
	if row.ID.IsZero() {
		row.ID = gateway.ID(uuid.Must(uuid.NewV7()))
	}
	if row.At.IsZero() {
		row.At = l.cfg.Now()
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.rows) >= maxWaiting {
		l.dropped++
		return
	}
	l.rows = append(l.rows, row)
}

// Run writes rows until ctx ends, and then what is left.
func (l *Log) Run(ctx context.Context) error {
	tick := time.NewTicker(flushEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			l.Flush(context.WithoutCancel(ctx))
			return nil
		case <-tick.C:
			l.Flush(ctx)
		}
	}
}

// Flush writes what waits. Rows that can't be written are lost, and the process
// log says so: the log must never be what stops mail.
func (l *Log) Flush(ctx context.Context) {
	l.mu.Lock()
	rows, dropped := l.rows, l.dropped
	l.rows, l.dropped = nil, 0
	l.mu.Unlock()
	for len(rows) > 0 {
		n := min(len(rows), batchRows)
		if err := l.cfg.Store.AddActivity(ctx, l.cfg.Scope, rows[:n]); err != nil {
			dropped += n
			l.cfg.Log.LogAttrs(ctx, slog.LevelWarn, "activity not stored", slog.Any("err", err))
		}
		rows = rows[n:]
	}
	if dropped > 0 {
		l.cfg.Log.LogAttrs(ctx, slog.LevelWarn, "activity rows lost", slog.Int("rows", dropped))
	}
}

// List returns a page of the rows of a scope, newest first, and whether there may
// be more. What was added before is in it.
func (l *Log) List(ctx context.Context, s gateway.Scope, f gateway.ActivityFilter) ([]gateway.Activity, bool, error) {
	return l.list(ctx, s, f, l.cfg.Limits.PageSize)
}

func (l *Log) list(ctx context.Context, s gateway.Scope, f gateway.ActivityFilter, most int64) ([]gateway.Activity, bool, error) {
	if f.Limit < 1 || int64(f.Limit) > most {
		return nil, false, gateway.Fieldf(gateway.InvalidParameter, "limit", "limit must be 1 to %d", most)
	}
	l.Flush(ctx)
	return l.cfg.Store.Activity(ctx, s, f)
}

// Get returns one row; d names its domain for an instance scope.
func (l *Log) Get(ctx context.Context, s gateway.Scope, d gateway.DomainID, id gateway.ID) (*gateway.Activity, error) {
	if s.Level() != gateway.LevelInstance {
		d = s.Domain()
	}
	l.Flush(ctx)
	return l.cfg.Store.ActivityByID(ctx, s, d, id)
}
