package storetest

import (
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/centerleap/postern/store/engine"
)

func (f *fixture) emit(n int) {
	f.Helper()
	for range n {
		f.update(func(tx engine.Tx) error {
			tx.Emit(fmt.Appendf(nil, "change %d", tx.Emit([]byte("first"))))
			return nil
		})
	}
}

// next reads a feed until it has caught up and checks that nothing is missing.
func (f *fixture) next(feed engine.Feed, after uint64) uint64 {
	f.Helper()
	for {
		changes, err := feed.Next(f.Context(), 7)
		if err != nil {
			f.Fatalf("Next: %v", err)
		}
		if len(changes) == 0 {
			return after
		}
		for _, c := range changes {
			after++
			f.want(c.Sequence, after, "sequence")
			if c.Sequence%2 == 0 {
				f.want(string(c.Payload), fmt.Sprintf("change %d", c.Sequence-1), "payload")
			}
		}
	}
}

func testFeed(_ *testing.T, f *fixture) {
	f.emit(20)
	feed := f.e.Feed(1, 0)
	at := f.next(feed, 0)
	f.want(at, 40, "all of them")
	feed.Close()
	f.restart()
	f.emit(5)
	feed = f.e.Feed(1, at)
	f.want(f.next(feed, at), 50, "without a gap over a restart")
	feed.Seek(10)
	f.want(f.next(feed, 10), 50, "again from 10")
	feed.Close()
	other := f.e.Feed(2, 0)
	defer other.Close()
	f.want(f.next(other, 0), 0, "another domain has none")
}

func testFeedTrimmed(_ *testing.T, f *fixture) {
	f.emit(2)
	f.clock = f.clock.Add(engine.FeedRetention)
	f.emit(1)
	feed := f.e.Feed(1, 2)
	defer feed.Close()
	if _, err := feed.Next(f.Context(), 10); !errors.Is(err, engine.ErrTrimmed) {
		f.Fatalf("Next from a trimmed position: %v", err)
	}
	feed.Seek(4)
	f.want(f.next(feed, 4), 6, "from where it begins")
	f.clock = f.clock.Add(engine.FeedRetention)
	feed.Seek(5)
	if _, err := feed.Next(f.Context(), 10); !errors.Is(err, engine.ErrTrimmed) {
		f.Fatalf("Next when all is trimmed: %v", err)
	}
	f.restart()
	f.emit(1)
	feed = f.e.Feed(1, 6)
	defer feed.Close()
	f.want(f.next(feed, 6), 8, "numbers go on after all is trimmed")
}

// testFeedWake: a reader that takes the wake-up and then reads misses nothing.
func testFeedWake(_ *testing.T, f *fixture) {
	const changes = 200
	feed := f.e.Feed(1, 0)
	defer feed.Close()
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			for range changes / 8 {
				f.emit(1)
			}
		})
	}
	deadline := time.After(time.Minute)
	for at := uint64(0); at < changes; {
		select {
		case <-feed.Wake():
			at = f.next(feed, at)
		case <-deadline:
			f.Fatalf("no wake-up; at %d", at)
		}
	}
	wg.Wait()
}

// testManyFeeds: a thousand readers of a hundred domains, a tenth of which never
// read. The others miss nothing, and nobody waits for anybody.
func testManyFeeds(_ *testing.T, f *fixture) {
	const readers, domains, changes = 1000, 100, 5
	var wg sync.WaitGroup
	for i := range readers {
		feed := f.e.Feed(uint32(1+i%domains), 0)
		if i%10 == 0 { // stopped
			defer feed.Close()
			continue
		}
		wg.Go(func() {
			defer feed.Close()
			for at := uint64(0); at < changes; {
				select {
				case <-feed.Wake():
					at = f.next(feed, at)
				case <-time.After(time.Minute):
					f.Errorf("no wake-up; at %d", at)
					return
				}
			}
		})
	}
	for i := range changes {
		for d := range uint32(domains) {
			_, err := f.e.Update(f.Context(), engine.Op{Domain: 1 + d, Fn: func(tx engine.Tx) error {
				tx.Emit(fmt.Appendf(nil, "change %d", i))
				return nil
			}})
			if err != nil {
				f.Fatal(err)
			}
		}
	}
	wg.Wait()
}

func testLease(_ *testing.T, f *fixture) {
	take := func(ttl time.Duration) engine.Lease {
		f.Helper()
		l, err := f.e.Lease(f.Context(), "queue", ttl)
		if err != nil {
			f.Fatalf("Lease: %v", err)
		}
		return l
	}
	check := func(l engine.Lease) error {
		_, err := f.e.Update(f.Context(), engine.Op{Domain: 1, Fn: l.Check})
		return err
	}
	first := take(time.Minute)
	if _, err := f.e.Lease(f.Context(), "queue", time.Minute); !errors.Is(err, engine.ErrHeld) {
		f.Fatalf("a second holder: %v", err)
	}
	f.want(check(first), nil, "held")
	f.clock = f.clock.Add(50 * time.Second)
	f.want(first.Renew(f.Context(), time.Minute), nil, "renewed")
	f.clock = f.clock.Add(50 * time.Second)
	f.want(check(first), nil, "still held")
	f.clock = f.clock.Add(10 * time.Second)
	if err := check(first); !errors.Is(err, engine.ErrFenced) {
		f.Fatalf("after its time: %v", err)
	}
	second := take(time.Minute)
	if second.Epoch() <= first.Epoch() {
		f.Fatalf("epoch %d after %d", second.Epoch(), first.Epoch())
	}
	if err := first.Renew(f.Context(), time.Minute); !errors.Is(err, engine.ErrFenced) {
		f.Fatalf("the old holder renews: %v", err)
	}
	f.want(first.Release(f.Context()), nil, "the old holder's release harms nobody")
	f.want(check(second), nil, "the new holder")
	boot := f.e.Boot()
	f.restart()
	f.want(f.e.Boot(), boot+1, "boots are counted")
	third := take(time.Minute) // the second one's holder died with its process
	if third.Epoch() <= second.Epoch() {
		f.Fatalf("epoch %d after %d", third.Epoch(), second.Epoch())
	}
	f.want(third.Release(f.Context()), nil, "release")
	take(time.Minute)
}
