package mailbox

import (
	"cmp"
	"context"
	"slices"
	"strings"

	"github.com/centerleap/postern/gateway"
)

// Branch is a message of a conversation with what answers it, in the conversation's
// order. A conversation whose first message is not among those asked for has a root
// without a message, if more than one is then first.
type Branch struct {
	Number  int // -1: there is no message here
	Answers []*Branch
}

// member is a message of a conversation, on its way into a branch.
type member struct {
	Branch
	facts  *gateway.ThreadFacts
	parent *member
}

// Threads puts the messages of some numbers into conversations: those REST shows,
// the one that began first at the front. Within one, a message stands below the
// nearest of those it refers to that is there, too. Messages that are gone are left
// out. It ends with the error of ctx, or with ErrSearchTime.
func (v *View) Threads(ctx context.Context, numbers []int) ([]*Branch, error) {
	done, err := v.mail.sorts.take(ctx, v.at.Domain, v.mail.searchEnd())
	if err != nil {
		return nil, err
	}
	defer done()
	threads := make(map[gateway.ID][]*member)
	for batch := range slices.Chunk(numbers, recordBatch) {
		give, err := v.mail.reads.take(ctx, v.at.Domain, v.mail.searchEnd())
		if err != nil {
			return nil, err
		}
		list := make([]gateway.MessageNumber, len(batch))
		for i, n := range batch {
			list[i] = v.Entry(n).Message
		}
		found, err := v.mail.cfg.Store.Threaded(ctx, v.scope, v.at.Domain, v.at.Account, list)
		give()
		if err != nil {
			return nil, err
		}
		for i, m := range found {
			if m != nil {
				threads[m.Thread] = append(threads[m.Thread], &member{Branch: Branch{Number: batch[i]}, facts: &m.Facts})
			}
		}
	}
	first := make([]*member, 0, len(threads))
	trees := make(map[*member]*Branch, len(threads))
	for _, members := range threads {
		slices.SortStableFunc(members, byRank)
		first = append(first, members[0])
		trees[members[0]] = tree(members)
	}
	slices.SortFunc(first, byRank)
	out := make([]*Branch, len(first))
	for i, m := range first {
		out[i] = trees[m]
	}
	return out, nil
}

func byRank(a, b *member) int {
	return cmp.Or(strings.Compare(a.facts.Rank, b.facts.Rank), cmp.Compare(a.Number, b.Number))
}

// tree hangs the members of one conversation, which are in order, below each other.
func tree(members []*member) *Branch {
	named := make(map[string]*member, len(members))
	for _, m := range slices.Backward(members) { // of namesakes the first counts
		if m.facts.MessageID != "" {
			named[m.facts.MessageID] = m
		}
	}
	root := &Branch{Number: -1}
	for _, m := range members {
		for _, id := range slices.Backward(m.facts.Links) {
			if p := named[id]; p != nil && !p.below(m) {
				m.parent = p
				break
			}
		}
		at := root
		if m.parent != nil {
			at = &m.parent.Branch
		}
		at.Answers = append(at.Answers, &m.Branch)
	}
	if len(root.Answers) == 1 {
		return root.Answers[0]
	}
	return root
}

// below reports whether m is other, or stands below it: mail can refer in circles.
func (m *member) below(other *member) bool {
	for ; m != nil; m = m.parent {
		if m == other {
			return true
		}
	}
	return false
}
