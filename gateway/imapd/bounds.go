package imapd

import (
	"strings"

	"github.com/centerleap/postern/gateway"
	"github.com/centerleap/postern/gateway/mailbox"
)

// bounds are how much a client may send in one command. What a command takes in
// memory follows from them: a few times its bytes, and 24 bytes a word.
type bounds struct {
	line     int   // bytes of a line, without its end; past it: BYE
	command  int   // bytes of all lines and literals, without their ends; past it: BAD or NO [TOOBIG]
	literal  int64 // bytes of one literal; past it: NO [TOOBIG]
	literals int   // how many of them; past it: BAD
	words    int   // atoms, strings and parentheses; past it: BAD
	message  int64 // bytes of the message of an APPEND; past it: NO [TOOBIG]
}

// guestBounds are for clients that have not logged in: room for a name and a key,
// however they are written. Ours.
var guestBounds = bounds{line: 8 << 10, command: 8 << 10, literal: 1 << 10, literals: 4, words: 32}

// userBounds are for those that have. RFC 2683 section 3.2.1.5 asks for lines of
// 8,000 bytes at least; the library reads 50 KiB. RFC 7888 section 5: literals of
// 4096 bytes need no asking. The number of literals and words is ours: a search
// for a hundred words that are not ASCII, and a program of words of four letters.
func userBounds(lim gateway.Limits) bounds {
	return bounds{line: 40 << 10, command: 40 << 10, literal: 4096, literals: 100, words: 8000, message: lim.MessageBytes}
}

const (
	// maxTag bounds the bytes of a tag, which answers repeat. Past it: BAD, and the
	// end. Ours; clients take ten.
	maxTag = 100
	// maxDepth bounds nested lists. Past it: BAD. Ours.
	maxDepth = 50
	// maxPrinted bounds a command as the library reads it, which stops after 50 KiB
	// and leaves the rest for the next. Quoting makes strings longer.
	maxPrinted = 49 << 10
	// maxItems bounds what one FETCH asks of each message, and maxNames the fields of
	// a header in one of them: each is read again. Past them: BAD. Ours; clients ask
	// for ten items and twenty fields.
	maxItems = 100
	maxNames = 100
	// maxMatching bounds the work of a LIST: the bytes of all names, times those of
	// all patterns. Past it: NO [LIMIT]. Ours; it is a second, and a thousand names
	// of 50 bytes allow patterns of 20,000.
	maxMatching = 1 << 30
)

// tooManyItems says what is too much in a FETCH; empty if nothing is.
func tooManyItems(items []token) string {
	if len(items) > maxItems {
		return "FETCH takes fewer items"
	}
	for _, t := range items { // BODY[HEADER.FIELDS (a b)]: a space for each
		if strings.Count(t.text, " ") > maxNames {
			return "FETCH takes fewer header fields"
		}
	}
	return ""
}

// matching is how much work it is to compare the names of mailboxes, and of the
// levels above them, with patterns.
func matching(boxes []gateway.Mailbox, patterns []string) (steps int) {
	for i := range boxes {
		steps += len(boxes[i].Name) * (1 + strings.Count(boxes[i].Name, mailbox.Separator))
	}
	n := 0
	for _, p := range patterns {
		n += len(p)
	}
	return steps * n
}
