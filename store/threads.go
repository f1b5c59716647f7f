package store

import (
	"cmp"
	"errors"
	"slices"

	"github.com/centerleap/postern/gateway"
	"github.com/centerleap/postern/store/engine"
)

// Threads are the connected components of a graph whose nodes are Message-IDs:
// a message connects its own with all it refers to, and the subject rule
// connects two messages directly. A node keeps the thread it belongs to, also
// before its message arrives; so the order of arrival cannot matter. A message
// that connects two threads merges them: the older id survives, the other one
// points to it.

// threadRecord is a thread as stored; Into is the thread it was merged into. Decided says
// that a plugin had a message join it, or started it: no rule then makes one of it and another.
type threadRecord struct {
	gateway.Thread
	Into    gateway.ID
	Decided bool
	Gap     int // places that are empty, of messages that left it when it was too long to be written again
}

// maxSubjectCandidates bounds how many messages of one subject within the
// window are compared. More than that is a mailing, not a conversation.
const maxSubjectCandidates = 200

func threadKey(d gateway.DomainID, id gateway.ID) []byte { return key(subThread, d).id(id) }

func memberKey(d gateway.DomainID, a gateway.AccountID, thread gateway.ID) keyBuilder {
	return key(subMember, d).account(a).id(thread)
}

// memberKey is m's place in a thread. The zero byte ends the rank, so that a
// rank that starts another one sorts before it.
func (m *stored) memberKey(thread gateway.ID) keyBuilder {
	return memberKey(m.Domain, m.Account, thread).text(m.Facts.Rank).byte(0).number(m.Number)
}

func nodeKey(d gateway.DomainID, a gateway.AccountID, msgid string) []byte {
	return key(subNode, d).account(a).hash(msgid)
}

// subjectKey begins the rows of all messages that have m's base subject.
func subjectKey(m *stored) keyBuilder {
	return key(subSubject, m.Domain).account(m.Account).hash(m.Facts.Base)
}

// headerlessKey begins those of the headerless ones among them. They are few, and all
// that a message with headers may join: of a receipt that is sent ten thousand times
// nobody walks the others.
func headerlessKey(m *stored) keyBuilder {
	return key(subSubject, m.Domain).account(m.Account).hash("\x00" + m.Facts.Base)
}

// subjectRows are the rows by which others find m by its subject.
func (m *stored) subjectRows() (rows [][]byte) {
	if m.Facts.Base == "" {
		return nil
	}
	rows = append(rows, subjectKey(m).u64(ms(m.Facts.Date)).number(m.Number))
	if m.Facts.Headerless() {
		rows = append(rows, headerlessKey(m).u64(ms(m.Facts.Date)).number(m.Number))
	}
	return rows
}

// nodes are the Message-IDs that m connects.
func (m *stored) nodes() []string {
	ids := m.Facts.Links
	if m.Facts.MessageID != "" {
		ids = append([]string{m.Facts.MessageID}, ids...)
	}
	return ids
}

// placed is what a plugin decided about a message's thread, and the thread it
// was told the message would start; zero if it was told nothing.
type placed struct {
	choice    gateway.ThreadChoice
	newThread gateway.ID
}

// placeInThread finds or starts m's thread and gives m its position there.
func (t *tx) placeInThread(m *stored, p placed) error {
	thread, merged, nodes, err := t.threadFor(m, p)
	last := true // m stands behind all others
	if err == nil && thread != nil && !merged {
		thread, last, err = t.placeIn(thread, m)
	}
	if err != nil {
		return err
	}
	if thread == nil {
		thread = &threadRecord{Thread: gateway.Thread{ID: p.newThread, Account: m.Account}, Decided: p.choice.New}
		if thread.ID.IsZero() {
			thread.ID = newID()
		}
	} else if !p.newThread.IsZero() {
		// A plugin may have noted the id it was told: it leads to the thread that
		// another message has started meanwhile. Nothing leads to newThread, so
		// this makes no circle.
		told := threadRecord{Thread: gateway.Thread{ID: p.newThread, Account: m.Account}, Into: thread.ID}
		t.Set(threadKey(t.domain, told.ID), encodeThread(&told))
	}
	m.Thread = thread.ID
	moved, err := t.gather(thread, m, &p.choice)
	if err != nil {
		return err
	}
	for _, id := range nodes {
		t.Set(nodeKey(t.domain, m.Account, id), thread.ID[:])
	}
	for _, row := range m.subjectRows() {
		t.Set(row, nil)
	}
	return t.join(thread, m, last && !merged && !moved)
}

