package store

import (
	"slices"

	"github.com/centerleap/postern/gateway"
)

// A STORE of a thousand messages that wrote a thousand records would spend most of its
// time on sorting, flushing and merging those. So what a change makes of neighbours is one
// record: their page, which says it once for all that are alike. Flags, labels and
// mod-sequence of an entry are those of its page or of its own record, whichever is newer
// by the mod-sequence; so what changes few entries writes their records, and need not look
// at pages. What a page says of an entry goes with the entry.

const (
	// pageEntries is how many UIDs share a page.
	pageEntries = 256
	// pageFrom is how many entries of a page a change must be of to bring them there: a page
	// is read and written as quickly as two or three of them.
	pageFrom = 4
	// pageLabels bounds the labels of an entry in a page, in bytes, and so a page to 70 KiB.
	pageLabels = 256
)

// pageID names a page of a domain.
type pageID struct {
	account gateway.AccountID
	mailbox gateway.MailboxID
	n       uint32 // UID / pageEntries
}

func flagPageOf(a gateway.AccountID, m gateway.MailboxID, uid uint32) pageID {
	return pageID{a, m, uid / pageEntries}
}

func (p pageID) key(d gateway.DomainID) []byte {
	return key(subFlags, d).account(p.account).mailbox(p.mailbox).u32(p.n)
}

// flagPage is the state of some entries. A nil one has none.
type flagPage struct {
	sets []flagSet
	of   [pageEntries]uint16 // by UID: its place in sets, from 1; 0: it is not here
}

// flagSet is a state that entries share.
type flagSet struct {
	modSeq uint64
	flags  gateway.Flags
	labels []string
}

func (p *flagPage) has(uid uint32) bool { return p != nil && p.of[uid%pageEntries] > 0 }

// show fills in what the page says of an entry, if that is newer than its record.
func (p *flagPage) show(e *gateway.Entry) {
	if !p.has(e.UID) {
		return
	}
	if s := &p.sets[p.of[e.UID%pageEntries]-1]; s.modSeq > e.ModSeq {
		e.ModSeq, e.Flags, e.Labels = s.modSeq, s.flags, s.labels
	}
}

// put takes an entry in, as it stands. Those of one change follow each other.
func (p *flagPage) put(e *gateway.Entry) {
	for i := len(p.sets) - 1; i >= 0 && p.sets[i].modSeq == e.ModSeq; i-- {
		if p.sets[i].flags == e.Flags && slices.Equal(p.sets[i].labels, e.Labels) {
			p.of[e.UID%pageEntries] = uint16(i + 1)
			return
		}
	}
	p.sets = append(p.sets, flagSet{e.ModSeq, e.Flags, e.Labels})
	p.of[e.UID%pageEntries] = uint16(len(p.sets))
}

// drop takes an entry out.
func (p *flagPage) drop(uid uint32) { p.of[uid%pageEntries] = 0 }

// encode returns nil for a page of none.
func (p *flagPage) encode() []byte {
	uids := make([][]gateway.UIDRange, len(p.sets))
	for i, n := range p.of {
		if n == 0 {
			continue
		}
		r := &uids[n-1]
		if k := len(*r) - 1; k >= 0 && (*r)[k].Last+1 == uint32(i) {
			(*r)[k].Last++
		} else {
			*r = append(*r, gateway.UIDRange{First: uint32(i), Last: uint32(i)})
		}
	}
	var out *encoder
	for i := range p.sets {
		if len(uids[i]) == 0 {
			continue
		}
		if out == nil {
			out = newRecord(64)
		}
		s := &p.sets[i]
		out.message(1, func(e *encoder) {
			e.uint(1, s.modSeq)
			e.uint(2, uint64(s.flags))
			e.texts(3, s.labels)
			e.bytes(4, encodeRuns(uids[i]))
		})
	}
	if out == nil {
		return nil
	}
	return out.b
}

func decodeFlagPage(b []byte) (*flagPage, error) {
	p := &flagPage{}
	err := readRecord("flags", b, func(f field) error {
		if f.n != 1 {
			return nil
		}
		return p.decodeSet(f.b)
	})
	return p, err
}

func (p *flagPage) decodeSet(b []byte) error {
	var s flagSet
	var uids []gateway.UIDRange
	err := readFields(b, func(f field) (err error) {
		switch f.n {
		case 1:
			s.modSeq = f.v
		case 2:
			s.flags = gateway.Flags(f.v)
		case 3:
			s.labels = append(s.labels, f.text())
		case 4:
			uids, err = decodeRuns(f.b)
		}
		return err
	})
	if err != nil || len(p.sets) == pageEntries || len(uids) > 0 && uids[len(uids)-1].Last >= pageEntries {
		return errRecord
	}
	p.sets = append(p.sets, s)
	for _, r := range uids {
		for i := r.First; i <= r.Last; i++ {
			p.of[i] = uint16(len(p.sets))
		}
	}
	return nil
}
