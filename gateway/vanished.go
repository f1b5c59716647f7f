package gateway

import (
	"cmp"
	"slices"
	"time"
)

// UIDRange is a run of UIDs, both ends in it.
type UIDRange struct{ First, Last uint32 }

// VanishedRetention is how long a mailbox remembers which UIDs left it, so that a
// client that was away hears of just those. Past it the client hears of every UID
// that it may know and that is not there, which is right too, and longer: RFC 7162
// section 3.2.5.1. DESIGN section 5: as long as the feed.
const VanishedRetention = 30 * 24 * time.Hour

// MergeUIDs puts runs in order and joins those that touch. It changes all.
func MergeUIDs(all []UIDRange) []UIDRange {
	slices.SortFunc(all, func(a, b UIDRange) int { return cmp.Compare(a.First, b.First) })
	out := all[:0]
	for _, r := range all {
		if n := len(out) - 1; n >= 0 && uint64(r.First) <= uint64(out[n].Last)+1 {
			out[n].Last = max(out[n].Last, r.Last)
		} else {
			out = append(out, r)
		}
	}
	return out
}

// CommonUIDs returns what is in both lists of runs, which MergeUIDs has put in order.
func CommonUIDs(a, b []UIDRange) (out []UIDRange) {
	for len(a) > 0 && len(b) > 0 {
		if first, last := max(a[0].First, b[0].First), min(a[0].Last, b[0].Last); first <= last {
			out = append(out, UIDRange{first, last})
		}
		if a[0].Last < b[0].Last {
			a = a[1:]
		} else {
			b = b[1:]
		}
	}
	return out
}
