package main

import (
	"bufio"
	"fmt"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"
)

// many opens streams of a mailbox, each on a connection of its own, and waits until all
// are connected. They read what comes until they are closed, and count the emails.
func (p *process) many(n int) (emails *atomic.Int64, ended *sync.WaitGroup, closeAll func()) {
	p.Helper()
	emails, ended = new(atomic.Int64), new(sync.WaitGroup)
	conns := make([]net.Conn, n)
	var left atomic.Int64
	left.Store(int64(n))
	var openers sync.WaitGroup
	for range 32 {
		openers.Go(func() {
			for i := left.Add(-1); i >= 0; i = left.Add(-1) {
				conns[i] = p.follow(emails, ended)
			}
		})
	}
	openers.Wait()
	closeAll = func() {
		for _, c := range conns {
			if c != nil {
				c.Close()
			}
		}
		ended.Wait()
	}
	p.Cleanup(closeAll)
	if p.Failed() {
		p.FailNow()
	}
	return emails, ended, closeAll
}

// follow opens one; nil if it is not to be had.
func (p *process) follow(emails *atomic.Int64, ended *sync.WaitGroup) net.Conn {
	c, err := net.Dial("tcp", strings.TrimPrefix(p.banner.REST, "http://"))
	if err != nil {
		p.Error(err)
		return nil
	}
	fmt.Fprintf(c, "GET /emails/stream HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer %s\r\n\r\n", p.banner.Keys.Account)
	r := bufio.NewReaderSize(c, 512)
	for {
		line, err := r.ReadString('\n')
		if err != nil {
			p.Errorf("a stream is not connected: %v", err)
			c.Close()
			return nil
		}
		if line == "event: connected\n" {
			break
		}
	}
	ended.Go(func() {
		for {
			line, err := r.ReadString('\n')
			if err != nil {
				return
			}
			if line == "event: new_email\n" {
				emails.Add(1)
			}
		}
	})
	return c
}

// streamBytes is what a stream may cost at most, in resident memory.
const streamBytes = 64 << 10

// Ten thousand streams are followed at once, each in bounded memory, all hear of a mail,
// and none is left when they go.
func TestManyStreams(t *testing.T) {
	const n = 10_000
	needFiles(t, n+1000)
	t.Setenv("POSTERN_LIMITS_STREAMS_PER_KEY", "20000")
	p := startBinary(t)
	before := p.resident()
	emails, _, closeAll := p.many(n)
	after := p.resident()
	t.Logf("%d streams: %d MiB more, %d KiB each", n, (after-before)>>20, (after-before)/n>>10)
	if (after-before)/n > streamBytes {
		t.Errorf("a stream takes %d bytes, more than %d", (after-before)/n, streamBytes)
	}
	began := time.Now()
	c := dial(p.banner.MX, patience)
	defer c.close()
	c.say("", "220 ")
	c.say("EHLO peer.example", "250 ")
	if !letter(c, "to-all") {
		t.Fatal("a mail was not taken")
	}
	for deadline := time.Now().Add(time.Minute); emails.Load() < n; time.Sleep(time.Millisecond) { //nolint:forbidigo // a poll with a deadline
		if time.Now().After(deadline) {
			t.Fatalf("%d of %d were told", emails.Load(), n)
		}
	}
	t.Logf("all were told of a mail in %v", time.Since(began))
	closeAll()
}

// A stop ends a thousand streams at once: their clients come back to whoever is next.
func TestStopManyStreams(t *testing.T) {
	const n = 1000
	t.Setenv("POSTERN_LIMITS_STREAMS_PER_KEY", "20000")
	p := startBinary(t)
	_, ended, _ := p.many(n)
	began := time.Now()
	p.stop()
	took := time.Since(began)
	ended.Wait()
	t.Logf("%d streams ended, and the process, in %v", n, took)
}

// needFiles raises how many files this process, and those it starts, may have open.
func needFiles(t *testing.T, n uint64) {
	t.Helper()
	var limit syscall.Rlimit
	err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &limit)
	if err == nil && limit.Cur < n {
		limit.Cur = min(limit.Max, n)
		if err = syscall.Setrlimit(syscall.RLIMIT_NOFILE, &limit); err == nil && limit.Cur < n {
			err = fmt.Errorf("at most %d files", limit.Max)
		}
	}
	need(t, fmt.Sprintf("%d open files (ulimit -n)", n), err)
}
