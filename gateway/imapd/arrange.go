package imapd

import (
	"context"
	"strconv"

	"github.com/emersion/go-imap/v2"

	"github.com/centerleap/postern/gateway/mailbox"
)

// SORT and THREAD, RFC 5256, run as SEARCH: the library reads charset and keys, and
// this note says what becomes of the messages that are found.

// arrangement is how SORT or THREAD want what was found.
type arrangement struct {
	keys     []mailbox.SortKey // of SORT; none: THREAD
	extended bool              // with RETURN
}

// sortProgram makes a SEARCH of SORT [RETURN (...)] (keys) charset program.
func (n *note) sortProgram(c *command) error {
	a, at := c.args, 0
	if len(a) > 0 && a[0].upper() == "RETURN" {
		if at = listEnd(a, 1) + 1; at == 0 {
			return commandError("RETURN takes a list")
		}
	}
	end := listEnd(a, at)
	if end < 0 {
		return commandError("SORT takes a list of keys")
	}
	keys, err := sortKeys(a[at+1 : end])
	if err != nil {
		return err
	}
	n.arrange = &arrangement{keys: keys, extended: at > 0}
	return n.asSearch(c, a[:at], a[end+1:])
}

// maxSortKeys bounds the keys of a SORT: there are nine. Ours.
const maxSortKeys = 16

func sortKeys(list []token) (keys []mailbox.SortKey, err error) {
	var key mailbox.SortKey
	for _, t := range list {
		if t.upper() == "REVERSE" && !key.Reverse {
			key.Reverse = true
			continue
		}
		if key.By = mailbox.SortBy(t.upper()); !key.By.Known() {
			return nil, commandError("SORT has no such key")
		}
		keys, key = append(keys, key), mailbox.SortKey{}
	}
	if len(keys) == 0 || len(keys) > maxSortKeys || key.Reverse {
		return nil, commandError("SORT takes a list of keys")
	}
	return keys, nil
}

// threadProgram makes a SEARCH of THREAD algorithm charset program.
func (n *note) threadProgram(c *command) error {
	if len(c.args) == 0 || c.args[0].upper() != "REFERENCES" {
		return commandError("THREAD takes REFERENCES")
	}
	n.arrange = &arrangement{}
	return n.asSearch(c, nil, c.args[1:])
}

// asSearch puts the two together as the arguments of SEARCH: what to return, and
// charset and program.
func (n *note) asSearch(c *command, returns, program []token) error {
	if len(program) < 2 || program[0].kind != atom && program[0].kind != str {
		return commandError("a charset and a search key are expected")
	}
	c.args = append(append(append([]token(nil), returns...), token{atom, "CHARSET"}), program...)
	c.name = "SEARCH"
	if len(n.name) > 4 && n.name[:4] == "UID " {
		c.name = "UID SEARCH"
	}
	return n.searchKeys(c)
}

// arranged answers SORT or THREAD with what was found, in what is left of the time of the
// search: stop ends that.
func (s *session) arranged(ctx context.Context, stop func(), found []int, uid bool, o *imap.SearchOptions) error {
	line, err := s.arrangedLine(ctx, found, uid, o)
	if err != nil {
		return s.unfound(ctx, err)
	}
	stop()
	if err := s.c.data(line); err != nil {
		return err
	}
	if err := s.tell(uid); err != nil {
		return err
	}
	return done("", s.c.note.name+" completed")
}

func (s *session) arrangedLine(ctx context.Context, found []int, uid bool, o *imap.SearchOptions) ([]byte, error) {
	keys := s.c.note.arrange.keys
	if len(keys) == 0 {
		threads, err := s.view.Threads(ctx, found)
		b := s.buf[:0]
		b = append(b, "* THREAD"...)
		for i, t := range threads {
			if i == 0 {
				b = append(b, ' ')
			}
			b = s.appendThread(b, t, uid)
		}
		return append(b, "\r\n"...), err
	}
	sorted, err := s.view.Sort(ctx, found, keys)
	s.c.note.newest = s.newest(sorted, o)
	ids := s.ids(sorted, uid)
	if s.c.note.arrange.extended { // RFC 5267 section 3
		return s.searchLine(ids, uid, o), err
	}
	b := s.buf[:0]
	b = append(b, "* SORT"...)
	for _, id := range ids {
		b = strconv.AppendUint(append(b, ' '), uint64(id), 10)
	}
	return append(s.c.note.appendNewest(b), "\r\n"...), err
}

// appendThread writes a conversation: what answers one message alone follows it, what
// is one answer of several stands in parentheses.
func (s *session) appendThread(b []byte, t *mailbox.Branch, uid bool) []byte {
	b = append(b, '(')
	for first := true; ; first = false {
		if t.Number >= 0 {
			if !first {
				b = append(b, ' ')
			}
			b = strconv.AppendUint(b, uint64(s.id(t.Number, uid)), 10)
		}
		if len(t.Answers) != 1 {
			break
		}
		t = t.Answers[0]
	}
	if len(t.Answers) > 0 && t.Number >= 0 {
		b = append(b, ' ')
	}
	for _, answer := range t.Answers {
		b = s.appendThread(b, answer, uid)
	}
	return append(b, ')')
}

// ids are the messages' names in an answer.
func (s *session) ids(numbers []int, uid bool) []uint32 {
	ids := make([]uint32, len(numbers))
	for i, n := range numbers {
		ids[i] = s.id(n, uid)
	}
	return ids
}

func (s *session) id(n int, uid bool) uint32 {
	if uid {
		return s.view.Entry(n).UID
	}
	return uint32(n + 1)
}
