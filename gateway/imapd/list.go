package imapd

import (
	"slices"
	"strings"

	"github.com/emersion/go-imap/v2"
	"github.com/emersion/go-imap/v2/imapserver"

	"github.com/centerleap/postern/gateway"
	"github.com/centerleap/postern/gateway/mailbox"
)

// listing is one LIST or LSUB over the names of an account.
type listing struct {
	patterns []string
	options  *imap.ListOptions
	lsub     bool
	boxes    map[string]*gateway.Mailbox // by name
	above    map[string]bool             // names that have others below them
	hidden   map[string]bool             // names with selected ones below them that no pattern matches
}

// List writes the mailboxes whose names match, and the levels of names that match:
// a mailbox may be gone while others below it stay.
func (s *session) List(w *imapserver.ListWriter, ref string, patterns []string, o *imap.ListOptions) error {
	if len(patterns) == 0 || len(patterns) == 1 && patterns[0] == "" { // what separates levels, RFC 9051 section 6.3.9
		return w.WriteList(&imap.ListData{Attrs: []imap.MailboxAttr{imap.MailboxAttrNoSelect}, Delim: '/'})
	}
	boxes, err := s.door.cfg.Mail.Boxes(s.ctx, s.scope, s.account)
	if err != nil {
		return s.failed(err)
	}
	l := listing{options: o, lsub: s.c.note.name == "LSUB"}
	for _, p := range patterns {
		l.patterns = append(l.patterns, ref+p)
	}
	if matching(boxes, l.patterns) > maxMatching {
		return refuse("LIMIT", "the patterns are too long for so many mailboxes")
	}
	for _, name := range l.names(boxes) {
		data := l.data(name)
		if data == nil {
			continue
		}
		if box := l.boxes[name]; o.ReturnStatus != nil && box != nil {
			if data.Status, err = s.status(box, o.ReturnStatus); err != nil {
				return err
			}
			s.known(box)
		}
		if err := w.WriteList(data); err != nil {
			return err
		}
	}
	return nil
}

// listed is what LIST says of a mailbox: SELECT says it, too, RFC 9051 section 6.3.2.
func (s *session) listed(name string) (*imap.ListData, error) {
	boxes, err := s.door.cfg.Mail.Boxes(s.ctx, s.scope, s.account)
	if err != nil {
		return nil, s.failed(err)
	}
	l := listing{options: &imap.ListOptions{}, patterns: []string{name}}
	l.names(boxes)
	return l.data(name), nil
}

// names are those of all mailboxes and of the levels above them, in order.
func (l *listing) names(boxes []gateway.Mailbox) (all []string) {
	l.boxes, l.above, l.hidden = make(map[string]*gateway.Mailbox), make(map[string]bool), make(map[string]bool)
	for i := range boxes {
		box := &boxes[i]
		l.boxes[box.Name] = box
		all = append(all, box.Name)
		unseen := l.selected(box) && !l.matches(box.Name)
		for i := range box.Name {
			if box.Name[i:i+1] == mailbox.Separator {
				l.above[box.Name[:i]] = true
				l.hidden[box.Name[:i]] = l.hidden[box.Name[:i]] || unseen
			}
		}
	}
	for name := range l.above {
		if l.boxes[name] == nil {
			all = append(all, name)
		}
	}
	slices.SortFunc(all, func(a, b string) int { return strings.Compare(sortName(a), sortName(b)) })
	return all
}

func (l *listing) matches(name string) bool {
	return slices.ContainsFunc(l.patterns, func(p string) bool { return matches(p, name) })
}

// selected reports whether a mailbox is one of those asked for, whatever its name.
func (l *listing) selected(box *gateway.Mailbox) bool {
	return (!l.options.SelectSubscribed || !box.Hidden) && (!l.options.SelectSpecialUse || box.SpecialUse != "")
}

// data is what to say of a name; nil if nothing.
func (l *listing) data(name string) *imap.ListData {
	if !l.matches(name) {
		return nil
	}
	box, o := l.boxes[name], l.options
	data := &imap.ListData{Delim: '/', Mailbox: name}
	wanted := box != nil && l.selected(box) || box == nil && !o.SelectSubscribed && !o.SelectSpecialUse
	switch {
	case l.hidden[name] && l.lsub && !wanted: // RFC 3501 section 6.3.9
		data.Attrs = []imap.MailboxAttr{imap.MailboxAttrNoSelect}
		return data
	case l.hidden[name] && o.SelectRecursiveMatch: // RFC 5258 section 3.5
		data.ChildInfo = &imap.ListDataChildInfo{Subscribed: true}
	case !wanted:
		return nil
	}
	data.Attrs = l.attributes(name, box)
	return data
}

func (l *listing) attributes(name string, box *gateway.Mailbox) []imap.MailboxAttr {
	attrs := []imap.MailboxAttr{imap.MailboxAttrHasNoChildren}
	if l.above[name] {
		attrs[0] = imap.MailboxAttrHasChildren
	}
	if box == nil { // both words: older clients know the first alone
		return append(attrs, imap.MailboxAttrNoSelect, imap.MailboxAttrNonExistent)
	}
	if box.SpecialUse != "" {
		attrs = append(attrs, imap.MailboxAttr(box.SpecialUse))
	}
	if !box.Hidden && (l.options.ReturnSubscribed || l.options.SelectSubscribed) {
		attrs = append(attrs, imap.MailboxAttrSubscribed)
	}
	return attrs
}

// sortName puts the mailboxes every account has before the others.
func sortName(name string) string {
	for i, known := range gateway.StandardMailboxes {
		if name == known.Name {
			return string(rune(i))
		}
	}
	return "~" + name
}

// matches compares a name with a LIST pattern in time that grows with both alone:
// "*" is any text, "%" any within a level. INBOX is the same in any case.
func matches(pattern, name string) bool {
	anyCase := 0
	if strings.HasPrefix(name+mailbox.Separator, gateway.Inbox+mailbox.Separator) {
		anyCase = len(gateway.Inbox)
	}
	reach := make([]bool, len(name)+1) // the prefixes of name that the pattern so far matches
	reach[0] = true
	for i := range len(pattern) {
		c := pattern[i]
		if c == '*' || c == '%' {
			for j := range len(name) {
				reach[j+1] = reach[j+1] || reach[j] && (c == '*' || name[j] != '/')
			}
			continue
		}
		for j := len(name); j > 0; j-- {
			same := name[j-1] == c || j <= anyCase && 'a' <= c && c <= 'z' && name[j-1] == c-'a'+'A'
			reach[j] = reach[j-1] && same
		}
		reach[0] = false
	}
	return reach[len(name)]
}
