package store_test

import (
	"context"

	"github.com/centerleap/postern/store"
	"github.com/centerleap/postern/store/engine"
)

// watched is an engine that tells, before it answers, which keys are read of one
// sub-space; what is returned then is what the reader gets.
type watched struct {
	engine.Engine
	sub  byte
	read func(key []byte) error
}

func (e *watched) View(ctx context.Context, fn func(engine.Reader) error) error {
	return e.Engine.View(ctx, func(r engine.Reader) error { return fn(watchedReader{r, e}) })
}

type watchedReader struct {
	engine.Reader
	by *watched
}

func (r watchedReader) Get(k []byte) ([]byte, error) {
	if k[0] == r.by.sub {
		if err := r.by.read(k); err != nil {
			return nil, err
		}
	}
	return r.Reader.Get(k)
}

func (r watchedReader) Scan(rng engine.Range, fn func(k, v []byte) error) error {
	return r.Reader.Scan(rng, func(k, v []byte) error {
		if k[0] == r.by.sub {
			if err := r.by.read(k); err != nil {
				return err
			}
		}
		return fn(k, v)
	})
}

// watch has the world's store read through one.
func (w *world) watch(sub byte, read func(key []byte) error) {
	w.Helper()
	var err error
	w.Store, err = store.New(&watched{w.engine, sub, read}, w.cfg)
	w.ok(err)
}
