package imapd_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/centerleap/postern/gateway/gatewaytest"
)

// I23: the library stops in the middle of a command that is too long for it, and
// takes the rest for the next one. Quoting doubles what a client sent, so a command
// within its bounds may be too long for the library.
func TestI23PrintedCommand(t *testing.T) {
	g := gatewaytest.Start(t)
	c := login(t, g)
	c.Script("C: a CREATE Victim\nS: a OK\nC: a SELECT INBOX\nS~ a OK")
	for at := range 40 { // the library reads whole buffers: where it stops is tried out
		quotes := strings.Repeat(`"`, 4000)
		attack := strings.Repeat(" x DELETE Victim", 120)
		cmd := "b SEARCH"
		for range 6 {
			cmd += fmt.Sprintf(" SUBJECT {%d+}\r\n%s", len(quotes), quotes)
		}
		attack = attack[at:]
		for range 5 {
			cmd += fmt.Sprintf(" SUBJECT {%d+}\r\n%s", len(attack), attack)
		}
		c.Raw(cmd + "\r\ny NOOP\r\n")
		c.Script("S: b BAD\nS: y OK") // and nothing in between
	}
	c.Script("C: c STATUS Victim (MESSAGES)\nS: \\* STATUS\nS: c OK")
	// As long as the library can take is taken.
	c.Raw(fmt.Sprintf("d SEARCH SUBJECT {4000+}\r\n%s\r\n", strings.Repeat(`"`, 4000)))
	c.Script("S: \\* SEARCH$\nS: d OK")
}
