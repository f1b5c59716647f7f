package main

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/centerleap/postern/store/storetest"
)

const (
	// childDir is the variable that makes a process the one to be killed.
	childDir     = "POSTERN_PEERS_CHILD"
	childCallers = 64
	// childBytes is about how much log there is when the child is killed.
	childBytes = 256 << 20
)

// restarts measures how long a store takes to open after a kill -9 in the middle
// of writing, and without its index.
func restarts(ctx context.Context, s *settings, out io.Writer) error {
	var open, megabytes, rebuild series
	for range s.rounds {
		r, err := restart(ctx, filepath.Join(s.dir, "restart"))
		if err != nil {
			return err
		}
		megabytes = append(megabytes, r.logBytes/(1<<20))
		open = append(open, r.open.Seconds()/(r.logBytes/(64<<20)))
		rebuild = append(rebuild, float64(r.messages)/r.rebuild.Seconds())
	}
	t := newTable(out, "restart of a store that was killed while 64 callers wrote", "", "median (min-max)", "target", "")
	t.bound("open, seconds per 64 MiB of log", open, "%.3f", atMost, 1)
	t.bound("rebuild of the index, messages per second", rebuild, "%.0f", atLeast, 30_000)
	t.row("MiB of log", megabytes.text("%.0f"))
	return t.flush()
}

type restarted struct {
	logBytes float64
	messages uint64
	open     time.Duration
	rebuild  time.Duration
}

func restart(ctx context.Context, dir string) (r restarted, err error) {
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	if err := writeAndKill(ctx, dir); err != nil {
		return r, err
	}
	if r.logBytes, err = written(dir); err != nil {
		return r, err
	}
	began := time.Now()
	p, err := openEngine(dir, false)
	if err != nil {
		return r, err
	}
	r.open = time.Since(began)
	r.messages, err = p.Feed(1, 0).Head(ctx)
	if err := errors.Join(err, p.Close(), os.RemoveAll(filepath.Join(dir, "index"))); err != nil {
		return r, err
	}
	began = time.Now()
	if p, err = openEngine(dir, false); err != nil {
		return r, err
	}
	r.rebuild = time.Since(began)
	after, err := p.Feed(1, 0).Head(ctx)
	if err == nil && after != r.messages {
		err = fmt.Errorf("%d messages after the rebuild, %d before", after, r.messages)
	}
	return r, errors.Join(err, p.Close())
}

// writeAndKill runs this program as a child, until it says that it has written
// enough.
func writeAndKill(ctx context.Context, dir string) error {
	self, err := os.Executable()
	if err != nil {
		return err
	}
	cmd := exec.CommandContext(ctx, self)
	cmd.Env = append(os.Environ(), childDir+"="+dir)
	cmd.Stderr = os.Stderr
	said, err := cmd.StdoutPipe()
	if err != nil {
		return err
	}
	if err := cmd.Start(); err != nil {
		return err
	}
	line, err := bufio.NewReader(said).ReadString('\n')
	_ = cmd.Process.Kill()
	_ = cmd.Wait() // killed: that is the point
	if err != nil {
		return fmt.Errorf("the child said %q: %w", line, err)
	}
	return nil
}

// writeUntilKilled is the child.
func writeUntilKilled(ctx context.Context, dir string, out io.Writer) error {
	p, err := openEngine(dir, false)
	if err != nil {
		return err
	}
	const enough = childBytes / (storetest.BodySize + storetest.RecordSize + 500)
	var number, accepted atomic.Uint64
	var callers errgroup.Group
	for range childCallers {
		callers.Go(func() error {
			for {
				if err := p.accept(ctx, storetest.NewMessage(number.Add(1))); err != nil {
					return err
				}
				if accepted.Add(1) == enough {
					fmt.Fprintln(out, "enough")
				}
			}
		})
	}
	return callers.Wait()
}

// written is how many bytes of log there are: segments without the zeros that
// are filled ahead.
func written(dir string) (total float64, err error) {
	names, err := filepath.Glob(filepath.Join(dir, "log", "seg-*"))
	for _, name := range names {
		b, err := os.ReadFile(name)
		if err != nil {
			return 0, err
		}
		total += float64(len(bytes.TrimRight(b, "\x00")))
	}
	return total, err
}
