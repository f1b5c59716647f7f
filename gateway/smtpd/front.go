package smtpd

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"time"

	"github.com/centerleap/postern/gateway"
	"github.com/centerleap/postern/gateway/guard"
)

// handle greets a client, takes it through TLS, and hands it to the library with
// the first command that the library is for.
func (d *door) handle(gc *guard.Conn) {
	if d.role.implicit {
		if err := gc.Secure(d.cfg.TLS); err != nil {
			_ = gc.Close()
			return
		}
	}
	c := d.newConn(gc)
	if d.patient(c) && d.greet(c) {
		d.after.Give(c)
		return
	}
	_ = c.Close()
}

// patient reports whether the client waits for the greeting, as RFC 5321 section
// 3.1 has it. Who doesn't is a program that talks to nobody, and is told so.
func (d *door) patient(c *conn) bool {
	wait := d.cfg.BannerWait
	if d.role.submit {
		wait = 0 // people wait there
	}
	if d.role.implicit || !c.Early(wait) {
		return true
	}
	c.Refused()
	d.cfg.Log.LogAttrs(context.Background(), slog.LevelInfo, "a client spoke before the greeting",
		slog.String("door", d.role.name), slog.String("ip", c.IP))
	c.hangUp("554 5.5.1 wait for the greeting")
	return false
}

// greet speaks the dialogue that needs no library: EHLO, STARTTLS and what
// changes nothing. It reports whether the library shall go on.
func (d *door) greet(c *conn) bool {
	c.say("220 %s ESMTP Postern", d.cfg.Hostname)
	hello := ""
	for c.faults < d.cfg.Limits.SessionErrors {
		line, err := c.readCommand()
		if err != nil {
			return false
		}
		verb, arg, _ := strings.Cut(line, " ")
		switch verb = strings.ToUpper(verb); {
		case verb == "EHLO" || verb == "HELO":
			if heloName(arg) == "" {
				c.refuse("501 5.5.4 %s needs your host's name or address", verb)
				continue
			}
			hello = line
			d.welcome(c, verb == "EHLO")
		case verb == "NOOP" || verb == "RSET":
			c.say("250 2.0.0 Ok")
		case verb == "QUIT":
			c.say("221 2.0.0 Bye")
			return false
		case verb == "STARTTLS":
			ok, answered := d.startTLS(c, arg)
			if answered && !ok {
				continue
			}
			if !ok {
				return false
			}
			hello = "" // RFC 3207 section 4.2: what was said before counts no more
		case d.role.submit && !c.IsSecure() && verb == "AUTH":
			c.refuse("538 5.7.11 Encryption required: STARTTLS first")
		case d.role.submit && !c.IsSecure():
			c.refuse("530 5.7.0 STARTTLS first")
		case hello == "":
			c.refuse("503 5.5.1 EHLO first")
		default:
			c.extended = strings.EqualFold(hello[:4], "EHLO")
			c.head = []byte(hello + "\r\n" + line + "\r\n")
			c.swallow = 2 // the library's greeting, and its answer to hello
			return true
		}
	}
	c.hangUp(tooManyFaults)
	return false
}

// welcome answers EHLO, or HELO.
func (d *door) welcome(c *conn, extended bool) {
	if !extended {
		c.say("250 %s", d.cfg.Hostname)
		return
	}
	lines := []string{d.cfg.Hostname, "PIPELINING", "8BITMIME", "ENHANCEDSTATUSCODES", "CHUNKING", "SMTPUTF8"}
	if d.cfg.TLS != nil && !c.IsSecure() {
		lines = append(lines, "STARTTLS")
	}
	if d.role.submit && c.IsSecure() {
		lines = append(lines, "AUTH PLAIN LOGIN")
	}
	lines = append(lines, fmt.Sprintf("SIZE %d", d.cfg.Limits.MessageBytes), fmt.Sprintf("LIMITS RCPTMAX=%d", d.role.most(d.cfg.Limits)))
	for i, l := range lines {
		c.say("250%c%s", "- "[btoi(i == len(lines)-1)], l)
	}
}

func btoi(b bool) int {
	if b {
		return 1
	}
	return 0
}

// startTLS puts TLS on the connection. Without success it says whether the
// client got an answer and may go on in the clear; after a handshake that failed
// nothing more is said.
func (d *door) startTLS(c *conn, arg string) (ok, answered bool) {
	switch {
	case arg != "":
		c.refuse("501 5.5.4 STARTTLS takes no argument")
		return false, true
	case c.IsSecure():
		c.refuse("503 5.5.1 TLS is on")
		return false, true
	case d.cfg.TLS == nil:
		c.refuse("502 5.5.1 STARTTLS is not offered")
		return false, true
	case c.in.Buffered() > 0: // bytes sent before TLS would be read as if inside it
		c.hangUp("501 5.5.1 nothing may follow STARTTLS before TLS")
		return false, false
	}
	defer c.begin()() // a goodbye in the clear would go into the handshake
	c.say("220 2.0.0 Go ahead")
	if c.send() != nil || c.Secure(d.cfg.TLS) != nil {
		return false, false
	}
	c.reset()
	return true, true
}

// readCommand reads one line, after all replies were sent.
func (c *conn) readCommand() (string, error) {
	_ = c.SetDeadline(time.Now().Add(gateway.CommandTimeout)) // also to read our replies
	if c.in.Buffered() == 0 {
		if err := c.beforeWait(); err != nil {
			return "", err
		}
	}
	line, err := c.in.ReadSlice('\n')
	switch {
	case err == nil:
		return strings.TrimRight(string(line), "\r\n"), nil
	case errors.Is(err, errWire):
		c.hangUp(c.wire.reply())
	case errors.Is(err, bufio.ErrBufferFull):
		c.hangUp("500 5.5.2 the line is too long")
	case isTimeout(err):
		c.hangUp("421 4.4.2 timeout")
	}
	return "", err
}

func isTimeout(err error) bool {
	t, ok := errors.AsType[interface {
		error
		Timeout() bool
	}](err)
	return ok && t.Timeout()
}

func (c *conn) say(format string, args ...any) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.out = append(fmt.Appendf(c.out, format, args...), "\r\n"...)
}

// refuse is say for what counts as a fault of the client.
func (c *conn) refuse(format string, args ...any) {
	c.say(format, args...)
	c.faults++
}

func (c *conn) send() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.flush()
}

// heloName is the name a client gives itself, if it could be one: a domain or an
// address literal, RFC 5321 section 4.1.1.1. It is written into Received.
func heloName(arg string) string {
	name, _, _ := strings.Cut(strings.TrimSpace(arg), " ")
	const marks = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.-_:[]"
	if len(name) > 255 || strings.Trim(name, marks) != "" {
		return ""
	}
	return name
}
