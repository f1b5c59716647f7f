package notify

import (
	"context"
	"slices"
	"sync"
	"time"

	"github.com/centerleap/postern/gateway"
)

const (
	// documentTime is for how long what is told of an event is good for others, and
	// documentsKept for how many events at most. Ours: the webhooks of a domain are told of
	// an event one after the other, and a large email takes a tenth of a second to read.
	documentTime  = 10 * time.Second
	documentsKept = 16
)

// documents makes what webhooks are told of events: once for all of a domain that are told
// of one for the first time, and for a domain as its share of processors has it.
type documents struct {
	from   func(context.Context, gateway.Scope, *gateway.Event) ([]byte, error)
	shares gateway.Shares

	mu    sync.Mutex
	kept  map[documentOf]*document
	order []documentOf // the oldest first
}

type documentOf struct {
	domain gateway.DomainID
	at     gateway.Position
}

// document is what is told, or why it can't be, once it is done.
type document struct {
	since time.Time
	done  chan struct{}
	text  []byte
	err   error
}

// of returns what is told of an event in an attempt. A later attempt tells what is true by
// then.
func (d *documents) of(ctx context.Context, s gateway.Scope, at gateway.Position, e *gateway.Event, attempt int) ([]byte, error) {
	if attempt > 1 {
		return d.read(ctx, s, e)
	}
	k := documentOf{e.Domain, at}
	doc, mine := d.join(k)
	if mine {
		if doc.text, doc.err = d.read(ctx, s, e); doc.err != nil {
			d.forget(k, doc)
		}
		close(doc.done)
		return doc.text, doc.err
	}
	select {
	case <-doc.done:
		return doc.text, doc.err
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

func (d *documents) read(ctx context.Context, s gateway.Scope, e *gateway.Event) ([]byte, error) {
	share, err := d.shares.Take(ctx, e.Domain)
	if err != nil {
		return nil, err
	}
	defer share.Give()
	return d.from(ctx, s, e)
}

// join finds the document of an event that somebody makes or has made, or begins one that
// the caller has to make.
func (d *documents) join(k documentOf) (doc *document, mine bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	now := time.Now()
	for len(d.order) > 0 && (len(d.order) >= documentsKept || now.Sub(d.kept[d.order[0]].since) > documentTime) {
		delete(d.kept, d.order[0])
		d.order = d.order[1:]
	}
	if doc = d.kept[k]; doc != nil {
		return doc, false
	}
	if d.kept == nil {
		d.kept = make(map[documentOf]*document)
	}
	doc = &document{since: now, done: make(chan struct{})}
	d.kept[k], d.order = doc, append(d.order, k)
	return doc, true
}

// forget has one made again for those who come later.
func (d *documents) forget(k documentOf, doc *document) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.kept[k] == doc {
		delete(d.kept, k)
		d.order = slices.DeleteFunc(d.order, func(o documentOf) bool { return o == k })
	}
}
