package imapd

import (
	"strconv"
	"strings"

	"github.com/emersion/go-imap/v2"

	"github.com/centerleap/postern/gateway"
	"github.com/centerleap/postern/gateway/mailbox"
)

// criteria says what a search asks for without the library's words. depth is how
// many levels of it there may be; saved gives the runs of $, which are looked up once.
func (s *session) criteria(c *imap.SearchCriteria, depth int, saved func() []mailbox.Run) (*mailbox.Criteria, error) {
	if depth == 0 {
		return nil, refuse("LIMIT", "the search is nested too deep")
	}
	m := &mailbox.Criteria{
		Since: c.Since, Before: c.Before, SentSince: c.SentSince, SentBefore: c.SentBefore,
		Bodies: c.Body, Texts: c.Text,
	}
	for _, set := range c.SeqNum {
		m.Numbers = append(m.Numbers, s.runs(set))
	}
	for _, set := range c.UID {
		if imap.IsSearchRes(set) {
			m.Numbers = append(m.Numbers, saved())
		} else {
			m.Numbers = append(m.Numbers, s.runs(set))
		}
	}
	for _, h := range c.Header {
		m.Headers = append(m.Headers, mailbox.HeaderText{Name: h.Key, Text: h.Value})
	}
	flagCriteria(m, c)
	for i := range c.Not {
		not, err := s.criteria(&c.Not[i], depth-1, saved)
		if err != nil {
			return nil, err
		}
		m.Not = append(m.Not, *not)
	}
	for i := range c.Or {
		var or [2]mailbox.Criteria
		for k := range or {
			one, err := s.criteria(&c.Or[i][k], depth-1, saved)
			if err != nil {
				return nil, err
			}
			or[k] = *one
		}
		m.Or = append(m.Or, or)
	}
	return m, nil
}

// flagCriteria adds flags and keywords, and the search keys that come as such.
func flagCriteria(m *mailbox.Criteria, c *imap.SearchCriteria) {
	for _, f := range c.Flag {
		if flag, label := criterion(f); isCarrier(f) {
			carried(m, string(f))
		} else if m.Has |= flag; flag == 0 {
			m.HasLabels = append(m.HasLabels, label)
		}
	}
	for _, f := range c.NotFlag {
		flag, label := criterion(f)
		if m.Lacks |= flag; flag == 0 {
			m.LacksLabels = append(m.LacksLabels, label)
		}
	}
}

// criterion is the system flag of a name, or the keyword. \Recent is none that a
// message has.
func criterion(f imap.Flag) (flag gateway.Flags, label string) {
	for _, known := range systemFlags {
		if strings.EqualFold(string(f), string(known.name)) {
			return known.flag, ""
		}
	}
	return 0, string(f)
}

func isCarrier(f imap.Flag) bool { return strings.HasPrefix(strings.ToLower(string(f)), carrier) }

// carried reads a search key that comes as a keyword. What it can't read no message
// matches.
func carried(m *mailbox.Criteria, keyword string) {
	what, value, _ := strings.Cut(strings.ToLower(keyword)[len(carrier):], ".")
	n, notNumber := strconv.ParseUint(value, 10, 63)
	id, notID := gateway.ParseID(value)
	switch {
	case what == "larger" && notNumber == nil:
		m.Larger = append(m.Larger, int64(n))
	case what == "smaller" && notNumber == nil:
		m.Smaller = append(m.Smaller, int64(n))
	case what == "modseq" && notNumber == nil:
		m.ModSeq = max(m.ModSeq, n)
	case what == "emailid" && notID == nil:
		m.Emails = append(m.Emails, id)
	case what == "threadid" && notID == nil:
		m.Threads = append(m.Threads, id)
	default:
		m.Numbers = append(m.Numbers, nil)
	}
}
