package mailbox

import (
	"context"
	"math/bits"
	"runtime"
	"sync"

	"github.com/centerleap/postern/gateway"
	"github.com/centerleap/postern/gateway/search"
)

// A search that has to look through many messages does so on all processors that are idle.
// It has the turns of its domain for what others wait for; besides, it takes for a moment
// what nobody else has use for.

// reader looks through messages, a few at a time, on several goroutines.
type reader struct {
	f    *finder
	look *look

	mu   sync.Mutex
	in   marks
	todo marks // what is still to be looked at
	at   int   // the first word of todo that may have some
	left marks // of these, what is not done in passing; see help
	err  error
}

// through looks at the messages of a set but some, and takes out those that do not match.
func (f *finder) through(ctx context.Context, in, but marks, l *look) error {
	r := &reader{f: f, look: l, in: in, todo: in.clone(), left: newMarks(f.v.Len())}
	if but != nil {
		r.todo.remove(but)
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	var helpers sync.WaitGroup
	for range min(runtime.GOMAXPROCS(0)-1, (r.todo.count()-1)/readAtOnce) {
		helpers.Go(func() {
			if !r.help(ctx) {
				cancel()
			}
		})
	}
	ok := r.work(ctx)
	if !ok {
		cancel()
	}
	helpers.Wait()
	if r.todo, r.at = r.left, 0; ok {
		r.work(ctx)
	}
	return r.err
}

// next takes some of what is to be looked at; none at the end, or after an error.
func (r *reader) next() (numbers []int, list []gateway.MessageNumber) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for r.at < len(r.todo) && len(numbers) < readAtOnce && r.err == nil {
		w := r.todo[r.at]
		if w == 0 {
			r.at++
			continue
		}
		i := r.at*64 + bits.TrailingZeros64(w)
		r.todo.clear(i)
		page, at := r.f.v.rows.place(i) // Row is for one goroutine
		numbers, list = append(numbers, i), append(list, r.f.v.rows.page(page)[at].Message)
	}
	return numbers, list
}

// work looks until nothing is left, in the turns of the domain; false after an error.
func (r *reader) work(ctx context.Context) bool {
	text := search.NewFinder(r.look.text)
	for {
		numbers, list := r.next()
		if len(numbers) == 0 {
			return true
		}
		give, err := r.f.v.mail.reads.take(ctx, r.f.v.at.Domain, r.f.until)
		if err == nil {
			err = r.some(ctx, text, numbers, list, nil)
			give()
		}
		if err != nil {
			return r.fail(err)
		}
	}
}

// help is work in spare turns, while there are any. What would keep one for long is left.
func (r *reader) help(ctx context.Context) bool {
	text := search.NewFinder(r.look.text)
	for {
		give, ok := r.f.v.mail.reads.spare()
		if !ok {
			return true
		}
		numbers, list := r.next()
		var left []int
		err := r.some(ctx, text, numbers, list, func(i int, m *gateway.Message) bool {
			long := r.look.whole && m.Blob.Size > searchWhole
			if long {
				left = append(left, i)
			}
			return long
		})
		give()
		if err != nil {
			return r.fail(err)
		}
		r.mu.Lock()
		for _, i := range left {
			r.left.set(i)
		}
		r.mu.Unlock()
		if len(numbers) == 0 {
			return true
		}
	}
}

// fail notes the first error.
func (r *reader) fail(err error) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.err == nil {
		r.err = err
	}
	return false
}

// some looks at some messages but those that are passed by.
func (r *reader) some(ctx context.Context, text *search.Finder, numbers []int, list []gateway.MessageNumber, pass func(i int, m *gateway.Message) bool) error {
	mail, whole := r.f.v.mail, int64(0)
	if r.look.whole {
		whole = searchWhole
	}
	there := make([]bool, len(numbers))
	var out []int
	err := mail.cfg.Store.Searched(ctx, r.f.v.scope, r.f.v.at.Domain, r.f.v.at.Account, list, whole, func(i int, m *gateway.Message, body []byte) error {
		if err := r.f.over(ctx); err != nil {
			return err
		}
		if there[i] = true; pass != nil && pass(numbers[i], m) {
			return nil
		}
		ok, err := r.look.in(mail.textsOf(ctx, r.f.v.scope, m, body), text)
		switch {
		case gateway.KindOf(err) == gateway.NotFound: // expunged meanwhile
			there[i] = false
		case err != nil:
			return err
		case !ok:
			out = append(out, numbers[i])
		}
		return nil
	})
	if err != nil {
		return err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	for i, n := range numbers {
		if !there[i] {
			r.f.lost.set(n)
		}
	}
	for _, n := range out {
		r.in.clear(n)
	}
	return nil
}
