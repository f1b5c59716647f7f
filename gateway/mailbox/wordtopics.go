package mailbox

import (
	"context"
	"slices"

	"github.com/centerleap/postern/gateway"
)

// topics is Mail.topics for words: one message of each has them. It asks the list for the
// order and the records for their conversations alone: to read the messages takes ten
// times as long.
func (w *wordSearch) topics(ctx context.Context, q gateway.ListQuery, want int) (all []*topic, cut bool, err error) {
	at, cut, err := w.listed(ctx, q, gateway.Wanted{}) // all of them
	if err != nil {
		return nil, false, err
	}
	threads, err := w.threads(ctx, q, at)
	if err != nil {
		return nil, false, err
	}
	met := make(meeting)
	for i, one := range at {
		if threads[i].IsZero() {
			continue // it was deleted meanwhile
		}
		var t *topic
		all, t = met.topic(all, threads[i], one.UID)
		switch w.of(one.Message) {
		case matches:
			t.matches = true
		case matchesMaybe:
			t.open = append(t.open, one.Message)
		case matchesNot:
		}
	}
	all, err = w.matching(ctx, q, all, want)
	return all, cut, err
}

// threads are the conversations of listed messages; zero of one that is gone.
func (w *wordSearch) threads(ctx context.Context, q gateway.ListQuery, at []gateway.Listed) ([]gateway.ID, error) {
	all := make([]gateway.ID, 0, len(at))
	for chunk := range slices.Chunk(at, threadsAtOnce) {
		give, err := w.m.reads.take(ctx, q.Domain, w.until)
		if err != nil {
			return nil, err
		}
		numbers, from := make([]gateway.MessageNumber, len(chunk)), len(all)
		for i := range chunk {
			numbers[i] = chunk[i].Message
		}
		all = append(all, make([]gateway.ID, len(chunk))...)
		err = w.m.cfg.Store.Bodies(ctx, w.scope, q.Domain, q.Account, numbers, func(i int, m *gateway.Message) { all[from+i] = m.Thread })
		give()
		if err != nil {
			return nil, err
		}
	}
	return all, nil
}

// threadsAtOnce is of how many messages a search asks for the conversations before it lets
// others go on. Ours: a millisecond or two.
const threadsAtOnce = 1024

// matching looks which conversations match, until there are more than want.
func (w *wordSearch) matching(ctx context.Context, q gateway.ListQuery, all []*topic, want int) (found []*topic, err error) {
	for _, t := range all {
		for chunk := range slices.Chunk(t.open, readAtOnce) {
			if t.matches {
				break
			}
			if t.matches, err = w.any(ctx, q, chunk); err != nil {
				return nil, err
			}
		}
		if t.matches {
			if found = append(found, t); len(found) > want {
				break
			}
		}
	}
	return found, nil
}

// any reports whether one of some messages has the words.
func (w *wordSearch) any(ctx context.Context, q gateway.ListQuery, numbers []gateway.MessageNumber) (bool, error) {
	give, err := w.m.reads.take(ctx, q.Domain, w.until)
	if err != nil {
		return false, err
	}
	defer give()
	ok, err := w.say(ctx, q.Domain, q.Account, numbers)
	return slices.Contains(ok, true), err
}
