// Command peers compares Postern's sandbox with what else one could run a tenant's rule
// about a mail in: Extism, Lua, and a function of the host. README.md says what the
// figures mean.
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
	"os/exec"
	"os/signal"
	"path/filepath"
	"runtime"
	"syscall"
	"time"
)

// peer is one way to run the rule. An answer is right if check says nothing; n is how
// often the peer was asked.
type peer struct {
	call  func() error
	check func(n int) error
	close func() error
}

// peers in the order of the first round.
var peers = []struct {
	name string
	open func(ctx context.Context, dir string) (*peer, error)
}{
	{posternName, openPostern("filter")},
	{posternJSON, openPostern("json")},
	{"postern-c", openPostern("c")},
	{"postern-rust", openPostern("rust")},
	{"postern-as", openPostern("assemblyscript")},
	{"extism", openExtism("event", true)},
	{"extism-kept", openExtism("event", false)},
	{"extism-fields", openExtism("fields", true)},
	{"extism-fields-kept", openExtism("fields", false)},
	{"lua", openLua(true)},
	{"lua-kept", openLua(false)},
	{"postern-part", openPostern("part")},
	{"extism-part", openExtism("part", false)},
	{"milter", openMilter("tcp")},
	{"milter-unix", openMilter("unix")},
	{"native", openNative},
}

const (
	posternName = "postern"
	posternJSON = "postern-json"
)

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
	f := flag.NewFlagSet("peers", flag.ContinueOnError)
	f.SetOutput(complaints)
	rounds := f.Int("rounds", 5, "how often everything is measured")
	d := f.Duration("time", 500*time.Millisecond, "how long one peer is measured in a round")
	if err := f.Parse(args); err != nil {
		return err
	}
	if f.NArg() > 0 || *rounds < 1 || *d <= 0 {
		return errors.New("bad arguments; see -h")
	}
	dir, err := os.MkdirTemp("", "peers")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	fmt.Fprintf(out, "%s, %s/%s, %d CPUs; %d rounds of %v; the event has %d bytes, the header %d fields\n\n",
		runtime.Version(), runtime.GOOS, runtime.GOARCH, runtime.GOMAXPROCS(0), *rounds, *d, len(event), len(header))
	all, err := compare(ctx, dir, *rounds, *d)
	if err == nil {
		report(out, all)
	}
	return err
}

// compare measures every peer in every round, each round in another order.
func compare(ctx context.Context, dir string, rounds int, d time.Duration) (all results, err error) {
	all = make(results)
	open, asked := make(map[string]*peer), make(map[string]int)
	for _, p := range peers {
		o, err := p.open(ctx, dir)
		if errors.Is(err, errNoCompiler) {
			fmt.Fprintf(os.Stderr, "%s is left out: %v\n", p.name, err)
			continue
		} else if err != nil {
			return nil, fmt.Errorf("%s: %w", p.name, err)
		}
		open[p.name] = o
		defer o.close()
	}
	for round := range rounds {
		for i := range peers {
			name := peers[(i+round)%len(peers)].name
			if open[name] == nil {
				continue
			}
			r, err := measure(ctx, open[name], asked[name], d)
			if err != nil {
				return nil, fmt.Errorf("%s: %w", name, err)
			}
			asked[name] += r.calls
			all[name] = append(all[name], r)
		}
	}
	return all, nil
}

// build compiles a guest.
func build(ctx context.Context, dir, guest string) ([]byte, error) {
	if l, is := languages[guest]; is {
		return l.build(ctx, dir, guest)
	}
	path := filepath.Join(dir, guest+".wasm")
	cmd := exec.CommandContext(ctx, "go", "build", "-buildmode=c-shared", "-ldflags=-s -w", "-o", path, "./guests/"+guest)
	cmd.Env = append(os.Environ(), "GOOS=wasip1", "GOARCH=wasm")
	if said, err := cmd.CombinedOutput(); err != nil {
		return nil, fmt.Errorf("%v: %w\n%s", cmd.Args, err, said)
	}
	return os.ReadFile(path)
}
