package dashboard

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"strconv"
	"sync"
	"time"

	"github.com/gofiber/fiber/v2"

	"github.com/centerleap/postern/gateway"
)

const (
	// liveEvents is how many events the page shows at first, and liveAtOnce how many are
	// written between two flushes. Ours: a screen or two, and some KiB.
	liveEvents = 50
	liveAtOnce = 100
	// liveFlush is how long a browser may take to read what was written; then its stream
	// ends, and it comes back after liveRetry. liveEnd is how long the stream of a sign-in
	// that has ended may take to close. Ours, as those of REST's streams.
	liveFlush = 30 * time.Second
	liveRetry = 3 * time.Second
	liveEnd   = 500 * time.Millisecond
)

// happening is an event as the page shows it.
type happening struct {
	Sequence uint64    `json:"sequence"`
	At       time.Time `json:"at"`
	Type     string    `json:"type"`
	Account  string    `json:"account"` // its address
	Folder   string    `json:"folder"`
	Detail   string    `json:"detail"`
	Email    string    `json:"email"` // its id
}

// names finds the addresses of accounts for as long as somebody looks.
type names struct {
	d     *Dashboard
	scope gateway.Scope
	known map[gateway.AccountID]string
}

// namesKept bounds what is remembered of them. Ours.
const namesKept = 1000

func (n *names) of(ctx context.Context, d gateway.DomainID, a gateway.AccountID) string {
	if name, ok := n.known[a]; ok || a == 0 {
		return name
	}
	if len(n.known) >= namesKept {
		clear(n.known)
	}
	one, err := n.d.cfg.Domains.AccountByID(ctx, n.scope, d, a)
	if err != nil {
		return "" // it was deleted
	}
	n.known[a] = one.Email
	return one.Email
}

func (n *names) happening(ctx context.Context, e *gateway.Event) happening {
	h := happening{Sequence: e.Sequence, At: e.At.UTC(), Type: string(e.Type), Account: n.of(ctx, e.Domain, e.Account), Folder: e.Folder, Detail: e.Detail}
	if !e.Email.IsZero() {
		h.Email = e.Email.String()
	}
	if len(e.UIDs) > 1 {
		h.Detail = counted(len(e.UIDs), "email")
	}
	return h
}

// livePage is the newest events; a script adds those that come.
type livePage struct {
	Events []happening // the newest first
	Of     string      // the domain, or the account
}

// Last is the newest one's place in the feed; 0 if there is none.
func (p livePage) Last() uint64 {
	if len(p.Events) == 0 {
		return 0
	}
	return p.Events[0].Sequence
}

func (d *Dashboard) live(v *visit) error {
	page := livePage{Of: v.domain.Name}
	key := v.signin.session.Key()
	found, err := d.cfg.Streams.Recent(v.ctx, v.scope, v.domain.ID, key.Account, liveEvents)
	if err != nil {
		return err
	}
	who := &names{d, v.scope, make(map[gateway.AccountID]string)}
	if key.Account != 0 {
		page.Of = who.of(v.ctx, v.domain.ID, key.Account)
	}
	for i := range found {
		page.Events = append(page.Events, who.happening(v.ctx, &found[i]))
	}
	return d.show(v, fiber.StatusOK, "live", "Live", page)
}

// tail is one browser that follows. It outlives its request's handler and so holds nothing
// of fiber's.
type tail struct {
	d        *Dashboard
	signin   *signin
	conn     net.Conn
	follower gateway.Follower
	names    names
	domain   gateway.DomainID
	stop     <-chan struct{}
	release  func()        // may be called twice
	replaced chan struct{} // closed when the browser has a newer one
	w        *bufio.Writer
}

// liveStream answers with events until the browser leaves, its sign-in or its key ends, the
// domain is deleted, or the gateway stops. It is for our own pages alone.
func (d *Dashboard) liveStream(v *visit) error {
	if err := d.ours(v); err != nil {
		return err
	}
	t := &tail{
		d: d, signin: v.signin, conn: v.c.Context().Conn(), names: names{d, v.scope, make(map[gateway.AccountID]string)},
		domain: v.domain.ID, stop: v.stop, release: func() {}, replaced: make(chan struct{}),
	}
	v.signin.follows(nil) // nobody has noticed yet, perhaps, that the browser left it
	release, err := d.cfg.Keys.EnterStream(v.signin.session.Key().ID)
	if err != nil {
		return err
	}
	t.release = sync.OnceFunc(release)
	if t.follower, err = d.follow(v); err != nil {
		t.release()
		return err
	}
	v.signin.follows(t)
	v.c.Context().SetConnectionClose()
	h := &v.c.Response().Header
	h.SetContentType("text/event-stream")
	h.Set("Cache-Control", "no-store, no-transform")
	h.Set("X-Accel-Buffering", "no")
	v.c.Context().SetBodyStreamWriter(func(w *bufio.Writer) {
		t.w = w
		t.run()
	})
	return nil
}

