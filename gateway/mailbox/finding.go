package mailbox

import (
	"cmp"
	"context"
	"slices"
	"time"

	"github.com/centerleap/postern/gateway"
)

// A search goes over all messages at once, one question after the other, the cheap
// ones first: each leaves fewer messages for the next.

// ErrSearchTime ends a search that takes too long: it never tells a part of what
// there is.
var ErrSearchTime = gateway.Errorf(gateway.Unavailable, "the search takes too long; narrow it")

// finder is one search on its way over the messages of a view.
type finder struct {
	v     *View
	until time.Time // when its time is over
	lost  marks     // gone while it was looking
	sures int       // texts of which it remembers what is sure
}

// Search returns the numbers of the messages that match, in order, without those that
// are gone. ErrSearchTime if that takes too long.
func (v *View) Search(ctx context.Context, c *Criteria) ([]int, error) {
	f := &finder{v: v, until: v.mail.searchEnd(), lost: newMarks(v.Len())}
	in := newMarks(v.Len())
	for i := range v.Each(0, 0) {
		in.set(i)
	}
	if err := f.narrow(ctx, c, in); err != nil {
		return nil, err
	}
	in.remove(f.lost)
	return slices.AppendSeq(make([]int, 0, in.count()), in.all()), nil
}

func (m *Mail) searchEnd() time.Time {
	return time.Now().Add(time.Duration(m.cfg.Limits.SearchSeconds) * time.Second)
}

// step takes out of a set what does not match a part of the criteria.
type step struct {
	cost cost
	keep func(ctx context.Context, in marks) error
}

// narrow takes out of in what does not match.
func (f *finder) narrow(ctx context.Context, c *Criteria, in marks) error {
	steps := f.steps(c)
	defer func(before int) { f.sures = before }(f.sures)
	slices.SortStableFunc(steps, func(a, b step) int { return cmp.Compare(a.cost, b.cost) })
	for _, s := range steps {
		if in.empty() {
			return nil
		}
		if err := f.over(ctx); err != nil {
			return err
		}
		if err := s.keep(ctx, in); err != nil {
			return err
		}
	}
	return nil
}

// over is why the search has to end: its client has left, or its time is over.
func (f *finder) over(ctx context.Context) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	if time.Now().After(f.until) {
		return ErrSearchTime
	}
	return nil
}

func (f *finder) steps(c *Criteria) (all []step) {
	all = f.named(c)
	if c.Has|c.Lacks != 0 {
		all = append(all, step{ofEntries, func(_ context.Context, in marks) error {
			flagged := newMarks(f.v.Len())
			if c.Has&c.Lacks == 0 { // Each would not see the contradiction
				for i := range f.v.Each(c.Has, c.Lacks) {
					flagged.set(i)
				}
			}
			in.keep(flagged)
			return nil
		}})
	}
	if len(c.HasLabels)+len(c.LacksLabels) > 0 || c.ModSeq > 0 {
		all = append(all, step{ofEntries, func(_ context.Context, in marks) error {
			for i := range in.all() {
				if !c.row(f.v.Row(i)) {
					in.clear(i)
				}
			}
			return nil
		}})
	}
	all = append(all, f.records(c)...)
	for _, t := range c.texts() {
		all = append(all, f.text(t)...)
	}
	return append(all, f.nested(c)...)
}

// nested are the parts that are criteria themselves.
func (f *finder) nested(c *Criteria) (all []step) {
	for i := range c.Not {
		not := &c.Not[i]
		all = append(all, step{not.cost(), func(ctx context.Context, in marks) error {
			out := in.clone()
			err := f.narrow(ctx, not, out)
			in.remove(out)
			return err
		}})
	}
	for i := range c.Or {
		a, b := &c.Or[i][0], &c.Or[i][1]
		all = append(all, step{max(a.cost(), b.cost()), func(ctx context.Context, in marks) error {
			either := in.clone()
			if err := f.narrow(ctx, a, either); err != nil {
				return err
			}
			in.remove(either) // the rest has to match the other
			err := f.narrow(ctx, b, in)
			in.add(either)
			return err
		}})
	}
	return all
}

// named are the parts that name messages.
func (f *finder) named(c *Criteria) (all []step) {
	for _, list := range c.Numbers {
		all = append(all, step{ofEntries, func(_ context.Context, in marks) error {
			listed := newMarks(f.v.Len())
			for _, run := range list {
				for i := run.From; i < run.To; i++ {
					listed.set(i)
				}
			}
			in.keep(listed)
			return nil
		}})
	}
	for _, id := range c.Emails {
		all = append(all, f.listed(id, f.email))
	}
	for _, id := range c.Threads {
		all = append(all, f.listed(id, f.thread))
	}
	return all
}

// listed keeps the messages that an id names. To read them takes as long as the index.
func (f *finder) listed(id gateway.ID, read func(context.Context, gateway.ID) ([]gateway.MessageNumber, error)) step {
	return step{ofIndex, func(ctx context.Context, in marks) error {
		give, err := f.v.mail.reads.take(ctx, f.v.at.Domain, f.until)
		if err != nil {
			return err
		}
		list, err := read(ctx, id)
		give()
		if err != nil {
			return err
		}
		for i := range in.all() {
			if _, found := slices.BinarySearch(list, f.v.Row(i).Message); !found {
				in.clear(i)
			}
		}
		return nil
	}}
}

// email is the message of an id, if it is the account's.
func (f *finder) email(ctx context.Context, id gateway.ID) ([]gateway.MessageNumber, error) {
	m, err := f.v.mail.cfg.Store.Message(ctx, f.v.scope, id)
	if gateway.KindOf(err) == gateway.NotFound {
		return nil, nil
	}
	if err != nil || m.Account != f.v.at.Account {
		return nil, err
	}
	return []gateway.MessageNumber{m.Number}, nil
}

// thread is the messages of a conversation, in order.
func (f *finder) thread(ctx context.Context, id gateway.ID) (list []gateway.MessageNumber, err error) {
	th, all, err := f.v.mail.cfg.Store.Newest(ctx, f.v.scope, id, int(f.v.mail.cfg.Limits.ThreadMessages))
	if gateway.KindOf(err) == gateway.NotFound {
		return nil, nil
	}
	if err != nil || th.Account != f.v.at.Account {
		return nil, err
	}
	for _, m := range all {
		list = append(list, m.Number)
	}
	slices.Sort(list)
	return list, nil
}

// records are the parts that need no text: size and arrival, which most entries know, and
// the Date field.
func (f *finder) records(c *Criteria) (all []step) {
	if c.ofArrival() {
		known := newMarks(f.v.Len())
		all = append(all, step{ofEntries, func(_ context.Context, in marks) error {
			for i := range in.all() {
				if arrived, size, ok := f.v.Row(i).Stored(); ok {
					if known.set(i); !c.arrival(arrived, size) {
						in.clear(i)
					}
				}
			}
			return nil
		}}, step{ofRecords, func(ctx context.Context, in marks) error {
			return f.look(ctx, in, known, func(_ context.Context, m *gateway.Message) (bool, error) { return c.arrival(m.Arrived, m.Size()), nil })
		}})
	}
	if c.ofDate() {
		all = append(all, step{ofRecords, func(ctx context.Context, in marks) error {
			return f.look(ctx, in, nil, func(ctx context.Context, m *gateway.Message) (bool, error) {
				return f.v.sent(ctx, m, c.SentSince, c.SentBefore)
			})
		}})
	}
	return all
}
