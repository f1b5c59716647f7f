package rest

import (
	"bufio"
	"bytes"
	"strings"
	"unicode"

	"github.com/centerleap/postern/gateway"
)

// twice refuses the member that the path names. Which of its values was meant nobody
// can tell, RFC 8259 section 4.
func (t *tokens) twice() error {
	return gateway.Fieldf(gateway.InvalidParameter, t.at(), "%s stands twice in the JSON", t.at())
}

// noTwins fails if an object of a small body names a member twice. The decoder would take
// the last one; and it takes the names of the outermost object in any case, so there A
// is a.
func noTwins(raw []byte) error {
	t := &tokens{r: bufio.NewReaderSize(bytes.NewReader(raw), 4<<10)}
	if c, err := t.peek(); err != nil || c != '{' {
		return t.skip()
	}
	seen := make(map[string]bool)
	return t.object(func(name string) error {
		if name = folded(name); seen[name] {
			return t.twice()
		}
		seen[name] = true
		return t.skip()
	})
}

// folded is one spelling of all that differ in case.
func folded(name string) string {
	return strings.Map(func(r rune) rune {
		least := r
		for f := unicode.SimpleFold(r); f != r; f = unicode.SimpleFold(f) {
			least = min(least, f)
		}
		return least
	}, name)
}
