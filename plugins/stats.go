package plugins

import (
	"context"
	"errors"
	"math"
	"math/bits"
	"time"

	"github.com/centerleap/postern/gateway"
	"github.com/centerleap/postern/plugins/sandbox"
)

// stats counts the calls of one installation.
type stats struct {
	calls, errors, timeouts int64
	lastError               string
	took                    histogram
}

func (s *stats) add(took time.Duration, err error) {
	s.calls++
	s.took.add(took)
	if err == nil {
		return
	}
	s.errors++
	s.lastError = cut(err.Error(), maxLastError)
	known, ok := errors.AsType[*sandbox.CallError](err)
	if ok && (known.Reason == sandbox.ReasonDeadline || known.Reason == sandbox.ReasonFuel) || errors.Is(err, context.DeadlineExceeded) {
		s.timeouts++
	}
}

// maxLastError bounds what is kept of an error, in bytes; ours.
const maxLastError = 256

func (s *stats) shown() gateway.PluginStats {
	return gateway.PluginStats{
		Calls: s.calls, Errors: s.errors, Timeouts: s.timeouts, LastError: s.lastError, P50: s.took.quantile(0.5), P99: s.took.quantile(0.99),
	}
}

// histogram counts durations by their size: eight steps for each power of two, so what
// it says is at most an eighth too much. It is 2 KiB, and never grows.
type histogram struct {
	counts [steps]int64
	total  int64
}

// steps reach from one microsecond to more than an hour.
const (
	perPower = 8
	steps    = 32 * perPower
)

func (h *histogram) add(d time.Duration) {
	h.counts[step(uint64(max(d.Microseconds(), 0)))]++
	h.total++
}

// step is where a number of microseconds is counted.
func step(us uint64) int {
	if us < perPower {
		return int(us)
	}
	power := bits.Len64(us) - 4 // us >> power is 8 to 15
	return min((power+1)*perPower+int(us>>power)-perPower, steps-1)
}

// most is the largest number of microseconds that is counted there.
func most(step int) uint64 {
	if step < perPower {
		return uint64(step)
	}
	power := step/perPower - 1
	return uint64(step%perPower+perPower+1)<<power - 1
}

// quantile is what a part of all durations did not pass; 0 if there is none.
func (h *histogram) quantile(part float64) time.Duration {
	left := int64(math.Ceil(part * float64(h.total)))
	for i, n := range h.counts {
		if left -= n; left <= 0 && h.total > 0 {
			return time.Duration(most(i)) * time.Microsecond
		}
	}
	return 0
}
