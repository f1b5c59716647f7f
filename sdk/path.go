package sdk

import (
	"strconv"
	"strings"
)

// lookUp finds a value in a document by its path: names of members and indexes, with dots
// between them, such as choices.0.message.content. A string is as it reads, anything else
// as it is written. ok is false if there is no such value, if it is null, or if the
// document is not JSON.
func lookUp(doc []byte, path string) (v string, ok bool) {
	found, err := decode(doc, func(s *scanner) []byte { return s.find(path) })
	if err != nil || len(found) == 0 || found[0] == 'n' {
		return "", false
	}
	if found[0] == '"' {
		v, err = decode(found, (*scanner).text)
		return v, err == nil
	}
	return string(found), true
}

// find passes over a value, and returns what a path leads to in it as it is written.
func (s *scanner) find(path string) (found []byte) {
	step, rest, further := strings.Cut(path, ".")
	take := func(here bool) {
		switch {
		case !here:
			s.skip()
		case further:
			found = s.find(rest)
		default:
			found = s.raw()
		}
	}
	switch s.space() {
	case '{':
		s.members(func(name string) { take(name == step) })
	case '[':
		i := 0
		for going := s.open('[', ']'); going && !s.wrong; going = s.more(']') {
			take(strconv.Itoa(i) == step)
			i++
		}
	default:
		s.skip()
	}
	return found
}
