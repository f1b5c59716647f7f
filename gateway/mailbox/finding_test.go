package mailbox_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/centerleap/postern/gateway"
	"github.com/centerleap/postern/gateway/mailbox"
	"github.com/centerleap/postern/gateway/search"
)

// A search finds what each message by itself says that it should, whatever the index
// knows: nothing, a part, or all.
func TestSearchEqualsNaive(t *testing.T) {
	h, v, all, day := library(t, 60)
	for seed := range uint64(1500) {
		r := rand.New(rand.NewPCG(seed, 10))
		c := newCriteria(r, all, day, 3)
		h.mail.SetIndex(partIndex(r, all, []int{0, r.IntN(len(all)), len(all)}[seed%3]))
		var want []int
		for i, l := range all {
			if l.matches(&c, i) {
				want = append(want, i)
			}
		}
		got, err := v.Search(t.Context(), &c)
		if err != nil || !slices.Equal(got, want) {
			t.Fatalf("seed %d: %v, %v, want %v, of %+v", seed, got, err, want, c)
		}
	}
}

// Of more texts than a search remembers what is sure of, it finds the same, also within
// others.
func TestSearchOfManyTexts(t *testing.T) {
	h, v, all, _ := library(t, 60)
	h.mail.SetIndex(partIndex(rand.New(rand.NewPCG(1, 13)), all, len(all)))
	for name, c := range map[string]mailbox.Criteria{
		"of all":  {Bodies: slices.Repeat([]string{"i", "o", "s"}, 100)},
		"of none": {Not: slices.Repeat([]mailbox.Criteria{{Bodies: []string{"東京"}, Texts: []string{"i"}}}, 100)},
	} {
		var want []int
		for i, l := range all {
			if l.matches(&c, i) {
				want = append(want, i)
			}
		}
		if got, err := v.Search(t.Context(), &c); err != nil || !slices.Equal(got, want) || len(want) < 5 {
			t.Errorf("%s: %v, %v, want %v", name, got, err, want)
		}
	}
}

// A search that is out of time says so, whatever it would have to do.
func TestSearchTime(t *testing.T) {
	limits := gateway.DefaultLimits()
	limits.SearchSeconds = 0
	h, v, all, _ := libraryWithin(t, 10, limits)
	for _, tt := range []struct {
		name  string
		index int // how many messages it knows
		c     mailbox.Criteria
		want  error
	}{
		{"flags", 0, mailbox.Criteria{Has: gateway.Seen}, mailbox.ErrSearchTime},
		{"texts without an index", 0, mailbox.Criteria{Bodies: []string{"x"}}, mailbox.ErrSearchTime},
		{"not", 0, mailbox.Criteria{Not: []mailbox.Criteria{{Bodies: []string{"x"}}}}, mailbox.ErrSearchTime},
		{"sizes", 0, mailbox.Criteria{Larger: []int64{1}}, mailbox.ErrSearchTime},
		{"dates", 0, mailbox.Criteria{SentSince: time.Unix(0, 0)}, mailbox.ErrSearchTime},
		{"what the index knows", len(all), mailbox.Criteria{Bodies: []string{"invoice"}}, mailbox.ErrSearchTime},
		{"one that it does not", len(all) - 1, mailbox.Criteria{Bodies: []string{"invoice"}}, mailbox.ErrSearchTime},
	} {
		t.Run(tt.name, func(t *testing.T) {
			h.mail.SetIndex(knowing(all, tt.index))
			if _, err := v.Search(t.Context(), &tt.c); fmt.Sprint(err) != fmt.Sprint(tt.want) {
				t.Errorf("%v, want %v", err, tt.want)
			}
		})
	}
}

// A search ends when its client has left: it asks the index for nothing more, nor a list
// with words.
func TestSearchLeft(t *testing.T) {
	h, v, _, _ := library(t, 10)
	asked := 0
	var leave context.CancelFunc
	h.mail.SetIndex(func(ctx context.Context, _ gateway.Scope, _ gateway.DomainID, _ gateway.AccountID, _ search.Query) (f search.Found, _ error) {
		if _, timed := ctx.Deadline(); !timed {
			t.Error("the index has no time to keep to")
		}
		asked++
		leave()
		return f, nil
	})
	ask := mailbox.Query{Limit: 10, Filter: &mailbox.Filter{Words: "one two three"}}
	for name, look := range map[string]func(ctx context.Context) error{
		"a text": func(ctx context.Context) error {
			_, err := v.Search(ctx, &mailbox.Criteria{Bodies: []string{"x", "y", "z"}})
			return err
		},
		"a list": func(ctx context.Context) error {
			_, err := h.mail.List(ctx, ownScope(h), ask)
			return err
		},
		"conversations": func(ctx context.Context) error {
			_, err := h.mail.Conversations(ctx, ownScope(h), ask)
			return err
		},
	} {
		var ctx context.Context
		ctx, leave = context.WithCancel(t.Context())
		asked = 0
		if err := look(ctx); !errors.Is(err, context.Canceled) || asked != 1 {
			t.Errorf("%s: asked %d times, %v", name, asked, err)
		}
		leave()
	}
}

