package mailbox_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/centerleap/postern/gateway"
	"github.com/centerleap/postern/gateway/mailbox"
	"github.com/centerleap/postern/gateway/search"
)

// faulty is a store of which some of what indexing needs fails.
type faulty struct {
	mailbox.Store
	account   gateway.AccountID // whose segments can't be added
	with      error             // how that fails
	tries     int               // of that
	lost      bool              // it does not know who has got mail
	domains   error
	lease     error
	onSegment func()
	spoilt    uint64 // the blob of a segment that can't be read
	spoil     func(io.ReadCloser) (io.ReadCloser, error)
	drop      error
}

func (f *faulty) DropSegments(ctx context.Context, s gateway.Scope, d gateway.DomainID, a gateway.AccountID) error {
	if f.drop != nil {
		return f.drop
	}
	return f.Store.DropSegments(ctx, s, d, a)
}

func (f *faulty) OpenBlob(ctx context.Context, s gateway.Scope, b gateway.Blob, off, n int64) (io.ReadCloser, error) {
	r, err := f.Store.OpenBlob(ctx, s, b, off, n)
	if err == nil && b.ID == f.spoilt {
		return f.spoil(r)
	}
	return r, err
}

func (f *faulty) AddSegment(ctx context.Context, s gateway.Scope, d gateway.DomainID, a gateway.AccountID, seg *gateway.IndexSegment) error {
	if f.onSegment != nil {
		f.onSegment()
	}
	if a == f.account {
		f.tries++
		return f.with
	}
	return f.Store.AddSegment(ctx, s, d, a, seg)
}

func (f *faulty) TakeUnindexed() ([]gateway.AccountRef, bool) {
	refs, lost := f.Store.TakeUnindexed()
	if f.lost {
		f.lost = false
		return nil, true
	}
	return refs, lost
}

func (f *faulty) Domains(ctx context.Context, s gateway.Scope) ([]gateway.Domain, error) {
	if f.domains != nil {
		return nil, f.domains
	}
	return f.Store.Domains(ctx, s)
}

func (f *faulty) Lease(ctx context.Context, s gateway.Scope, job string, ttl time.Duration) (gateway.Lease, error) {
	if f.lease != nil {
		return nil, f.lease
	}
	l, err := f.Store.Lease(ctx, s, job, ttl)
	return failingLease{l, f}, err
}

type failingLease struct {
	gateway.Lease
	f *faulty
}

func (l failingLease) Renew(ctx context.Context) error {
	if l.f.lease != nil {
		return l.f.lease
	}
	return l.Lease.Renew(ctx)
}

// bench is two accounts whose mail a test has indexed round by round.
type bench struct {
	*house
	store    *faulty
	ann, bob *shelf
	index    mailbox.Indexer
}

func newBench(t *testing.T) *bench {
	h := newHouse(t, 0)
	b := &bench{house: h, store: &faulty{Store: h.Store}}
	b.ann = newShelf(t, h, "ann", b.store, func(l *gateway.Limits) { l.IndexBatch = 1 })
	b.bob = newShelf(t, h, "bob", b.store, nil)
	b.index = b.ann.mail.NewIndexer(func() time.Time { return h.clock })
	return b
}

// behind is how many numbers of messages the index of an account does not know.
func (b *bench) behind(s *shelf) int64 {
	b.Helper()
	state, err := s.mail.IndexState(context.Background(), s.scope(), s.a)
	b.ok(err)
	return state.Behind
}

func (b *bench) round(want error) {
	b.Helper()
	err := b.index.Round(b.Context())
	for err == nil && b.index.More() {
		err = b.index.Round(b.Context())
	}
	if !errors.Is(err, want) {
		b.Fatalf("a round: %v, want %v", err, want)
	}
}

const letterOfOne = "Subject: one\r\n\r\nhello\r\n"

// An account that can't be indexed rests for a while, is named in the log, and holds up no
// other: neither now nor the mail that comes next.
func TestIndexingOneFails(t *testing.T) {
	b := newBench(t)
	b.store.account, b.store.with = b.ann.a.ID, errDied
	b.ann.put(letterOfOne)
	b.bob.put(letterOfOne)
	b.round(errDied)
	if b.behind(b.bob) != 0 || b.store.tries != 1 {
		t.Errorf("the other account is %d behind, after %d tries of the one", b.behind(b.bob), b.store.tries)
	}
	if want := fmt.Sprintf("account=%d", b.ann.a.ID); !strings.Contains(b.log.String(), want) {
		t.Errorf("the log has no %q: %s", want, b.log.String())
	}
	<-b.Unindexed() // it was woken for what came before
	ctx, cancel := context.WithTimeout(t.Context(), 8*time.Second)
	defer cancel()
	b.bob.put(letterOfOne)
	if b.index.Wait(ctx); ctx.Err() != nil {
		t.Error("mail of others waits for the account that failed")
	}
	b.round(nil)
	if b.behind(b.bob) != 0 || b.store.tries != 1 {
		t.Errorf("then it is %d behind, after %d tries", b.behind(b.bob), b.store.tries)
	}
	b.clock = b.clock.Add(time.Minute)
	b.round(errDied)
	b.store.account, b.clock = 0, b.clock.Add(time.Minute)
	b.round(nil)
	if b.behind(b.ann) != 0 || b.store.tries != 2 {
		t.Errorf("at last the one is %d behind, after %d tries", b.behind(b.ann), b.store.tries)
	}
}

