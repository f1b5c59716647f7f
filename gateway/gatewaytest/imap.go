package gatewaytest

import (
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"time"

	"github.com/centerleap/postern/gateway/gatewaytest/imapread"
)

// IMAP is a client of the imaps door that takes no response outside of the grammar.
// One goroutine uses it; it fails no test itself.
type IMAP struct {
	Conn net.Conn

	tag  int
	from chan *imapread.Response
	err  error // why from was closed
	log  []string
}

// logLines is how much of a dialogue an IMAP remembers.
const logLines = 40

// DialIMAP connects to the imaps door and reads the greeting. Close it.
func (g *Gateway) DialIMAP() (*IMAP, error) { return DialIMAP(g.Addr("imaps"), g.TLS()) }

// DialIMAP connects to a door that speaks TLS from the first byte.
func DialIMAP(addr string, config *tls.Config) (*IMAP, error) {
	conn, err := tls.Dial("tcp", addr, config)
	if err != nil {
		return nil, err
	}
	c := &IMAP{Conn: conn, from: make(chan *imapread.Response)}
	go c.read()
	if r, err := c.Next(chatPatience); err != nil || r.Name != "OK" {
		c.Close()
		return nil, fmt.Errorf("the greeting: %+v, %w", r, err)
	}
	return c, nil
}

// read takes responses from the connection until it ends.
func (c *IMAP) read() {
	in := imapread.NewReader(c.Conn)
	for {
		r, err := in.Next()
		if err != nil {
			c.err = err
			close(c.from)
			return
		}
		c.from <- r
	}
}

// Close ends the connection without a word.
func (c *IMAP) Close() {
	_ = c.Conn.Close()
	for range c.from { // until the reader has ended
	}
}

// ErrSilent means that a response did not come in time.
var ErrSilent = errors.New("the server says nothing")

// Next waits for a response.
func (c *IMAP) Next(patience time.Duration) (*imapread.Response, error) {
	timer := time.NewTimer(patience)
	defer timer.Stop()
	select {
	case r, ok := <-c.from:
		if !ok {
			return nil, c.err
		}
		c.note(fmt.Sprintf("S: %s", describe(r)))
		return r, nil
	case <-timer.C:
		return nil, ErrSilent
	}
}

// Send sends a command and returns its tag. Parts stand behind each other; before each
// but the first, the client waits until it is asked for more.
func (c *IMAP) Send(parts ...string) (tag string, err error) {
	c.tag++
	tag = fmt.Sprintf("t%d", c.tag)
	for i, part := range parts {
		if i == 0 {
			part = tag + " " + part
		} else if err := c.asked(); err != nil {
			return tag, err
		}
		c.note(fmt.Sprintf("C: %.200q", part))
		if err := c.Raw(part + "\r\n"); err != nil {
			return tag, err
		}
	}
	return tag, nil
}

// asked waits until the server asks for more. One that says goodbye instead is at its end.
func (c *IMAP) asked() error {
	r, err := c.Next(chatPatience)
	switch {
	case err != nil:
		return err
	case r.Name == "BYE":
		return fmt.Errorf("BYE %s: %w", r.Text, io.EOF)
	case r.Tag != "+":
		return fmt.Errorf("asked for a literal: %+v", r)
	}
	return nil
}

// Raw sends bytes as they are.
func (c *IMAP) Raw(s string) error {
	_ = c.Conn.SetWriteDeadline(time.Now().Add(chatPatience))
	_, err := io.WriteString(c.Conn, s)
	return err
}

// Do sends a command and shows each response to fn up to the tagged one, which it
// returns; fn may be nil.
func (c *IMAP) Do(fn func(*imapread.Response) error, parts ...string) (*imapread.Response, error) {
	tag, err := c.Send(parts...)
	if err != nil {
		return nil, err
	}
	for {
		r, err := c.Next(chatPatience)
		if err != nil {
			return nil, err
		}
		switch {
		case r.Tag == tag:
			return r, nil
		case r.Tag != "*":
			return nil, fmt.Errorf("got %+v while %s runs", r, tag)
		case fn != nil:
			if err := fn(r); err != nil {
				return nil, err
			}
		}
	}
}

// OK is Do for a command that must succeed; it returns all untagged responses.
func (c *IMAP) OK(parts ...string) (all []*imapread.Response, err error) {
	r, err := c.Do(func(r *imapread.Response) error { all = append(all, r); return nil }, parts...)
	if err == nil && r.Name != "OK" {
		err = fmt.Errorf("%.200q: %s %s %s", parts[0], r.Name, r.Code, r.Text)
	}
	return all, err
}

// Log is the last of the dialogue.
func (c *IMAP) Log() string { return strings.Join(c.log, "\n") }

func (c *IMAP) note(line string) {
	if c.log = append(c.log, line); len(c.log) > 2*logLines {
		c.log = append(c.log[:0], c.log[len(c.log)-logLines:]...)
	}
}

// describe is a response in one short line.
func describe(r *imapread.Response) string {
	switch {
	case r.Fetch != nil:
		return fmt.Sprintf("* %d FETCH uid %d flags %q modseq %d", r.Number, r.Fetch.UID, r.Fetch.Flags, r.Fetch.ModSeq)
	case r.Number > 0:
		return fmt.Sprintf("* %d %s", r.Number, r.Name)
	}
	return fmt.Sprintf("%s %s [%s] %s %s %v %.100v", r.Tag, r.Name, r.Code, r.Text, r.Mailbox, r.Status, r.Numbers)
}
