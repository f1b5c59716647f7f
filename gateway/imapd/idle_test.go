package imapd_test

import (
	"runtime"
	"strings"
	"testing"

	"github.com/centerleap/postern/gateway/gatewaytest"
)

// After an IDLE a session is what it was before: with nothing selected, with a mailbox to
// write or to read, and in each dialect. The client hears nothing of the library's rest.
func TestAfterIdle(t *testing.T) {
	dialects := []struct{ name, enable, found, named string }{
		{"plain", "", `\* SEARCH 1 2$`, "Gr&APwA3w-e"},
		{"UTF-8", "C: e ENABLE UTF8=ACCEPT\nS: \\* ENABLED UTF8=ACCEPT$\nS: e OK", `\* SEARCH 1 2$`, "Grüße"},
		{"IMAP4rev2", "C: e ENABLE IMAP4rev2\nS: \\* ENABLED IMAP4rev2$\nS: e OK", `\* ESEARCH \(TAG "g"\) ALL 1:2$`, "Grüße"},
	}
	const seen = "C: h STORE 1 +FLAGS (\\Seen)\nS: "
	states := []struct{ name, open, found, stored string }{
		{"nothing selected", "C: s NOOP\nS: s OK", "g BAD", seen + "h BAD"},
		{"selected", "C: s SELECT INBOX\nS: \\* 2 EXISTS\nS~ s OK", "", seen + `\* 1 FETCH \(FLAGS \(\\Seen\)\)$` + "\nS: h OK"},
		{"examined", "C: s EXAMINE INBOX\nS: \\* 2 EXISTS\nS~ s OK", "", seen + "h NO \\[CANNOT\\]"},
		{"unselected", "C: s SELECT INBOX\nS: \\* 2 EXISTS\nS~ s OK\nC: u UNSELECT\nS: u OK", "g BAD", seen + "h BAD"},
	}
	g := gatewaytest.Start(t)
	receive(t, g, simple(1))
	receive(t, g, simple(2))
	login(t, g).Script("C: a CREATE Gr&APwA3w-e\nS: a OK\nC: b SELECT INBOX\nS~ b OK\nC: c STORE 1 +FLAGS (\\Seen)\nS: \\* 1 FETCH\nS: c OK")
	type session struct {
		name                 string
		c                    *gatewaytest.Chat
		named, found, stored string
	}
	var sessions []session
	for _, d := range dialects {
		for _, st := range states {
			c := login(t, g)
			c.Script(d.enable)
			c.Script(st.open)
			c.Script("C: h IDLE\nS: \\+ idling\nC: DONE\nS: h OK IDLE completed$\nC: i IDLE\nS: \\+ idling")
			found := st.found
			if found == "" {
				found = d.found + "\nS: g OK"
			}
			sessions = append(sessions, session{d.name + ", " + st.name, c, d.named, found, st.stored})
		}
	}
	gatewaytest.Eventually(t, "the library rests", func() bool { return resting() >= len(sessions) })
	for _, s := range sessions {
		t.Run(s.name, func(t *testing.T) {
			c := s.c
			c.Script("C: done\nS: i OK IDLE completed$\nC: k NOOP\nS: k OK")
			c.Raw("l IDLE\r\nDONE\r\nm NOOP\r\nn IDLE\r\n") // in one piece
			c.Script("S: \\+ idling\nS: l OK\nS: m OK\nS: \\+ idling\nC: DONE\nS: n OK")
			c.Script("C: g SEARCH ALL\nS: " + s.found)
			c.Script(s.stored)
			c.Script("C: o LIST \"\" Gr*\nS: \\* LIST .* \"/\" \"?" + s.named + "\"?$\nS: o OK\nC: p IDLE now\nS: p BAD\nC: q LOGOUT\nS: \\* BYE\nS: q OK\nEND")
		})
	}
}

// resting is for how many connections the library rests.
func resting() int {
	stacks := make([]byte, 4<<20)
	return strings.Count(string(stacks[:runtime.Stack(stacks, true)]), "imapd.(*session).rest(")
}

// Before the login there is no IDLE.
func TestIdleBeforeLogin(t *testing.T) {
	g := gatewaytest.Start(t)
	c := g.Dial(t, "imaps")
	c.Script("S: \\* OK\nC: a IDLE\nS: a BAD\nC: b NOOP\nS: b OK")
}

// What is not DONE ends IDLE and the session, as do a line that is too long and a goodbye
// of the gateway; nothing is left of it.
func TestIdleEnds(t *testing.T) {
	for name, line := range map[string]string{"another command": "b NOOP\r\n", "nothing": "\r\n", "DONE and more": "DONE now\r\n"} {
		t.Run(name, func(t *testing.T) {
			c := login(t, gatewaytest.Start(t))
			c.Script("C: s SELECT INBOX\nS~ s OK\nC: i IDLE\nS: \\+")
			c.Raw(line)
			c.Script("S: \\* BYE DONE was expected\nEND")
		})
	}
}
