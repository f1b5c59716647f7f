package serve

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/centerleap/postern/gateway"
)

// part is something that runs until its context ends.
type part struct {
	name string
	run  func(context.Context) error
}

// Run serves until ctx ends or a part fails, then stops everything and releases
// it: the doors take no more and finish what they have, while the queue finishes
// its attempts; then what they wrote of it, the log and the use of keys; then the
// store.
func (g *Gateway) Run(ctx context.Context) error {
	front := []part{
		{"socket", func(ctx context.Context) error { return g.rest.ServeLocal(ctx, g.socket) }},
		{"queue", g.Sender.Run},
		{"events", g.Events.Run},
		{"webhooks", g.Told.Run},
		{"ticks", g.Ticks.Run},
		{"tallies", g.Tallies.Run},
		{"trash", g.Mail.Run},
		{"search index", g.Mail.RunIndex},
		{"domains", g.Domains.Run},
		{"erase", g.erase},
	}
	for name, serve := range map[string]func(context.Context, net.Listener) error{
		"rest": g.rest.Serve, "mx": g.smtp.ServeMX, "submission": g.smtp.ServeSubmission, "submissions": g.smtp.ServeSubmissions,
		"imap": g.imap.Serve, "imaps": g.imap.ServeTLS,
	} {
		if ln := g.doors[name]; ln != nil {
			front = append(front, part{name, func(ctx context.Context) error { return serve(ctx, ln) }})
		}
	}
	back := []part{{"keys", g.Keys.Run}, {"activity", g.Activity.Run}, {"plugin log", g.plugins.Run}}
	err := runParts(ctx, g.log, gateway.DrainTimeout+stopSlack, front, back)
	err = errors.Join(err, g.Close())
	g.log.LogAttrs(ctx, slog.LevelInfo, "stopped", slog.Bool("clean", err == nil))
	return err
}

// stopSlack is what a part may need over DrainTimeout to notice that its time is
// over.
const stopSlack = time.Second

var errEnded = errors.New("it ended by itself")

// runParts runs front and back until ctx ends or one of them does. It stops
// front first, and back when front is done or grace has passed. It returns why
// it ended: nil if somebody asked for it.
func runParts(ctx context.Context, log *slog.Logger, grace time.Duration, front, back []part) error {
	backBase, stopBack := context.WithCancel(context.WithoutCancel(ctx))
	defer stopBack()
	behind, backCtx := errgroup.WithContext(backBase)
	frontBase, stopFront := context.WithCancel(ctx)
	defer stopFront()
	defer context.AfterFunc(backCtx, stopFront)() // a failure behind stops the doors
	before, frontCtx := errgroup.WithContext(frontBase)

	for _, p := range back {
		behind.Go(func() error { return p.until(backCtx) })
	}
	for _, p := range front {
		before.Go(func() error { return p.until(frontCtx) })
	}
	<-frontCtx.Done()
	log.LogAttrs(ctx, slog.LevelInfo, "stopping")
	err := wait(log, grace, "work under way", before)
	stopBack()
	return errors.Join(err, wait(log, grace, "the log", behind))
}

// until runs a part, which may not end before its context does.
func (p part) until(ctx context.Context) error {
	err := p.run(ctx)
	switch asked := ctx.Err(); {
	case err == nil && asked == nil:
		err = errEnded
	case asked != nil && errors.Is(err, asked):
		return nil // stopped while it waited for something
	}
	if err != nil {
		return fmt.Errorf("%s: %w", p.name, err)
	}
	return nil
}

// wait gives a group some time. What is cut off then was not acknowledged: the
// store refuses it once it is closed.
func wait(log *slog.Logger, grace time.Duration, what string, g *errgroup.Group) error {
	done := make(chan error, 1)
	go func() { done <- g.Wait() }()
	timer := time.NewTimer(grace)
	defer timer.Stop()
	select {
	case err := <-done:
		return err
	case <-timer.C:
		log.LogAttrs(context.Background(), slog.LevelWarn, "the stop did not wait any longer", slog.String("for", what))
		return nil
	}
}
