package imapd

import (
	"runtime"
	"strings"
	"testing"
)

// However a search is put, its memory is that of its command, not one for each of its words
// and messages.
func TestSearchMemory(t *testing.T) {
	const messages = 20_000
	s := newStageOver(t, &stock{messages: messages}, nil)
	defer s.stop()
	c := s.user(t, "imaps")
	c.say("b SELECT INBOX\r\n")
	for line := c.hears(); !strings.HasPrefix(line, "b OK"); line = c.hears() {
		if line == "" {
			t.Fatal("the server has gone")
		}
	}
	c.ask("c SEARCH RETURN (SAVE) ALL", "c OK")
	for name, words := range map[string]string{
		"numbers":        strings.Repeat(" 1:*", 4000),
		"UIDs":           strings.Repeat(" UID 1:*", 3000),
		"what was saved": strings.Repeat(" $", 4000),
		"not numbers":    strings.Repeat(" NOT 20001", 3000),
	} {
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		c.say("d UID SEARCH RETURN (COUNT) UNDELETED" + words + "\r\n")
		line := c.hears()
		for ; line != "" && !strings.HasPrefix(line, "d "); line = c.hears() {
		}
		runtime.ReadMemStats(&after)
		// A set of all messages has 2.5 KB; as numbers they have 160.
		if got := after.TotalAlloc - before.TotalAlloc; !strings.HasPrefix(line, "d OK") || got > 64<<20 {
			t.Errorf("%s: %d bytes, %q", name, got, line)
		}
	}
}
