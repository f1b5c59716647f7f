package imapd

import (
	"context"
	"errors"
	"io"
	"time"

	"github.com/centerleap/postern/gateway"
)

// probeEvery is how often a client that sends nothing more is told that we are still
// here: one that is gone answers that with a reset. Ours.
const probeEvery = time.Second

// whileConnected gives a context that ends when the client leaves, or has to. That is seen
// by reading alone, and nobody reads while a command runs. stop must be called before
// anything is read again, or written; what the client has sent is kept.
func (c *conn) whileConnected(ctx context.Context) (connected context.Context, stop func()) {
	connected, cancel := context.WithCancel(ctx)
	ended := make(chan struct{})
	c.mu.Lock()
	if c.last == "" {
		c.wait(gateway.IdleTimeout)
	}
	c.mu.Unlock()
	go func() {
		defer close(ended)
		_, err := c.in.Peek(1)
		if err == nil || errors.Is(err, io.EOF) && c.stillReads(connected) {
			return
		}
		cancel()
	}()
	return connected, func() {
		cancel()
		c.wait(-time.Second)
		<-ended
	}
}

// stillReads waits for the end of ctx, as long as a client that has said its last takes
// what we write: it may have closed its half of the connection alone.
func (c *conn) stillReads(ctx context.Context) bool {
	probe := time.NewTicker(probeEvery)
	defer probe.Stop()
	for {
		select {
		case <-ctx.Done():
			return true
		case <-probe.C:
		}
		if c.ends() != "" || c.say(stillHere) != nil {
			return false
		}
	}
}
