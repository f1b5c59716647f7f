package store

import (
	"encoding/binary"
	"errors"

	"github.com/centerleap/postern/gateway"
	"github.com/centerleap/postern/store/engine"
)

// entryReader reads the entries of a domain with what their pages say.
type entryReader struct {
	engine.Reader
	domain gateway.DomainID
	pages  map[pageID]*flagPage // that were read, nil if there is none
	all    bool                 // are kept, because they change here
	newest uint64               // the mod-sequence of the one mailbox that is read; 0: it is not known

	at   pageID // read last: neighbours follow each other
	last *flagPage
}

// pagesKept bounds the pages that a reader keeps.
const pagesKept = 16

func entriesOf(r engine.Reader, d gateway.DomainID) *entryReader {
	return &entryReader{Reader: r, domain: d}
}

func (r *entryReader) page(id pageID) (*flagPage, error) {
	if id == r.at {
		return r.last, nil
	}
	if p, known := r.pages[id]; known {
		r.at, r.last = id, p
		return p, nil
	}
	p, err := load(r, id.key(r.domain), decodeFlagPage)
	if errors.Is(err, engine.ErrNotFound) {
		p = nil
	} else if err != nil {
		return nil, err
	}
	if len(r.pages) == pagesKept && !r.all {
		clear(r.pages)
	}
	r.keep(id, p)
	return p, nil
}

func (r *entryReader) keep(id pageID, p *flagPage) {
	if r.pages == nil {
		r.pages = make(map[pageID]*flagPage)
	}
	r.pages[id], r.at, r.last = p, id, p
}

// read reads one entry.
func (r *entryReader) read(a gateway.AccountID, m gateway.MailboxID, uid uint32) (gateway.Entry, error) {
	b, err := r.Get(entryKey(r.domain, a, m, uid))
	if err != nil {
		return gateway.Entry{}, err
	}
	return r.decode(a, m, uid, b)
}

// decode is read of one whose record is known.
func (r *entryReader) decode(a gateway.AccountID, m gateway.MailboxID, uid uint32, b []byte) (gateway.Entry, error) {
	e, err := decodeEntry(m, uid, b)
	if err != nil || r.newest > 0 && e.ModSeq >= r.newest {
		return e, err
	}
	p, err := r.page(flagPageOf(a, m, uid))
	p.show(&e)
	return e, err
}

// scan shows fn the entries of a mailbox from a UID on, in order.
func (r *entryReader) scan(at gateway.Selection, from uint32, fn func(gateway.Entry) error) error {
	rng := engine.Prefix(key(subEntry, at.Domain).account(at.Account).mailbox(at.Mailbox))
	rng.From = entryKey(at.Domain, at.Account, at.Mailbox, from)
	return r.Scan(rng, func(k, v []byte) error {
		e, err := r.decode(at.Account, at.Mailbox, lastUID(k), v)
		if err != nil {
			return err
		}
		return fn(e)
	})
}

// putFlags writes entries, in order, as one change has left their flags.
func (t *tx) putFlags(at gateway.Selection, some []*gateway.Entry) (err error) {
	alone := make([]*gateway.Entry, 0, len(some))
	for len(some) > 0 {
		n := 1
		for n < len(some) && some[n].UID/pageEntries == some[0].UID/pageEntries {
			n++
		}
		paged := some[:n]
		some = some[n:]
		if n >= pageFrom {
			if paged, err = t.putPaged(at, paged); err != nil {
				return err
			}
		}
		alone = append(alone, paged...)
	}
	first := entryKey(t.domain, at.Account, at.Mailbox, 0)
	room := make([]byte, 0, len(alone)*(len(first)+entryBytes)) // for all: each of its own would be most of the work
	for _, e := range alone {
		from := len(room)
		room = binary.BigEndian.AppendUint32(append(room, first[:len(first)-4]...), e.UID)
		at := len(room)
		room = appendEntry(room, e)
		t.Set(room[from:at:at], room[at:len(room):len(room)])
	}
	return nil
}

// putPaged puts entries into their page, and returns those that are too large for it.
func (t *tx) putPaged(at gateway.Selection, some []*gateway.Entry) (large []*gateway.Entry, err error) {
	id := flagPageOf(at.Account, at.Mailbox, some[0].UID)
	p, err := t.entries.page(id)
	if err != nil {
		return nil, err
	}
	if p == nil {
		p = &flagPage{}
	}
	for _, e := range some {
		if labelBytes(e.Labels) > pageLabels {
			large = append(large, e)
		} else {
			p.put(e)
		}
	}
	if len(large) < len(some) {
		t.putPage(id, p)
	}
	return large, nil
}

func labelBytes(labels []string) (n int) {
	for _, l := range labels {
		n += len(l)
	}
	return n
}

func (t *tx) putPage(id pageID, p *flagPage) {
	b := p.encode()
	if b == nil {
		t.Delete(id.key(t.domain))
		p = nil
	} else {
		t.Set(id.key(t.domain), b)
	}
	t.entries.keep(id, p)
}

// dropEntry deletes the record of an entry, and what its page says of it.
func (t *tx) dropEntry(a gateway.AccountID, m gateway.MailboxID, uid uint32) error {
	t.Delete(entryKey(t.domain, a, m, uid))
	id := flagPageOf(a, m, uid)
	p, err := t.entries.page(id)
	if err != nil || !p.has(uid) {
		return err
	}
	p.drop(uid)
	t.putPage(id, p)
	return nil
}

// pages looks at what pages say: nothing of an entry that is not there.
func (c *checker) pages(a gateway.AccountID, box *gateway.Mailbox) error {
	return c.r.Scan(engine.Prefix(key(subFlags, c.domain).account(a).mailbox(box.ID)), func(k, v []byte) error {
		p, err := decodeFlagPage(v)
		if err != nil {
			c.report("account %d, %s: flags can't be read: %v", a, box.Name, err)
			return nil
		}
		for i, n := range p.of {
			if n == 0 {
				continue
			}
			uid := lastUID(k)*pageEntries + uint32(i)
			if _, err := c.r.Get(entryKey(c.domain, a, box.ID, uid)); err != nil {
				c.report("account %d, %s: flags of entry %d: %v", a, box.Name, uid, err)
			}
		}
		return nil
	})
}
