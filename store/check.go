package store

import (
	"context"
	"encoding/binary"
	"fmt"

	"github.com/centerleap/postern/gateway"
	"github.com/centerleap/postern/store/engine"
)

// Check reads the whole store and reports, in words, whatever doesn't fit
// together: a counter that a recount doesn't confirm, an entry without its
// message, a message without its body, a body that nobody refers to. It changes
// nothing. Only an instance's scope may ask, while nobody writes.
func (s *Store) Check(ctx context.Context, sc gateway.Scope, report func(what string)) (sum gateway.StoreSummary, err error) {
	if sc.Level() != gateway.LevelInstance {
		return sum, denied("store")
	}
	domains, err := s.Domains(ctx, sc)
	if err != nil {
		return sum, err
	}
	for _, d := range domains {
		c := checker{store: s, domain: d.ID, sum: &sum, report: func(format string, args ...any) {
			report("domain " + d.Name + ": " + fmt.Sprintf(format, args...))
		}}
		if err := c.run(ctx); err != nil {
			return sum, err
		}
		sum.Domains++
	}
	return sum, s.view(ctx, func(r engine.Reader) error {
		c := checker{store: s, r: r, report: func(format string, args ...any) { report("instance: " + fmt.Sprintf(format, args...)) }}
		return c.followers()
	})
}

// checker looks at one domain.
type checker struct {
	store  *Store
	domain gateway.DomainID
	sum    *gateway.StoreSummary
	report func(format string, args ...any)
	refs   map[uint64]uint32           // by body: how often it is referred to
	sizes  map[gateway.AccountID]int64 // of the messages that count
	r      engine.Reader
}

func (c *checker) run(ctx context.Context) error {
	c.refs, c.sizes = make(map[uint64]uint32), make(map[gateway.AccountID]int64)
	err := c.store.view(ctx, func(r engine.Reader) error {
		c.r = r
		for _, part := range []func() error{c.accounts, c.messages, c.bytes, c.others, c.followers, c.webhooks, c.turns, c.checkTraces, c.segments, c.checkThreads, c.intents, c.tally} {
			if err := part(); err != nil {
				return err
			}
			if err := ctx.Err(); err != nil {
				return err
			}
		}
		return nil
	})
	if err == nil {
		err = c.bodies(ctx)
	}
	return err
}

func (c *checker) accounts() error {
	return c.r.Scan(engine.Prefix(key(subAccount, c.domain)), func(k, _ []byte) error {
		a := gateway.AccountID(binary.BigEndian.Uint32(k[5:]))
		c.sum.Accounts++
		boxes, err := mailboxes(c.r, c.domain, a)
		if err != nil {
			return err
		}
		for i := range boxes {
			if err := c.mailbox(a, &boxes[i]); err != nil {
				return err
			}
		}
		return nil
	})
}

// mailbox counts entries, and finds each one's message and place in the list.
func (c *checker) mailbox(a gateway.AccountID, box *gateway.Mailbox) error {
	var total, fresh int64
	at := gateway.Selection{Domain: c.domain, Account: a, Mailbox: box.ID}
	err := entriesOf(c.r, c.domain).scan(at, 0, func(e gateway.Entry) error {
		total++
		fresh += unseen(e.Flags)
		if e.UID >= box.UIDNext || e.ModSeq > box.ModSeq {
			c.report("account %d, %s: entry %d with MODSEQ %d, where UIDNEXT is %d and MODSEQ %d", a, box.Name, e.UID, e.ModSeq, box.UIDNext, box.ModSeq)
		}
		m, err := readMessage(c.r, c.domain, a, e.Message)
		if gateway.KindOf(missing(err, "email")) == gateway.NotFound {
			c.report("account %d, %s: entry %d has no message", a, box.Name, e.UID)
			return nil
		} else if err != nil {
			return err
		}
		if _, err := c.r.Get(listKey(c.domain, a, box.ID, m.Arrived, m.Number, e.UID)); err != nil {
			c.report("account %d, %s: entry %d isn't in the list: %v", a, box.Name, e.UID, err)
		}
		return nil
	})
	if err != nil {
		return err
	}
	listed := int64(0)
	rng := engine.Prefix(key(subList, c.domain).account(a).mailbox(box.ID))
	rng.KeysOnly = true
	if err := c.r.Scan(rng, func(_, _ []byte) error { listed++; return nil }); err != nil {
		return err
	}
	if err := c.pages(a, box); err != nil {
		return err
	}
	if err := c.vanished(a, box); err != nil {
		return err
	}
	if total != box.Total || fresh != box.Unseen || listed != total {
		c.report("account %d, %s: total %d and unseen %d, counted %d and %d, listed %d", a, box.Name, box.Total, box.Unseen, total, fresh, listed)
	}
	return nil
}

