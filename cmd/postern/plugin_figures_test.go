package main

import (
	"fmt"
	"net/http"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
)

// filtered is a gateway with some plugins in Go that look at each mail and let it pass.
type filtered struct {
	*rig
	ids   []string
	mails int
}

func newFiltered(b *testing.B, plugins int) *filtered {
	b.Helper()
	f := &filtered{rig: newRig(b)}
	wasm := newsletterFilter(b)
	for i := range plugins {
		f.ids = append(f.ids, f.victim.install(fmt.Sprint("filter-", i), wasm, nil))
	}
	f.fill(64, 4, 4096)
	return f
}

// fill delivers mails over some connections, and returns how long that took and what the
// gateway used of processors.
func (f *filtered) fill(mails, connections, size int) (took, cpu time.Duration) {
	f.Helper()
	body := strings.Repeat(strings.Repeat("x", 64)+"\r\n", size/66)
	done := make(chan string, connections)
	talks := make([]*talk, connections)
	for i := range talks {
		talks[i] = f.victim.peer()
		defer talks[i].close()
	}
	before, began := f.processors(), time.Now()
	for i, t := range talks {
		go func() {
			for k := i; k < mails; k += connections {
				if !t.transact(fmt.Sprintf("<%d.%d@peer.example>", f.mails+k, began.UnixNano()), "figures", body) {
					done <- "a mail was not taken: " + t.no
					return
				}
			}
			done <- ""
		}()
	}
	for range talks {
		if failed := <-done; failed != "" {
			f.Error(failed)
		}
	}
	f.mails += mails
	return time.Since(began), f.processors() - before
}

// processors is the time of processors that the gateway used so far, in the kernel's
// steps of 10 ms.
func (f *filtered) processors() time.Duration {
	f.Helper()
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", f.cmd.Process.Pid))
	if err != nil {
		f.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(stat), ") ")
	var ticks int64
	for _, field := range strings.Fields(rest)[11:13] {
		n, err := strconv.ParseInt(field, 10, 64)
		if err != nil {
			f.Fatal(err)
		}
		ticks += n
	}
	return time.Duration(ticks) * 10 * time.Millisecond
}

// check holds every plugin to have been asked about every mail, and to have done well.
func (f *filtered) check() {
	f.Helper()
	for _, id := range f.ids {
		if a := f.victim.plugin(id); a.At("stats.calls") != float64(f.mails) || a.At("stats.errors") != 0.0 {
			f.Errorf("of %d mails: %v", f.mails, a.At("stats"))
		}
	}
	http.DefaultClient.CloseIdleConnections()
}

// BenchmarkPluginAccept compares a gateway with plugins with one without: both get the
// same mail, one after the other, each round beginning with the other one. Run it with
// -benchtime 20x; a loop is a round. rate is that of the one with plugins, over that of the
// one without, and cpu what a delivery costs more, both the median of the rounds.
func BenchmarkPluginAccept(b *testing.B) {
	const mails = 1000 // in a round
	for _, tt := range []struct{ plugins, connections, size int }{
		{1, 1, 4 << 10}, {1, 16, 4 << 10}, {3, 1, 20_000}, {3, 16, 20_000},
	} {
		b.Run(fmt.Sprintf("plugins=%d/connections=%d/bytes=%d", tt.plugins, tt.connections, tt.size), func(b *testing.B) {
			both := []*filtered{newFiltered(b, 0), newFiltered(b, tt.plugins)}
			var rates, costs []float64
			var took, cpu [2]time.Duration
			for round := 0; b.Loop(); round++ {
				var now, used [2]time.Duration
				for i := range both {
					which := (i + round) % 2
					now[which], used[which] = both[which].fill(mails, tt.connections, tt.size)
					took[which], cpu[which] = took[which]+now[which], cpu[which]+used[which]
				}
				rates, costs = append(rates, float64(now[0])/float64(now[1])), append(costs, float64(used[1])/float64(used[0]))
			}
			slices.Sort(rates)
			slices.Sort(costs)
			all := float64(len(rates) * mails)
			b.ReportMetric(rates[len(rates)/2], "rate")
			b.ReportMetric(all/took[0].Seconds(), "without/s")
			b.ReportMetric(all/took[1].Seconds(), "with/s")
			b.ReportMetric(float64(cpu[0].Microseconds())/all, "without-cpu-us")
			b.ReportMetric(float64(cpu[1].Microseconds())/all, "with-cpu-us")
			b.ReportMetric((costs[len(costs)/2]-1)*100, "cpu-%")
			both[1].check()
		})
	}
}
