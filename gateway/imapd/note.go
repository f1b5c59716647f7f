package imapd

import (
	"slices"
	"strings"
)

// note is what the front tells the session about the command that is running,
// where the library would not.
type note struct {
	tag, name string
	items     []string     // of FETCH, as the client named them and in its order
	extended  bool         // SEARCH with RETURN
	all       bool         // and ALL among what is to be returned
	arrange   *arrangement // SORT or THREAD, not SEARCH

	replays  bool // it is ours, for the library alone; see rest
	dialect  dialect
	offers   offers
	enables  bool                               // it shows that the client knows of mod-sequences
	enable   []string                           // of ENABLE: what the library does not know
	since    *uint64                            // of CHANGEDSINCE or UNCHANGEDSINCE
	vanished bool                               // FETCH with VANISHED
	byModSeq bool                               // SEARCH with MODSEQ
	newest   uint64                             // and the highest of what it found
	resync   *resync                            // of SELECT
	before   func(put func([]byte) error) error // what to write ahead of the tagged OK
	code     []byte                             // of the tagged line; for those that may be long
	argument token                              // of a quota command
	status   []string                           // items of STATUS that the library does not know
	bare     bool                               // there were no others
	splice   []byte                             // values of those, for the library's next STATUS line
}

// commandError is why a command can't be.
type commandError string

func (b commandError) Error() string { return string(b) }

// rewrite changes c into what the library parses, and returns the note. The
// library still checks all the rest.
func rewrite(c *command, o offers) (*note, error) {
	n := &note{tag: c.tag, name: c.name, offers: o}
	for _, t := range c.args {
		if t.kind == atom && strings.HasPrefix(strings.ToLower(t.text), carrier) {
			return nil, commandError("the keyword is reserved")
		}
	}
	switch strings.TrimPrefix(c.name, "UID ") {
	case "SELECT", "EXAMINE":
		return n, n.selectCommand(c)
	case "ENABLE":
		n.enableCommand(c)
	case "FETCH":
		return n, n.fetchCommand(c)
	case "STORE":
		return n, n.storeCommand(c)
	case "SEARCH":
		return n, n.searchKeys(c)
	case "SORT":
		if o["SORT"] {
			return n, n.sortProgram(c)
		}
	case "THREAD":
		if o["THREAD"] {
			return n, n.threadProgram(c)
		}
	case "STATUS":
		n.statusCommand(c)
	case "LIST":
		n.listCommand(c)
	case "GETQUOTA", "GETQUOTAROOT", "SETQUOTA":
		if o["QUOTA"] {
			return n, n.quotaCommand(c)
		}
	}
	return n, nil
}

// fetchItems notes the items: the client shall get them in its own words.
func (n *note) fetchItems(c *command) error {
	if len(c.args) < 2 {
		return nil // the library says what is missing
	}
	items := c.args[1:]
	if items[0].kind == opening {
		items = items[1 : len(items)-1]
	}
	if len(items) == 0 || slices.ContainsFunc(items, func(t token) bool { return strings.Contains(t.text, "()") }) {
		return commandError("a list in FETCH is empty")
	}
	if why := tooManyItems(items); why != "" {
		return commandError(why)
	}
	for _, t := range items {
		if t.kind != atom {
			return commandError("FETCH takes items, or one list of them")
		}
		n.items = append(n.items, t.text)
	}
	return nil
}

// carrier starts keywords that stand for search keys which the library reads
// wrongly, or not at all. Nobody else may use them.
const carrier = "$postern."

// searchArgs is how many arguments a search key has. It matters: SUBJECT LARGER
// is a search for a word.
var searchArgs = map[string]int{
	"BCC": 1, "BEFORE": 1, "BODY": 1, "CC": 1, "FROM": 1, "HEADER": 2, "KEYWORD": 1, "ON": 1, "SENTBEFORE": 1, "SENTON": 1,
	"SENTSINCE": 1, "SINCE": 1, "SUBJECT": 1, "TEXT": 1, "TO": 1, "UID": 1, "UNKEYWORD": 1,
}

// searchKeys replaces LARGER and SMALLER. The library intersects two criteria by
// taking the smaller SMALLER, and takes one that is absent, 0, for the smallest:
// SMALLER 10 SINCE 1-Jan-2026 would search by date alone.
func (n *note) searchKeys(c *command) error {
	a, i := c.args, 0
	if i < len(a) && a[i].upper() == "RETURN" {
		n.extended = true
		if i = listEnd(a, 1) + 1; i == 0 {
			return commandError("RETURN takes a list")
		}
		n.all = slices.ContainsFunc(a[2:i-1], func(t token) bool { return t.upper() == "ALL" }) || i == 3 // RETURN () is ALL
	}
	if i < len(a) && a[i].upper() == "CHARSET" {
		i += 2
	}
	if i >= len(a) {
		return commandError("a search key is expected")
	}
	out := append([]token(nil), a[:i]...)
	for ; i < len(a); i++ {
		keys, used, err := n.ownKey(a, i)
		if err != nil {
			return err
		}
		if used > 0 {
			out = append(out, keys...)
			i += used - 1
			continue
		}
		k := searchArgs[a[i].upper()]
		if i+k >= len(a) {
			return commandError("an argument is expected")
		}
		out = append(out, a[i:i+k+1]...)
		i += k
	}
	c.args = out
	return nil
}

// listEnd is where the list that opens at i is closed; -1 if none opens there.
func listEnd(a []token, i int) int {
	if i >= len(a) || a[i].kind != opening {
		return -1
	}
	depth := 0
	for ; i < len(a); i++ {
		switch a[i].kind {
		case opening:
			depth++
		case closing:
			if depth--; depth == 0 {
				return i
			}
		case atom, str:
		}
	}
	return -1
}

func isNumber(s string) bool { return s != "" && len(s) <= 18 && strings.Trim(s, "0123456789") == "" }
