package mailbox

import (
	"slices"
	"strings"
	"time"

	"github.com/centerleap/postern/gateway"
)

// Criteria are what a search asks of each message, all of it: RFC 9051 section 6.4.4.
// What is zero asks for nothing. Texts are looked for in any case, as parts of words
// or over several.
type Criteria struct {
	Numbers [][]Run // it is in each of these lists of the view's numbers

	Has, Lacks             gateway.Flags
	HasLabels, LacksLabels []string // in any case
	ModSeq                 uint64   // it has at least this one: RFC 7162 section 3.1.5
	Emails, Threads        []gateway.ID

	Larger, Smaller       []int64   // bytes, RFC822.SIZE
	Since, Before         time.Time // the day of its arrival: this one or later; before this one
	SentSince, SentBefore time.Time // the day in its Date field, as it stands there

	Headers []HeaderText
	Bodies  []string // each occurs in its texts
	Texts   []string // each occurs in its texts or its header

	Not []Criteria    // it matches none of them
	Or  [][2]Criteria // it matches one of each two
}

// Run is a stretch of a view's numbers, without To. Sets come as runs, since one that is
// short to write may mean all messages, and a search may have thousands.
type Run struct{ From, To int }

// HeaderText asks for a field of a name, in any case, that contains a text.
type HeaderText struct{ Name, Text string }

// cost is what has to be read to know whether a message matches.
type cost uint8

const (
	ofEntries cost = iota // nothing: the view has it
	ofIndex
	ofRecords
	ofHeaders
	ofTexts
)

// cost is that of the dearest part of the criteria.
func (c *Criteria) cost() cost {
	most := ofEntries
	switch {
	case len(c.Bodies)+len(c.Texts) > 0:
		return ofTexts
	case len(c.Headers) > 0:
		most = ofHeaders
	case c.ofRecord():
		most = ofRecords
	}
	for i := range c.Not {
		most = max(most, c.Not[i].cost())
	}
	for i := range c.Or {
		most = max(most, c.Or[i][0].cost(), c.Or[i][1].cost())
	}
	return most
}

// ofRecord reports whether the record of a message may have to be looked at.
func (c *Criteria) ofRecord() bool { return c.ofArrival() || c.ofDate() }

// ofArrival reports whether size or arrival count; most entries know them.
func (c *Criteria) ofArrival() bool {
	return len(c.Larger)+len(c.Smaller) > 0 || !c.Since.IsZero() || !c.Before.IsZero()
}

// ofDate reports whether the Date field counts.
func (c *Criteria) ofDate() bool { return !c.SentSince.IsZero() || !c.SentBefore.IsZero() }

// row checks labels and change of an entry.
func (c *Criteria) row(r *Row) bool {
	has := func(label string) bool {
		return r.Keywords != nil && slices.ContainsFunc(r.Keywords.Names, func(l string) bool { return strings.EqualFold(l, label) })
	}
	for _, l := range c.HasLabels {
		if !has(l) {
			return false
		}
	}
	return r.ModSeq >= c.ModSeq && !slices.ContainsFunc(c.LacksLabels, has)
}

// arrival checks size and arrival.
func (c *Criteria) arrival(arrived time.Time, size int64) bool {
	return !slices.ContainsFunc(c.Larger, func(n int64) bool { return size <= n }) &&
		!slices.ContainsFunc(c.Smaller, func(n int64) bool { return size >= n }) &&
		within(arrived, c.Since, c.Before)
}

// within compares days; times and zones don't count.
func within(t, since, before time.Time) bool {
	day := time.Date(t.Year(), t.Month(), t.Day(), 0, 0, 0, 0, time.UTC)
	return (since.IsZero() || !day.Before(since)) && (before.IsZero() || day.Before(before))
}
