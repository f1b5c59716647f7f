// Command peers compares Postern's embedded store with what else one could keep
// mail in, on the same disk in the same minutes: a raw append file, which is the
// physical limit, plain Badger, and Pebble. README.md says what the figures mean.
//
// It is a module of its own, so that the peers are no part of the product.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// peers in the order of the first round.
var peers = []peer{
	{"raw", openRaw},
	{"overwrite", openOverwrite},
	{"postern", openPostern},
	{"postern-hot", openHot},
	{"badger", openBadger},
	{"pebble", openPebble},
	{"pebble-64m", openPebble64},
}

// Names of the parts that are not peers.
const (
	partReads   = "reads"
	partRestart = "restart"
	partMemory  = "memory"
)

// settings of one run.
type settings struct {
	rounds  int
	time    time.Duration
	callers []int
	only    []string
	dir     string // for all that is written
}

// wants reports whether a part was asked for.
func (s *settings) wants(part string) bool { return len(s.only) == 0 || slices.Contains(s.only, part) }

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx, os.Args[1:], os.Stdout, os.Stderr)
	stop()
	if err != nil && !errors.Is(err, flag.ErrHelp) {
		fmt.Fprintln(os.Stderr, "peers:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string, out, complaints io.Writer) (err error) {
	if dir := os.Getenv(childDir); dir != "" {
		return writeUntilKilled(ctx, dir, out)
	}
	if dir := os.Getenv(memoryDir); dir != "" {
		return memoryChild(ctx, dir, out)
	}
	s, err := parse(args, complaints)
	if err != nil {
		return err
	}
	if s.dir, err = os.MkdirTemp(s.dir, "run-"); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(s.dir)) }()
	if inMemory(s.dir) {
		return fmt.Errorf("%s is in memory, where a sync costs nothing: give a -dir on a disk", s.dir)
	}
	describe(out, s)
	if err := compare(ctx, s, out); err != nil {
		return err
	}
	if s.wants(partReads) {
		if err := reads(ctx, s, out); err != nil {
			return fmt.Errorf("%s: %w", partReads, err)
		}
	}
	if s.wants(partRestart) {
		if err := restarts(ctx, s, out); err != nil {
			return fmt.Errorf("%s: %w", partRestart, err)
		}
	}
	if slices.Contains(s.only, partMemory) { // it takes 8 GB of disk: only if it is asked for
		if err := memory(ctx, s, out); err != nil {
			return fmt.Errorf("%s: %w", partMemory, err)
		}
	}
	return nil
}

func parse(args []string, complaints io.Writer) (*settings, error) {
	s := &settings{}
	f := flag.NewFlagSet("peers", flag.ContinueOnError)
	f.SetOutput(complaints)
	f.IntVar(&s.rounds, "rounds", 5, "how often everything is measured")
	f.DurationVar(&s.time, "time", 2*time.Second, "how long one peer is measured, after a quarter of that to warm up")
	callers := f.String("callers", "1,8,64,256", "how many callers at once")
	only := f.String("only", "", "parts to run, of "+strings.Join(parts(), ",")+" (default all but memory)")
	f.StringVar(&s.dir, "dir", ".", "where to make the folder of the run, which is removed at the end")
	if err := f.Parse(args); err != nil {
		return nil, err
	}
	if f.NArg() > 0 || s.rounds < 1 || s.time <= 0 {
		return nil, errors.New("bad arguments; see -h")
	}
	for c := range strings.SplitSeq(*callers, ",") {
		n, err := strconv.Atoi(c)
		if err != nil || n < 1 {
			return nil, fmt.Errorf("-callers: %q is no number of callers", c)
		}
		s.callers = append(s.callers, n)
	}
	if *only != "" {
		s.only = strings.Split(*only, ",")
	}
	for _, p := range s.only {
		if !slices.Contains(parts(), p) {
			return nil, fmt.Errorf("-only: %q is none of %s", p, strings.Join(parts(), ","))
		}
	}
	return s, nil
}

func parts() (names []string) {
	for _, p := range peers {
		names = append(names, p.name)
	}
	return append(names, partReads, partRestart, partMemory)
}

// compare measures every peer in every round, each round in another order.
func compare(ctx context.Context, s *settings, out io.Writer) error {
	var chosen []peer
	for _, p := range peers {
		if s.wants(p.name) {
			chosen = append(chosen, p)
		}
	}
	if len(chosen) == 0 {
		return nil
	}
	for _, callers := range s.callers {
		all := make(results)
		for round := range s.rounds {
			turn := round % len(chosen)
			for _, p := range slices.Concat(chosen[turn:], chosen[:turn]) {
				r, err := measure(ctx, p, filepath.Join(s.dir, "store"), callers, s.time)
				if err != nil {
					return fmt.Errorf("%s with %d callers: %w", p.name, callers, err)
				}
				all[p.name] = append(all[p.name], r)
			}
		}
		report(out, callers, chosen, all)
	}
	return nil
}
