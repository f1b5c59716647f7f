package storetest

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/centerleap/postern/store/engine"
)

func testRanges(_ *testing.T, f *fixture) {
	f.set("a", "1", "b", "2", "b\xff", "3", "c", "4", "d", "5")
	err := f.e.View(f.Context(), func(r engine.Reader) error {
		all := engine.Prefix(k(""))
		f.want(scan(f, r, all), []string{"a=1", "b=2", "b\xff=3", "c=4", "d=5"}, "all")
		f.want(scan(f, r, engine.Range{From: k("b"), To: k("d")}), []string{"b=2", "b\xff=3", "c=4"}, "half open")
		f.want(scan(f, r, engine.Range{From: k("b"), To: k("d"), Reverse: true}), []string{"c=4", "b\xff=3", "b=2"}, "reverse")
		f.want(scan(f, r, engine.Range{From: k("b"), To: k("d"), Limit: 2}), []string{"b=2", "b\xff=3"}, "limit")
		f.want(scan(f, r, engine.Range{From: k("b"), To: k("d"), Limit: 1, Reverse: true}), []string{"c=4"}, "last")
		f.want(scan(f, r, engine.Range{From: k("b"), To: k("c"), KeysOnly: true}), []string{"b", "b\xff"}, "keys only")
		f.want(scan(f, r, engine.Prefix(k("b"))), []string{"b=2", "b\xff=3"}, "prefix")
		f.want(scan(f, r, engine.Range{From: k("x"), To: k("z")}), []string{}, "empty")
		n := 0
		err := r.Scan(all, func(_, _ []byte) error { n++; return engine.ErrStop })
		f.want(fmt.Sprint(n, err), "1 <nil>", "stop")
		boom := errors.New("boom")
		if err := r.Scan(all, func(_, _ []byte) error { return boom }); !errors.Is(err, boom) {
			f.Errorf("Scan hides its callback's error: %v", err)
		}
		return nil
	})
	f.want(err, nil, "View")
	f.restart()
	f.want(f.get("b\xff"), "3", "after a restart")
}

func testOwnWrites(_ *testing.T, f *fixture) {
	f.set("a", "1", "gone", "x")
	f.update(func(tx engine.Tx) error {
		tx.Set(k("a"), []byte("2"))
		tx.Set(k("b"), []byte("3"))
		tx.Delete(k("gone"))
		f.want(value(f, tx, "a")+value(f, tx, "b")+value(f, tx, "gone"), "23-", "inside")
		return nil
	})
	f.want(f.get("a")+f.get("b")+f.get("gone"), "23-", "after")
}

func testOwnScans(_ *testing.T, f *fixture) {
	f.set("a", "1", "c", "1", "e", "1", "g", "1")
	f.update(func(tx engine.Tx) error {
		tx.Set(k("b"), []byte("2"))
		tx.Set(k("c"), []byte("2"))
		tx.Delete(k("e"))
		tx.Set(k("h"), []byte("2"))
		want := []string{"a=1", "b=2", "c=2", "g=1", "h=2"}
		f.want(scan(f, tx, engine.Prefix(k(""))), want, "forward")
		rng := engine.Prefix(k(""))
		rng.Reverse = true
		slices.Reverse(want)
		f.want(scan(f, tx, rng), want, "reverse")
		f.want(scan(f, tx, engine.Range{From: k("b"), To: k("h"), Reverse: true, Limit: 2}), []string{"g=1", "c=2"}, "reverse, bounded")
		f.want(scan(f, tx, engine.Range{From: k("b"), To: k("g")}), []string{"b=2", "c=2"}, "bounded")
		// What a callback writes does not disturb the scan it is in.
		return tx.Scan(engine.Prefix(k("")), func(key, _ []byte) error {
			tx.Delete(slices.Clone(key))
			tx.Set(k("z"+unk(key)), nil)
			return nil
		})
	})
	err := f.e.View(f.Context(), func(r engine.Reader) error {
		f.want(scan(f, r, engine.Range{From: k(""), To: k("\xff"), KeysOnly: true}), []string{"za", "zb", "zc", "zg", "zh"}, "after")
		return nil
	})
	f.want(err, nil, "View")
}

func testSnapshotIsolation(_ *testing.T, f *fixture) {
	f.set("a", "1", "b", "1")
	err := f.e.View(f.Context(), func(r engine.Reader) error {
		before := value(f, r, "a")
		f.set("a", "2", "b", "2")
		f.want(before+value(f, r, "b"), "11", "one moment")
		f.want(scan(f, r, engine.Prefix(k(""))), []string{"a=1", "b=1"}, "scan of the same moment")
		return nil
	})
	f.want(err, nil, "View")
	f.want(f.get("a"), "2", "after")
}

