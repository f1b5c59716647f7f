// Package threading answers which messages belong to one conversation, and in
// which order. It is pure: a message's facts decide, never when it arrived, so
// any order of arrival ends in the same threads.
//
// Two messages belong together when one refers to the other, when both refer to
// the same, or by the narrow subject rule of Joins; and so do all that are
// connected by others in between. The store keeps that graph; Group is its model.
package threading

import (
	"encoding/binary"
	"slices"
	"strings"
	"time"
	"unicode"

	"github.com/centerleap/postern/gateway"
)

const (
	// SubjectWindow is how far before a headerless reply the message it answers
	// may be dated.
	SubjectWindow = 7 * 24 * time.Hour
	// maxLinks bounds the ids a message may refer to: the root and the newest.
	maxLinks = 100
	// maxPeople bounds the correspondents that are compared.
	maxPeople = 200
	// clockSlack is how far in the future a Date field may be before it is not
	// believed.
	clockSlack = 24 * time.Hour
)

// Rules is the package as the store's interface.
type Rules struct{}

// Joins is the function of that name.
func (Rules) Joins(a, b *gateway.ThreadFacts) bool { return Joins(a, b) }

// Window is SubjectWindow.
func (Rules) Window() time.Duration { return SubjectWindow }

// Facts gathers what decides a message's conversation.
func Facts(c *gateway.Content, arrived time.Time) gateway.ThreadFacts {
	f := gateway.ThreadFacts{MessageID: c.MessageID, Links: links(c)}
	f.Base, f.Reply = BaseSubject(c.Subject)
	f.Date = c.Date
	if f.Date.IsZero() || f.Date.After(arrived.Add(clockSlack)) {
		f.Date = arrived
	}
	f.Date = f.Date.UTC().Truncate(time.Second)
	f.People = people(c)
	f.Rank = rank(&f)
	return f
}

func links(c *gateway.Content) (ids []string) {
	all := slices.Clone(c.References)
	if c.InReplyTo != "" {
		all = append(all, c.InReplyTo)
	}
	seen := map[string]bool{c.MessageID: true}
	for _, id := range all {
		if !seen[id] {
			seen[id] = true
			ids = append(ids, id)
		}
	}
	if len(ids) > maxLinks {
		ids = append(ids[:1], ids[len(ids)-maxLinks+1:]...)
	}
	return ids
}

func people(c *gateway.Content) (all []string) {
	for _, list := range [][]gateway.Address{c.From, c.To, c.Cc} {
		for _, a := range list {
			all = append(all, gateway.FoldAddress(a.Addr))
		}
	}
	slices.Sort(all)
	all = slices.Compact(all)
	return all[:min(len(all), maxPeople)]
}

// rank orders a thread bytewise: by date; within a second, what answers more
// comes later; then by Message-ID, so that the order is never a matter of luck.
func rank(f *gateway.ThreadFacts) string {
	b := binary.BigEndian.AppendUint64(nil, uint64(f.Date.Unix())^1<<63)
	b = binary.BigEndian.AppendUint16(b, uint16(len(f.Links)))
	return string(b) + f.MessageID
}

// Joins reports whether two messages belong together by their subjects alone:
// one is a reply that says so only in its subject, the other has the same base
// subject, is dated at most SubjectWindow before it and not after, and the two
// share two correspondents, or all that one of them has.
func Joins(a, b *gateway.ThreadFacts) bool {
	return answers(a, b) || answers(b, a)
}

func answers(reply, first *gateway.ThreadFacts) bool {
	return reply.Headerless() && reply.Base == first.Base &&
		!first.Date.After(reply.Date) && !first.Date.Before(reply.Date.Add(-SubjectWindow)) &&
		correspond(reply.People, first.People)
}

func correspond(a, b []string) bool {
	shared := 0
	for _, p := range a {
		if _, ok := slices.BinarySearch(b, p); ok {
			shared++
		}
	}
	return shared >= 2 || shared > 0 && (shared == len(a) || shared == len(b))
}

// Prefixes that make a subject a reply: RFC 5256 section 2.1 knows re; mail
// programs of other languages write their own word.
var replyWords = map[string]bool{
	"re": true, "aw": true, "sv": true, "vs": true, "antw": true, "odp": true, "ynt": true, "res": true, "rif": true, "r": true,
}

// forwardWords make it a forward, which starts a conversation of its own.
var forwardWords = map[string]bool{"fw": true, "fwd": true, "wg": true, "tr": true, "rv": true, "enc": true}

// BaseSubject takes from a subject what mail programs add to it: reply and
// forward words, blobs in brackets before them, and white space. reply says
// that the outermost word was one of a reply.
func BaseSubject(s string) (base string, reply bool) {
	s = strings.Join(strings.FieldsFunc(s, unicode.IsSpace), " ")
	outermost := true
	for {
		t := stripTrailer(s)
		rest, word := stripWord(t)
		if word == "" {
			return strings.ToLower(t), reply
		}
		if outermost {
			reply, outermost = replyWords[word], false
		}
		s = strings.TrimSpace(rest)
	}
}

// stripTrailer removes (fwd) from the end.
func stripTrailer(s string) string {
	for len(s) >= 5 && strings.EqualFold(s[len(s)-5:], "(fwd)") {
		s = strings.TrimSpace(s[:len(s)-5])
	}
	return s
}

// stripWord removes one "Re[2]:" or "[list] Re:" from the start; word is empty
// if there is none.
func stripWord(s string) (rest, word string) {
	t := s
	for strings.HasPrefix(t, "[") { // a blob, RFC 5256 section 5
		end := strings.IndexByte(t, ']')
		if end < 0 || strings.IndexByte(t[1:end], '[') >= 0 {
			return s, ""
		}
		t = strings.TrimSpace(t[end+1:])
	}
	head, tail, found := strings.Cut(t, ":")
	if !found || len(head) > 40 {
		return s, ""
	}
	head = strings.TrimSpace(head)
	if i := strings.IndexByte(head, '['); i >= 0 && strings.HasSuffix(head, "]") {
		head = strings.TrimSpace(head[:i])
	}
	head = strings.ToLower(head)
	if !replyWords[head] && !forwardWords[head] {
		return s, ""
	}
	return tail, head
}

// Group is the model that the store is held to: the messages' indexes by
// conversation, each in order; the conversations in the order of their first.
func Group(all []gateway.ThreadFacts) [][]int {
	parent := make([]int, len(all))
	for i := range parent {
		parent[i] = i
	}
	var find func(int) int
	find = func(i int) int {
		if parent[i] != i {
			parent[i] = find(parent[i])
		}
		return parent[i]
	}
	node := make(map[string]int)
	for i := range all {
		for _, id := range append([]string{all[i].MessageID}, all[i].Links...) {
			if j, ok := node[id]; ok && id != "" {
				parent[find(i)] = find(j)
			}
			node[id] = i
		}
		for j := range i {
			if Joins(&all[i], &all[j]) {
				parent[find(i)] = find(j)
			}
		}
	}
	groups := make(map[int][]int)
	for i := range all {
		groups[find(i)] = append(groups[find(i)], i)
	}
	before := func(a, b int) int { return strings.Compare(all[a].Rank, all[b].Rank) }
	var out [][]int
	for _, g := range groups {
		slices.SortStableFunc(g, before)
		out = append(out, g)
	}
	slices.SortFunc(out, func(a, b []int) int { return before(a[0], b[0]) })
	return out
}
