package mailbox

import (
	"errors"
	"slices"
	"strings"
)

// ErrKeywords means that a mailbox has all the keywords that clients may bring into it.
var ErrKeywords = errors.New("the mailbox has all the keywords it may have")

// KeywordsFull reports whether a client may bring no new keyword.
func (v *View) KeywordsFull() bool {
	most := int(v.mail.cfg.Limits.Keywords)
	return len(v.Keywords(most)) >= most
}

// roomFor fails with ErrKeywords if keywords are too many with those the mailbox has.
func (v *View) roomFor(labels []string) error {
	if len(labels) == 0 {
		return nil
	}
	most := int(v.mail.cfg.Limits.Keywords)
	have, fresh := v.Keywords(most), 0
	for _, l := range labels {
		if !slices.ContainsFunc(have, func(h string) bool { return strings.EqualFold(h, l) }) {
			have = append(have, l)
			fresh++
		}
	}
	if fresh > 0 && len(have) > most {
		return ErrKeywords
	}
	return nil
}
