package imapd

import (
	"slices"
	"strconv"
	"strings"

	"github.com/centerleap/postern/gateway"
	"github.com/centerleap/postern/gateway/mailbox"
)

// RFC 7162, CONDSTORE: the mod-sequence of an entry is the domain's sequence at its
// newest change, and that of a mailbox is its newest entry's.

// knows is what a client has shown that it knows. Nothing of it is ever forgotten.
type knows struct {
	modseq bool // mod-sequences: whatever enables CONDSTORE, RFC 7162 section 3.1
	resync bool // VANISHED: ENABLE QRESYNC
}

// enable takes over what the command that runs shows.
func (s *session) enable() {
	s.c.knows.modseq = s.c.knows.modseq || s.c.note.enables
}

// modSequence reads the one at i, which is at least least. They have 63 bits, RFC 7162
// section 7.
func modSequence(a []token, i int, least uint64) (uint64, error) {
	if i < len(a) && a[i].kind == atom {
		if n, err := strconv.ParseUint(a[i].text, 10, 63); err == nil && n >= least {
			return n, nil
		}
	}
	return 0, commandError("a mod-sequence is expected")
}

// enableCommand takes out what the library does not know of.
func (n *note) enableCommand(c *command) {
	c.args = slices.DeleteFunc(slices.Clone(c.args), func(t token) bool {
		name := t.upper()
		ours := (name == "CONDSTORE" || name == "QRESYNC") && n.offers[name]
		if ours && !slices.Contains(n.enable, name) {
			n.enable = append(n.enable, name)
		}
		return ours
	})
}

// enabled adds it to the library's answer. mu is held.
func (c *conn) enabled(l string) string {
	for _, name := range c.note.enable {
		l = strings.TrimSuffix(l, "\r\n") + " " + name + "\r\n"
		c.knows.modseq = true
		c.knows.resync = c.knows.resync || name == "QRESYNC"
	}
	return l
}

// fetchCommand notes what FETCH asks for, and takes out what the library does not know.
func (n *note) fetchCommand(c *command) error {
	if err := n.fetchModifiers(c); err != nil {
		return err
	}
	if err := n.fetchItems(c); err != nil || len(n.items) == 0 {
		return err
	}
	from, to := 1, len(c.args)
	if c.args[1].kind == opening {
		from, to = 2, len(c.args)-1
	} else if len(c.args) > 2 {
		return nil // the library says what is wrong
	}
	keep := slices.DeleteFunc(slices.Clone(c.args[from:to]), func(t token) bool { return n.ownItem(t.upper()) })
	if len(keep) == 0 {
		keep = []token{{atom, "UID"}} // the library takes no empty list
	}
	if len(keep) < to-from || c.args[from] != keep[0] {
		c.args = append(append([]token{c.args[0], {kind: opening}}, keep...), token{kind: closing})
	}
	return nil
}

// ownItem reports whether an item of FETCH is for the session alone.
func (n *note) ownItem(item string) bool {
	switch item {
	case "MODSEQ":
		n.enables = n.enables || n.offers["CONDSTORE"]
		return n.offers["CONDSTORE"]
	case "EMAILID", "THREADID":
		return n.offers["OBJECTID"]
	}
	return false
}

// fetchModifiers takes out what stands behind the items: (CHANGEDSINCE n [VANISHED]).
func (n *note) fetchModifiers(c *command) error {
	a, at := c.args, 2
	if len(a) > 1 && a[1].kind == opening {
		at = listEnd(a, 1) + 1
	}
	if !n.offers["CONDSTORE"] || at == 0 || at >= len(a) || a[at].kind != opening || listEnd(a, at) != len(a)-1 {
		return nil
	}
	vanished := false
	for i := at + 1; i < len(a)-1; i++ {
		switch name := a[i].upper(); {
		case name == "CHANGEDSINCE" && n.since == nil:
			since, err := modSequence(a, i+1, 0) // 0 is not in the RFC, and clear
			if err != nil {
				return err
			}
			n.since, n.enables = &since, true
			i++
		case name == "VANISHED" && n.offers["QRESYNC"]:
			vanished = true
		default:
			return commandError("the modifier of FETCH is not known")
		}
	}
	if n.since == nil || vanished && n.name != "UID FETCH" {
		return commandError("VANISHED is for UID FETCH with CHANGEDSINCE")
	}
	n.vanished = vanished
	c.args = a[:at]
	return nil
}

