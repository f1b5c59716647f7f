package main

import (
	"context"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"time"

	"github.com/centerleap/postern/store/badgerstore"
	"github.com/centerleap/postern/store/storetest"
)

// postern is the embedded engine, behind the contract of package engine.
type postern struct {
	*badgerstore.Store
	hot bool
}

func openPostern(dir string) (store, error) { return openReady(dir, false) }
func openHot(dir string) (store, error)     { return openReady(dir, true) }

func openReady(dir string, hot bool) (store, error) {
	p, err := openEngine(dir, hot)
	if err == nil {
		err = filled(filepath.Join(dir, "log", "seg-00000001"))
	}
	return p, err
}

func openEngine(dir string, hot bool) (*postern, error) {
	s, err := badgerstore.Open(badgerstore.Config{Dir: dir, Log: slog.New(slog.DiscardHandler), FillAhead: filledSize})
	if err != nil {
		return nil, err
	}
	return &postern{s, hot}, nil
}

// filled waits until the log has made its first segment ready, as raw does with its
// file: a store in use always has some.
func filled(segment string) error {
	for deadline := time.Now().Add(time.Minute); ; time.Sleep(50 * time.Millisecond) {
		info, err := os.Stat(segment)
		if err != nil || info.Size() >= filledSize {
			return err
		}
		if time.Now().After(deadline) {
			return errors.New("the log isn't filled ahead")
		}
	}
}

func (p *postern) accept(ctx context.Context, m *storetest.Message) error {
	return storetest.Accept(ctx, p, m, p.hot)
}
