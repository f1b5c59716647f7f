package main

import (
	"fmt"
	"io"
	"os"
	"runtime"
	"runtime/debug"
	"slices"
	"strings"
	"text/tabwriter"
	"time"
)

// results by the name of the peer, a result for each round.
type results map[string][]result

// ratios are what is compared, with the least that is well by number of callers.
var ratios = []struct {
	of, to  string
	targets map[int]float64
}{
	{"postern", "raw", map[int]float64{1: 0.75, 8: 0.75, 64: 0.45, 256: 0.45}},
	{"postern", "badger", map[int]float64{64: 7}},
	{"postern", "pebble", map[int]float64{1: 1, 8: 1, 64: 1.3}},
	{"postern", "pebble-64m", nil},
	{"postern-hot", "postern", map[int]float64{1: 0.8, 8: 0.8, 64: 0.8, 256: 0.8}},
	{"postern-hot", "raw", nil},
	{"badger", "raw", nil},
	{"pebble", "raw", nil},
	{"pebble-64m", "raw", nil},
}

// describe says what was measured where.
func describe(out io.Writer, s *settings) {
	fmt.Fprintf(out, "%s, %s/%s, %d CPUs; %d rounds of %v in %s\n", runtime.Version(), runtime.GOOS, runtime.GOARCH, runtime.GOMAXPROCS(0), s.rounds, s.time, s.dir)
	if info, ok := debug.ReadBuildInfo(); ok {
		for _, d := range info.Deps {
			if strings.Contains(d.Path, "/pebble") || strings.Contains(d.Path, "/badger") {
				fmt.Fprintln(out, d.Path, d.Version)
			}
		}
	}
	if load, err := os.ReadFile("/proc/loadavg"); err == nil {
		fmt.Fprintf(out, "load before: %s", load)
	}
	fmt.Fprintln(out, "times are medians over the rounds; a ratio is that of one round, then the median of the rounds (min-max)")
}

// report prints what the peers did with a number of callers.
func report(out io.Writer, callers int, chosen []peer, all results) {
	t := newTable(out, fmt.Sprintf("%d callers", callers), "peer", "msg/s (min-max)", "p50", "p99", "cpu/msg", "allocs/msg", "bytes/msg")
	for _, p := range chosen {
		r := all[p.name]
		t.row(
			p.name,
			pick(r, func(r result) float64 { return r.perSecond }).text("%.0f"),
			duration(pick(r, func(r result) float64 { return float64(r.p50) })),
			duration(pick(r, func(r result) float64 { return float64(r.p99) })),
			duration(pick(r, func(r result) float64 { return float64(r.cpu) })),
			fmt.Sprintf("%.0f", pick(r, func(r result) float64 { return r.allocs }).median()),
			fmt.Sprintf("%.0f", pick(r, func(r result) float64 { return r.allocBytes }).median()),
		)
	}
	_ = t.flush()
	t = newTable(out, "", "ratio", "median (min-max)", "target", "")
	for _, q := range ratios {
		of, to := all[q.of], all[q.to]
		if of == nil || to == nil {
			continue
		}
		var s series
		for i := range of {
			s = append(s, of[i].perSecond/to[i].perSecond)
		}
		name := q.of + "/" + q.to
		if want, ok := q.targets[callers]; ok {
			t.bound(name, s, "%.2f", atLeast, want)
		} else {
			t.row(name, s.text("%.2f"))
		}
	}
	_ = t.flush()
}

// series is one figure in every round.
type series []float64

func pick(rounds []result, field func(result) float64) (s series) {
	for _, r := range rounds {
		s = append(s, field(r))
	}
	return s
}

func (s series) median() float64 {
	sorted := slices.Sorted(slices.Values(s))
	n := len(sorted)
	return (sorted[(n-1)/2] + sorted[n/2]) / 2
}

func (s series) text(format string) string {
	return fmt.Sprintf(format+" ("+format+"-"+format+")", s.median(), slices.Min(s), slices.Max(s))
}

func duration(s series) string {
	d := time.Duration(s.median())
	if d < time.Millisecond {
		return d.Round(100 * time.Nanosecond).String()
	}
	return d.Round(10 * time.Microsecond).String()
}

// table aligns its columns.
type table struct{ w *tabwriter.Writer }

func newTable(out io.Writer, title string, columns ...string) *table {
	fmt.Fprintln(out)
	if title != "" {
		fmt.Fprintln(out, title)
	}
	t := &table{tabwriter.NewWriter(out, 0, 0, 3, ' ', 0)}
	t.row(columns...)
	return t
}

func (t *table) row(cells ...string) { fmt.Fprintln(t.w, strings.Join(cells, "\t")) }

// direction says on which side of a target is well.
type direction string

const (
	atLeast direction = ">="
	atMost  direction = "<="
)

// bound is a row with a target.
func (t *table) bound(name string, s series, format string, d direction, target float64) {
	verdict := "ok"
	if m := s.median(); d == atLeast && m < target || d == atMost && m > target {
		verdict = "miss"
	}
	t.row(name, s.text(format), fmt.Sprintf("%s %v", d, target), verdict)
}

func (t *table) flush() error { return t.w.Flush() }
