package resolve

import (
	"container/list"
	"sync"
	"time"
)

// cache remembers replies until their time is over, within a number of bytes; what was
// not asked for longest goes first.
type cache struct {
	mu    sync.Mutex
	most  int64
	bytes int64
	order *list.List // of *kept, the last asked in front
	byQ   map[question]*list.Element
}

type kept struct {
	q     question
	rep   reply
	at    time.Time
	until time.Time
	bytes int64
}

func (c *cache) init(most int64) {
	c.most, c.order, c.byQ = most, list.New(), make(map[question]*list.Element)
}

// get returns a reply that still holds, with the time that is left of it, unless it is
// older than age.
func (c *cache) get(q question, now time.Time, age time.Duration) (reply, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	e := c.byQ[q]
	if e == nil {
		return reply{}, false
	}
	k := e.Value.(*kept)
	if !now.Before(k.until) {
		c.drop(e)
		return reply{}, false
	}
	if now.Sub(k.at) > age {
		return reply{}, false
	}
	c.order.MoveToFront(e)
	rep := k.rep
	rep.ttl = k.until.Sub(now)
	return rep, true
}

// put remembers a reply for its ttl. One that holds no time, or is larger than all
// there is room for, is not kept.
func (c *cache) put(q question, rep reply, now time.Time) {
	k := &kept{q: q, rep: rep, at: now, until: now.Add(rep.ttl), bytes: weight(q, rep)}
	c.mu.Lock()
	defer c.mu.Unlock()
	if e := c.byQ[q]; e != nil {
		c.drop(e)
	}
	if rep.ttl <= 0 || k.bytes > c.most {
		return
	}
	c.byQ[q] = c.order.PushFront(k)
	for c.bytes += k.bytes; c.bytes > c.most; {
		c.drop(c.order.Back())
	}
}

func (c *cache) drop(e *list.Element) {
	k := c.order.Remove(e).(*kept)
	delete(c.byQ, k.q)
	c.bytes -= k.bytes
}

// overhead is about what a reply without records takes up, in bytes, its places in
// list and map included; measured.
const overhead = 400

// weight is about how many bytes a reply takes up.
func weight(q question, rep reply) int64 {
	n := overhead + len(q.name) + len(rep.name) + 24*len(rep.addrs)
	for _, s := range rep.texts {
		n += 16 + len(s)
	}
	for _, s := range rep.hosts {
		n += 16 + len(s)
	}
	for _, m := range rep.mx {
		n += 24 + len(m.Host)
	}
	return int64(n)
}

// flights are the questions under way: whoever asks the same thing waits for the
// answer of the first.
type flights struct {
	mu    sync.Mutex
	calls map[question]*flight
}

// flight is one of them. Its answer may be read when done is closed.
type flight struct {
	done  chan struct{}
	rep   reply
	whole bool // it was asked to the end; else the next has to ask
}

// join returns the flight of a question, and whether the caller is its first.
func (f *flights) join(q question) (*flight, bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if one := f.calls[q]; one != nil {
		return one, false
	}
	one := &flight{done: make(chan struct{})}
	f.calls[q] = one
	return one, true
}

// land ends a flight, also if its first caller panicked.
func (f *flights) land(q question, one *flight) {
	f.mu.Lock()
	delete(f.calls, q)
	f.mu.Unlock()
	close(one.done)
}
