package rest

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"net"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/centerleap/postern/gateway"
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
	// eventsAtOnce is how many events are written between two flushes.
	eventsAtOnce = 100
)

// stream is one client that listens. It outlives its request's handler and so
// holds nothing of fiber's.
type stream struct {
	server   *Server
	session  *keys.Session // nil at the operator's socket
	conn     net.Conn
	follower gateway.Follower
	follow   func(context.Context) (gateway.Follower, error)
	email    string
	folders  map[string]bool
	lost     bool // the client's last event is not in the feed any more
	stop     <-chan struct{}
	release  func()
}

// streamEmails follows a mailbox until the client leaves, the key ends, or the
// gateway stops. Source: API guide, "Real-Time Streaming".
func (s *Server) streamEmails(k *call) error {
	scope, err := s.mailScope(k)
	if err != nil {
		return err
	}
	account, err := s.cfg.Mail.Account(k.ctx, scope, k.c.Query("email"))
	if err != nil {
		return err
	}
	k.row.Account = account.ID
	if k.session != nil {
		k.session.ActFor(account.ID)
	}
	st := &stream{server: s, session: k.session, conn: k.c.Context().Conn(), email: account.Email, stop: k.stop}
	if st.folders, err = s.streamFolders(k, scope, account.Email); err != nil {
		return err
	}
	st.follow = func(ctx context.Context) (gateway.Follower, error) {
		return s.cfg.Streams.Follow(ctx, scope, account.Domain, account.ID)
	}
	if st.release, err = s.streams.enter(k.scope.Key(), s.cfg.Limits.StreamsPerKey); err != nil {
		return err
	}
	if err := st.open(k, scope, account); err != nil {
		st.release()
		return err
	}
	k.session = nil // the stream closes it
	k.c.Context().SetConnectionClose()
	h := &k.c.Response().Header
	h.SetContentType("text/event-stream")
	h.Set("Cache-Control", "no-cache, no-transform")
	h.Set("X-Accel-Buffering", "no")
	k.c.Context().SetBodyStreamWriter(st.run)
	return nil
}

// streamFolders reads the folders to follow: INBOX unless others are named.
func (s *Server) streamFolders(k *call, scope gateway.Scope, email string) (map[string]bool, error) {
	if v := k.c.Query("events"); v != "" && v != "new_email" {
		return nil, gateway.Fieldf(gateway.InvalidParameter, "events", "events is new_email; other types are not built yet")
	}
	v := k.c.Query("folders")
	if v == "" {
		return map[string]bool{gateway.Inbox: true}, nil
	}
	known, err := s.cfg.Mail.Folders(k.ctx, scope, email)
	if err != nil {
		return nil, err
	}
	folders := make(map[string]bool)
	for name := range strings.SplitSeq(v, ",") {
		name = gateway.FoldMailbox(strings.TrimSpace(name))
		for i := range known {
			folders[name] = folders[name] || known[i].Name == name
		}
		if !folders[name] {
			return nil, gateway.Fieldf(gateway.NotFound, "folders", "no such folder: %s", name)
		}
	}
	return folders, nil
}

// open begins to follow: from where the client was, or from now.
func (st *stream) open(k *call, scope gateway.Scope, a *gateway.Account) (err error) {
	last := k.c.Get("Last-Event-ID", k.c.Query("last_event_id"))
	if last == "" {
		st.follower, err = st.follow(k.ctx)
		return err
	}
	after, bad := strconv.ParseUint(last, 10, 64)
	if bad == nil {
		st.follower, err = st.server.cfg.Streams.Resume(k.ctx, scope, a.Domain, a.ID, after)
	}
	if bad != nil || errors.Is(err, gateway.ErrTrimmed) {
		st.lost = true
		st.follower, err = st.follow(k.ctx)
	}
	return err
}

// streamMoment is the data of the events that are only signs of life.
type streamMoment struct {
	Email     string `json:"email,omitempty"`
	Reason    string `json:"reason,omitempty"`
	Timestamp string `json:"timestamp"`
}

// streamMail is the data of new_email; what follows timestamp is ours.
type streamMail struct {
	Email     string `json:"email"`
	Mailbox   string `json:"mailbox"`
	UID       uint32 `json:"uid"`
	Timestamp string `json:"timestamp"`
	EmailID   string `json:"email_id"`
	Sequence  uint64 `json:"sequence"`
}

