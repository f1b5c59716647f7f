package imapd

import (
	"strconv"
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

// maxModSequence is the largest there can be, RFC 7162 section 7.
const maxModSequence = 1<<63 - 1

// modSequence reads the one at i, which is at least least.
func modSequence(a []token, i int, least uint64) (uint64, error) {
	if i < len(a) && a[i].kind == atom {
		if n, err := strconv.ParseUint(a[i].text, 10, 63); err == nil && n >= least {
			return n, nil
		}
	}
	return 0, commandError("a mod-sequence is expected")
}
