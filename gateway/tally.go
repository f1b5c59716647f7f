package gateway

import (
	"slices"
	"time"
)

// TallyHours is how many hours a tally tells apart, counted back from its newest. Ours:
// the day that a page shows, and the one before.
const TallyHours = 48

// Hour is how much happened in a domain within an hour.
type Hour struct {
	At        time.Time // when it began, UTC
	Received  int64     // messages that reached a mailbox from outside or inside, each copy
	Sent      int64     // messages that were accepted to be sent
	Delivered int64     // recipients whose host, or the smart host, took one
	Failed    int64     // recipients that were given up, or refused for good
}

// Tally counts the events of a domain, as far as Sequence.
type Tally struct {
	Sequence uint64
	Total    Hour   // of all since the domain is counted; At is zero
	Hours    []Hour // the newest TallyHours, the oldest first; hours of nothing are left out
}

// Count adds an event.
func (t *Tally) Count(e *Event) {
	t.Sequence = e.Sequence
	var one Hour
	switch e.Type {
	case EventReceived:
		one.Received = 1
	case EventQueued, EventScheduled:
		if e.UID == 0 {
			return // a delivery goes on; its message was counted when it was accepted
		}
		one.Sent = 1
	case EventDelivered, EventSent:
		one.Delivered = 1
	case EventFailed, EventBounced:
		one.Failed = 1
	default:
		return
	}
	t.Total.Add(&one)
	t.hour(e.At.UTC().Truncate(time.Hour)).Add(&one)
}

// Add adds the counts of another hour.
func (h *Hour) Add(o *Hour) {
	h.Received += o.Received
	h.Sent += o.Sent
	h.Delivered += o.Delivered
	h.Failed += o.Failed
}

// hour finds the hour that began at a time, or makes it. A clock that was put back may
// ask for one that is not the newest; one that is too old is not kept.
func (t *Tally) hour(at time.Time) *Hour {
	i, found := slices.BinarySearchFunc(t.Hours, at, func(h Hour, at time.Time) int { return h.At.Compare(at) })
	if found {
		return &t.Hours[i]
	}
	if n := len(t.Hours); n > 0 && t.Hours[n-1].At.Sub(at) >= TallyHours*time.Hour {
		return &Hour{}
	}
	t.Hours = slices.Insert(t.Hours, i, Hour{At: at})
	oldest := t.Hours[len(t.Hours)-1].At.Add(-(TallyHours - 1) * time.Hour)
	gone, _ := slices.BinarySearchFunc(t.Hours, oldest, func(h Hour, at time.Time) int { return h.At.Compare(at) })
	t.Hours = t.Hours[gone:]
	return &t.Hours[i-gone]
}

// Past are the last n hours up to now, the oldest first, those of nothing included.
func (t *Tally) Past(n int, now time.Time) []Hour {
	out := make([]Hour, n)
	first := now.UTC().Truncate(time.Hour).Add(-time.Duration(n-1) * time.Hour)
	for i := range out {
		out[i].At = first.Add(time.Duration(i) * time.Hour)
	}
	for _, h := range t.Hours {
		if i := int(h.At.Sub(first) / time.Hour); i >= 0 && i < n && !h.At.Before(first) {
			out[i] = h
		}
	}
	return out
}