// threadFor returns the thread that m joins, nil if it starts one, and the nodes
// that will lead to it. A plugin's choice speaks for m and for what answers m: the
// conversations that m refers to stay what they are. A choice that is gone, full
// or another account's is none.
func (t *tx) threadFor(m *stored, p placed) (thread *threadRecord, merged bool, nodes []string, err error) {
	var own []string
	if m.Facts.MessageID != "" {
		own = []string{m.Facts.MessageID}
	}
	if p.choice.New {
		return nil, false, own, nil
	}
	if !p.choice.Join.IsZero() {
		thread, err = t.threads().live(p.choice.Join)
		if err != nil || thread != nil && thread.Account == m.Account && int64(thread.Count) < t.store.cfg.Limits.ThreadMessages {
			if thread != nil {
				thread.Decided = true
			}
			return thread, false, own, err
		}
	}
	found, parted, err := t.threads().connected(m)
	if err != nil {
		return nil, false, nil, err
	}
	nodes = m.nodes()
	if parted { // what it names of other threads stays theirs
		if nodes, err = t.unknown(m, own); err != nil {
			return nil, false, nil, err
		}
	}
	thread, merged, err = t.mergeThreads(found)
	return thread, merged, nodes, err
}

// unknown adds to ids those that m refers to and that lead nowhere yet.
func (t *tx) unknown(m *stored, ids []string) ([]string, error) {
	for _, id := range m.Facts.Links {
		switch _, err := t.Get(nodeKey(t.domain, m.Account, id)); {
		case errors.Is(err, engine.ErrNotFound):
			ids = append(ids, id)
		case err != nil:
			return nil, err
		}
	}
	return ids, nil
}

// mergeThreads makes one of several threads, as far as they fit into one.
func (t *tx) mergeThreads(found []*threadRecord) (into *threadRecord, merged bool, err error) {
	if len(found) == 0 {
		return nil, false, nil
	}
	into = found[0]
	for _, r := range found[1:] {
		done, err := t.mergeInto(into, r)
		if err != nil {
			return nil, false, err
		}
		merged = merged || done
	}
	return into, merged, nil
}

// mergeInto makes r part of another thread, if it fits; that one has to be renumbered then.
func (t *tx) mergeInto(into, r *threadRecord) (done bool, err error) {
	if int64(into.Count+r.Count) >= t.store.cfg.Limits.ThreadMessages {
		return false, nil
	}
	if fits, err := t.rewrites(into, r); !fits || err != nil {
		return false, err
	}
	from, to := memberKey(t.domain, r.Account, r.ID), memberKey(t.domain, into.Account, into.ID)
	keys, err := keysOf(t, engine.Prefix(from))
	if err != nil {
		return false, err
	}
	for _, k := range keys {
		t.Delete(k)
		t.Set(append(slices.Clone(to), k[len(from):]...), nil)
	}
	into.Count += r.Count
	r.Into, r.Count = into.ID, 0
	t.Set(threadKey(t.domain, r.ID), encodeThread(r))
	return true, nil
}

// join adds m to a thread: at its end for next to nothing, elsewhere with a
// renumbering of what stands behind it.
func (t *tx) join(r *threadRecord, m *stored, atEnd bool) error {
	t.Set(m.memberKey(r.ID), nil)
	r.Count++
	if !atEnd {
		return t.renumber(r, m)
	}
	m.Position = r.Count - 1 + r.Gap
	if r.Count == 1 {
		r.Subject = m.Content.Subject
	}
	r.Newest = m.Facts.Date
	t.Set(threadKey(t.domain, r.ID), encodeThread(r))
	return nil
}

// renumber gives all members of a thread their rank. fresh, if not nil, is the
// member whose record is not written yet.
func (t *tx) renumber(r *threadRecord, fresh *stored) error {
	var numbers []gateway.MessageNumber
	err := t.Scan(engine.Prefix(memberKey(t.domain, r.Account, r.ID)), func(k, _ []byte) error {
		numbers = append(numbers, lastNumber(k))
		return nil
	})
	if err != nil {
		return err
	}
	for i, n := range numbers {
		m := fresh
		if fresh == nil || n != fresh.Number {
			if m, err = readMessage(t, t.domain, r.Account, n); err != nil {
				return err
			}
		}
		if m.Position != i || m.Thread != r.ID {
			m.Position, m.Thread = i, r.ID
			if m != fresh {
				t.putMessage(m)
			}
		}
		if i == 0 {
			r.Subject = m.Content.Subject
		}
		r.Newest = m.Facts.Date
	}
	r.Count, r.Gap = len(numbers), 0
	t.Set(threadKey(t.domain, r.ID), encodeThread(r))
	return nil
}

// leaveThread takes m out of its thread; the thread goes with its last message,
// and with it the nodes that only m knew.
func (t *tx) leaveThread(m *stored) error {
	t.Delete(m.memberKey(m.Thread))
	for _, row := range m.subjectRows() {
		t.Delete(row)
	}
	r, err := readThread(t, t.domain, m.Thread)
	if err != nil {
		return err
	}
	if r.Count > 1 {
		fits, err := t.rewrites(r)
		if err == nil && fits {
			return t.renumber(r, nil)
		}
		return cmp.Or(err, t.leaveGap(r))
	}
	t.Delete(threadKey(t.domain, r.ID))
	for _, id := range m.nodes() {
		k := nodeKey(t.domain, m.Account, id)
		if b, err := t.Get(k); err == nil && gateway.ID(b) == r.ID {
			t.Delete(k)
		} else if err != nil && !errors.Is(err, engine.ErrNotFound) {
			return err
		}
	}
	return nil
}