// follow goes on behind the last event that the browser has, if it says so and that is
// there still, or begins now.
func (d *Dashboard) follow(v *visit) (gateway.Follower, error) {
	account := v.signin.session.Key().Account
	if after, err := strconv.ParseUint(v.c.Get("Last-Event-ID", v.c.Query("after")), 10, 64); err == nil {
		f, err := d.followFrom(v, account, &after)
		if !errors.Is(err, gateway.ErrTrimmed) {
			return f, err
		}
	}
	return d.followFrom(v, account, nil)
}

func (d *Dashboard) followFrom(v *visit, account gateway.AccountID, after *uint64) (gateway.Follower, error) {
	switch {
	case account == 0:
		return d.cfg.Streams.FollowDomain(v.ctx, v.scope, v.domain.ID, after)
	case after != nil:
		return d.cfg.Streams.Resume(v.ctx, v.scope, v.domain.ID, account, *after)
	}
	return d.cfg.Streams.Follow(v.ctx, v.scope, v.domain.ID, account)
}

// follows ends the stream that a browser had, and notes the one that it has now: all its
// tabs share one.
func (in *signin) follows(t *tail) {
	in.mu.Lock()
	old := in.tail
	in.tail = t
	in.mu.Unlock()
	if old != nil {
		close(old.replaced)
		old.release()
		_ = old.conn.Close() // it may be waiting for a browser that is gone
	}
}

// left forgets a stream that has ended.
func (in *signin) left(t *tail) {
	in.mu.Lock()
	defer in.mu.Unlock()
	if in.tail == t {
		in.tail = nil
	}
}

// run writes the stream. fasthttp calls it in a goroutine of its own.
func (t *tail) run() {
	defer t.release()
	defer t.signin.left(t)
	defer t.follower.Close()
	defer func() {
		if p := recover(); p != nil {
			t.d.cfg.Log.LogAttrs(context.Background(), slog.LevelError, "a live stream panicked", slog.Any("panic", p))
		}
	}()
	over := make(chan struct{})
	defer close(over)
	go func() { // a browser that reads nothing must not hold the stream open
		select {
		case <-t.signin.ended:
			time.AfterFunc(liveEnd, func() { _ = t.conn.Close() })
		case <-over:
		}
	}()
	fmt.Fprintf(t.w, "retry: %d\n\n", liveRetry.Milliseconds())
	beat := time.NewTicker(time.Duration(t.d.cfg.Limits.HeartbeatSeconds) * time.Second)
	defer beat.Stop()
	for {
		if t.news() != nil || t.flush() != nil {
			return
		}
		select {
		case <-t.follower.Wake():
		case <-beat.C:
			if !t.goesOn() {
				return
			}
			fmt.Fprint(t.w, ": still here\n\n")
		case <-t.signin.ended:
			return
		case <-t.replaced:
			return
		case <-t.stop:
			return
		}
	}
}

// goesOn reports whether there is still somebody to tell, and something to tell of.
func (t *tail) goesOn() bool {
	ctx, cancel := context.WithTimeout(context.Background(), gateway.RequestTimeout)
	defer cancel()
	_, err := t.d.cfg.Domains.ByID(ctx, t.names.scope, t.domain)
	return err == nil && !t.signin.over(t.d.clock())
}

// news writes what happened since the last look.
func (t *tail) news() error {
	for {
		ctx, cancel := context.WithTimeout(context.Background(), gateway.RequestTimeout)
		found, err := t.follower.Next(ctx, liveAtOnce)
		for i := range found {
			line := t.names.happening(ctx, &found[i])
			raw, err := json.Marshal(line)
			if err != nil {
				continue // no text of ours fails
			}
			fmt.Fprintf(t.w, "id: %d\ndata: %s\n\n", line.Sequence, raw)
		}
		cancel()
		if err != nil || len(found) == 0 {
			return err
		}
		if err := t.flush(); err != nil {
			return err
		}
	}
}

var errTailOver = errors.New("the stream is over")

// flush sends what was written. It fails when the browser does not read, and when the
// stream is to end though there is more to tell.
func (t *tail) flush() error {
	_ = t.conn.SetWriteDeadline(time.Now().Add(liveFlush))
	if err := t.w.Flush(); err != nil {
		return err
	}
	select {
	case <-t.signin.ended:
	case <-t.replaced:
	case <-t.stop:
	default:
		return nil
	}
	return errTailOver
}
