package imapd

import (
	"bufio"
	"net"
	"strings"
	"sync"
	"time"

	"github.com/emersion/go-imap/v2/imapserver"

	"github.com/centerleap/postern/gateway"
)

// IDLE, RFC 2177, is the front's own: the library never sees it, and would keep a second
// goroutine for it. Clients idle by the thousand, so one that does is a goroutine that
// waits for its socket, with a small stack, and hardly a buffer. Who tells it the news
// lives as long as there are some.

// idling is an IDLE that runs.
type idling struct {
	tag   string
	began time.Time
	stop  func() // ends the telling of news
}

// restAfter is how long a client idles before the library rests. Ours: who is done at once,
// to fetch what it has just heard of, keeps it.
const restAfter = 100 * time.Millisecond

// beginIdle begins the command, and runs it if it is short.
func (c *conn) beginIdle(cmd *command) error {
	c.mu.Lock()
	c.note = &note{tag: cmd.tag, name: cmd.name, dialect: c.dialect, offers: c.offers}
	c.mu.Unlock()
	if err := c.say("+ idling"); err != nil {
		return err
	}
	i := &idling{tag: cmd.tag, began: time.Now(), stop: c.session.listen()}
	_ = c.Conn.SetReadDeadline(i.began.Add(restAfter))
	_, err := c.in.Peek(1)
	if isTimeout(err) {
		c.resting = i
		return errResting
	}
	return c.endIdle(i, err)
}

// endIdle reads what ends the command, and answers it. err is why nothing can be read.
func (c *conn) endIdle(i *idling, err error) error {
	var l string
	if err == nil {
		_ = c.Conn.SetReadDeadline(i.began.Add(gateway.IdleTimeout))
		l, err = readLine(c.in, c.user.line)
	}
	i.stop()
	if err != nil {
		return err
	}
	if !strings.EqualFold(l, "DONE") {
		c.hangUp("DONE was expected")
		return net.ErrClosed
	}
	if err := c.session.tell(true); err != nil {
		c.hangUp(unreadable)
		return err
	}
	return c.say(i.tag + " OK IDLE completed")
}

const (
	// stillHere is said in an IDLE in which nothing happens: a client that is gone is
	// found out, and networks remember it.
	stillHere  = "* OK still here"
	unreadable = "the mailbox can't be read"
)

// idleOn waits until the client says something, and tells it now and then that we are here.
func (c *conn) idleOn(i *idling) error {
	last := i.began.Add(gateway.IdleTimeout)
	for until := i.began; ; {
		if until = until.Add(gateway.IdleKeepalive); until.After(last) {
			until = last
		}
		if err := c.quiet(until); !isTimeout(err) || !until.Before(last) {
			return err
		}
		if err := c.say(stillHere); err != nil {
			return err
		}
	}
}

// quiet waits until there is something to read. Where it waits the stack is shallow, so
// that most of it is given back.
func (c *conn) quiet(until time.Time) error {
	_ = c.Conn.SetReadDeadline(time.Now().Add(-time.Second)) // what came with the last line is there at once
	if _, err := c.in.Peek(1); !isTimeout(err) {
		return err
	}
	_ = c.Conn.SetReadDeadline(until)
	c.in = nil // it is empty
	err := c.Await()
	c.in = bufio.NewReaderSize(c.Conn, lineBuffer)
	if err != nil {
		return err
	}
	_, err = c.in.Peek(1)
	return err
}

// telling tells a client the news of its mailbox while it idles.
type telling struct {
	s       *session
	running sync.WaitGroup

	mu    sync.Mutex
	busy  bool // somebody looks, and tells
	again bool // there may be more since
	over  bool
}

// listen has the client told what changes, until stop is called, which waits for what is
// being told.
func (s *session) listen() (stop func()) {
	if s.view == nil {
		return func() {}
	}
	t := &telling{s: s}
	s.view.OnWake(t.wake)
	t.wake() // for what came before
	return func() {
		s.view.OnWake(nil)
		t.mu.Lock()
		t.over = true
		t.mu.Unlock()
		t.running.Wait()
	}
}

// wake is called when there may be news. It waits for nobody.
func (t *telling) wake() {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.busy || t.over {
		t.again = true
		return
	}
	t.busy = true
	t.running.Go(t.tell)
}

// tell tells all there is. After a failure it stays busy: the client is hung up on.
func (t *telling) tell() {
	s := t.s
	defer func() {
		if p := recover(); p != nil {
			s.panicked(p)
		}
	}()
	for more := true; more; {
		if s.tell(true) != nil {
			s.c.hangUp(unreadable)
			return
		}
		s.buf = nil
		t.mu.Lock()
		more = t.again && !t.over
		t.busy, t.again = more, false
		t.mu.Unlock()
	}
}

// Idle is for the library, which never calls it.
func (s *session) Idle(*imapserver.UpdateWriter, <-chan struct{}) error {
	return refuse("SERVERBUG", "IDLE is the front's")
}
