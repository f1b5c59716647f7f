package store

import (
	"slices"

	"github.com/centerleap/postern/gateway"
	"github.com/centerleap/postern/store/engine"
)

// span narrows a range, which is read in a list's order, to what is asked for of the
// list; at is the key of an item. What stands before one is read from there on: inOrder
// turns it round.
func span(rng engine.Range, w gateway.Span, at func(gateway.ID) []byte) engine.Range {
	switch {
	case !w.After.IsZero():
		return beyond(rng, at(w.After))
	case !w.Before.IsZero():
		rng.Reverse = !rng.Reverse
		return beyond(rng, at(w.Before))
	}
	return rng
}

// beyond is the rest of a range behind a key, in the direction in which it is read.
func beyond(rng engine.Range, k []byte) engine.Range {
	if rng.Reverse {
		rng.To = k
	} else {
		rng.From = append(slices.Clip(k), 0)
	}
	return rng
}

// inOrder has what was found of a span in the order of its list.
func inOrder[T any](found []T, w gateway.Span) []T {
	if !w.Before.IsZero() {
		slices.Reverse(found)
	}
	return found
}
