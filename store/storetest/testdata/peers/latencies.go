package main

import (
	"math/bits"
	"time"
)

// latencies counts durations in classes that are 1/32 wide, or less. It never
// allocates, so that counting does not disturb what is counted.
type latencies [64 * 32]uint32

func (l *latencies) add(d time.Duration) { l[class(uint64(d))]++ }

func class(v uint64) int {
	power := max(bits.Len64(v), 6) - 6 // v has six significant bits behind it
	return power*32 + int(v>>power)
}

// least is the least duration of a class.
func least(class int) time.Duration {
	if class < 64 {
		return time.Duration(class)
	}
	power := class/32 - 1
	return time.Duration(class-power*32) << power
}

func merge(all []latencies) (sum latencies) {
	for i := range all {
		for c, n := range all[i] {
			sum[c] += n
		}
	}
	return sum
}

// quantile is a duration that the share q stayed below.
func (l *latencies) quantile(q float64) time.Duration {
	total := 0.0
	for _, n := range l {
		total += float64(n)
	}
	seen := 0.0
	for c, n := range l {
		if seen += float64(n); n > 0 && seen >= q*total {
			return least(c)
		}
	}
	return 0
}
