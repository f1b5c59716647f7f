package notify

import (
	"context"
	"errors"
	"runtime"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/centerleap/postern/gateway"
)

// press makes documents slowly, and counts.
type press struct {
	mu            sync.Mutex
	running, peak int
	made          int
	err           error
}

func (p *press) make(context.Context, gateway.Scope, *gateway.Event) ([]byte, error) {
	p.mu.Lock()
	p.made++
	p.running++
	p.peak = max(p.peak, p.running)
	p.mu.Unlock()
	time.Sleep(time.Second)
	p.mu.Lock()
	defer p.mu.Unlock()
	p.running--
	return []byte("doc"), p.err
}

// What all webhooks of a domain are told of an event is made once, for those who are told
// it for the first time within seconds; of other events as many at once as are the
// domain's share; and a failure is nobody else's.
func TestDocuments(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := &press{}
		d := &documents{from: p.make}
		ask := func(domain gateway.DomainID, sequence uint64, attempt int) {
			text, err := d.of(t.Context(), gateway.Scope{}, gateway.Position{Sequence: sequence}, &gateway.Event{Domain: domain}, attempt)
			if err == nil && string(text) != "doc" || !errors.Is(err, p.err) {
				t.Errorf("%q, %v", text, err)
			}
		}
		many := func(ask func(i int)) (made int) {
			p.made, p.peak = 0, 0
			var all sync.WaitGroup
			for i := range 50 {
				all.Go(func() { ask(i) })
			}
			all.Wait()
			return p.made
		}
		for _, tt := range []struct {
			name string
			ask  func(i int)
			want int
		}{
			{"the first time", func(int) { ask(1, 7, 1) }, 1},
			{"a second later", func(int) { ask(1, 7, 1) }, 0},
			{"another time", func(int) { ask(1, 7, 2) }, 50},
			{"other domains", func(i int) { ask(gateway.DomainID(i+2), 7, 1) }, 50},
			{"other events", func(i int) { ask(1, uint64(i+8), 1) }, 50},
		} {
			if made := many(tt.ask); made != tt.want {
				t.Errorf("%s: made %d times, want %d", tt.name, made, tt.want)
			}
		}
		if most := max(1, runtime.GOMAXPROCS(0)/2); p.peak > most {
			t.Errorf("%d at once for a domain, want %d", p.peak, most)
		}
		if len(d.kept) > documentsKept || len(d.order) != len(d.kept) {
			t.Errorf("%d are kept, %d in order", len(d.kept), len(d.order))
		}
		many(func(int) { ask(1, 99, 1) })
		time.Sleep(documentTime + time.Second)
		if made := many(func(int) { ask(1, 99, 1) }); made != 1 {
			t.Errorf("after a while: made %d times, want once more", made)
		}
		p.err = errors.New("the disk is away")
		many(func(int) { ask(1, 100, 1) })
		p.err = nil
		if made := many(func(int) { ask(1, 100, 1) }); made != 1 {
			t.Errorf("after a failure: made %d times, want once more", made)
		}
		ctx, cancel := context.WithCancel(t.Context())
		go ask(1, 101, 1)
		synctest.Wait()
		cancel()
		if _, err := d.of(ctx, gateway.Scope{}, gateway.Position{Sequence: 101}, &gateway.Event{Domain: 1}, 1); !errors.Is(err, context.Canceled) {
			t.Errorf("who has gone waits: %v", err)
		}
		time.Sleep(time.Minute)
	})
}