// storeCommand takes out (UNCHANGEDSINCE n).
func (n *note) storeCommand(c *command) error {
	a := c.args
	if !n.offers["CONDSTORE"] || len(a) < 3 || a[1].kind != opening {
		return nil
	}
	if listEnd(a, 1) != 4 || a[2].upper() != "UNCHANGEDSINCE" {
		return commandError("the modifier of STORE is not known")
	}
	since, err := modSequence(a, 3, 0)
	if err != nil {
		return err
	}
	n.since, n.enables = &since, true
	c.args = append([]token{a[0]}, a[5:]...)
	return nil
}

// newer leaves those messages that have changed after a mod-sequence.
func (s *session) newer(numbers []int, since uint64) []int {
	return slices.DeleteFunc(numbers, func(n int) bool { return s.view.Row(n).ModSeq <= since })
}

func appendModSeq(b []byte, r *mailbox.Row) []byte {
	return append(strconv.AppendUint(append(b, "MODSEQ ("...), r.ModSeq, 10), ')')
}

func appendUID(b []byte, r *mailbox.Row) []byte {
	return strconv.AppendUint(append(b, "UID "...), uint64(r.UID), 10)
}

// appendChange writes that the flags of a message are others now. A client that knows of
// mod-sequences is told the new one, and the UID, RFC 7162 sections 3.1 and 3.2.4.
func (s *session) appendChange(b []byte, n int, r *mailbox.Row) []byte {
	b = appendNumber(b, n, "FETCH (")
	if s.c.knows.modseq {
		b = append(appendUID(b, r), ' ')
	}
	b = appendFlags(append(b, "FLAGS "...), r)
	if s.c.knows.modseq {
		b = appendModSeq(append(b, ' '), r)
	}
	return append(b, ")\r\n"...)
}

// stored writes what STORE answers about the messages that it changed, in order.
func (s *session) stored(changed []int, quiet *silence) error {
	b, byUID := s.buf[:0], s.c.note.name == "UID STORE"
	for _, n := range changed {
		if len(b) >= gather {
			if err := s.c.data(b); err != nil {
				return err
			}
			b = b[:0]
		}
		r := s.view.Row(n)
		silent := quiet.covers(n, r)
		switch {
		case silent && !s.c.knows.modseq:
		case silent: // the mod-sequence is told all the same, RFC 7162 section 3.1.3
			b = append(appendUID(appendNumber(b, n, "FETCH ("), r), ' ')
			b = append(appendModSeq(b, r), ")\r\n"...)
		case byUID && !s.c.knows.modseq:
			b = append(appendUID(appendNumber(b, n, "FETCH ("), r), " FLAGS "...)
			b = append(appendFlags(b, r), ")\r\n"...)
		default:
			b = s.appendChange(b, n, r)
		}
	}
	s.buf = b[:0]
	return s.c.data(b)
}

// storeUnchanged is STORE with UNCHANGEDSINCE. Those that it did not change are named in
// the tagged line; their flags come with it, as news.
func (s *session) storeUnchanged(numbers []int, c gateway.FlagChange, quiet *silence) error {
	r, err := s.view.FlagUnchanged(s.ctx, numbers, c, *s.c.note.since)
	if err != nil {
		return s.halfStored(r.Done, err)
	}
	if err := s.stored(r.Done, quiet); err != nil || len(r.Refused)+len(r.Gone) == 0 {
		return err
	}
	left := slices.Concat(r.Refused, r.Gone)
	slices.Sort(left)
	byUID := s.c.note.name == "UID STORE"
	s.c.note.code = appendSet([]byte("MODIFIED "), s.ids(left, byUID)) // before their numbers change
	if err := s.tell(byUID); err != nil {
		return err
	}
	if len(r.Gone) > 0 {
		return refuse("", "some of the messages are gone")
	}
	return done("", "some of the messages have changed meanwhile")
}
