package mailbox_test

import (
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/centerleap/postern/gateway"
	"github.com/centerleap/postern/gateway/mailbox"
)

// However segments come, each merge has its bounds, and few are left in the end.
func TestMergeableBounds(t *testing.T) {
	const most = 1 << 20
	for seed := range uint64(300) {
		r := rand.New(rand.NewPCG(seed, 12))
		var all []gateway.IndexSegment
		bytes := int64(0)
		for range 400 {
			size := int64(1) << r.IntN(20)
			size += r.Int64N(size)
			bytes += size
			all = append(all, gateway.IndexSegment{Blob: gateway.Blob{Size: size}})
			for {
				from, to := mailbox.Mergeable(all, most)
				if to == from {
					break
				}
				sum, largest := int64(0), int64(0)
				for _, s := range all[from:to] {
					sum, largest = sum+s.Blob.Size, max(largest, s.Blob.Size)
				}
				if to-from < 2 || to-from > 64 || sum > most || 2*largest > sum {
					t.Fatalf("seed %d: %d of %d bytes, the largest of %d", seed, to-from, sum, largest)
				}
				all = slices.Replace(all, from, to, gateway.IndexSegment{Blob: gateway.Blob{Size: sum}})
			}
		}
		if n := int(bytes / most); len(all) > 30+12*n {
			t.Errorf("seed %d: %d segments of %d times the bound", seed, len(all), n)
		}
	}
}

// Segments are merged when there are enough neighbours of a size, up to a bound.
func TestMergeable(t *testing.T) {
	const k = 1 << 10
	few := func(n int, size int64) []int64 { return slices.Repeat([]int64{size}, n) }
	for _, tt := range []struct {
		name     string
		sizes    []int64
		from, to int
	}{
		{"none", nil, 0, 0},
		{"seven", few(7, k), 0, 0},
		{"eight", few(8, k), 0, 8},
		{"a hundred", few(100, 100), 0, 64},
		{"behind a large one", append(few(1, 500*k), few(9, k)...), 1, 10},
		{"a large one between", slices.Concat(few(5, k), few(1, 900*k), few(5, k)), 0, 0},
		{"little beside a large one", append(few(1, 900*k), few(7, k)...), 0, 0},
		{"the next size", append(few(8, 100*k), few(3, k)...), 0, 11},
		{"small ones first", append(few(8, 100*k), few(8, k)...), 8, 16},
		{"up to the bound", few(9, 300*k), 0, 3},
		{"at the bound", few(20, 1000*k), 0, 0},
		{"one that is most of many", append(few(1, 15*k), few(160, 100)...), 1, 65},
		{"many before it", slices.Concat(few(30, 100), few(1, 15*k), few(70, 100)), 31, 95},
	} {
		var all []gateway.IndexSegment
		for _, size := range tt.sizes {
			all = append(all, gateway.IndexSegment{Blob: gateway.Blob{Size: size}})
		}
		if from, to := mailbox.Mergeable(all, 1000*k); from != tt.from || to != tt.to {
			t.Errorf("%s: %d to %d, want %d to %d", tt.name, from, to, tt.from, tt.to)
		}
	}
}
