package gatewaytest

import (
	"io"
	"net"
	"sync"
	"testing"
)

// Forward is an address that leads to another one, which need not be known yet: so two
// gateways can each be the next hop of the other.
type Forward struct {
	Addr string

	mu sync.Mutex
	to string
}

// NewForward leads until the test ends.
func NewForward(t testing.TB) *Forward {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	f := &Forward{Addr: ln.Addr().String()}
	var all sync.WaitGroup
	all.Go(func() {
		for {
			c, err := ln.Accept()
			if err != nil {
				return
			}
			all.Go(func() { f.carry(c) })
		}
	})
	t.Cleanup(func() {
		ln.Close()
		all.Wait()
	})
	return f
}

// Leads says where to, for connections from now on.
func (f *Forward) Leads(to string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.to = to
}

// carry carries bytes both ways until one side ends.
func (f *Forward) carry(c net.Conn) {
	defer c.Close()
	f.mu.Lock()
	to := f.to
	f.mu.Unlock()
	d, err := net.Dial("tcp", to)
	if err != nil {
		return
	}
	defer d.Close()
	done := make(chan struct{})
	go func() {
		defer close(done)
		_, _ = io.Copy(d, c) // whichever side ends
		d.Close()
	}()
	_, _ = io.Copy(c, d)
	c.Close()
	<-done
}