func testFailingClosure(_ *testing.T, f *fixture) {
	boom := errors.New("boom")
	var wg sync.WaitGroup
	for i := range 64 {
		wg.Go(func() {
			_, err := f.e.Update(f.Context(), engine.Op{Domain: 1, Fn: func(tx engine.Tx) error {
				tx.Set(k(fmt.Sprintf("%02d", i)), []byte("x"))
				tx.Emit([]byte("x"))
				switch i % 4 {
				case 1:
					return boom
				case 2:
					panic("boom")
				}
				return nil
			}})
			if failed := i%4 == 1 || i%4 == 2; (err != nil) != failed || i%4 == 1 && !errors.Is(err, boom) {
				f.Errorf("closure %d: %v", i, err)
			}
		})
	}
	wg.Wait()
	for i := range 64 {
		want := "x"
		if i%4 == 1 || i%4 == 2 {
			want = "-"
		}
		f.want(f.get(fmt.Sprintf("%02d", i)), want, fmt.Sprint("key ", i))
	}
	feed := f.e.Feed(1, 0)
	defer feed.Close()
	head, err := feed.Head(f.Context())
	f.want(fmt.Sprint(head, err), "32 <nil>", "failed closures leave no sequence")
}

// testGroup: closures that certainly share a group see each other's writes.
func testGroup(_ *testing.T, f *fixture) {
	hold, running := make(chan struct{}), make(chan struct{})
	var wg sync.WaitGroup
	wg.Go(func() {
		f.update(func(tx engine.Tx) error {
			close(running)
			<-hold
			return nil
		})
	})
	<-running
	var queued sync.WaitGroup
	for range 20 {
		queued.Add(1)
		wg.Go(func() {
			queued.Done()
			f.update(appendLetter)
		})
	}
	queued.Wait()
	close(hold)
	wg.Wait()
	f.want(f.get("letters"), strings.Repeat("x", 20), "each saw the one before")
}

func appendLetter(tx engine.Tx) error {
	b, err := tx.Get(k("letters"))
	if err != nil && !errors.Is(err, engine.ErrNotFound) {
		return err
	}
	tx.Set(k("letters"), append(b, 'x'))
	return nil
}

func testExpiry(_ *testing.T, f *fixture) {
	exp := f.clock.Add(1500 * time.Millisecond)
	f.update(func(tx engine.Tx) error {
		tx.SetUntil(k("soon"), []byte("1"), exp)
		tx.SetUntil(k("past"), []byte("1"), f.clock)
		tx.Set(k("stays"), []byte("1"))
		f.want(value(f, tx, "soon")+value(f, tx, "past"), "1-", "inside")
		return nil
	})
	f.clock = exp.Add(-time.Millisecond)
	f.want(f.get("soon"), "1", "a millisecond before")
	f.clock = exp
	f.want(f.get("soon"), "-", "at the instant")
	f.update(func(tx engine.Tx) error {
		f.want(scan(f, tx, engine.Prefix(k(""))), []string{"stays=1"}, "scan in a closure")
		n, err := tx.DeleteRange(k(""), k("\xff"), 10)
		f.want(fmt.Sprint(n, err), "1 <nil>", "an expired key is not there to delete")
		return nil
	})
	f.restart()
	f.want(f.get("soon")+f.get("stays"), "--", "after a restart")
}

func testDeleteRange(_ *testing.T, f *fixture) {
	f.set("a", "", "b", "", "c", "", "d", "")
	f.update(func(tx engine.Tx) error {
		n, err := tx.DeleteRange(k("b"), k("d"), 1)
		f.want(fmt.Sprint(n, err), "1 <nil>", "bounded")
		n, err = tx.DeleteRange(k("b"), k("d"), 10)
		f.want(fmt.Sprint(n, err), "1 <nil>", "the rest")
		return nil
	})
	f.want(f.get("a")+f.get("b")+f.get("c")+f.get("d"), "--", "a and d stay, empty")
}

func testCounter(_ *testing.T, f *fixture) {
	const writers, each = 64, 25
	var wg sync.WaitGroup
	for range writers {
		wg.Go(func() {
			for range each {
				f.update(func(tx engine.Tx) error {
					b, err := tx.Get(k("n"))
					if err != nil && !errors.Is(err, engine.ErrNotFound) {
						return err
					}
					tx.Set(k("n"), u64(number(b)+1))
					return nil
				})
			}
		})
	}
	wg.Wait()
	f.restart()
	f.want(number([]byte(f.get("n"))), writers*each, "no increment is lost")
}

