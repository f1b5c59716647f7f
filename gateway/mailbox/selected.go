package mailbox

import (
	"context"
	"slices"
	"sync"

	"github.com/centerleap/postern/gateway"
)

// selected are the mailboxes that somebody reads, and those read last: who comes back to
// one finds it in memory.
type selected struct {
	mu   sync.Mutex
	by   map[gateway.Selection]*shared
	left []*shared // nobody reads them; the one left longest ago first
}

// enter returns a mailbox with current rows and one reader more. Unavailable when there is
// no room for it.
func (m *Mail) enter(ctx context.Context, at gateway.Selection, box *gateway.Mailbox) (*shared, error) {
	b, err := m.selected.enter(m, at, box.Total)
	if err != nil {
		return nil, err
	}
	b.mu.Lock()
	if b.stop == nil {
		err = b.begin(ctx)
	}
	b.mu.Unlock()
	if err == nil {
		err = b.look(ctx)
	}
	if err != nil {
		m.leave(b)
		return nil, err
	}
	return b, nil
}

// enter counts a reader in.
func (s *selected) enter(m *Mail, at gateway.Selection, total int64) (*shared, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	b := s.by[at]
	if b != nil && b.readers > 0 {
		b.readers++
		return b, nil
	}
	if s.messages()+total > m.cfg.Limits.SelectedMessages {
		return nil, gateway.Errorf(gateway.Unavailable, "too many messages are in folders that are selected; try again later")
	}
	if b == nil {
		b = &shared{
			mail: m, at: at, scope: m.cfg.Internal(at.Domain), outcomes: outcomes{by: make(map[uint64][]update)},
			keywords: make(map[string]*Keywords), wakes: make(map[*View]func()),
		}
		s.by[at] = b
	}
	b.readers, b.expected = 1, total
	s.left = slices.DeleteFunc(s.left, func(o *shared) bool { return o == b })
	return b, nil
}

// messages counts those of mailboxes that somebody reads, or is about to.
func (s *selected) messages() (n int64) {
	for _, b := range s.by {
		if b.readers > 0 {
			n += b.size()
		}
	}
	return n
}

// size is how many messages it has, or will have once it is read; selected.mu is held.
func (b *shared) size() int64 {
	if r := b.now.Load(); r != nil {
		return int64(r.len)
	}
	return b.expected
}

// leave counts a reader out.
func (m *Mail) leave(b *shared) {
	b.mu.Lock() // so that nobody begins before it has ended
	defer b.mu.Unlock()
	s := &m.selected
	s.mu.Lock()
	b.readers--
	last := b.readers == 0
	s.mu.Unlock()
	if !last {
		return
	}
	if b.stop != nil {
		b.end()
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if b.readers == 0 {
		s.keep(b, m.cfg.Limits.SelectedKept)
	}
}

// keep remembers a mailbox that nobody reads any more, and forgets those left before it
// that are too many.
func (s *selected) keep(b *shared, most int64) {
	if b.closed.Load() || b.now.Load() == nil || b.size() > most {
		delete(s.by, b.at)
		return
	}
	s.left = append(s.left, b)
	sum := int64(0)
	for i, o := range slices.Backward(s.left) {
		if sum += o.size() + emptyMailbox; sum > most {
			for _, o := range s.left[:i+1] {
				delete(s.by, o.at)
			}
			s.left = slices.Clone(s.left[i+1:])
			return
		}
	}
}

// emptyMailbox is as many messages as a mailbox without any costs in memory. Ours.
const emptyMailbox = 20
