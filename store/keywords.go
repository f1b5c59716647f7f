package store

import (
	"context"
	"errors"
	"slices"
	"strings"
	"sync"

	"github.com/centerleap/postern/gateway"
	"github.com/centerleap/postern/store/engine"
)

// A mailbox remembers which keywords came into it, so that a commit can hold them to
// their limit without reading entries. Those that no entry has any more are forgotten
// when there is no room for another.

// keywordsError is gateway.ErrKeywords of one mailbox.
type keywordsError struct{ at gateway.Selection }

func (keywordsError) Error() string { return gateway.ErrKeywords.Error() }
func (keywordsError) Unwrap() error { return gateway.ErrKeywords }

func hasLabel(list []string, label string) bool {
	return slices.ContainsFunc(list, func(o string) bool { return strings.EqualFold(o, label) })
}

// bring notes labels that come into a mailbox, whose record still has to be written. It
// returns those that there is room for.
func (t *tx) bring(box *gateway.Mailbox, labels []string) []string {
	return slices.DeleteFunc(slices.Clone(labels), func(l string) bool {
		if hasLabel(box.Keywords, l) {
			return false
		}
		if int64(len(box.Keywords)) >= t.store.cfg.Limits.Keywords {
			t.dropped++
			return true
		}
		box.Keywords = append(slices.Clip(box.Keywords), l)
		return false
	})
}

// roomToMove is room for what is moved. What is thrown away goes without the labels that
// there is no room for: mail can always be deleted.
func (t *tx) roomToMove(a gateway.AccountID, to *gateway.Mailbox, labels []string) error {
	if to.SpecialUse == gateway.UseTrash {
		return nil
	}
	return t.room(a, to, labels)
}

// room fails with ErrKeywords if a mailbox has none for some labels.
func (t *tx) room(a gateway.AccountID, box *gateway.Mailbox, labels []string) error {
	have, most := box.Keywords, int(t.store.cfg.Limits.Keywords)
	for _, l := range labels {
		if hasLabel(have, l) {
			continue
		}
		if have = append(slices.Clip(have), l); len(have) > most {
			return keywordsError{gateway.Selection{Domain: t.domain, Account: a, Mailbox: box.ID}}
		}
	}
	return nil
}

// orRecount runs a commit again if it failed for want of room for keywords, and there is
// some now.
func (s *Store) orRecount(ctx context.Context, commit func() error) error {
	err := commit()
	full, ok := errors.AsType[keywordsError](err)
	if !ok {
		return err
	}
	if freed, failed := s.recountKeywords(ctx, full.at); failed != nil || !freed {
		return errors.Join(err, failed)
	}
	return commit()
}

// recountKeywords has a mailbox forget the keywords that no entry has, unless it changes
// meanwhile.
func (s *Store) recountKeywords(ctx context.Context, at gateway.Selection) (freed bool, err error) {
	var used []string
	var seen gateway.Mailbox
	known := false
	err = s.view(ctx, func(r engine.Reader) error {
		box, err := readMailbox(r, at.Domain, at.Account, at.Mailbox)
		if err != nil {
			return missing(err, "folder")
		}
		if seen, known = *box, s.inUse.has(at, box.ModSeq); known {
			return nil
		}
		used, err = keywordsOf(ctx, r, at)
		return err
	})
	if err != nil || known {
		return false, err
	}
	if len(used) >= len(seen.Keywords) {
		s.inUse.add(at, seen.ModSeq)
		return false, nil
	}
	err = s.frees(ctx, at.Domain, func(t *tx) error {
		box, err := readMailbox(t, t.domain, at.Account, at.Mailbox)
		if freed = err == nil && box.ModSeq == seen.ModSeq; !freed {
			return missing(err, "folder")
		}
		box.Keywords = used
		t.Set(mailboxKey(t.domain, at.Account, at.Mailbox), encodeMailbox(box))
		return nil
	})
	return freed, err
}

// keywordsOf reads which keywords the entries of a mailbox have.
func keywordsOf(ctx context.Context, r engine.Reader, at gateway.Selection) (used []string, err error) {
	err = entriesOf(r, at.Domain).scan(at, 0, func(e gateway.Entry) error {
		for _, l := range e.Labels {
			if !hasLabel(used, l) {
				used = append(used, l)
			}
		}
		return ctx.Err()
	})
	return used, err
}

// inUse remembers mailboxes all of whose keywords are in use, each as it was when that was
// counted. Until it changes nobody has its entries read again by asking for one more.
type inUse struct {
	mu sync.Mutex
	at map[gateway.Selection]uint64 // its mod-sequence
}

// inUseMost is how many mailboxes are remembered; one more, and all are forgotten. Ours.
const inUseMost = 10_000

func (u *inUse) has(at gateway.Selection, modseq uint64) bool {
	u.mu.Lock()
	defer u.mu.Unlock()
	m, ok := u.at[at]
	return ok && m == modseq
}

func (u *inUse) add(at gateway.Selection, modseq uint64) {
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.at == nil || len(u.at) >= inUseMost {
		u.at = make(map[gateway.Selection]uint64)
	}
	u.at[at] = modseq
}