// Whoever asks the index has the turn of the domain: half of the processors at once.
func TestIndexInTurns(t *testing.T) {
	h, _, all, _ := library(t, 10)
	var now, most atomic.Int64
	know := knowing(all, len(all))
	h.mail.SetIndex(func(ctx context.Context, s gateway.Scope, d gateway.DomainID, a gateway.AccountID, q search.Query) (search.Found, error) {
		if n := now.Add(1); n > most.Load() {
			most.Store(n)
		}
		defer now.Add(-1)
		runtime.Gosched()
		return know(ctx, s, d, a, q)
	})
	scope := ownScope(h)
	a, err := h.AccountByID(t.Context(), system, scope.Domain(), scope.Account())
	h.ok(err)
	var readers sync.WaitGroup
	for range 4 * runtime.GOMAXPROCS(0) {
		readers.Go(func() {
			v, err := h.mail.View(context.Background(), scope, a, gateway.Inbox)
			if err != nil {
				t.Error(err)
				return
			}
			defer v.Close()
			for range 50 {
				_, searched := v.Search(context.Background(), &mailbox.Criteria{Bodies: []string{"x", "y"}})
				_, listed := h.mail.List(context.Background(), scope, mailbox.Query{Limit: 1, Filter: &mailbox.Filter{Words: "x y"}})
				if err := errors.Join(searched, listed); err != nil {
					t.Error(err)
				}
			}
		})
	}
	readers.Wait()
	if half := int64(max(1, runtime.GOMAXPROCS(0)/2)); most.Load() > half {
		t.Errorf("%d asked at once, of %d", most.Load(), half)
	}
}

// library is an inbox of random letters, in the order of its view.
func library(t testing.TB, n int) (h *house, v *mailbox.View, all []*letter, day time.Time) {
	return libraryWithin(t, n, gateway.DefaultLimits())
}

func libraryWithin(t testing.TB, n int, limits gateway.Limits) (h *house, v *mailbox.View, all []*letter, day time.Time) {
	h = newHouse(t, 0)
	h.followWithin(limits)
	h.account("ann")
	a, err := h.Account(t.Context(), system, h.domain.ID, "ann@h.test")
	h.ok(err)
	day = time.Date(2026, 3, 1, 0, 0, 0, 0, time.UTC)
	r := rand.New(rand.NewPCG(1, 2))
	for range n {
		l := newLetter(r, day)
		all = append(all, l)
		_, err := h.mail.Append(t.Context(), system, a, mailbox.Appending{
			Folder: gateway.Inbox, Flags: l.flags, Labels: l.labels, At: l.arrived, Body: strings.NewReader(l.raw), Size: int64(len(l.raw)),
		})
		h.ok(err)
	}
	scope := gateway.NewScope(gateway.LevelAccount, a.Domain, a.ID, gateway.ID{})
	v, err = h.mail.View(t.Context(), scope, a, gateway.Inbox)
	h.ok(err)
	t.Cleanup(v.Close)
	numbers := make([]int, n)
	for i := range numbers {
		numbers[i] = i
	}
	msgs, err := v.Messages(t.Context(), numbers, false)
	h.ok(err)
	for i, l := range all {
		l.number, l.modSeq, l.id, l.thread = msgs[i].Number, v.Entry(i).ModSeq, msgs[i].ID, msgs[i].Thread
	}
	return h, v, all, day
}

// knowing is an index that is sure of some letters, whatever it is asked.
func knowing(all []*letter, through int) mailbox.Index {
	return func(_ context.Context, _ gateway.Scope, _ gateway.DomainID, _ gateway.AccountID, _ search.Query) (f search.Found, _ error) {
		for _, l := range all[:through] {
			f.Sure, f.Through = append(f.Sure, l.number), l.number
		}
		return f, nil
	}
}
