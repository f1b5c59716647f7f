package imapd

import (
	"context"
	"time"

	"github.com/centerleap/postern/gateway"
)

// whileConnected gives a context that ends when the client leaves, which is seen by
// reading alone, and nobody reads while a command runs. stop must be called before
// anything is read again; what the client has sent is kept.
func (c *conn) whileConnected(ctx context.Context) (connected context.Context, stop func()) {
	connected, cancel := context.WithCancel(ctx)
	ended := make(chan struct{})
	c.wait(gateway.IdleTimeout)
	go func() {
		defer close(ended)
		if _, err := c.in.Peek(1); err != nil {
			cancel()
		}
	}()
	return connected, func() {
		c.wait(-time.Second)
		<-ended
		cancel()
	}
}