// run writes the stream. fasthttp calls it in a goroutine of its own.
func (st *stream) run(w *bufio.Writer) {
	defer st.release()
	defer func() { st.follower.Close() }()
	ended := make(<-chan struct{})
	if st.session != nil {
		defer st.session.Close()
		ended = st.session.Done()
		// A client that reads nothing must not hold the stream open.
		st.session.OnEnd(func() { time.AfterFunc(endTime, func() { _ = st.conn.Close() }) })
	}
	fmt.Fprintf(w, "retry: %d\n\n", reconnect.Milliseconds())
	if st.lost {
		st.resync(w)
	}
	st.event(w, "connected", streamMoment{Email: st.email, Timestamp: st.now()})
	beat := time.NewTicker(time.Duration(st.server.cfg.Limits.HeartbeatSeconds) * time.Second)
	defer beat.Stop()
	for {
		if st.news(w) != nil || st.flush(w) != nil {
			return
		}
		select {
		case <-st.follower.Wake():
		case <-beat.C:
			st.event(w, "heartbeat", streamMoment{Timestamp: st.now()})
		case <-ended:
			return
		case <-st.stop:
			return
		}
	}
}

// news writes what happened since the last look.
func (st *stream) news(w *bufio.Writer) error {
	for {
		ctx, cancel := context.WithTimeout(context.Background(), gateway.RequestTimeout)
		events, err := st.follower.Next(ctx, eventsAtOnce)
		cancel()
		if errors.Is(err, gateway.ErrTrimmed) {
			err = st.begin(w)
			events = nil
		}
		if err != nil {
			return err
		}
		for i := range events {
			e := &events[i]
			if e.Type == gateway.EventReceived && st.folders[e.Folder] {
				st.eventAt(w, e.Sequence, "new_email", streamMail{
					Email: st.email, Mailbox: e.Folder, UID: e.UID, Timestamp: stamp(e.At), EmailID: e.Email.String(), Sequence: e.Sequence,
				})
			}
		}
		if len(events) == 0 {
			return nil
		}
		if err := st.flush(w); err != nil {
			return err
		}
	}
}

// begin follows anew from now, after the feed was cut behind the follower.
func (st *stream) begin(w *bufio.Writer) error {
	ctx, cancel := context.WithTimeout(context.Background(), gateway.RequestTimeout)
	defer cancel()
	f, err := st.follow(ctx)
	if err != nil {
		return err
	}
	st.follower.Close()
	st.follower = f
	st.resync(w)
	return nil
}

// resync tells the client that events were lost to age.
func (st *stream) resync(w *bufio.Writer) {
	st.event(w, "resync", streamMoment{Reason: "the events after your last one are no longer kept; list again", Timestamp: st.now()})
}

// event writes an event that says where the stream is.
func (st *stream) event(w *bufio.Writer, name string, data any) {
	st.eventAt(w, st.follower.At(), name, data)
}

// eventAt writes one event. Its errors are those of the next flush.
func (st *stream) eventAt(w *bufio.Writer, id uint64, name string, data any) {
	raw, err := encodeJSON(data)
	if err != nil {
		return // no type of ours fails
	}
	fmt.Fprintf(w, "id: %d\nevent: %s\ndata: %s\n\n", id, name, raw)
}

// flush sends what was written; a client that doesn't read ends its stream.
func (st *stream) flush(w *bufio.Writer) error {
	_ = st.conn.SetWriteDeadline(time.Now().Add(flushTime))
	return w.Flush()
}

func (st *stream) now() string { return stamp(st.server.cfg.Now()) }

// streamCount counts the open streams of each key.
type streamCount struct {
	mu    sync.Mutex
	byKey map[gateway.ID]int64
}

// enter counts one stream; release takes it back.
func (n *streamCount) enter(key gateway.ID, most int64) (release func(), err error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.byKey == nil {
		n.byKey = make(map[gateway.ID]int64)
	}
	if n.byKey[key] >= most {
		return nil, &gateway.Error{
			Kind: gateway.RateLimited, Limit: "streams", Retry: reconnect,
			Message: fmt.Sprintf("the key has %d open streams; close one first", most),
		}
	}
	n.byKey[key]++
	return func() {
		n.mu.Lock()
		defer n.mu.Unlock()
		if n.byKey[key]--; n.byKey[key] == 0 {
			delete(n.byKey, key)
		}
	}, nil
}
