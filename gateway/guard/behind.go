package guard

import (
	"bufio"
	"context"
	"errors"
	"log/slog"
	"net"
	"net/netip"
	"slices"
	"sync"
	"time"

	"github.com/centerleap/postern/gateway"
)

// Behind is a listener behind proxies that are trusted to say for whom they
// connect. RemoteAddr of its connections is the client, so whatever limits, logs
// and checks addresses needs to know nothing of it. What comes from elsewhere is
// passed on as it is: nobody else is believed.
type Behind struct {
	net.Listener
	from []netip.Prefix
	most int
	log  *slog.Logger

	start sync.Once
	next  chan accepted
	done  chan struct{}
	tasks sync.WaitGroup

	mu      sync.Mutex
	closed  bool
	waiting map[net.Conn]struct{} // for their header
}

type accepted struct {
	conn net.Conn
	err  error
}

// NewBehind trusts the proxies of the networks in from. It starts nothing; the
// first Accept does, and Close ends it.
func NewBehind(ln net.Listener, from []netip.Prefix, lim gateway.Limits, log *slog.Logger) *Behind {
	return &Behind{
		Listener: ln, from: from, most: int(lim.Connections), log: log,
		next: make(chan accepted), done: make(chan struct{}), waiting: make(map[net.Conn]struct{}),
	}
}

// Accept returns the next connection whose client is known.
func (b *Behind) Accept() (net.Conn, error) {
	b.start.Do(func() {
		b.mu.Lock()
		defer b.mu.Unlock()
		if !b.closed {
			b.tasks.Go(b.run)
		}
	})
	select {
	case a := <-b.next:
		return a.conn, a.err
	case <-b.done:
		return nil, net.ErrClosed
	}
}

// Close ends Accept and closes what waits for its header. It may be called twice.
func (b *Behind) Close() error {
	err := b.Listener.Close()
	b.mu.Lock()
	if !b.closed {
		b.closed = true
		close(b.done)
	}
	for c := range b.waiting {
		_ = c.Close()
	}
	b.mu.Unlock()
	b.tasks.Wait()
	return err
}

func (b *Behind) run() {
	for {
		c, err := b.Listener.Accept()
		switch {
		case errors.Is(err, net.ErrClosed):
			return
		case err != nil:
			b.pass(accepted{err: err})
		case !b.trusts(c.RemoteAddr()):
			b.pass(accepted{conn: c})
		case !b.wait(c):
			_ = c.Close()
		default:
			b.tasks.Go(func() { b.introduce(c) })
		}
	}
}

func (b *Behind) trusts(addr net.Addr) bool {
	from, err := netip.ParseAddrPort(addr.String())
	ip := from.Addr().Unmap().WithZone("")
	return err == nil && slices.ContainsFunc(b.from, func(p netip.Prefix) bool { return p.Contains(ip) })
}

// pass hands one connection to Accept; after Close it closes it.
func (b *Behind) pass(a accepted) {
	select {
	case b.next <- a:
	case <-b.done:
		if a.conn != nil {
			_ = a.conn.Close()
		}
	}
}

// wait notes that c waits for its header, if there is room for one more.
func (b *Behind) wait(c net.Conn) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.closed || len(b.waiting) >= b.most {
		return false
	}
	b.waiting[c] = struct{}{}
	return true
}

// headerTime is how long a proxy may take over its header, which it sends with
// the first packet. Ours: one that was lost is sent again by then.
const headerTime = 5 * time.Second

// introduce reads the header of c and passes it on, or closes it.
func (b *Behind) introduce(c net.Conn) {
	_ = c.SetReadDeadline(time.Now().Add(headerTime))
	p := &proxied{Conn: c, in: bufio.NewReaderSize(c, v2Fixed+v2Most)}
	client, err := readProxy(p.in)
	b.mu.Lock()
	delete(b.waiting, c)
	b.mu.Unlock()
	if err != nil {
		b.log.LogAttrs(context.Background(), slog.LevelWarn, "a proxy said not for whom it connects; the connection was closed",
			slog.String("proxy", c.RemoteAddr().String()), slog.Any("err", err))
		_ = c.Close()
		return
	}
	if client.IsValid() {
		p.client = net.TCPAddrFromAddrPort(client)
	}
	_ = c.SetReadDeadline(time.Time{})
	b.pass(accepted{conn: p})
}
