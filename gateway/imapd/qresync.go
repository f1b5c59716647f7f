package imapd

import (
	"strconv"
	"strings"

	"github.com/emersion/go-imap/v2"

	"github.com/centerleap/postern/gateway"
	"github.com/centerleap/postern/gateway/mailbox"
)

// RFC 7162, QRESYNC: a client that was away says what it knows of a mailbox, and is told
// what has left it and what has changed since.

// resync is what the client knows.
type resync struct {
	uidValidity uint32
	since       uint64
	known       []gateway.UIDRange // nil: all there have been
	// Sequence numbers with their UIDs, RFC 7162 section 3.2.5.2.
	numbers, uids []gateway.UIDRange
}

// selectCommand notes the parameters of SELECT and EXAMINE, which the library does not
// know.
func (n *note) selectCommand(c *command) error {
	a := c.args
	if len(a) < 3 || listEnd(a, 1) != len(a)-1 || !n.offers["CONDSTORE"] {
		return nil
	}
	for i := 2; i < len(a)-1; i++ {
		switch name := a[i].upper(); {
		case name == "CONDSTORE":
			n.enables = true
		case name == "QRESYNC" && n.offers["QRESYNC"] && n.resync == nil:
			end := listEnd(a, i+1)
			if end < 0 {
				return errResync
			}
			if err := n.readResync(a[i+2 : end]); err != nil {
				return err
			}
			i = end
		default:
			return commandError("the parameter of " + n.name + " is not known")
		}
	}
	c.args = a[:1]
	return nil
}

const errResync = commandError("QRESYNC takes (uidvalidity mod-sequence [known-uids [(numbers uids)]])")

// readResync reads what stands in the parentheses of QRESYNC.
func (n *note) readResync(a []token) error {
	if len(a) < 2 {
		return errResync
	}
	validity, err := strconv.ParseUint(a[0].upper(), 10, 32)
	if err != nil || validity == 0 {
		return errResync
	}
	r := &resync{uidValidity: uint32(validity)}
	if r.since, err = modSequence(a, 1, 1); err != nil {
		return err
	}
	a = a[2:]
	var ok bool
	if len(a) > 0 && a[0].kind == atom {
		if r.known, ok = readUIDs(a[0].text); !ok {
			return errResync
		}
		a = a[1:]
	}
	if len(a) > 0 {
		if len(a) != 4 || a[0].kind != opening || a[3].kind != closing {
			return errResync
		}
		var both bool
		r.numbers, ok = readUIDs(a[1].upper())
		r.uids, both = readUIDs(a[2].upper())
		if !ok || !both || count(r.numbers) != count(r.uids) {
			return errResync
		}
	}
	n.resync, n.enables = r, true
	return nil
}

// readUIDs reads a set without "*" and puts it in order.
func readUIDs(text string) (all []gateway.UIDRange, ok bool) {
	for item := range strings.SplitSeq(text, ",") {
		first, last, isRange := strings.Cut(item, ":")
		if !isRange {
			last = first
		}
		a, err := strconv.ParseUint(first, 10, 32)
		b, fault := strconv.ParseUint(last, 10, 32)
		if err != nil || fault != nil || a == 0 || b == 0 {
			return nil, false
		}
		all = append(all, gateway.UIDRange{First: uint32(min(a, b)), Last: uint32(max(a, b))})
	}
	return gateway.MergeUIDs(all), true
}

func count(all []gateway.UIDRange) (n uint64) {
	for _, r := range all {
		n += uint64(r.Last-r.First) + 1
	}
	return n
}

// everyUID is all that there can be.
var everyUID = []gateway.UIDRange{{First: 1, Last: 1<<32 - 1}}

// opened returns what the front writes ahead of the tagged OK of SELECT: the mailbox's
// mod-sequence and id, and what a client that was away has missed. All is of the moment
// of which EXISTS and UIDNEXT are.
func (s *session) opened(v *mailbox.View) (func(put func([]byte) error) error, error) {
	var head []byte
	if s.c.offers["CONDSTORE"] {
		head = strconv.AppendUint(append(head, "* OK [HIGHESTMODSEQ "...), max(v.HighestModSeq(), 1), 10)
		head = append(head, "] the newest change\r\n"...)
	}
	if s.c.offers["OBJECTID"] {
		head = appendObjectID(append(head, "* OK [MAILBOXID "...), mailbox.ObjectID(s.account, v.Box.ID))
		head = append(head, "] the mailbox\r\n"...)
	}
	r := s.c.note.resync
	if r == nil || r.uidValidity != v.Box.UIDValidity {
		return func(put func([]byte) error) error { return put(head) }, nil
	}
	known := r.known
	if known == nil {
		known = everyUID
	}
	gone, exact, err := v.Vanished(s.ctx, r.since)
	if err != nil {
		return nil, err
	}
	if gone = gateway.CommonUIDs(gone, known); !exact {
		gone = gateway.CommonUIDs(gone, []gateway.UIDRange{{First: r.intact(v) + 1, Last: 1<<32 - 1}})
	}
	return func(put func([]byte) error) error {
		if err := put(appendVanished(head, "(EARLIER) ", gone)); err != nil {
			return err
		}
		return s.missed(v, r.since, known, put)
	}, nil
}