// What would fail for all ends the round, and mail that comes begins no other: with a full
// disk, and while another process
// has the lease, which may get it in the middle of an account. Nothing is forgotten.
func TestIndexingPauses(t *testing.T) {
	full, held := gateway.Errorf(gateway.Unavailable, "the disk is full"), gateway.Errorf(gateway.InvalidState, "it is held")
	for _, tt := range []struct {
		name  string
		fault func(b *bench)
		want  error
	}{
		{"a full disk", func(b *bench) { b.store.account, b.store.with = b.ann.a.ID, full }, full},
		{"the lease is held", func(b *bench) { b.store.lease = held }, nil},
		{"the lease is lost meanwhile", func(b *bench) {
			b.store.onSegment = func() { b.store.lease, b.clock = held, b.clock.Add(time.Hour) }
		}, nil},
	} {
		t.Run(tt.name, func(t *testing.T) {
			b := newBench(t)
			tt.fault(b)
			for range 3 {
				b.ann.put(letterOfOne)
			}
			b.round(tt.want)
			if !b.index.Paused() {
				t.Error("mail that comes wakes who can't index it")
			}
			b.bob.put(letterOfOne)
			*b.store = faulty{Store: b.Store}
			b.clock = b.clock.Add(time.Hour)
			b.round(nil)
			if b.behind(b.ann)+b.behind(b.bob) != 0 {
				t.Errorf("%d and %d behind", b.behind(b.ann), b.behind(b.bob))
			}
		})
	}
}

// Who has got mail is looked for among all, if the store has lost count, until that has
// succeeded.
func TestIndexingLostCount(t *testing.T) {
	b := newBench(t)
	b.round(nil)
	b.store.lost, b.store.domains = true, errDied
	b.ann.put(letterOfOne)
	b.round(errDied)
	b.store.domains = nil
	b.round(nil)
	if b.behind(b.ann) == 0 {
		t.Error("it is tried again at once")
	}
	b.clock = b.clock.Add(time.Minute)
	b.round(nil)
	if b.behind(b.ann) != 0 {
		t.Error("the mail is never indexed")
	}
}

// A segment that ends too early, or that the disk has changed, is made again like one that
// says nonsense: whoever meets it first. Until then a search does without.
func TestIndexHeals(t *testing.T) {
	ask := search.Query{Text: "hello", Fields: search.Body}
	for name, spoil := range map[string]func(io.ReadCloser) (io.ReadCloser, error){
		"nothing is left": func(r io.ReadCloser) (io.ReadCloser, error) {
			return io.NopCloser(io.LimitReader(r, 0)), nil
		},
		"its end is lost": func(r io.ReadCloser) (io.ReadCloser, error) {
			return io.NopCloser(io.LimitReader(r, 20)), nil
		},
		"other bytes": func(io.ReadCloser) (io.ReadCloser, error) {
			return nil, fmt.Errorf("body 7: %w", gateway.ErrDamaged)
		},
	} {
		for _, reader := range []string{"search", "merge"} {
			t.Run(name+"/"+reader, func(t *testing.T) {
				b := newBench(t)
				for range 7 {
					b.ann.put(letterOfOne)
				}
				b.round(nil)
				all, _, err := b.Segments(t.Context(), system, b.ann.a.Domain, b.ann.a.ID)
				b.ok(err)
				b.store.spoilt, b.store.spoil = all[2].Blob.ID, spoil
				if reader == "search" {
					b.store.drop = errDied // as long as the disk is full
					for range 2 {
						f, err := b.ann.mail.AskIndex(t.Context(), b.ann.scope(), b.ann.a.Domain, b.ann.a.ID, ask)
						if err != nil || f.Through != 0 {
							t.Errorf("asked: %v, %v", f, err)
						}
						b.store.drop = nil
					}
				}
				b.ann.put(letterOfOne)
				b.round(nil)
				if got := b.ann.ask(ask); got != "[1 2 3 4 5 6 7 8] []" {
					t.Errorf("made again: %s", got)
				}
			})
		}
	}
}

// An account with more mail than is indexed at once leaves the others their turn, and is gone
// on with.
func TestIndexingOneIsBusy(t *testing.T) {
	b := newBench(t)
	for range 20 {
		b.ann.put(letterOfOne)
	}
	b.bob.put(letterOfOne)
	if err := b.index.Round(t.Context()); err != nil || b.behind(b.bob) != 0 || b.behind(b.ann) == 0 || !b.index.More() {
		t.Errorf("after one round, %v, the other is %d behind, and the busy one %d", err, b.behind(b.bob), b.behind(b.ann))
	}
	b.round(nil)
	if b.behind(b.ann) != 0 {
		t.Errorf("at last the busy one is %d behind", b.behind(b.ann))
	}
}

// Mail that comes while its account is indexed is left to the next round, which it wakes: so
// a segment has what came in a while, and is not one of many that are merged again.
func TestIndexingWhileMailComes(t *testing.T) {
	b := newBench(t)
	come := 0
	b.store.onSegment = func() {
		come++
		b.ann.put(letterOfOne)
	}
	for range 3 {
		b.ann.put(letterOfOne)
	}
	for want := range int64(3) {
		b.round(nil)
		if got := b.behind(b.ann); got != 3 || come != 3*int(want+1) {
			t.Fatalf("round %d: %d behind after %d more came, want the 3 that came meanwhile", want, got, come)
		}
	}
	b.store.onSegment = nil
	select {
	case <-b.Unindexed():
	default:
		t.Error("what came meanwhile wakes nobody")
	}
	b.round(nil)
	if got := b.behind(b.ann); got != 0 {
		t.Errorf("at last it is %d behind", got)
	}
}
