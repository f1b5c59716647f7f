package gateway

// Span is the part of a list that is asked for: its first items, those just behind one,
// or those just before one. They stand in the list's order in any case.
type Span struct {
	After, Before ID // of an item; one of them at most
	Most          int
}

// Wider has room for one item more, which tells whether the list goes on.
func (s Span) Wider() Span {
	s.Most++
	return s
}

// Cut takes that item off what was found, if it is there.
func Cut[T any](found []T, of Span) (page []T, more bool) {
	switch {
	case len(found) <= of.Most:
		return found, false
	case !of.Before.IsZero():
		return found[len(found)-of.Most:], true
	}
	return found[:of.Most], true
}
