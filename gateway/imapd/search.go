package imapd

import (
	"cmp"
	"context"
	"errors"
	"strconv"
	"sync"
	"time"

	"github.com/emersion/go-imap/v2"
	"github.com/emersion/go-imap/v2/imapserver"

	"github.com/centerleap/postern/gateway/mailbox"
)

// Search writes which messages match.
func (s *session) Search(kind imapserver.NumKind, c *imap.SearchCriteria, o *imap.SearchOptions) (*imap.SearchData, error) {
	s.enable()
	ctx, stop := s.searching()
	defer stop()
	found, err := s.find(ctx, c)
	if o.ReturnSave {
		s.save(found, o) // of a search that failed, nothing: RFC 5182 section 2.1
	}
	if err != nil {
		return nil, err
	}
	if s.c.note.arrange != nil {
		return nil, s.arranged(ctx, stop, found, kind == imapserver.NumKindUID, o)
	}
	stop()
	s.c.note.newest = s.newest(found, o)
	ids := s.ids(found, kind == imapserver.NumKindUID)
	if err := s.c.data(s.searchLine(ids, kind == imapserver.NumKindUID, o)); err != nil {
		return nil, err
	}
	if err := s.tell(kind == imapserver.NumKindUID); err != nil {
		return nil, err
	}
	return nil, done("", s.c.note.name+" completed")
}

// searching gives a context with the time of one search, which ends when the client
// leaves. stop must be called before anything is written; it may be called twice.
func (s *session) searching() (ctx context.Context, stop func()) {
	timed, cancel := context.WithTimeout(s.ctx, time.Duration(s.door.cfg.Limits.SearchSeconds)*time.Second)
	ctx, disconnect := s.c.whileConnected(timed)
	return ctx, sync.OnceFunc(func() {
		disconnect()
		cancel()
	})
}

// find returns the numbers of the messages that match, in order. Its error is what
// the client is told.
func (s *session) find(ctx context.Context, c *imap.SearchCriteria) ([]int, error) {
	saved := sync.OnceValue(func() []mailbox.Run { return s.runs(imap.SearchRes()) })
	criteria, err := s.criteria(c, maxDepth, saved)
	if err != nil {
		return nil, err
	}
	found, err := s.view.Search(ctx, criteria)
	return found, s.unfound(ctx, err)
}

// unfound is failed for a search.
func (s *session) unfound(ctx context.Context, err error) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, mailbox.ErrSearchTime), errors.Is(ctx.Err(), context.DeadlineExceeded):
		return refuse("LIMIT", mailbox.ErrSearchTime.Message)
	case ctx.Err() != nil:
		return refuse("UNAVAILABLE", cmp.Or(s.c.ends(), "the client has left"))
	}
	return s.failed(err)
}

// save keeps what $ means from now on. Who asks for the first or the last alone
// saves these: RFC 5182 section 2.1.
func (s *session) save(found []int, o *imap.SearchOptions) {
	if ends := o.ReturnMin || o.ReturnMax; ends && !o.ReturnCount && !s.asksAll() && len(found) > 1 {
		first, last := found[0], found[len(found)-1]
		switch {
		case o.ReturnMin && o.ReturnMax:
			found = []int{first, last}
		case o.ReturnMin:
			found = []int{first}
		default:
			found = []int{last}
		}
	}
	s.saved = s.saved[:0]
	for _, n := range found {
		s.saved = append(s.saved, s.view.Entry(n).UID)
	}
}

// searchLine is the result, as SEARCH or as ESEARCH (RFC 4731).
func (s *session) searchLine(ids []uint32, uid bool, o *imap.SearchOptions) []byte {
	n := s.c.note
	b := s.buf[:0]
	if !n.extended {
		b = append(b, "* SEARCH"...)
		for _, id := range ids {
			b = strconv.AppendUint(append(b, ' '), uint64(id), 10)
		}
		return append(n.appendNewest(b), "\r\n"...)
	}
	if o.ReturnSave && !o.ReturnMin && !o.ReturnMax && !o.ReturnCount && !s.asksAll() {
		return nil // RFC 5182 section 2.1: SAVE alone has no answer
	}
	b = append(b, `* ESEARCH (TAG "`...)
	b = append(append(b, n.tag...), `")`...)
	if uid {
		b = append(b, " UID"...)
	}
	if len(ids) > 0 {
		if o.ReturnMin {
			b = strconv.AppendUint(append(b, " MIN "...), uint64(ids[0]), 10)
		}
		if o.ReturnMax {
			b = strconv.AppendUint(append(b, " MAX "...), uint64(ids[len(ids)-1]), 10)
		}
		if o.ReturnAll {
			b = appendSet(append(b, " ALL "...), ids)
		}
	}
	if o.ReturnCount {
		b = strconv.AppendInt(append(b, " COUNT "...), int64(len(ids)), 10)
	}
	return append(n.appendNewest(b), "\r\n"...)
}

// asksAll reports whether the client named ALL: the library sets it, too, when
// nothing but SAVE is asked for.
func (s *session) asksAll() bool { return s.c.note.all }
