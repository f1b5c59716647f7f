package imapd

import (
	"slices"
	"strings"

	"github.com/emersion/go-imap/v2"
)

// dialect is what a client has enabled that changes how everything is said. Nothing
// of it is ever forgotten.
type dialect struct {
	utf8   bool // names of mailboxes stand in UTF-8: UTF8=ACCEPT, RFC 6855, or IMAP4rev2
	accept bool // UTF8=ACCEPT itself: SEARCH names no charset
	rev2   bool // RFC 9051: SEARCH is answered with ESEARCH, SELECT with LIST
}

// enabled takes over what the library's ENABLED line says.
func (d *dialect) enabled(l string) {
	caps := strings.Fields(strings.ToUpper(l))
	d.rev2 = d.rev2 || slices.Contains(caps, "IMAP4REV2")
	d.accept = d.accept || slices.Contains(caps, "UTF8=ACCEPT")
	d.utf8 = d.utf8 || d.rev2 || d.accept
}

// conflict refuses a SEARCH with a charset to a client that has said that all is in
// UTF-8, RFC 6855 section 3.
func (d *dialect) conflict(c *command) error {
	if !d.accept || strings.TrimPrefix(c.name, "UID ") != "SEARCH" || len(c.args) == 0 {
		return nil
	}
	at := 0
	if c.args[0].upper() == "RETURN" {
		at = listEnd(c.args, 1) + 1
	}
	if at < len(c.args) && c.args[at].upper() == "CHARSET" {
		return commandError("SEARCH takes no charset after ENABLE UTF8=ACCEPT")
	}
	return nil
}

// named are the commands that name mailboxes, outside of parentheses or, LIST, anywhere.
var named = []string{
	"SELECT", "EXAMINE", "CREATE", "DELETE", "RENAME", "SUBSCRIBE", "UNSUBSCRIBE", "LIST", "LSUB", "STATUS", "APPEND",
	"COPY", "MOVE", "UID COPY", "UID MOVE", "GETQUOTAROOT",
}

// toLibrary writes the names in a command as the library reads them, whatever was
// enabled: it takes UTF-8 as it is, but "&" always for the start of modified UTF-7.
func (d *dialect) toLibrary(c *command) {
	if !d.utf8 || !slices.Contains(named, c.name) {
		return
	}
	depth := 0
	for i := range c.args {
		switch t := &c.args[i]; t.kind {
		case opening:
			depth++
		case closing:
			depth--
		case atom, str:
			if depth == 0 || c.name == "LIST" {
				t.text = strings.ReplaceAll(t.text, "&", "&-")
			}
		}
	}
}

// fromLibrary undoes that in a line of the library's.
func (d *dialect) fromLibrary(l string) string {
	if d.utf8 && (strings.HasPrefix(l, "* LIST ") || strings.HasPrefix(l, "* LSUB ") || strings.HasPrefix(l, "* STATUS ")) {
		return strings.ReplaceAll(l, "&-", "&")
	}
	return l
}

// withLiterals offers LITERAL+ in the place of LITERAL-: what is too long for us is refused
// without being read as commands. RFC 7888 section 6 has one or the other.
func withLiterals(l string) string {
	return strings.Replace(l, " "+string(imap.CapLiteralMinus), " "+string(imap.CapLiteralPlus), 1)
}
