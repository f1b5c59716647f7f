package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"

	"github.com/centerleap/postern/store/storetest"
)

// raw is a group log and nothing else: one goroutine puts what all waiting callers
// brought into one write at the end of a file, and one fdatasync. It keeps all that
// it was given, so every write goes to fresh space, as in any log; but nothing can be
// found in it again.
type raw struct {
	file  *os.File
	size  int64 // at which it begins anew at 0, or 0: it grows
	queue chan *rawRequest
	ended chan struct{}
}

type rawRequest struct {
	m    *storetest.Message
	done chan error
}

const (
	filledSize = 256 << 20
	rawGroup   = 512 // messages in one write
)

// openRaw opens the log that grows.
func openRaw(dir string) (store, error) {
	f, err := os.Create(filepath.Join(dir, "log"))
	if err != nil {
		return nil, err
	}
	return newRaw(f, 0), nil
}

// openOverwrite opens a file that was filled beforehand and that is written over
// again and again. It is no log, for it loses what is older than a few seconds: no
// page of it has to be found or made, no block to be allotted. It is the limit of the
// device and of the calls into the kernel.
func openOverwrite(dir string) (store, error) {
	f, err := os.Create(filepath.Join(dir, "log"))
	if err != nil {
		return nil, err
	}
	zeros := make([]byte, 1<<20)
	for range filledSize / len(zeros) {
		if _, err := f.Write(zeros); err != nil {
			return nil, err
		}
	}
	if err := f.Sync(); err != nil {
		return nil, err
	}
	return newRaw(f, filledSize), nil
}

func newRaw(f *os.File, size int64) *raw {
	r := &raw{file: f, size: size, queue: make(chan *rawRequest, 1024), ended: make(chan struct{})}
	go r.collect()
	return r
}

func (r *raw) accept(_ context.Context, m *storetest.Message) error {
	req := &rawRequest{m: m, done: make(chan error, 1)}
	r.queue <- req
	return <-req.done
}

func (r *raw) collect() {
	defer close(r.ended)
	var group []*rawRequest
	var b []byte
	at := int64(0)
	for first := range r.queue {
		group, b = append(group[:0], first), b[:0]
		for len(group) < rawGroup && len(r.queue) > 0 {
			group = append(group, <-r.queue)
		}
		for _, req := range group {
			_ = eachPair(req.m, func(k, v []byte) error {
				b = append(append(b, k...), v...)
				return nil
			})
		}
		if r.size > 0 && at+int64(len(b)) > r.size {
			at = 0
		}
		_, err := r.file.WriteAt(b, at)
		if err == nil {
			err = datasync(r.file)
		}
		if err != nil {
			err = fmt.Errorf("write the log: %w", err)
		}
		at += int64(len(b))
		for _, req := range group {
			req.done <- err
		}
	}
}

func (r *raw) Close() error {
	close(r.queue)
	<-r.ended
	return r.file.Close()
}