func testReserved(_ *testing.T, f *fixture) {
	for _, sub := range []byte{engine.SubMeta, engine.SubFeed, engine.SubBlob, engine.SubBody, engine.SubLease} {
		_, err := f.e.Update(f.Context(), engine.Op{Domain: 1, Fn: func(tx engine.Tx) error {
			tx.Set([]byte{sub, 0, 0, 0, 1, 'x'}, nil)
			return nil
		}})
		if !errors.Is(err, engine.ErrReserved) {
			f.Errorf("sub-space %02x: %v, want ErrReserved", sub, err)
		}
	}
}

func testTooLarge(_ *testing.T, f *fixture) {
	_, err := f.e.Update(f.Context(), engine.Op{Domain: 1, Fn: func(tx engine.Tx) error {
		for i := range 64 {
			tx.Set(k(fmt.Sprint("big", i)), make([]byte, 1<<20))
		}
		return nil
	}})
	if !errors.Is(err, engine.ErrTooLarge) {
		f.Errorf("64 MiB in one closure: %v, want ErrTooLarge", err)
	}
	f.want(f.get("big0"), "-", "nothing of it is there")
	f.set("after", "1")
	f.want(f.get("after"), "1", "the store goes on")
	// Many closures that fit one by one, but not together, all succeed.
	var wg sync.WaitGroup
	for i := range 32 {
		wg.Go(func() { f.set(fmt.Sprint("m", i), strings.Repeat("x", 300<<10)) })
	}
	wg.Wait()
	f.want(len(f.get("m31")), 300<<10, "split between groups")
}

func testCancel(_ *testing.T, f *fixture) {
	hold, running := make(chan struct{}), make(chan struct{})
	first := make(chan error, 1)
	ctx, cancel := context.WithCancel(background)
	go func() {
		_, err := f.e.Update(ctx, engine.Op{Domain: 1, Fn: func(tx engine.Tx) error {
			close(running)
			<-hold
			tx.Set(k("started"), []byte("1"))
			return nil
		}})
		first <- err
	}()
	<-running
	second := make(chan error, 1)
	sent := make(chan struct{})
	go func() {
		close(sent)
		_, err := f.e.Update(ctx, engine.Op{Domain: 1, Fn: func(tx engine.Tx) error {
			tx.Set(k("queued"), []byte("1"))
			return nil
		}})
		second <- err
	}()
	<-sent
	cancel()
	f.want(<-second, context.Canceled, "queued: given up")
	close(hold)
	f.want(<-first, nil, "started: waits for the outcome")
	f.want(f.get("started")+f.get("queued"), "1-", "and tells the truth")
}

// An Update that was given up has done nothing, whenever that was: while it waited
// behind a running group, or at the head of the next.
func testCancelAnyTime(t *testing.T, f *fixture) {
	stop := make(chan struct{})
	var busy sync.WaitGroup
	for d := range 2 { // so that there is a group under way most of the time
		busy.Go(func() {
			for i := 0; ; i++ {
				select {
				case <-stop:
					return
				default:
				}
				_, err := f.e.Update(background, engine.Op{Domain: uint32(2 + d), Fn: func(tx engine.Tx) error {
					tx.Set(binary.BigEndian.AppendUint32([]byte{0x01, 0, 0, 0, byte(2 + d)}, uint32(i)), []byte("x"))
					return nil
				}})
				if err != nil {
					t.Error(err)
					return
				}
			}
		})
	}
	gaveUp := 0
	for i := range 2000 {
		ctx, cancel := context.WithTimeout(background, time.Duration(rand.IntN(400))*time.Microsecond)
		ran := false
		_, err := f.e.Update(ctx, engine.Op{Domain: 1, Fn: func(tx engine.Tx) error {
			ran = true
			tx.Set(k(fmt.Sprint("try", i)), []byte("x"))
			return nil
		}})
		cancel()
		if err == nil {
			continue
		}
		gaveUp++
		if ran || f.get(fmt.Sprint("try", i)) != "-" {
			t.Errorf("try %d was given up (%v) and ran: %v", i, err, ran)
		}
	}
	close(stop)
	busy.Wait()
	for i := range 2000 { // nor has one run later
		if v := f.get(fmt.Sprint("try", i)); v == "-" {
			gaveUp--
		}
	}
	if gaveUp != 0 {
		t.Errorf("%d that were given up are there", gaveUp)
	}
}

