package mailauth

import (
	"errors"
	"strings"
)

// tag is one name=value of a list, RFC 6376 section 3.2. start and end are where the
// value stands in the list, white space around it included.
type tag struct {
	name, value string
	start, end  int
}

// maxTags bounds a list. Ours: all known tags are twenty.
const maxTags = 64

var (
	errTags     = errors.New("not a list of tags")
	errTagTwice = errors.New("a tag stands twice")
)

// parseTags reads a list of tags. Names are case-sensitive.
func parseTags(s string) ([]tag, error) {
	var out []tag
	for at := 0; at < len(s); {
		end := len(s)
		if i := strings.IndexByte(s[at:], ';'); i >= 0 {
			end = at + i
		}
		name, value, found := strings.Cut(s[at:end], "=")
		start := at + len(name) + 1
		name = trim(name)
		switch {
		case !found && name == "" && end == len(s): // behind the last ";"
		case !found || !isTagName(name) || len(out) == maxTags:
			return nil, errTags
		case find(out, name) != nil:
			return nil, errTagTwice
		default:
			out = append(out, tag{name, trim(value), start, end})
		}
		at = end + 1
	}
	return out, nil
}

func find(tags []tag, name string) *tag {
	for i := range tags {
		if tags[i].name == name {
			return &tags[i]
		}
	}
	return nil
}

// value is that of a tag, and def if it is not there.
func value(tags []tag, name, def string) string {
	if t := find(tags, name); t != nil {
		return t.value
	}
	return def
}

func isTagName(s string) bool {
	for i := range len(s) {
		c := s[i] | 0x20
		if letter := 'a' <= c && c <= 'z'; !letter && (i == 0 || (s[i] < '0' || s[i] > '9') && s[i] != '_') {
			return false
		}
	}
	return s != ""
}

func trim(s string) string { return strings.Trim(s, " \t\r\n") }

// squeeze takes all white space out, as RFC 6376 wants it of base64 and lists.
func squeeze(s string) string {
	if !strings.ContainsAny(s, " \t\r\n") {
		return s
	}
	return strings.Map(func(r rune) rune {
		if r == ' ' || r == '\t' || r == '\r' || r == '\n' {
			return -1
		}
		return r
	}, s)
}

// has reports whether a list with colons has an item.
func has(list, item string) bool {
	for i := range strings.SplitSeq(list, ":") {
		if trim(i) == item {
			return true
		}
	}
	return false
}
