package main

import (
	"context"
	"io"
	"log/slog"

	"github.com/centerleap/postern/store/badgerstore"
	"github.com/centerleap/postern/store/storetest"
)

// postern is the embedded engine, behind the contract of package engine.
type postern struct {
	*badgerstore.Store
	hot bool
}

func openPostern(dir string) (store, error) { return openEngine(dir, false) }
func openHot(dir string) (store, error)     { return openEngine(dir, true) }

func openEngine(dir string, hot bool) (*postern, error) {
	s, err := badgerstore.Open(badgerstore.Config{Dir: dir, Log: slog.New(slog.NewTextHandler(io.Discard, nil))})
	if err != nil {
		return nil, err
	}
	return &postern{s, hot}, nil
}

func (p *postern) accept(ctx context.Context, m *storetest.Message) error {
	return storetest.Accept(ctx, p, m, p.hot)
}
