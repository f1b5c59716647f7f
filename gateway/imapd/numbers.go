package imapd

import (
	"cmp"
	"slices"
	"strconv"

	"github.com/emersion/go-imap/v2"

	"github.com/centerleap/postern/gateway/mailbox"
)

// appendNumber starts an untagged line about the message of a number, which
// counts from 0.
func appendNumber(b []byte, i int, rest string) []byte {
	b = append(b, "* "...)
	b = strconv.AppendInt(b, int64(i+1), 10)
	b = append(b, ' ')
	return append(b, rest...)
}

// pick resolves a set to the numbers of messages, in order. The set may name any
// range; it is never counted through, only what is in the mailbox is. "*" is the
// last message, also when a range starts behind it, RFC 9051 section 9.
func (s *session) pick(set imap.NumSet) []int { return numbersIn(s.runs(set)) }

// runs is pick without counting: the runs of a set, in any order, which may overlap.
func (s *session) runs(set imap.NumSet) (runs []mailbox.Run) {
	switch {
	case imap.IsSearchRes(set):
		for _, uid := range s.saved {
			i, ok := s.view.Find(uid)
			switch last := len(runs) - 1; {
			case !ok:
			case last >= 0 && runs[last].To == i:
				runs[last].To++
			default:
				runs = append(runs, mailbox.Run{From: i, To: i + 1})
			}
		}
	case s.view.Len() > 0:
		n := s.view.Len()
		runs = runsIn(set, n, s.view.Entry(n-1).UID, s.view.Find)
	}
	return runs
}

// numbersIn are the numbers of all runs, in order.
func numbersIn(runs []mailbox.Run) []int {
	slices.SortFunc(runs, func(a, b mailbox.Run) int { return cmp.Compare(a.From, b.From) })
	var out []int
	next := 0
	for _, r := range runs {
		for i := max(r.From, next); i < r.To; i++ {
			out = append(out, i)
		}
		next = max(next, r.To)
	}
	return out
}

// runsIn resolves a set in a mailbox of n messages, one at least, whose last has a UID;
// find returns the number of the first with at least a UID.
func runsIn(set imap.NumSet, n int, last uint32, find func(uid uint32) (i int, exact bool)) (runs []mailbox.Run) {
	switch set := set.(type) {
	case imap.SeqSet:
		for _, r := range set {
			a, b := ordered(r.Start, r.Stop, uint32(n))
			runs = append(runs, mailbox.Run{From: int(max(a, 1)) - 1, To: int(min(b, uint32(n)))})
		}
	case imap.UIDSet:
		for _, r := range set {
			a, b := ordered(uint32(r.Start), uint32(r.Stop), last)
			from, _ := find(a)
			to, exact := find(b)
			if exact {
				to++
			}
			runs = append(runs, mailbox.Run{From: from, To: to})
		}
	}
	return runs
}

// ordered gives a range its ends in order; 0 stands for "*".
func ordered(a, b, last uint32) (lo, hi uint32) {
	if a == 0 {
		a = last
	}
	if b == 0 {
		b = last
	}
	return min(a, b), max(a, b)
}

// appendSet writes numbers that are in order as a set.
func appendSet(b []byte, list []uint32) []byte {
	for i := 0; i < len(list); {
		j := i
		for j+1 < len(list) && list[j+1] == list[j]+1 {
			j++
		}
		if i > 0 {
			b = append(b, ',')
		}
		b = strconv.AppendUint(b, uint64(list[i]), 10)
		if j > i {
			b = append(b, ':')
			b = strconv.AppendUint(b, uint64(list[j]), 10)
		}
		i = j + 1
	}
	return b
}
