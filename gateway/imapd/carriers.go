package imapd

import (
	"slices"
	"strconv"
	"strings"

	"github.com/emersion/go-imap/v2"
)

// ownKey replaces the search key at i if it is one that the library reads wrongly, or not
// at all. used is how many tokens it took; 0 if it is none.
func (n *note) ownKey(a []token, i int) (keys []token, used int, err error) {
	switch key := a[i].upper(); key {
	case "LARGER", "SMALLER":
		if i+1 == len(a) || a[i+1].kind != atom || !isNumber(a[i+1].text) {
			return nil, 0, commandError("a number of bytes is expected")
		}
		return asKeyword(key, a[i+1].text), 2, nil
	case "MODSEQ":
		if !n.offers["CONDSTORE"] {
			return nil, 0, nil
		}
		used = 2
		if i+1 < len(a) && a[i+1].kind == str { // an entry and its type, RFC 7162 section 3.1.5: all have one mod-sequence
			if i+2 >= len(a) || !slices.Contains([]string{"ALL", "PRIV", "SHARED"}, a[i+2].upper()) {
				return nil, 0, commandError("the type of an entry is expected")
			}
			used = 4
		}
		since, err := modSequence(a, i+used-1, 0)
		if err != nil {
			return nil, 0, err
		}
		n.enables, n.byModSeq = true, true
		return asKeyword(key, strconv.FormatUint(since, 10)), used, nil
	case "EMAILID", "THREADID":
		if !n.offers["OBJECTID"] {
			return nil, 0, nil
		}
		if i+1 == len(a) || a[i+1].kind != atom && a[i+1].kind != str || !isObjectID(a[i+1].text) {
			return nil, 0, commandError("an object id is expected")
		}
		return asKeyword(key, a[i+1].text), 2, nil
	}
	return nil, 0, nil
}

// asKeyword is a search for a keyword that stands for a search key.
func asKeyword(key, value string) []token {
	return []token{{atom, "KEYWORD"}, {atom, carrier + strings.ToLower(key) + "." + value}}
}

// newest is the highest mod-sequence of what a search with MODSEQ found, and 0 if that is
// nothing, RFC 7162 section 3.1.6. Of an answer that names the first or the last message
// alone only those count, RFC 4731 section 3.2.
func (s *session) newest(found []int, o *imap.SearchOptions) (n uint64) {
	if !s.c.note.byModSeq || len(found) == 0 {
		return 0
	}
	if s.c.note.extended && !o.ReturnAll && !o.ReturnCount {
		ends := []int{found[0], found[len(found)-1]}
		if !o.ReturnMin {
			ends = ends[1:]
		} else if !o.ReturnMax {
			ends = ends[:1]
		}
		found = ends
	}
	for _, number := range found {
		n = max(n, s.view.Row(number).ModSeq)
	}
	return n
}

// appendNewest writes it at the end of an answer.
func (n *note) appendNewest(b []byte) []byte {
	switch {
	case n.newest == 0:
		return b
	case n.extended:
		return strconv.AppendUint(append(b, " MODSEQ "...), n.newest, 10)
	}
	return append(strconv.AppendUint(append(b, " (MODSEQ "...), n.newest, 10), ')')
}
