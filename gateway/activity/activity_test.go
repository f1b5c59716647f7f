package activity

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/centerleap/postern/gateway"
)

// memory is a Store that counts commits.
type memory struct {
	mu      sync.Mutex
	rows    []gateway.Activity
	commits int
	err     error
}

func (m *memory) AddActivity(_ context.Context, _ gateway.Scope, rows []gateway.Activity) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.err != nil {
		return m.err
	}
	m.commits++
	m.rows = append(m.rows, rows...)
	return nil
}

func (m *memory) Activity(context.Context, gateway.Scope, gateway.ActivityFilter) ([]gateway.Activity, bool, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.rows, false, nil
}

func (m *memory) ActivityByID(context.Context, gateway.Scope, gateway.DomainID, gateway.ID) (*gateway.Activity, error) {
	return nil, gateway.Errorf(gateway.NotFound, "no such row")
}

func newLog(t *testing.T, m *memory, out *strings.Builder) *Log {
	t.Helper()
	l, err := New(Config{
		Store: m, Scope: gateway.NewScope(gateway.LevelInstance, 0, 0, gateway.ID{}), Limits: gateway.DefaultLimits(),
		Log: slog.New(slog.NewTextHandler(out, nil)),
	})
	if err != nil {
		t.Fatal(err)
	}
	return l
}

// Rows share a commit, are there within a second, and at the end.
func TestBatches(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m, out := &memory{}, &strings.Builder{}
		l := newLog(t, m, out)
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error)
		go func() { done <- l.Run(ctx) }()
		for range 100 {
			l.Add(gateway.Activity{Status: 200})
		}
		time.Sleep(flushEvery)
		synctest.Wait()
		if len(m.rows) != 100 || m.commits != 1 || m.rows[0].ID.IsZero() || m.rows[0].At.IsZero() {
			t.Errorf("%d rows in %d commits", len(m.rows), m.commits)
		}
		l.Add(gateway.Activity{Status: 200})
		cancel()
		if err := <-done; err != nil || len(m.rows) != 101 {
			t.Errorf("at the end: %v, %d rows", err, len(m.rows))
		}
	})
}

// What is listed holds what was added before.
func TestListIsCurrent(t *testing.T) {
	m, out := &memory{}, &strings.Builder{}
	l := newLog(t, m, out)
	l.Add(gateway.Activity{Status: 200})
	rows, _, err := l.List(t.Context(), gateway.Scope{}, gateway.ActivityFilter{Limit: 10})
	if err != nil || len(rows) != 1 {
		t.Errorf("%d rows, %v", len(rows), err)
	}
	if _, _, err := l.List(t.Context(), gateway.Scope{}, gateway.ActivityFilter{Limit: 101}); gateway.KindOf(err) != gateway.InvalidParameter {
		t.Errorf("a page over the limit: %v", err)
	}
	if table, _, err := l.Table(t.Context(), gateway.Scope{}, gateway.ActivityFilter{Limit: 10_000}); err != nil || bytes.Count(table, []byte("\r\n")) != 2 {
		t.Errorf("export: %d rows, %v", len(rows), err)
	}
	if _, _, err := l.Table(t.Context(), gateway.Scope{}, gateway.ActivityFilter{Limit: 10_001}); gateway.KindOf(err) != gateway.InvalidParameter {
		t.Errorf("an export over the limit: %v", err)
	}
}

// A log that can't be written, or grows too fast, loses rows and says so; it
// stops nobody.
func TestBounded(t *testing.T) {
	m, out := &memory{err: errors.New("disk full")}, &strings.Builder{}
	l := newLog(t, m, out)
	for range maxWaiting + 5 {
		l.Add(gateway.Activity{})
	}
	if len(l.rows) != maxWaiting {
		t.Errorf("%d rows wait", len(l.rows))
	}
	l.Flush(t.Context())
	if !strings.Contains(out.String(), "rows=65541") || len(l.rows) != 0 {
		t.Errorf("%d rows wait; the log says %.300s", len(l.rows), out.String()[max(0, out.Len()-300):])
	}
}
