package imapd

import (
	"cmp"
	"errors"
	"slices"
	"strings"

	"github.com/emersion/go-imap/v2"
	"github.com/emersion/go-imap/v2/imapserver"

	"github.com/centerleap/postern/gateway"
	"github.com/centerleap/postern/gateway/mailbox"
)

// systemFlags in the order in which they are shown.
var systemFlags = [...]struct {
	flag gateway.Flags
	name imap.Flag
}{
	{gateway.Answered, imap.FlagAnswered},
	{gateway.Flagged, imap.FlagFlagged},
	{gateway.Deleted, imap.FlagDeleted},
	{gateway.Seen, imap.FlagSeen},
	{gateway.Draft, imap.FlagDraft},
}

// flagsOf reads a client's flags: system flags in any case, and keywords.
func flagsOf(list []imap.Flag) (flags gateway.Flags, labels []string, err error) {
next:
	for _, f := range list {
		for _, known := range systemFlags {
			if strings.EqualFold(string(f), string(known.name)) {
				flags |= known.flag
				continue next
			}
		}
		if strings.HasPrefix(string(f), `\`) {
			return 0, nil, refuse("CANNOT", "there is no such system flag")
		}
		labels = append(labels, string(f))
	}
	return flags, labels, nil
}

// flagText is every set of system flags as a list has it, with a space before each.
var flagText = func() (all [1 << len(systemFlags)]string) {
	for set := range all {
		for _, f := range systemFlags {
			if gateway.Flags(set).Has(f.flag) {
				all[set] += " " + string(f.name)
			}
		}
	}
	return all
}()

// appendFlags writes an entry's flags as a list.
func appendFlags(b []byte, r *mailbox.Row) []byte {
	at := len(b)
	b = append(b, flagText[int(r.Flags)%len(flagText)]...)
	if r.Keywords != nil {
		b = append(b, r.Keywords.Text...)
	}
	if len(b) == at {
		return append(b, "()"...)
	}
	b[at] = '('
	return append(b, ')')
}

// Select opens a mailbox.
func (s *session) Select(name string, o *imap.SelectOptions) (*imap.SelectData, error) {
	if s.c.note.replays {
		return &imap.SelectData{}, nil
	}
	if s.c.note.resync != nil && !s.c.knows.resync {
		return nil, &imap.Error{Type: imap.StatusResponseTypeBad, Text: "QRESYNC is for clients that have enabled it"}
	}
	v, err := s.door.cfg.Mail.View(s.ctx, s.scope, s.account, name)
	if errors.Is(err, mailbox.ErrClosed) {
		return nil, refuse("NONEXISTENT", boxDeleted) // meanwhile; nobody is in it yet
	}
	if err != nil {
		return nil, s.failed(err)
	}
	s.view, s.readOnly, s.saved = v, o.ReadOnly, nil
	s.enable()
	if s.c.note.before, err = s.opened(v); err != nil {
		return nil, s.failed(errors.Join(err, s.Unselect()))
	}
	d := &imap.SelectData{
		NumMessages: uint32(v.Len()), UIDNext: imap.UID(v.Box.UIDNext), UIDValidity: v.Box.UIDValidity,
	}
	for _, f := range systemFlags {
		d.Flags = append(d.Flags, f.name)
	}
	seen := v.Opening()
	d.FirstUnseenSeqNum = uint32(seen.FirstUnseen + 1) // 0: there is none
	for _, k := range seen.Keywords {
		d.Flags = append(d.Flags, imap.Flag(k))
	}
	if !s.readOnly {
		d.PermanentFlags = slices.Clone(d.Flags)
		if !seen.Full {
			d.PermanentFlags = append(d.PermanentFlags, `\*`)
		}
	}
	if s.c.note.dialect.rev2 {
		if d.List, err = s.listed(v.Box.Name); err != nil {
			return nil, errors.Join(err, s.Unselect())
		}
	}
	return d, nil
}

// Unselect closes the mailbox.
func (s *session) Unselect() error {
	if s.view != nil {
		s.view.Close()
	}
	s.view, s.saved = nil, nil
	return nil
}

// Poll tells what has changed, at the end of a command.
func (s *session) Poll(_ *imapserver.UpdateWriter, allowExpunge bool) error {
	if s.c.note.replays {
		return nil
	}
	return s.tell(allowExpunge)
}

// elsewhere are the commands that have done what they do, although the mailbox that is
// selected is gone.
var elsewhere = []string{"APPEND", "COPY", "UID COPY", "CREATE", "DELETE", "RENAME", "SUBSCRIBE", "UNSUBSCRIBE"}

// tell writes the news of the selected mailbox.
func (s *session) tell(allowExpunge bool) error {
	if s.view == nil {
		return nil
	}
	news, err := s.view.News(s.ctx, allowExpunge)
	if errors.Is(err, mailbox.ErrClosed) && slices.Contains(elsewhere, s.c.note.name) {
		s.c.endWith(boxDeleted) // behind the OK
		return nil
	}
	if err != nil {
		return s.failed(err)
	}
	b := s.buf[:0]
	if s.c.knows.resync {
		// The oldest change first: who is cut off in the middle has missed none before.
		slices.SortStableFunc(news.Changed, func(i, j int) int { return cmp.Compare(s.view.Row(i).ModSeq, s.view.Row(j).ModSeq) })
		b = appendVanished(b, "", runsOf(news.UIDs))
	} else {
		for _, i := range news.Gone {
			if b, err = s.gathered(appendNumber(b, i, "EXPUNGE\r\n")); err != nil {
				return err
			}
		}
	}
	if news.Exists >= 0 {
		b = appendNumber(b, news.Exists-1, "EXISTS\r\n")
	}
	for _, i := range news.Changed {
		if b, err = s.gathered(s.appendChange(b, i, s.view.Row(i))); err != nil {
			return err
		}
	}
	s.buf = b[:0]
	if len(b) == 0 {
		return nil
	}
	return s.c.data(b)
}

// gathered writes whole lines once there are enough of them, and returns what is left.
func (s *session) gathered(b []byte) ([]byte, error) {
	if len(b) < gather {
		return b, nil
	}
	return b[:0], s.c.data(b)
}

func (s *session) writable() error {
	if s.readOnly {
		return refuse("CANNOT", "the mailbox was opened with EXAMINE")
	}
	return nil
}
