package store

import (
	"slices"
	"testing"

	"pgregory.net/rapid"
)

// A walk that begins at its front misses nothing that is in the index when it looks,
// however commits, their notes and walks fall between each other.
func TestFronts(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var f fronts
		there := map[uint64]bool{} // committed
		type walk struct {
			from  uint64
			adds  uint64
			first uint64 // that its view has; 0: none
			to    uint64
		}
		var noting []uint64 // committed, and not noted yet
		var walks []walk    // begun, and not ended
		t.Repeat(map[string]func(*rapid.T){
			"commit": func(t *rapid.T) {
				at := rapid.Uint64Range(1, 50).Draw(t, "at")
				there[at] = true
				noting = append(noting, at)
			},
			"note": func(*rapid.T) {
				if len(noting) > 0 {
					f.lower(0, noting[0])
					noting = noting[1:]
				}
			},
			"take": func(t *rapid.T) { delete(there, rapid.Uint64Range(1, 50).Draw(t, "taken")) },
			"walk": func(t *rapid.T) {
				w := walk{to: rapid.Uint64Range(1, 60).Draw(t, "to")}
				w.from, w.adds = f.begin(0)
				for at := w.from; at < w.to && w.first == 0; at++ {
					if there[at] {
						w.first = at
					}
				}
				walks = append(walks, w)
			},
			"end": func(t *rapid.T) {
				if len(walks) == 0 {
					return
				}
				i := rapid.IntRange(0, len(walks)-1).Draw(t, "which")
				w := walks[i]
				walks = append(walks[:i], walks[i+1:]...)
				if w.first > 0 {
					w.to = w.first
				}
				f.raise(0, w.adds, w.to)
			},
			"": func(t *rapid.T) {
				from, _ := f.begin(0)
				for at := range there {
					if at < from && !slices.Contains(noting, at) {
						t.Fatalf("the front is at %d, and %d is there", from, at)
					}
				}
			},
		})
	})
}

// While mail is carried a commit adds keys during every walk: the front moves all the same,
// as far as they let it.
func TestFrontMoves(t *testing.T) {
	var f fronts
	for at := uint64(1); at < 3*addsKnown; at++ {
		_, adds := f.begin(0)
		f.lower(0, at+10)
		f.raise(0, adds, at)
		if from, _ := f.begin(0); from != at {
			t.Fatalf("the front is at %d, want %d", from, at)
		}
	}
	_, adds := f.begin(0)
	f.lower(0, 5)
	f.raise(0, adds, 500)
	if from, _ := f.begin(0); from != 5 {
		t.Errorf("the front is at %d, over a key at 5", from)
	}
	for range addsKnown + 1 {
		f.lower(0, 7)
	}
	f.raise(0, adds, 500)
	if from, _ := f.begin(0); from != 5 {
		t.Errorf("the front is at %d, over keys that nobody knows", from)
	}
}