// messages looks at each message's entries, name, structure and thread.
func (c *checker) messages() error {
	return c.r.Scan(engine.Prefix(key(subMessage, c.domain)), func(k, v []byte) error {
		a, n := gateway.AccountID(binary.BigEndian.Uint32(k[5:])), lastNumber(k)
		m, err := decodeMessage(c.domain, a, n, v)
		if err != nil {
			return err
		}
		c.refs[m.Blob.ID]++
		if gone, err := closing(c.r, c.domain, a); gone || err != nil {
			return err // half of it is deleted already
		}
		c.sum.Messages++
		if err := c.size(m); err != nil {
			return err
		}
		if len(m.Stands) == 0 {
			c.report("account %d: message %s stands in no mailbox", a, m.ID)
		}
		for _, st := range m.Stands {
			e, err := readEntry(c.r, c.domain, a, st.Mailbox, st.UID)
			if err != nil || e.Message != n {
				c.report("account %d: message %s isn't entry %d of mailbox %d: %v", a, m.ID, st.UID, st.Mailbox, err)
			}
		}
		for what, k := range map[string][]byte{
			"the index of ids": uuidKey(c.domain, m.ID), "the structures": structureKey(c.domain, a, n), "the threads": key(subThread, c.domain).id(m.Thread),
		} {
			if _, err := c.r.Get(k); err != nil {
				c.report("account %d: message %s isn't in %s: %v", a, m.ID, what, err)
			}
		}
		return nil
	})
}

// size adds up m, if it is counted.
func (c *checker) size(m *stored) error {
	n, err := loadOr(c.r, accountSeqKey(c.domain, m.Account), decodeNumbers)
	if from := n[countFrom]; from > 0 && uint64(m.Number) >= from {
		c.sizes[m.Account] += m.Size()
	}
	return err
}

// bytes compares what accounts are said to hold with the sizes of their messages.
func (c *checker) bytes() error {
	return c.r.Scan(engine.Prefix(key(subAccountSeq, c.domain)), func(k, v []byte) error {
		a := gateway.AccountID(binary.BigEndian.Uint32(k[5:]))
		n, err := decodeNumbers(v)
		if err == nil && int64(n[countBytes]) != c.sizes[a] {
			c.report("account %d: %d bytes, counted %d", a, n[countBytes], c.sizes[a])
		}
		return err
	})
}

// others counts the references of deliveries and plugins.
func (c *checker) others() error {
	var waiting, size uint64
	err := c.r.Scan(engine.Prefix(key(subDelivery, c.domain)), func(k, v []byte) error {
		j, err := decodeDelivery(c.domain, lastID(k), v)
		if err != nil || j.State.Ended() {
			return err
		}
		c.refs[j.Blob.ID]++
		if j.Site != "" {
			waiting++
			size += uint64(j.Blob.Size)
		}
		return c.queued(j)
	})
	if err == nil {
		err = c.checkQueue(waiting, size)
	}
	if err != nil {
		return err
	}
	plugins, err := readPlugins(c.r, c.domain)
	for i := range plugins {
		for _, v := range plugins[i].Versions() {
			c.refs[v.Code.ID]++
		}
	}
	return err
}

// bodies compares the references with the engine's count, and reads every body.
func (c *checker) bodies(ctx context.Context) error {
	blobs := c.store.engine.Blobs()
	err := blobs.Each(ctx, uint32(c.domain), func(ref engine.BlobRef, n uint32) error {
		c.sum.Bodies++
		c.sum.BodyBytes += ref.Size
		if c.refs[ref.ID] != n {
			c.report("body %d is referred to %d times, the engine says %d", ref.ID, c.refs[ref.ID], n)
		}
		delete(c.refs, ref.ID)
		if err := blobs.Check(ctx, ref); err != nil {
			c.report("%v", err)
		}
		return ctx.Err()
	})
	for id := range c.refs {
		c.report("body %d is missing", id)
	}
	return err
}
