// Auto-reply tells people that nobody reads their mail for a while, as RFC 5230 (the
// vacation of Sieve) and RFC 3834 have it: each of them once in some days, and no program.
package main

import (
	"cmp"
	"encoding/hex"
	"errors"
	"hash/fnv"
	"strconv"
	"strings"
	"time"
	"unicode"

	"github.com/centerleap/postern/sdk"
)

func init() { sdk.OnStored(stored) }

func stored(m *sdk.Message) error {
	text := sdk.Config("text")
	away, err := absent(m.Time())
	if err != nil {
		sdk.Log.Error(err.Error()) // to try again would not help
		return nil
	}
	// The gateway would not answer where ReplyOK says no; but then who wrote must not be
	// remembered as answered.
	if text == "" || !away || !m.ReplyOK() || m.Folder() == "Junk" {
		return nil
	}
	subject := cmp.Or(sdk.Config("subject"), "Auto: "+line(m.Subject())) // RFC 5230 section 4.2
	key := answered(m, sdk.Config("subject")+"\x00"+text)
	if _, known := sdk.KV.Get(key); known {
		return nil
	}
	if err := sdk.KV.Put(key, []byte{1}, days()*24*3600); err != nil {
		return err // it may answer too often otherwise
	}
	return m.Reply(sdk.Text(text).Subject(subject))
}

// line is the start of a subject that can stand in another one: senders decide what theirs is.
func line(subject string) string {
	subject = strings.Map(func(r rune) rune {
		if unicode.IsControl(r) {
			return -1
		}
		return r
	}, subject)
	return strings.ToValidUTF8(subject[:min(len(subject), longest)], "")
}

// longest is how much of a subject is repeated, in bytes.
const longest = 200

// answered is what is remembered of an answer: of which mailbox, to whom, and that it said
// this, for a new text is news (RFC 5230 section 4.7).
func answered(m *sdk.Message, said string) string {
	h := fnv.New64a()
	for _, part := range []string{m.Mailbox(), strings.ToLower(m.From().Addr), said} {
		h.Write([]byte(strconv.Itoa(len(part)) + ":" + part))
	}
	return hex.EncodeToString(h.Sum(nil))
}

// days are those in which a sender is answered once: 7 unless the setting days has another
// number, of at least 1; RFC 5230 section 4.1.
func days() int64 {
	n, err := strconv.ParseInt(cmp.Or(sdk.Config("days"), "7"), 10, 64)
	if err != nil || n < 1 || n > 365 {
		sdk.Log.Warn("days is a number from 1 to 365, not " + strconv.Quote(sdk.Config("days")))
		return 7
	}
	return n
}

// absent reports whether a time is between the settings from and until, if they are set.
func absent(at time.Time) (bool, error) {
	from, err := edge("from", 0)
	if err != nil {
		return false, err
	}
	until, err := edge("until", 24*time.Hour)
	if err != nil {
		return false, err
	}
	return (from.IsZero() || !at.Before(from)) && (until.IsZero() || at.Before(until)), nil
}

// edge reads a setting: a time, or a day (of UTC), to which more is added. Zero if it is not
// set.
func edge(name string, more time.Duration) (time.Time, error) {
	text := sdk.Config(name)
	if text == "" {
		return time.Time{}, nil
	}
	if day, err := time.Parse(time.DateOnly, text); err == nil {
		return day.Add(more), nil
	}
	t, err := time.Parse(time.RFC3339, text)
	if err != nil {
		return t, errors.New(name + " is a day such as 2026-07-01, or a time such as 2026-07-01T12:00:00+02:00, not " + strconv.Quote(text))
	}
	return t, nil
}

func main() {}
