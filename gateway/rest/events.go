package rest

import (
	"bufio"
	"errors"
	"fmt"
	"net"
	"strconv"
	"time"

	"github.com/centerleap/postern/gateway/keys"
)

const (
	// flushTime is how long a client may take to read what was written; then its
	// stream ends, and it resumes by id.
	flushTime = 30 * time.Second
	// reconnect is what clients are told to wait before they come back.
	reconnect = 3 * time.Second
	// endTime is how long the stream of a key that has ended may take to close.
	endTime = 500 * time.Millisecond
	// chatter is how many bytes a client may send while it listens; nobody reads them. Ours.
	chatter = 4 << 10
	// eventsAtOnce is how many events are written between two flushes.
	eventsAtOnce = 100
)

// events is one client that listens to something. It outlives its request's handler and
// so holds nothing of fiber's.
type events struct {
	server  *Server
	session *keys.Session // nil at the operator's socket
	conn    net.Conn
	lasts   time.Duration // until the token ends that opened it; 0 with a key
	stop    <-chan struct{}
	release func()
	w       *bufio.Writer // while it runs
	ended   <-chan struct{}
	over    <-chan time.Time
	gone    <-chan struct{}
}

// teller is what a stream is about. What it writes of events that are its own has their
// ids; at is that of the others.
type teller interface {
	at() uint64
	greet(e *events) error // writes what comes first
	news(e *events) error  // writes what happened since the last look
	wake() <-chan struct{} // says that there may be news
	close()
}

// events counts a stream as its key's; the caller answers with it, or releases it.
func (s *Server) events(k *call) (*events, error) {
	release, err := s.cfg.Keys.EnterStream(k.scope.Key())
	if err != nil {
		return nil, err
	}
	return &events{server: s, session: k.session, conn: k.c.Context().Conn(), lasts: k.lasts(s.cfg.Now()), stop: k.stop, release: release}, nil
}

// stream answers with what t tells until the client leaves, the key ends, or the gateway
// stops.
func (e *events) stream(k *call, t teller) error {
	k.session = nil // the stream closes it
	k.c.Context().SetConnectionClose()
	h := &k.c.Response().Header
	h.SetContentType("text/event-stream")
	h.Set("Cache-Control", "no-cache, no-transform")
	h.Set("X-Accel-Buffering", "no")
	h.Set("Referrer-Policy", "no-referrer") // the address may hold a token
	k.c.Context().SetBodyStreamWriter(func(w *bufio.Writer) {
		e.w = w
		e.loop(t)
	})
	return nil
}

// moment is the data of the events that are only signs of life.
type moment struct {
	Email     string `json:"email,omitempty"`
	Domain    string `json:"domain,omitempty"`
	PluginID  string `json:"plugin_id,omitempty"`
	Reason    string `json:"reason,omitempty"`
	Timestamp string `json:"timestamp"`
}

// loop writes the stream. fasthttp calls it in a goroutine of its own.
func (e *events) loop(t teller) {
	defer e.release()
	defer t.close()
	if e.session != nil {
		defer e.session.Close()
		e.ended = e.session.Done()
		// A client that reads nothing must not hold the stream open.
		e.session.OnEnd(func() { time.AfterFunc(endTime, func() { _ = e.conn.Close() }) })
	}
	over, stopOver := after(e.lasts)
	defer stopOver()
	e.over = over
	defer e.watch()()
	fmt.Fprintf(e.w, "retry: %d\n\n", reconnect.Milliseconds())
	if t.greet(e) != nil {
		return
	}
	beat := time.NewTicker(time.Duration(e.server.cfg.Limits.HeartbeatSeconds) * time.Second)
	defer beat.Stop()
	for {
		if t.news(e) != nil || e.flush() != nil {
			return
		}
		select {
		case <-t.wake():
		case <-beat.C:
			e.write(t.at(), "heartbeat", moment{Timestamp: e.now()})
		case <-e.ended:
			return
		case <-e.over:
			return
		case <-e.gone:
			return
		case <-e.stop:
			return
		}
	}
}

// watch looks out for the client's leaving: it closes its side, or says more than it has
// to say. A write would tell that too, but not before the next heartbeat, and until then
// the stream counts as its key's: a client that comes back often would be shut out.
func (e *events) watch() (stop func()) {
	_ = e.conn.SetReadDeadline(time.Time{})
	gone := make(chan struct{})
	e.gone = gone
	go func() {
		defer close(gone)
		var b [64]byte
		for said := 0; said < chatter; {
			n, err := e.conn.Read(b[:])
			if err != nil {
				return
			}
			said += n
		}
	}()
	return func() {
		_ = e.conn.SetReadDeadline(time.Now())
		<-gone
	}
}

// write writes one event. Its errors are those of the next flush.
func (e *events) write(id uint64, name string, data any) {
	e.writeAs(strconv.FormatUint(id, 10), name, data)
}

func (e *events) writeAs(id, name string, data any) {
	if raw, err := encodeJSON(data); err == nil { // no type of ours fails
		e.put(id, name, raw)
	}
}

// put writes one event, whose data is JSON. A long one doesn't wait for the flush to go
// out, so its time begins here.
func (e *events) put(id, name string, data []byte) {
	_ = e.conn.SetWriteDeadline(time.Now().Add(flushTime))
	fmt.Fprintf(e.w, "id: %s\nevent: %s\ndata: %s\n\n", id, name, data)
}

// errOver ends a stream that has much to tell still.
var errOver = errors.New("the stream is over")

// flush sends what was written. It fails when the client doesn't read, and when the stream
// is to end though there is more to tell.
func (e *events) flush() error {
	_ = e.conn.SetWriteDeadline(time.Now().Add(flushTime))
	if err := e.w.Flush(); err != nil {
		return err
	}
	select {
	case <-e.ended:
	case <-e.over:
	case <-e.gone:
	case <-e.stop:
	default:
		return nil
	}
	return errOver
}

func (e *events) now() string { return stamp(e.server.cfg.Now()) }

// after hears when a time is over; for 0 it hears nothing.
func after(d time.Duration) (over <-chan time.Time, stop func()) {
	if d == 0 {
		return nil, func() {}
	}
	t := time.NewTimer(d)
	return t.C, func() { t.Stop() }
}
