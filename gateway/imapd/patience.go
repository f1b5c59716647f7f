package imapd

import (
	"net"
	"time"

	"github.com/centerleap/postern/gateway"
)

// waitForCommand sets how long a client may be silent, or may take over its next
// command, and returns how much that may be.
func (c *conn) waitForCommand() bounds {
	now := time.Now()
	if c.loggedIn() {
		_ = c.Conn.SetReadDeadline(now.Add(gateway.IdleTimeout))
		return c.user
	}
	last := c.began.Add(gateway.LoginWindow)
	if silent := now.Add(gateway.LoginTimeout); silent.Before(last) {
		last = silent
	}
	_ = c.Conn.SetReadDeadline(last)
	return guestBounds
}

// piece reads some of the message of an APPEND, which must come at the least rate.
func (c *conn) piece(b []byte) (int, error) {
	now := time.Now()
	if c.sending.IsZero() {
		c.sending = now
	}
	came := c.upload.message - c.left
	pace := gateway.TransferGrace + time.Duration(came/gateway.TransferRate)*time.Second
	last := c.sending.Add(min(pace, gateway.TransferTimeout))
	if pause := now.Add(gateway.TransferPause); pause.Before(last) {
		last = pause
	}
	_ = c.Conn.SetReadDeadline(last)
	n, err := c.in.Read(b[:min(int64(len(b)), c.left)])
	c.left -= int64(n)
	return n, err
}

// endUpload reads what must stand behind a message, and nothing else may: another
// literal would be run as commands.
func (c *conn) endUpload() error {
	l, err := readLine(c.in, c.user.line)
	if err != nil {
		return err
	}
	if l != c.upload.closing() {
		c.hangUp("APPEND takes one message")
		return net.ErrClosed
	}
	return nil
}

func (c *conn) loggedIn() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.authed
}

func (c *conn) wait(d time.Duration) { _ = c.Conn.SetReadDeadline(time.Now().Add(d)) }
