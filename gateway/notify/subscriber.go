package notify

import (
	"slices"
	"time"

	"github.com/centerleap/postern/gateway"
)

// subscriber is one subscription as its lane sees it.
type subscriber struct {
	gateway.Subscription
	window, most int // events that may be open or ahead, and that may wait in the store

	at    gateway.Position   // what is read next
	open  []gateway.Position // read and not dealt with, in order
	ahead []gateway.Position // dealt with before one of them

	ready   []*job    // to be told as soon as may be
	again   int       // of what was told before, that is ready or under way
	waiting int       // events in the store that are told again
	due     time.Time // when the first of them is due, those in again left out; zero: none
	rests   time.Time // until when nothing is told
	calls   int       // under way
	life    int       // how often it was switched off and on
	trust   int       // it took so many since it failed
	slow    bool      // the newest that ended took long

	saved   gateway.Position
	savedAt time.Time
}

// job is one event to be told.
type job struct {
	gateway.Position
	event    gateway.Event
	attempts int
	due      time.Time // when it was due again; zero: it comes from the feed
	trouble  int       // times that it was put off since the gateway failed
}

func newSubscriber(c gateway.Cursor, lim *gateway.Limits, now time.Time) *subscriber {
	return &subscriber{
		window: int(max(1, lim.EventWindow)), most: int(max(1, lim.EventWaiting)), at: c.Next, ahead: c.Done, saved: c.Next, savedAt: now,
	}
}

// restart goes on at a cursor that has jumped ahead: it was switched off and on. What
// waits in the store is told again all the same, and what is under way may end.
func (s *subscriber) restart(c gateway.Cursor, now time.Time) {
	s.life++
	s.at, s.open, s.ahead, s.saved, s.savedAt = c.Next, nil, c.Done, c.Next, now
	s.ready = slices.DeleteFunc(s.ready, func(j *job) bool { return j.due.IsZero() })
}

// low is the first place that is not dealt with.
func (s *subscriber) low() gateway.Position {
	if len(s.open) > 0 {
		return s.open[0]
	}
	return s.at
}

// doubtful reports whether it may keep calls for long: it has failed, or was never asked,
// or is slow.
func (s *subscriber) doubtful() bool { return s.trust == 0 || s.slow }

// answered takes over how a call went.
func (s *subscriber) answered(failed bool, took time.Duration) {
	if s.slow = took > slowCall; failed {
		s.trust = 0
	} else if s.trust < maxTrust {
		s.trust++
	}
}

// room is how many events may be read. If nothing is open there is room for one: what is
// ahead waits for it.
func (s *subscriber) room() int {
	switch room := s.window - len(s.open) - len(s.ahead); {
	case s.waiting >= s.most:
		return 0
	case len(s.open) == 0:
		return max(1, room)
	default:
		return room
	}
}

// hungry reports whether it is worth reading: a look at the feed for one event would cost
// as much as one for many.
func (s *subscriber) hungry() bool {
	room := s.room()
	return room > 0 && (len(s.open) == 0 || room >= s.window/2)
}

// take reads events that begin at s.at, as many as there is room for.
func (s *subscriber) take(events []gateway.Event) {
	for i := range events {
		e := &events[i]
		if e.Sequence < s.at.Sequence {
			continue
		}
		if e.Sequence > s.at.Sequence {
			s.at = gateway.Position{Sequence: e.Sequence}
		}
		if s.Wants(e) {
			for parts := uint32(max(1, len(e.UIDs))); s.at.Part < parts; s.at.Part++ {
				if s.room() <= 0 {
					return
				}
				s.add(e)
			}
		}
		s.at = gateway.Position{Sequence: e.Sequence + 1}
		s.settle()
	}
}

// add makes a job of the event at s.at, unless that was dealt with before a restart.
func (s *subscriber) add(e *gateway.Event) {
	if slices.Contains(s.ahead, s.at) {
		return
	}
	j := &job{Position: s.at, event: *e}
	if len(e.UIDs) > 0 {
		j.event.UID, j.event.UIDs = e.UIDs[s.at.Part], nil
	}
	s.open = append(s.open, s.at)
	s.ready = append(s.ready, j)
}

// done notes that a place is dealt with.
func (s *subscriber) done(p gateway.Position) {
	s.open = slices.DeleteFunc(s.open, func(o gateway.Position) bool { return o == p })
	s.ahead = append(s.ahead, p)
	s.settle()
}

// settle forgets what is ahead of nothing.
func (s *subscriber) settle() {
	low := s.low()
	s.ahead = slices.DeleteFunc(s.ahead, func(p gateway.Position) bool { return p.Less(low) })
}
