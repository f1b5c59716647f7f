// Package flow runs a list of stages: what both mail flows are made of. It adds
// the same three things to each stage: its time, a debug line, and its name in
// front of an error.
package flow

import (
	"context"
	"fmt"
	"log/slog"
	"time"
)

// Stage is one step of a flow over a tray of type T. Each stage fills its own
// fields of the tray; later ones only read them.
type Stage[T any] struct {
	Name string
	Do   func(ctx context.Context, tray *T) error
}

// Run does the stages in order and stops at the first error, which it wraps as
// "flow/stage: ...". It does not start a stage once ctx has ended.
func Run[T any](ctx context.Context, log *slog.Logger, name string, tray *T, stages ...Stage[T]) error {
	for _, s := range stages {
		if err := ctx.Err(); err != nil {
			return fmt.Errorf("%s/%s: %w", name, s.Name, err)
		}
		start := time.Now()
		err := s.Do(ctx, tray)
		log.LogAttrs(ctx, slog.LevelDebug, "stage",
			slog.String("pipeline", name), slog.String("stage", s.Name),
			slog.Duration("took", time.Since(start)), slog.Any("err", err))
		if err != nil {
			return fmt.Errorf("%s/%s: %w", name, s.Name, err)
		}
	}
	return nil
}
