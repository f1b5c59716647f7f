package main

import (
	"context"
	"errors"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"time"

	"github.com/centerleap/postern/store/storetest"
)

const (
	readMessages = 100_000
	readNewest   = 20
)

// reads measures what one caller waits for, among 100,000 messages.
func reads(ctx context.Context, s *settings, out io.Writer) (err error) {
	dir := filepath.Join(s.dir, "reads")
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	p, err := openEngine(dir, false)
	if err != nil {
		return err
	}
	if err = storetest.Fill(ctx, p, readMessages); err != nil {
		return errors.Join(err, p.Close())
	}
	if err := p.Close(); err != nil {
		return err
	}
	if p, err = openEngine(dir, false); err != nil { // as after a restart
		return err
	}
	defer func() { err = errors.Join(err, p.Close()) }()
	var get, list series
	for range s.rounds {
		one, err := each(s.time, func() error { return storetest.ReadOne(ctx, p, rand.Uint64N(readMessages)) })
		if err != nil {
			return err
		}
		page, err := each(s.time, func() error { return storetest.ReadNewest(ctx, p, readNewest) })
		if err != nil {
			return err
		}
		get, list = append(get, one), append(list, page)
	}
	t := newTable(out, "reads of one caller among 100,000 messages, microseconds", "", "median (min-max)", "target", "")
	t.bound("get a record by its id", get, "%.1f", atMost, 10)
	t.bound("newest 20 with their records", list, "%.1f", atMost, 60)
	return t.flush()
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
