package gateway

import (
	"strings"
	"time"
	"unicode"
	"unicode/utf8"
)

// MailboxID numbers a mailbox within its account.
type MailboxID uint32

// Mailbox is an IMAP folder; REST says folder.
type Mailbox struct {
	ID          MailboxID
	Name        string
	SpecialUse  string // RFC 6154 section 2, such as \Sent; empty for none
	UIDValidity uint32
	UIDNext     uint32
	ModSeq      uint64 // of the newest change
	Vanished    uint64 // of the newest that took something out; 0 if none did since that is kept
	Total       int64
	Unseen      int64
	Hidden      bool // not subscribed to, RFC 9051 section 6.3.7

	// Keywords came into it since that is kept, as labels of its entries; not all of them
	// have to be in use still.
	Keywords []string
}

// ErrKeywords means that a mailbox has all the keywords it may have, limits.keywords.
var ErrKeywords = Fieldf(InvalidParameter, "add_labels", "the folder has all the labels that it may have")

// The mailboxes every account has. Source: RFC 6154, and the API guide, "Folders".
const (
	Inbox   = "INBOX"
	Sent    = "Sent"
	Drafts  = "Drafts"
	Trash   = "Trash"
	Junk    = "Junk"
	Archive = "Archive"
)

// SentMailbox and DraftsMailbox number two of them: they are made first, in their
// order, and keep their number when they are renamed.
const (
	SentMailbox   MailboxID = 2
	DraftsMailbox MailboxID = 3
)

// UseArchive is the special use that an account may give to more mailboxes than one: nothing
// is filed by it.
const UseArchive = `\Archive`

// UseTrash is the special use of the mailbox that empties itself, RFC 6154 section 2.
const UseTrash = `\Trash`

// StandardMailbox is one of them.
type StandardMailbox struct{ Name, SpecialUse string }

// StandardMailboxes lists them with their special use, in the order they are made.
var StandardMailboxes = [...]StandardMailbox{
	{Inbox, ""},
	{Sent, `\Sent`},
	{Drafts, `\Drafts`},
	{Trash, UseTrash},
	{Junk, `\Junk`},
	{Archive, UseArchive},
}

// FoldMailbox gives INBOX, in any case, its one spelling (RFC 9051 section 5.1), also
// where it is the first level of a name; other names stand as they are.
func FoldMailbox(name string) string {
	const n = len(Inbox)
	if len(name) < n || !strings.EqualFold(name[:n], Inbox) || len(name) > n && name[n:n+1] != MailboxSeparator {
		return name
	}
	return Inbox + name[n:]
}

// MailboxSeparator stands between the levels of a mailbox's name.
const MailboxSeparator = "/"

// MailboxLevels is how many levels a mailbox's name has.
func MailboxLevels(name string) int64 { return int64(strings.Count(name, MailboxSeparator)) + 1 }

// MailboxFault says what is wrong with the name of a new mailbox, besides its length and levels; it is
// empty if nothing is. Names are text of one line: they are written into protocol lines and
// file listings.
func MailboxFault(name string) string {
	const level = MailboxSeparator
	switch {
	case name == "":
		return "it is empty"
	case !utf8.ValidString(name) || strings.ContainsFunc(name, notInName):
		return "it holds control characters"
	case strings.ContainsAny(name, "%*"):
		return "it holds a wildcard"
	case strings.HasPrefix(name, level) || strings.HasSuffix(name, level) || strings.Contains(name, level+level):
		return "a level of it is empty"
	}
	return ""
}

// notInName are what RFC 9051 section 5.1 keeps out of names: control characters and
// the separators of lines and paragraphs.
func notInName(r rune) bool { return unicode.IsControl(r) || r == '\u2028' || r == '\u2029' }

// Entry is a message in a mailbox.
type Entry struct {
	Mailbox MailboxID
	UID     uint32
	Message MessageNumber
	ModSeq  uint64
	Flags   Flags
	Labels  []string // IMAP keywords
	// Saved is when it came into this mailbox, what RFC 8514 calls its save date;
	// zero when it was there before that was kept.
	Saved time.Time
	// Arrived and Size are those of the message, so that a list of many needs nothing
	// else; zero when it was there before that was kept.
	Arrived time.Time
	Size    int64
}

// Known is entries of a mailbox, by UID, as somebody knows them: all of them as they stood
// after the mailbox's change ModSeq.
type Known struct {
	ModSeq  uint64
	Entries []Entry
}

// Flags are the system flags of RFC 9051 section 2.3.2.
type Flags uint8

// The system flags.
const (
	Seen Flags = 1 << iota
	Answered
	Flagged
	Deleted
	Draft
)

// ValidLabel reports whether a label is what an IMAP keyword may be: 1 to 64 atom
// characters, RFC 9051 section 9, and so no system flag.
func ValidLabel(l string) bool {
	for i := range len(l) {
		switch c := l[i]; {
		case c <= ' ', c >= 0x7f, c == '(', c == ')', c == '{', c == '%', c == '*', c == '"', c == '\\', c == ']':
			return false
		}
	}
	return len(l) >= 1 && len(l) <= 64
}

// Has reports whether all of f are set.
func (f Flags) Has(other Flags) bool { return f&other == other }
