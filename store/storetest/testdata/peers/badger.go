package main

import (
	"context"

	badger "github.com/dgraph-io/badger/v4"

	"github.com/centerleap/postern/store/storetest"
)

// plainBadger is Badger as its documentation shows it, with every commit synced
// and bodies among the other values.
type plainBadger struct{ *badger.DB }

func openBadger(dir string) (store, error) {
	db, err := badger.Open(badger.DefaultOptions(dir).WithSyncWrites(true).WithValueThreshold(1 << 20).WithLogger(nil))
	return plainBadger{db}, err
}

func (b plainBadger) accept(_ context.Context, m *storetest.Message) error {
	return b.Update(func(txn *badger.Txn) error { return eachPair(m, txn.Set) })
}
