package courier

import (
	"container/list"
	"sync"
)

// lru remembers a bounded number of things by name; those not asked for longest go.
type lru[T any] struct {
	mu    sync.Mutex
	most  int64
	order list.List // of *remembered[T], the one used last in front
	names map[string]*list.Element
}

type remembered[T any] struct {
	name  string
	value T
}

func newLRU[T any](most int64) *lru[T] {
	return &lru[T]{most: most, names: make(map[string]*list.Element)}
}

func (l *lru[T]) get(name string) (value T, found bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	e, found := l.names[name]
	if !found {
		return value, false
	}
	l.order.MoveToFront(e)
	return e.Value.(*remembered[T]).value, true
}

func (l *lru[T]) put(name string, value T) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if e, found := l.names[name]; found {
		e.Value.(*remembered[T]).value = value
		l.order.MoveToFront(e)
		return
	}
	l.names[name] = l.order.PushFront(&remembered[T]{name, value})
	for int64(len(l.names)) > l.most {
		last := l.order.Back()
		delete(l.names, last.Value.(*remembered[T]).name)
		l.order.Remove(last)
	}
}
