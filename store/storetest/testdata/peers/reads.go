package main

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"path/filepath"
	"time"

	badger "github.com/dgraph-io/badger/v4"

	"github.com/centerleap/postern/store/storetest"
)

const (
	readMessages = 100_000
	readNewest   = 20
)

// reader is a store that reads what storetest.Fill stores.
type reader interface {
	readOne(ctx context.Context, number uint64) error
	readNewest(ctx context.Context, n int) error
	Close() error
}

func (p *postern) readOne(ctx context.Context, number uint64) error {
	return storetest.ReadOne(ctx, p, number)
}

func (p *postern) readNewest(ctx context.Context, n int) error {
	return storetest.ReadNewest(ctx, p, n)
}

// reads measures what one caller waits for, among 100,000 messages. Plain Badger is
// the floor of a store that has it as its index.
func reads(ctx context.Context, s *settings, out io.Writer) (err error) {
	ours, err := filledEngine(ctx, filepath.Join(s.dir, "reads"))
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, ours.Close()) }()
	plain, err := filledBadger(filepath.Join(s.dir, "reads-badger"))
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, plain.Close()) }()
	figures := make(map[string]series)
	for range s.rounds {
		for name, r := range map[string]reader{"postern": ours, "badger": plain} {
			one, err := each(s.time, func() error { return r.readOne(ctx, rand.Uint64N(readMessages)) })
			if err != nil {
				return err
			}
			page, err := each(s.time, func() error { return r.readNewest(ctx, readNewest) })
			if err != nil {
				return err
			}
			figures["get "+name] = append(figures["get "+name], one)
			figures["list "+name] = append(figures["list "+name], page)
		}
	}
	t := newTable(out, "reads of one caller among 100,000 messages, microseconds", "", "median (min-max)", "target", "")
	t.bound("get a record by its id", figures["get postern"], "%.1f", atMost, 10)
	t.row("the same, plain Badger", figures["get badger"].text("%.1f"))
	t.bound("newest 20 with their records", figures["list postern"], "%.1f", atMost, 60)
	t.row("the same, plain Badger", figures["list badger"].text("%.1f"))
	return t.flush()
}

// filledEngine is ours, as after a restart.
func filledEngine(ctx context.Context, dir string) (reader, error) {
	p, err := openEngine(dir, false)
	if err != nil {
		return nil, err
	}
	if err := errors.Join(storetest.Fill(ctx, p, readMessages), p.Close()); err != nil {
		return nil, err
	}
	return openEngine(dir, false)
}

// filledBadger holds the same pairs, and is read without any layer.
func filledBadger(dir string) (reader, error) {
	opened, err := openBadger(dir)
	if err != nil {
		return nil, err
	}
	db := opened.(plainBadger)
	batch := db.NewWriteBatch()
	for i := range uint64(readMessages) {
		m := storetest.NewMessage(i)
		err := batch.Set(m.RecordKey, m.Record)
		for _, k := range m.IndexKeys {
			err = errors.Join(err, batch.Set(k, m.Entry))
		}
		if err != nil {
			return nil, errors.Join(err, db.Close())
		}
	}
	if err := errors.Join(batch.Flush(), db.Close()); err != nil {
		return nil, err
	}
	opened, err = openBadger(dir)
	return opened.(plainBadger), err
}

func (b plainBadger) readOne(_ context.Context, number uint64) error {
	return b.View(func(txn *badger.Txn) error { return readBadger(txn, storetest.RecordKey(number)) })
}

var newestPrefix = func() []byte {
	k := storetest.NewMessage(0).IndexKeys[0]
	return k[:len(k)-8]
}()

func (b plainBadger) readNewest(_ context.Context, n int) error {
	opt := badger.DefaultIteratorOptions
	opt.Reverse, opt.PrefetchValues = true, false
	opt.Prefix = newestPrefix
	return b.View(func(txn *badger.Txn) error {
		it := txn.NewIterator(opt)
		defer it.Close()
		found := 0
		for it.Seek(append(bytes.Clone(opt.Prefix), 0xff)); it.Valid() && found < n; it.Next() {
			var number uint64
			if err := it.Item().Value(func(v []byte) error { number = binary.BigEndian.Uint64(v); return nil }); err != nil {
				return err
			}
			if err := readBadger(txn, storetest.RecordKey(number)); err != nil {
				return err
			}
			found++
		}
		if found != n {
			return fmt.Errorf("%d messages, want %d", found, n)
		}
		return nil
	})
}

func readBadger(txn *badger.Txn, key []byte) error {
	item, err := txn.Get(key)
	if err != nil {
		return err
	}
	v, err := item.ValueCopy(nil)
	if err == nil && len(v) != storetest.RecordSize {
		err = fmt.Errorf("a record of %d bytes", len(v))
	}
	return err
}

// each returns how many microseconds fn takes, called over and over for d.
func each(d time.Duration, fn func() error) (float64, error) {
	n, began := 0, time.Now()
	for time.Since(began) < d {
		if err := fn(); err != nil {
			return 0, err
		}
		n++
	}
	return float64(time.Since(began).Microseconds()) / float64(n), nil
}
