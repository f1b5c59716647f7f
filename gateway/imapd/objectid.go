package imapd

import (
	"strconv"
	"strings"

	"github.com/centerleap/postern/gateway"
	"github.com/centerleap/postern/gateway/mailbox"
)

// RFC 8474: EMAILID and THREADID are the ids that REST has. Ids are 36 characters of
// 0-9, a-f and "-", which is what an objectid may be.

// appendObjectID writes one in its parentheses.
func appendObjectID(b []byte, id gateway.ID) []byte {
	return append(append(append(b, '('), id.String()...), ')')
}

// isObjectID reports whether s may be one, RFC 8474 section 7.
func isObjectID(s string) bool {
	return gateway.ValidTag(s) && len(s) <= 255
}

// statusItems takes out of a STATUS list, whose parentheses are at from and to, what
// the library does not know. It returns the arguments without them.
func (n *note) statusItems(a []token, from, to int) []token {
	out := append([]token(nil), a[:from+1]...)
	for _, t := range a[from+1 : to] {
		switch item := t.upper(); {
		case item == "HIGHESTMODSEQ" && n.offers["CONDSTORE"]:
			n.status, n.enables = append(n.status, item), true
		case item == "MAILBOXID" && n.offers["OBJECTID"]:
			n.status = append(n.status, item)
		default:
			out = append(out, t)
		}
	}
	if n.bare = len(out) == from+1 && len(n.status) > 0; n.bare {
		out = append(out, token{atom, "MESSAGES"}) // the library takes no empty list
	}
	return append(out, a[to:]...)
}

// statusCommand does so for STATUS.
func (n *note) statusCommand(c *command) {
	if end := listEnd(c.args, 1); end == len(c.args)-1 && end > 0 {
		c.args = n.statusItems(c.args, 1, end)
	}
}

// listCommand does so for the STATUS among what LIST returns, RFC 5819.
func (n *note) listCommand(c *command) {
	a := c.args
	for i := 2; i+1 < len(a); i++ {
		if a[i].upper() != "RETURN" || listEnd(a, i+1) != len(a)-1 {
			continue
		}
		for j := i + 2; j < len(a); j++ {
			if end := listEnd(a, j+1); a[j].upper() == "STATUS" && end > 0 {
				c.args = n.statusItems(a, j+1, end)
				return
			}
		}
	}
}

// known sets what the front adds to the library's next STATUS line.
func (s *session) known(box *gateway.Mailbox) {
	n := s.c.note
	n.splice = n.splice[:0]
	for _, item := range n.status {
		n.splice = append(append(n.splice, item...), ' ')
		if item == "MAILBOXID" {
			n.splice = appendObjectID(n.splice, mailbox.ObjectID(s.account, box.ID))
		} else {
			n.splice = strconv.AppendUint(n.splice, max(box.ModSeq, 1), 10)
		}
		n.splice = append(n.splice, ' ')
	}
	s.enable()
}

// spliced is a STATUS line of the library's with what the note adds.
func (n *note) spliced(l string) string {
	end := strings.LastIndexByte(l, ')')
	if end < 0 {
		return l
	}
	head := l[:end] + " "
	if n.bare {
		head = l[:strings.LastIndexByte(l, '(')+1]
	}
	return head + strings.TrimSuffix(string(n.splice), " ") + l[end:]
}
