package imapd_test

import (
	"fmt"
	"testing"

	"github.com/centerleap/postern/gateway/gatewaytest"
)

// A message may stand in a folder twice. A UID means one of the two, over REST as well.
func TestTwiceInOneFolder(t *testing.T) {
	g := gatewaytest.Start(t)
	receive(t, g, simple(1))
	c := login(t, g)
	c.Script("C: a SELECT INBOX\nS~ a OK\nC: b COPY 1 INBOX\nS: \\* 2 EXISTS\nS: b OK \\[COPYUID 1 1 2\\]")
	if status, a := g.Do("PATCH", "/emails/1?folder=INBOX", g.Keys.Account, `{"is_starred":true}`); status != 200 || a.At("uid") != 1.0 {
		t.Errorf("%d %v", status, a)
	}
	c.Script("C: c NOOP\nS: \\* 1 FETCH \\(FLAGS \\(\\\\Flagged\\)\\)\nS: c OK")
	if status, a := g.Do("DELETE", "/emails/1?folder=INBOX&permanent=true", g.Keys.Account, nil); status != 200 {
		t.Errorf("%d %v", status, a)
	}
	c.Script("C: d NOOP\nS: \\* 1 EXPUNGE\nS: d OK\nC: e UID SEARCH ALL\nS: \\* SEARCH 2$\nS: e OK")
	if status, a := g.Do("GET", "/emails/2?folder=INBOX", g.Keys.Account, nil); status != 200 || a.At("uid") != 2.0 {
		t.Errorf("%d %v", status, a)
	}
}

// A silent STORE still tells what somebody else changed: the client could not know.
func TestSilentStore(t *testing.T) {
	g := gatewaytest.Start(t)
	receive(t, g, simple(1))
	receive(t, g, simple(2))
	a, b := login(t, g), login(t, g)
	a.Script("C: a SELECT INBOX\nS~ a OK")
	b.Script("C: a SELECT INBOX\nS~ a OK\nC: b STORE 1 +FLAGS (\\Flagged $work)\nS: \\* 1 FETCH\nS: b OK")
	a.Script(`
		C: b STORE 1:2 +FLAGS.SILENT (\Seen)
		S: \* 1 FETCH \(FLAGS \(\\Flagged \\Seen \$work\)\)
		S: b OK
		C: c STORE 1:2 FLAGS.SILENT (\Answered)
		S: c OK
		C: d NOOP
		S: d OK`)
}

// News of more messages than are written in one go come whole and in order: first as
// changes, then as expunges.
func TestLongTells(t *testing.T) {
	g := gatewaytest.Start(t)
	receive(t, g, simple(1))
	a, b := login(t, g), login(t, g)
	a.Script("C: a SELECT INBOX\nS~ a OK")
	many := 1
	for ; many < 1500; many *= 2 { // 2,048 lines of 16 bytes and more
		a.Script("C: c COPY 1:* INBOX\nS~ c OK")
	}
	b.Script("C: a SELECT INBOX\nS~ a OK")
	a.Script("C: d STORE 1:* +FLAGS.SILENT (\\Deleted)\nS: d OK\nC: e NOOP\nS: e OK")
	told := func(want func(i int) string) {
		t.Helper()
		b.Raw("n NOOP\r\n")
		for i := range many {
			if line, _ := b.Line(); line != want(i) {
				t.Fatalf("line %d is %q, want %q", i, line, want(i))
			}
		}
		b.Script("S: n OK")
	}
	told(func(i int) string { return fmt.Sprintf(`* %d FETCH (FLAGS (\Deleted))`, i+1) })
	a.Script("C: f EXPUNGE\nS~ f OK")
	told(func(i int) string { return fmt.Sprintf("* %d EXPUNGE", many-i) })
}
