package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime/debug"
	"strings"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/centerleap/postern/store/storetest"
)

const (
	// memoryDir is the variable that makes a process the one that is looked at; it
	// writes if the folder is not there yet, and idles otherwise.
	memoryDir      = "POSTERN_PEERS_MEMORY"
	memoryMessages = 1_000_000
	memoryCallers  = 64
	memoryLimit    = 400 << 20 // as the gateway sets it
	// idleTime is what a process needs to give back what it no longer uses: Go collects
	// every two minutes, and keeps as much as the collection before wanted.
	idleTime = 6 * time.Minute
)

// memory tells how much anonymous memory a process needs that does nothing but keep
// mail: at most while it takes a million messages, and idle with them.
func memory(ctx context.Context, s *settings, out io.Writer) (err error) {
	dir := filepath.Join(s.dir, "memory")
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	t := newTable(out, "anonymous memory, MiB", "", "median (min-max)", "target", "")
	load, _, err := watch(ctx, dir)
	if err != nil {
		return err
	}
	_, idle, err := watch(ctx, dir)
	if err != nil {
		return err
	}
	t.bound("most while 64 callers write 1,000,000 messages", series{load}, "%.0f", atMost, 400)
	t.bound("idle with them", series{idle}, "%.0f", atMost, 60)
	return t.flush()
}

// watch runs a child to its end and samples its memory: the most, and the last.
func watch(ctx context.Context, dir string) (most, last float64, err error) {
	self, err := os.Executable()
	if err != nil {
		return 0, 0, err
	}
	cmd := exec.CommandContext(ctx, self)
	cmd.Env = append(os.Environ(), memoryDir+"="+dir)
	cmd.Stderr = os.Stderr
	if err := cmd.Start(); err != nil {
		return 0, 0, err
	}
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	for {
		select {
		case err := <-ended:
			return most, last, err
		case <-time.After(20 * time.Millisecond):
			if now, err := anonymous(cmd.Process.Pid); err == nil && now > 0 {
				most, last = max(most, now), now
			}
		}
	}
}

// anonymous is what a process has of memory that no file is behind, in MiB.
func anonymous(pid int) (float64, error) {
	f, err := os.Open(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return 0, err
	}
	defer f.Close()
	for lines := bufio.NewScanner(f); lines.Scan(); {
		if rest, ok := strings.CutPrefix(lines.Text(), "RssAnon:"); ok {
			var kb float64
			_, err := fmt.Sscan(rest, &kb)
			return kb / 1024, err
		}
	}
	return 0, errors.New("no RssAnon")
}

// untilIdle waits until the process has hardly worked for a while: what was written last
// is merged after a start.
func untilIdle() {
	const pause = 5 * time.Second
	for before := cpuTime(); ; {
		time.Sleep(pause)
		now := cpuTime()
		if now-before < pause/50 {
			return
		}
		before = now
	}
}

func memoryChild(ctx context.Context, dir string, _ io.Writer) error {
	debug.SetMemoryLimit(memoryLimit)
	_, err := os.Stat(dir)
	p, oerr := openEngine(dir, false)
	if oerr != nil {
		return oerr
	}
	if err == nil {
		untilIdle()
		time.Sleep(idleTime)
		os.Exit(0) // as it is: closing is not idle
	}
	var number atomic.Uint64
	var callers errgroup.Group
	for range memoryCallers {
		callers.Go(func() error {
			for n := number.Add(1); n <= memoryMessages; n = number.Add(1) {
				if err := p.accept(ctx, storetest.NewMessage(n)); err != nil {
					return err
				}
			}
			return nil
		})
	}
	return errors.Join(callers.Wait(), p.Close())
}