func testClose(_ *testing.T, f *fixture) {
	var wg sync.WaitGroup
	acked := make([]bool, 200)
	for i := range acked {
		wg.Go(func() {
			_, err := f.e.Update(background, engine.Op{Domain: 1, Fn: func(tx engine.Tx) error {
				tx.Set(k(fmt.Sprint(i)), []byte("1"))
				return nil
			}})
			if acked[i] = err == nil; err != nil && !errors.Is(err, engine.ErrClosed) {
				f.Errorf("writer %d: %v", i, err)
			}
		})
	}
	f.stop()
	wg.Wait()
	if _, err := f.e.Update(background, engine.Op{Fn: func(engine.Tx) error { return nil }}); !errors.Is(err, engine.ErrClosed) {
		f.Errorf("Update after Close: %v", err)
	}
	if err := f.e.View(background, func(engine.Reader) error { return nil }); !errors.Is(err, engine.ErrClosed) {
		f.Errorf("View after Close: %v", err)
	}
	f.start()
	for i, ok := range acked {
		if ok {
			f.want(f.get(fmt.Sprint(i)), "1", "acknowledged before Close")
		}
	}
}

// testRandom compares 10,000 random operations with a map, over restarts.
func testRandom(t *testing.T, f *fixture) {
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	rnd := rand.New(rand.NewPCG(seed, 1))
	model := make(map[string]string)
	for done := 0; done < 10_000 && !t.Failed(); {
		ops := 1 + rnd.IntN(200)
		draft := make(map[string]string, len(model))
		maps.Copy(draft, model)
		fail := rnd.IntN(10) == 0
		_, err := f.e.Update(f.Context(), engine.Op{Domain: 1, Fn: func(tx engine.Tx) error {
			for range ops {
				randomStep(f, rnd, tx, draft)
			}
			if fail {
				return errors.New("on purpose")
			}
			return nil
		}})
		if (err != nil) != fail {
			t.Fatalf("Update: %v", err)
		}
		if !fail {
			model = draft
		}
		done += ops
		if rnd.IntN(30) == 0 {
			f.restart()
		}
		if rnd.IntN(10) == 0 {
			f.compare(model)
		}
	}
	f.compare(model)
}

func randomStep(f *fixture, rnd *rand.Rand, tx engine.Tx, model map[string]string) {
	key := fmt.Sprintf("%03d", rnd.IntN(300))
	switch rnd.IntN(10) {
	case 0, 1, 2, 3, 4:
		v := fmt.Sprint(rnd.Uint32())
		tx.Set(k(key), []byte(v))
		model[key] = v
	case 5, 6:
		tx.Delete(k(key))
		delete(model, key)
	case 7:
		want, ok := model[key]
		if !ok {
			want = "-"
		}
		f.want(value(f, tx, key), want, "get "+key)
	case 8:
		to := fmt.Sprintf("%03d", rnd.IntN(300))
		rng := engine.Range{From: k(key), To: k(to), Reverse: rnd.IntN(2) == 0, Limit: rnd.IntN(20)}
		f.want(scan(f, tx, rng), modelScan(model, key, to, rng), "scan")
	case 9:
		to := fmt.Sprintf("%03d", rnd.IntN(300))
		most := 1 + rnd.IntN(5)
		n, err := tx.DeleteRange(k(key), k(to), most)
		gone := modelScan(model, key, to, engine.Range{Limit: most, KeysOnly: true})
		f.want(fmt.Sprint(n, err), fmt.Sprint(len(gone), nil), "delete range")
		for _, g := range gone {
			delete(model, g)
		}
	}
}

func modelScan(model map[string]string, from, to string, rng engine.Range) []string {
	var keys []string
	for key := range model {
		if key >= from && key < to {
			keys = append(keys, key)
		}
	}
	slices.Sort(keys)
	if rng.Reverse {
		slices.Reverse(keys)
	}
	if rng.Limit > 0 && len(keys) > rng.Limit {
		keys = keys[:rng.Limit]
	}
	if !rng.KeysOnly {
		for i, key := range keys {
			keys[i] = key + "=" + model[key]
		}
	}
	return keys
}

func (f *fixture) compare(model map[string]string) {
	f.Helper()
	err := f.e.View(f.Context(), func(r engine.Reader) error {
		f.want(scan(f, r, engine.Prefix(k(""))), modelScan(model, "", "\xff", engine.Range{}), "the whole store")
		return nil
	})
	f.want(err, nil, "View")
}
