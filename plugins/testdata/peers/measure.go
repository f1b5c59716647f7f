package main

import (
	"context"
	"fmt"
	"io"
	"runtime"
	"slices"
	"syscall"
	"time"
)

// result is what one peer did in one round; times are of one call.
type result struct {
	calls  int
	cpu    time.Duration // of the whole process, system calls and garbage included
	wall   time.Duration
	allocs float64
}

type results map[string][]result

// measure asks a peer as often as it can, and holds every answer to the rule.
func measure(ctx context.Context, p *peer, asked int, d time.Duration) (r result, err error) {
	runtime.GC() // what others left is not its own
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	began, cpu := time.Now(), processorTime()
	for time.Since(began) < d {
		if err := ctx.Err(); err != nil {
			return r, err
		}
		r.calls++
		if err := p.call(); err != nil {
			return r, err
		}
		if (asked+r.calls)%16 == 1 { // decoding an answer costs more than some peers
			if err := p.check(asked + r.calls); err != nil {
				return r, fmt.Errorf("call %d: %w", asked+r.calls, err)
			}
		}
	}
	n := time.Duration(r.calls)
	r.cpu, r.wall = (processorTime()-cpu)/n, time.Since(began)/n
	runtime.ReadMemStats(&after)
	r.allocs = float64(after.Mallocs-before.Mallocs) / float64(r.calls)
	return r, nil
}

// processorTime is what the process used of processors so far.
func processorTime() time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		panic(err) // it can't fail for the process itself
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// targets are ratios of processor time that DESIGN.md and design/plugins.md want at least.
var targets = []struct {
	slow, fast string
	least      float64
}{
	{"extism-kept", posternName, 100},
	{"extism", posternJSON, 20},
	{"extism-kept", posternJSON, 6},
	{"extism", posternName, 0},
	{"extism-fields", posternName, 0},
	{"extism-fields-kept", posternName, 0},
	{"lua", posternName, 0},
	{"lua", "postern-c", 20},
	{"lua", "postern-rust", 20},
	{"lua", "postern-as", 20},
	{"lua-kept", posternName, 0},
	{"extism-part", "postern-part", 100},
	{"milter", posternName, 50},
	{"milter-unix", posternName, 0},
	{"native", posternName, 0},
}

func report(out io.Writer, all results) {
	fmt.Fprintf(out, "%-20s %12s %12s %12s %10s\n", "", "cpu/call", "least", "wall/call", "allocs")
	for _, p := range peers {
		if len(all[p.name]) == 0 {
			continue
		}
		cpu := column(all[p.name], func(r result) float64 { return float64(r.cpu) })
		wall := column(all[p.name], func(r result) float64 { return float64(r.wall) })
		allocs := column(all[p.name], func(r result) float64 { return r.allocs })
		fmt.Fprintf(out, "%-20s %12v %12v %12v %10.1f\n", p.name, time.Duration(median(cpu)), time.Duration(cpu[0]), time.Duration(median(wall)), median(allocs))
	}
	fmt.Fprintf(out, "\n%-34s %8s %18s  %s\n", "ratio of cpu/call, by round", "median", "least-most", "target")
	for _, t := range targets {
		if len(all[t.slow]) == 0 || len(all[t.fast]) == 0 {
			continue
		}
		var by []float64
		for i := range all[t.slow] {
			by = append(by, float64(all[t.slow][i].cpu)/float64(max(all[t.fast][i].cpu, 1)))
		}
		slices.Sort(by)
		target := ""
		switch {
		case t.least > 0 && median(by) < t.least:
			target = fmt.Sprintf(">= %g miss", t.least)
		case t.least > 0:
			target = fmt.Sprintf(">= %g ok", t.least)
		}
		fmt.Fprintf(out, "%-34s %8.2f %18s  %s\n", t.slow+" / "+t.fast, median(by), fmt.Sprintf("%.2f-%.2f", by[0], by[len(by)-1]), target)
	}
}

// median is that of sorted figures.
func median(sorted []float64) float64 { return sorted[len(sorted)/2] }

// column is one figure of all rounds, sorted.
func column(all []result, of func(result) float64) (out []float64) {
	for _, r := range all {
		out = append(out, of(r))
	}
	slices.Sort(out)
	return out
}
