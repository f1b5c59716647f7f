package guard

import (
	"errors"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// Early reports whether the client has sent something already; with a wait also
// whether it does so within it. Nothing is read. It is asked before the first
// read, and before TLS.
func (c *Conn) Early(wait time.Duration) bool {
	raw := c.Conn
	if p, ok := raw.(*proxied); ok {
		if p.in.Buffered() > 0 {
			return true
		}
		raw = p.Conn
	}
	socket, ok := raw.(syscall.Conn)
	if !ok {
		return false
	}
	at, err := socket.SyscallConn()
	if err != nil {
		return false
	}
	if wait > 0 {
		_ = raw.SetReadDeadline(time.Now().Add(wait))
		defer func() { _ = raw.SetReadDeadline(time.Time{}) }()
	}
	early := false
	_ = at.Read(func(fd uintptr) bool { // its error is the end of the wait, or of the client
		var b [1]byte
		n, _, err := unix.Recvfrom(int(fd), b[:], unix.MSG_PEEK|unix.MSG_DONTWAIT)
		early = n > 0 && err == nil
		return wait == 0 || !errors.Is(err, unix.EAGAIN)
	})
	return early
}