// missed writes the flags of messages that have changed.
func (s *session) missed(v *mailbox.View, since uint64, known []gateway.UIDRange, put func([]byte) error) error {
	var b []byte
	for i := range v.Len() {
		e := v.Row(i)
		for len(known) > 0 && known[0].Last < e.UID {
			known = known[1:]
		}
		if e.ModSeq <= since || len(known) == 0 || e.UID < known[0].First {
			continue
		}
		if b = s.appendChange(b, i, e); len(b) >= gather {
			if err := put(b); err != nil {
				return err
			}
			b = b[:0]
		}
	}
	return put(b)
}

// intact is the highest UID up to which nothing can be missing: messages only ever leave,
// so one whose number is as it was has all those before it that it had.
func (r *resync) intact(v *mailbox.View) (uid uint32) {
	uids := r.uids
	at := uint32(0) // of the first run
	for _, run := range r.numbers {
		for n := run.First; n <= run.Last && int64(n) <= int64(v.Len()); n++ {
			if uids[0].First+at > uids[0].Last {
				uids, at = uids[1:], 0
			}
			if want := uids[0].First + at; v.Row(int(n-1)).UID == want {
				uid = want
			}
			at++
		}
	}
	return uid
}

// maxRuns bounds the runs in one VANISHED line, so that no client has to take lines that
// are endless; ours.
const maxRuns = 1000

// appendVanished writes UIDs that are gone.
func appendVanished(b []byte, earlier string, gone []gateway.UIDRange) []byte {
	for len(gone) > 0 {
		some := gone[:min(len(gone), maxRuns)]
		gone = gone[len(some):]
		b = append(append(b, "* VANISHED "...), earlier...)
		for i, r := range some {
			if i > 0 {
				b = append(b, ',')
			}
			b = strconv.AppendUint(b, uint64(r.First), 10)
			if r.Last > r.First {
				b = strconv.AppendUint(append(b, ':'), uint64(r.Last), 10)
			}
		}
		b = append(b, "\r\n"...)
	}
	return b
}

// runsOf are the runs of UIDs.
func runsOf(uids []uint32) []gateway.UIDRange {
	all := make([]gateway.UIDRange, len(uids))
	for i, uid := range uids {
		all[i] = gateway.UIDRange{First: uid, Last: uid}
	}
	return gateway.MergeUIDs(all)
}

// vanished answers UID FETCH (CHANGEDSINCE n VANISHED): what has left of those that the
// command names. What the client does not know to be gone is told first, as news.
func (s *session) vanished(set imap.NumSet) error {
	n := s.c.note
	if !s.c.knows.resync {
		return &imap.Error{Type: imap.StatusResponseTypeBad, Text: "VANISHED is for clients that have enabled QRESYNC"}
	}
	if err := s.tell(true); err != nil {
		return err
	}
	gone, _, err := s.view.Vanished(s.ctx, *n.since)
	if err != nil {
		return s.failed(err)
	}
	return s.c.data(appendVanished(s.buf[:0], "(EARLIER) ", gateway.CommonUIDs(gone, s.named(set))))
}

// named are the UIDs that a set names, there or not. "*" reaches beyond the last message:
// one that was behind it may be gone.
func (s *session) named(set imap.NumSet) (all []gateway.UIDRange) {
	if imap.IsSearchRes(set) {
		return runsOf(s.saved)
	}
	uids, _ := set.(imap.UIDSet)
	for _, r := range uids {
		a, b := uint32(r.Start), uint32(r.Stop)
		if a == 0 || b == 0 {
			all = append(all, gateway.UIDRange{First: max(a, b, 1), Last: 1<<32 - 1})
			continue
		}
		all = append(all, gateway.UIDRange{First: min(a, b), Last: max(a, b)})
	}
	return gateway.MergeUIDs(all)
}

// expunged ends a command that took messages out: a client that knows of QRESYNC is told
// up to where it knows the mailbox then, RFC 7162 section 3.2.7. Not so with CLOSE: what
// others did meanwhile was not told, section 3.2.8.
func (s *session) expunged() error {
	n := s.c.note
	if !s.c.knows.resync || n.name == "CLOSE" {
		return nil
	}
	if err := s.tell(true); err != nil {
		return err
	}
	return done("HIGHESTMODSEQ "+strconv.FormatUint(max(s.view.HighestModSeq(), 1), 10), n.name+" completed")
}
