package store

import (
	"context"
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

// threadRecord is a thread as stored; Into is the thread it was merged into.
type threadRecord struct {
	gateway.Thread
	Into gateway.ID
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
	if err != nil {
		return err
	}
	if thread == nil {
		thread = &threadRecord{Thread: gateway.Thread{ID: p.newThread, Account: m.Account}}
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
	return t.join(thread, m, merged || moved)
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
			return thread, false, own, err
		}
	}
	found, err := t.threads().connected(m)
	if err != nil {
		return nil, false, nil, err
	}
	thread, merged, err = t.mergeThreads(found)
	return thread, merged, m.nodes(), err
}

// threadReader looks threads up, inside a commit or before one.
type threadReader struct {
	engine.Reader
	store  *Store
	domain gateway.DomainID
}

func (t *tx) threads() threadReader { return threadReader{t, t.store, t.domain} }

// connected returns the threads that m belongs to by the nodes it names and by
// its subject, oldest id first, without those that are full.
func (t threadReader) connected(m *stored) ([]*threadRecord, error) {
	var ids []gateway.ID
	for _, id := range m.nodes() {
		b, err := t.Get(nodeKey(t.domain, m.Account, id))
		if errors.Is(err, engine.ErrNotFound) {
			continue
		} else if err != nil {
			return nil, err
		}
		ids = append(ids, gateway.ID(b))
	}
	bySubject, err := t.subjectThreads(m)
	if err != nil {
		return nil, err
	}
	var found []*threadRecord
	for _, id := range append(ids, bySubject...) {
		r, err := t.live(id)
		if err != nil {
			return nil, err
		}
		known := func(o *threadRecord) bool { return r == nil || o.ID == r.ID }
		if r != nil && !slices.ContainsFunc(found, known) && int64(r.Count) < t.store.cfg.Limits.ThreadMessages {
			found = append(found, r)
		}
	}
	slices.SortFunc(found, func(a, b *threadRecord) int { return slices.Compare(a.ID[:], b.ID[:]) })
	return found, nil
}

// live follows merges to the thread that lives; nil if it is gone.
func (t threadReader) live(id gateway.ID) (*threadRecord, error) {
	for {
		r, err := readThread(t, t.domain, id)
		if errors.Is(err, engine.ErrNotFound) {
			return nil, nil
		}
		if err != nil || r.Into.IsZero() {
			return r, err
		}
		id = r.Into // no merge leads to a thread that is merged into it
	}
}

func readThread(r engine.Reader, d gateway.DomainID, id gateway.ID) (*threadRecord, error) {
	return load(r, threadKey(d, id), func(b []byte) (*threadRecord, error) { return decodeThread(id, b) })
}

// subjectThreads returns the threads of the messages that m joins by subject.
func (t threadReader) subjectThreads(m *stored) (ids []gateway.ID, err error) {
	if m.Facts.Base == "" {
		return nil, nil
	}
	rows := headerlessKey // one of the two must be
	if m.Facts.Headerless() {
		rows = subjectKey
	}
	window := t.store.cfg.Threading.Window()
	rng := engine.Range{
		From:     rows(m).u64(ms(m.Facts.Date.Add(-window))),
		To:       rows(m).u64(ms(m.Facts.Date.Add(window)) + 1),
		KeysOnly: true, Limit: maxSubjectCandidates,
	}
	var near []gateway.MessageNumber
	err = t.Scan(rng, func(k, _ []byte) error {
		near = append(near, lastNumber(k))
		return nil
	})
	for _, n := range near {
		if err != nil {
			return nil, err
		}
		var other *stored
		if other, err = readMessage(t, t.domain, m.Account, n); err == nil && t.store.cfg.Threading.Joins(&m.Facts, &other.Facts) {
			ids = append(ids, other.Thread)
		}
	}
	return ids, err
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
func (t *tx) join(r *threadRecord, m *stored, merged bool) error {
	members := memberKey(t.domain, m.Account, r.ID)
	mine := m.memberKey(r.ID)
	last := engine.Prefix(members)
	last.Reverse, last.KeysOnly, last.Limit = true, true, 1
	atEnd := !merged
	if err := t.Scan(last, func(k, _ []byte) error {
		atEnd = atEnd && slices.Compare(k, mine) < 0
		return nil
	}); err != nil {
		return err
	}
	t.Set(mine, nil)
	r.Count++
	if !atEnd {
		return t.renumber(r, m)
	}
	m.Position = r.Count - 1
	if m.Position == 0 {
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
	r.Count = len(numbers)
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
		return t.renumber(r, nil)
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

// Candidates returns the conversations of an account that a message belongs to by
// its facts, the one it would join first. The commit looks again.
func (s *Store) Candidates(ctx context.Context, sc gateway.Scope, a gateway.AccountID, f *gateway.ThreadFacts) (all []gateway.Thread, err error) {
	d := sc.Domain()
	if !sc.Covers(d, a) {
		return nil, denied("account")
	}
	err = s.view(ctx, func(r engine.Reader) error {
		found, err := threadReader{r, s, d}.connected(&stored{Message: gateway.Message{Domain: d, Account: a}, Facts: *f})
		for _, th := range found {
			all = append(all, th.Thread)
		}
		return err
	})
	return all, err
}

// Thread returns a conversation and its messages from position skip on, at most
// limit, oldest first. The id of a merged thread names what it was merged into.
func (s *Store) Thread(ctx context.Context, sc gateway.Scope, id gateway.ID, skip, limit int) (th gateway.Thread, all []*gateway.Message, err error) {
	d := sc.Domain()
	if d == 0 {
		return th, nil, denied("thread")
	}
	err = s.view(ctx, func(r engine.Reader) error {
		rec, err := readThread(r, d, id)
		for err == nil && !rec.Into.IsZero() {
			rec, err = readThread(r, d, rec.Into)
		}
		if err != nil {
			return missing(err, "thread")
		}
		if !sc.Covers(d, rec.Account) {
			return denied("thread")
		}
		th = rec.Thread
		all, err = threadPage(r, d, rec, skip, limit)
		return err
	})
	return th, all, err
}

func threadPage(r engine.Reader, d gateway.DomainID, rec *threadRecord, skip, limit int) (all []*gateway.Message, err error) {
	rng := engine.Prefix(memberKey(d, rec.Account, rec.ID))
	rng.KeysOnly, rng.Limit = true, skip+limit
	err = r.Scan(rng, func(k, _ []byte) error {
		if skip > 0 {
			skip--
			return nil
		}
		m, err := wholeMessage(r, d, rec.Account, lastNumber(k))
		if err == nil {
			all = append(all, m)
		}
		return err
	})
	return all, err
}
