package guard

import (
	"crypto/tls"
	"errors"
	"net"
	"syscall"

	"golang.org/x/sys/unix"
)

// Await waits until the socket has something to read, or has ended; past the read deadline
// it fails. Nothing is read, and what TLS has read already is not seen. Many wait like
// this: it needs less of a stack than a read through TLS, and no buffer. Where the
// connection is no socket it does not wait.
func (c *Conn) Await() error {
	at := socket(c.Conn)
	if at == nil {
		return nil
	}
	return at.Read(readable)
}

// readable reports whether a read would not wait.
func readable(fd uintptr) bool {
	var b [1]byte
	_, _, err := unix.Recvfrom(int(fd), b[:], unix.MSG_PEEK|unix.MSG_DONTWAIT)
	return !errors.Is(err, unix.EAGAIN)
}

// socket is what lies below a connection; nil if it is no socket.
func socket(c net.Conn) syscall.RawConn {
	if t, ok := c.(*tls.Conn); ok {
		c = t.NetConn()
	}
	if p, ok := c.(*proxied); ok {
		c = p.Conn
	}
	s, ok := c.(syscall.Conn)
	if !ok {
		return nil
	}
	at, err := s.SyscallConn()
	if err != nil {
		return nil
	}
	return at
}
