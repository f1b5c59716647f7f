package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"

	"github.com/centerleap/postern/store/storetest"
)

// raw is the limit of the disk: one file, filled with zeros beforehand, and one
// goroutine that puts what all waiting callers brought into one write and one
// fdatasync. It keeps nothing that one could find again. At its end it begins
// anew, which costs a disk the same.
type raw struct {
	file  *os.File
	queue chan *rawRequest
	ended chan struct{}
}

type rawRequest struct {
	m    *storetest.Message
	done chan error
}

const (
	rawSize  = 256 << 20
	rawGroup = 512 // messages in one write
)

func openRaw(dir string) (store, error) {
	f, err := os.Create(filepath.Join(dir, "log"))
	if err != nil {
		return nil, err
	}
	zeros := make([]byte, 1<<20)
	for range rawSize / len(zeros) {
		if _, err := f.Write(zeros); err != nil {
			return nil, err
		}
	}
	if err := f.Sync(); err != nil {
		return nil, err
	}
	r := &raw{file: f, queue: make(chan *rawRequest, 1024), ended: make(chan struct{})}
	go r.collect()
	return r, nil
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
			b = append(append(b, req.m.Body...), req.m.Record...)
		}
		if at+int64(len(b)) > rawSize {
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
