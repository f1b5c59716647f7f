package imapd_test

import (
	"strings"
	"testing"

	"github.com/centerleap/postern/gateway/gatewaytest"
)

// I14: what a session was not told yet takes no more room than its mailbox has
// messages, however much happens: it hears of each once, as it stands then.
func TestI14Pending(t *testing.T) {
	g := gatewaytest.Start(t)
	const many = 100
	for i := range many {
		receive(t, g, simple(i+1))
	}
	quiet, busy := login(t, g), login(t, g)
	quiet.Script("C: a SELECT INBOX\nS~ a OK")
	busy.Script("C: a SELECT INBOX\nS~ a OK")
	for range 60 { // 12,000 changes
		busy.Script("C: b STORE 1:* +FLAGS.SILENT (\\Flagged)\nS: b OK\nC: c STORE 1:* -FLAGS.SILENT (\\Flagged)\nS: c OK")
	}
	busy.Script("C: d STORE 1:* +FLAGS.SILENT (\\Answered)\nS: d OK")
	quiet.Raw("b NOOP\r\n")
	told := 0
	for {
		line, ok := quiet.Line()
		if !ok || strings.HasPrefix(line, "b ") {
			break
		}
		if told++; !strings.HasSuffix(line, "FETCH (FLAGS (\\Answered))") {
			t.Fatalf("%q", line)
		}
	}
	if told != many {
		t.Errorf("it was told of %d messages, want %d", told, many)
	}
}
