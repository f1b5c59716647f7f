package main

import (
	"context"

	"github.com/cockroachdb/pebble/v2"

	"github.com/centerleap/postern/store/storetest"
)

// pebbleStore is Pebble with a synced batch for each message, bodies among the
// other values. It has a group commit of its own.
type pebbleStore struct{ *pebble.DB }

// openPebble opens it as it comes, with memtables of 4 MiB.
func openPebble(dir string) (store, error) { return openPebbleWith(dir, &pebble.Options{}) }

// openPebble64 opens it with the memory that CockroachDB gives it: memtables of
// 64 MiB, which is also Badger's default.
func openPebble64(dir string) (store, error) {
	return openPebbleWith(dir, &pebble.Options{MemTableSize: 64 << 20, MemTableStopWritesThreshold: 4, L0StopWritesThreshold: 1000})
}

func openPebbleWith(dir string, opt *pebble.Options) (store, error) {
	opt.Logger = silent{}
	db, err := pebble.Open(dir, opt)
	return pebbleStore{db}, err
}

func (p pebbleStore) accept(_ context.Context, m *storetest.Message) error {
	b := p.NewBatch()
	err := eachPair(m, func(k, v []byte) error { return b.Set(k, v, nil) })
	if err != nil {
		return err
	}
	if err := b.Commit(pebble.Sync); err != nil {
		return err
	}
	return b.Close()
}

type silent struct{}

func (silent) Infof(string, ...any)              {}
func (silent) Errorf(string, ...any)             {}
func (silent) Fatalf(format string, args ...any) { pebble.DefaultLogger.Fatalf(format, args...) }
