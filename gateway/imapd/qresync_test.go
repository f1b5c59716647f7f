package imapd_test

import (
	"fmt"
	"sync/atomic"
	"testing"
	"time"

	"github.com/centerleap/postern/gateway"
	"github.com/centerleap/postern/gateway/gatewaytest"
)

// RFC 7162 section 3.2, after its examples.
func TestQresync(t *testing.T) {
	g := gatewaytest.Start(t)
	for i := range 8 {
		receive(t, g, simple(i+1))
	}
	away, b := login(t, g), login(t, g)
	says(t, away, "ENABLE QRESYNC", `\* ENABLED QRESYNC$`, "q OK")
	opened := ask(t, away, "SELECT INBOX (QRESYNC (1 1))")
	since := numberIn(t, opened, "HIGHESTMODSEQ")
	ask(t, away, "UNSELECT")

	ask(t, b, "SELECT INBOX")
	says(t, b, `STORE 2:3,7 +FLAGS.SILENT (\Deleted)`, "q OK")
	says(t, b, "EXPUNGE", `\* 7 EXPUNGE`, `\* 3 EXPUNGE`, `\* 2 EXPUNGE`, "q OK")
	says(t, b, `UID STORE 4:5 +FLAGS.SILENT (\Seen)`, "q OK")
	receive(t, g, simple(9))

	fetch := func(n, uid int, flags string) string {
		return fmt.Sprintf(`\* %d FETCH \(UID %d FLAGS \(%s\) MODSEQ \([0-9]+\)\)$`, n, uid, flags)
	}
	news := []string{`\* OK \[HIGHESTMODSEQ`, `\* OK \[MAILBOXID`, `\* VANISHED \(EARLIER\) 2:3,7$`, fetch(2, 4, `\\Seen`), fetch(3, 5, `\\Seen`), fetch(6, 9, "")}
	resumes := func(parameters string, want ...string) {
		t.Helper()
		head := []string{`\* 6 EXISTS`, `\* 0 RECENT`, `\* OK \[UNSEEN 1\]`, `\* OK \[UIDVALIDITY 1\]`, `\* OK \[UIDNEXT 10\]`, `\* FLAGS`, `\* OK \[PERMANENTFLAGS`}
		says(t, away, "SELECT INBOX (QRESYNC ("+parameters+"))", append(append(head, want...), `q OK \[READ-WRITE\]`)...)
		ask(t, away, "UNSELECT")
	}
	resumes(fmt.Sprintf("1 %d", since), news...)
	resumes(fmt.Sprintf("1 %d 1:3", since), news[0], news[1], `\* VANISHED \(EARLIER\) 2:3$`)
	resumes(fmt.Sprintf("1 %d 4,7,9", since), news[0], news[1], `\* VANISHED \(EARLIER\) 7$`, fetch(2, 4, `\\Seen`), fetch(6, 9, ""))
	resumes(fmt.Sprintf("1 %d 1:8 (1,4:5 1,4:5)", since), news[0], news[1], news[2], news[3], news[4])
	resumes(fmt.Sprintf("7 %d", since), news[:2]...)                                                       // another mailbox has that UIDVALIDITY
	resumes("1 1 1:4 (1 1)", news[0], news[1], `\* VANISHED \(EARLIER\) 2:3$`, `\* 1 FETCH`, `\* 2 FETCH`) // before anything is remembered
	resumes("1 1 1:8 (3 5)", news[0], news[1], `\* VANISHED \(EARLIER\) 7$`, `\* 1 FETCH`, `\* 2 FETCH`, `\* 3 FETCH`, `\* 4 FETCH`, `\* 5 FETCH`)

	says(t, away, fmt.Sprintf("EXAMINE INBOX (CONDSTORE QRESYNC (1 %d))", since), `\* 6 EXISTS`, `\* 0 RECENT`, `\* OK \[UNSEEN 1\]`, `\* OK \[UIDVALIDITY 1\]`, `\* OK \[UIDNEXT 10\]`, `\* FLAGS`, `\* OK \[PERMANENTFLAGS \(\)\]`,
		news[0], news[1], news[2], news[3], news[4], news[5], `q OK \[READ-ONLY\]`)
	says(t, away, fmt.Sprintf("UID FETCH 3:5,9:* (UID FLAGS) (CHANGEDSINCE %d VANISHED)", since),
		`\* VANISHED \(EARLIER\) 3$`, fetch(2, 4, `\\Seen`), fetch(3, 5, `\\Seen`), fetch(6, 9, ""), "q OK")
	says(t, away, fmt.Sprintf("UID FETCH 7:* (FLAGS) (VANISHED CHANGEDSINCE %d)", since), `\* VANISHED \(EARLIER\) 7$`, fetch(6, 9, ""), "q OK")
	for _, bad := range []string{
		"SELECT INBOX (QRESYNC)", "SELECT INBOX (QRESYNC 1)", "SELECT INBOX (QRESYNC (1))", "SELECT INBOX (QRESYNC (0 5))", "SELECT INBOX (QRESYNC (1 0))", "SELECT INBOX (QRESYNC (4294967296 5))",
		"SELECT INBOX (QRESYNC (1 5 *))", "SELECT INBOX (QRESYNC (1 5 1:*))", "SELECT INBOX (QRESYNC (1 5 1:3 (1)))", "SELECT INBOX (QRESYNC (1 5 1:3 (1:2 5)))", "SELECT INBOX (QRESYNC (1 5 1:3 (1 5) 7))",
		"SELECT INBOX (QRESYNC (1 5 x))", "SELECT INBOX (QRESYNC (1 5 0))", "SELECT INBOX (QRESYNC (1 5) QRESYNC (1 6))", `SELECT INBOX (QRESYNC ("1" 5))`, "SELECT INBOX QRESYNC (1 5)",
	} {
		says(t, away, bad, "q BAD")
	}
	c := login(t, g)
	says(t, c, "SELECT INBOX (QRESYNC (1 1))", "q BAD")
	ask(t, c, "SELECT INBOX (CONDSTORE)")
	says(t, c, "UID FETCH 1 FLAGS (CHANGEDSINCE 1 VANISHED)", "q BAD")
}

// Who has enabled QRESYNC is told VANISHED instead of EXPUNGE, and after a command of its
// own up to where it knows the mailbox. Others are told as ever.
func TestVanished(t *testing.T) {
	g := gatewaytest.Start(t)
	for i := range 9 {
		receive(t, g, simple(i+1))
	}
	a, b := login(t, g), login(t, g)
	ask(t, a, "ENABLE QRESYNC")
	ask(t, a, "SELECT INBOX")
	ask(t, b, "SELECT INBOX")
	says(t, b, `STORE 2:3,5 +FLAGS.SILENT (\Deleted)`, "q OK")
	says(t, b, "EXPUNGE", `\* 5 EXPUNGE`, `\* 3 EXPUNGE`, `\* 2 EXPUNGE`, "q OK EXPUNGE completed")
	says(t, a, "FETCH 1 UID", `\* 1 FETCH \(UID 1\)`, "q OK") // numbers are in use
	says(t, a, "NOOP", `\* VANISHED 2:3,5$`, "q OK")
	says(t, a, `UID STORE 6,8 +FLAGS.SILENT (\Deleted)`, `\* 3 FETCH \(UID 6 MODSEQ`, `\* 5 FETCH \(UID 8 MODSEQ`, "q OK")
	expunged := ask(t, a, "UID EXPUNGE 1:6")
	if len(expunged) != 2 || expunged[0] != "* VANISHED 6" {
		t.Errorf("%q", expunged)
	}
	says(t, a, "STATUS INBOX (HIGHESTMODSEQ)", fmt.Sprintf(`\* STATUS .*HIGHESTMODSEQ %d\)`, numberIn(t, expunged, "q OK [HIGHESTMODSEQ")), "q OK")
	says(t, a, "EXPUNGE", `\* VANISHED 8$`, `q OK \[HIGHESTMODSEQ [0-9]+\] EXPUNGE completed`)
	says(t, a, "MOVE 1 Archive", `\* OK \[COPYUID 6 1 1\]`, `\* VANISHED 1$`, `q OK \[HIGHESTMODSEQ [0-9]+\] MOVE completed`)
	says(t, b, "NOOP", `\* 5 EXPUNGE`, `\* 3 EXPUNGE`, `\* 1 EXPUNGE`, "q OK")
	a.Script("C: i IDLE\nS: \\+")
	if status, _ := g.Do("DELETE", "/emails/4?permanent=true", g.Keys.Account, nil); status != 200 {
		t.Errorf("delete: %d", status)
	}
	a.Script("S: \\* VANISHED 4$\nC: DONE\nS: i OK")
	says(t, a, `UID STORE 7 +FLAGS.SILENT (\Deleted)`, `\* 1 FETCH`, "q OK")
	says(t, a, "CLOSE", "q OK CLOSE completed") // no mod-sequence: others may have done something
	// A rename is no change of an entry: what a session was told is never more than the next is.
	ask(t, a, "CREATE Old")
	ask(t, a, "SELECT Old")
	says(t, a, "RENAME Old New", "q OK")
	says(t, a, "EXPUNGE", `q OK \[HIGHESTMODSEQ 1\]`)
	says(t, a, "STATUS New (HIGHESTMODSEQ)", `\* STATUS .*HIGHESTMODSEQ 1\)`, "q OK")
}

// When a mailbox no longer remembers what left it, a client is told of all that it may
// know and that is not there.
func TestVanishedForgotten(t *testing.T) {
	var ahead atomic.Int64
	g := gatewaytest.Start(t, gatewaytest.Clock(func() time.Time { return time.Now().Add(time.Duration(ahead.Load())) }))
	for i := range 6 {
		receive(t, g, simple(i+1))
	}
	c := login(t, g)
	ask(t, c, "ENABLE QRESYNC")
	ask(t, c, "SELECT INBOX")
	says(t, c, `STORE 2 +FLAGS.SILENT (\Deleted)`, `\* 2 FETCH`, "q OK")
	first := numberIn(t, ask(t, c, "EXPUNGE"), "HIGHESTMODSEQ")
	says(t, c, `UID STORE 4 +FLAGS.SILENT (\Deleted)`, `\* 3 FETCH`, "q OK")
	second := numberIn(t, ask(t, c, "EXPUNGE"), "HIGHESTMODSEQ")
	says(t, c, fmt.Sprintf("UID FETCH 1:* (UID) (CHANGEDSINCE %d VANISHED)", first), `\* VANISHED \(EARLIER\) 4$`, "q OK")
	ahead.Store(int64(gateway.VanishedRetention + time.Hour))
	says(t, c, fmt.Sprintf("UID FETCH 1:* (UID) (CHANGEDSINCE %d VANISHED)", first), `\* VANISHED \(EARLIER\) 2,4$`, "q OK")
	says(t, c, fmt.Sprintf("UID FETCH 3:* (UID) (CHANGEDSINCE %d VANISHED)", first), `\* VANISHED \(EARLIER\) 4$`, "q OK")
	says(t, c, fmt.Sprintf("UID FETCH 1:* (UID) (CHANGEDSINCE %d VANISHED)", second), "q OK")
}

// Commands in one write, extensions among them, are run in order, each with what was
// taken out of it; what stands in literals stays there.
func TestPipelinedExtensions(t *testing.T) {
	g := gatewaytest.Start(t)
	for i := range 3 {
		receive(t, g, simple(i+1))
	}
	c := login(t, g)
	body := "Subject: x\r\n\r\nz UID FETCH 1:* (FLAGS) (CHANGEDSINCE 1 VANISHED)\r\n"
	c.Raw("a ENABLE QRESYNC\r\nb SELECT INBOX (QRESYNC (1 1 1:2))\r\nc FETCH 1 (MODSEQ)\r\nd FETCH 2 (FLAGS)\r\ne STATUS {5+}\r\nINBOX (MAILBOXID)\r\nf STATUS INBOX (MESSAGES)\r\n" +
		fmt.Sprintf("g APPEND Drafts {%d+}\r\n%s\r\n", len(body), body) + "h SEARCH MODSEQ {1+}\r\n1\r\ni SEARCH MODSEQ 1 SUBJECT {6+}\r\nMODSEQ\r\nj GETQUOTAROOT {5+}\r\nINBOX\r\nk UID STORE 3 (UNCHANGEDSINCE 1) +FLAGS (x)\r\nl STORE 3 +FLAGS (y)\r\nm UNSELECT\r\nn SELECT INBOX\r\no LOGOUT\r\n")
	c.Script(`
		S: \* ENABLED QRESYNC$
		S: a OK
		S~ \* OK \[MAILBOXID
		S: \* 1 FETCH \(UID 1 FLAGS \(\) MODSEQ
		S: \* 2 FETCH \(UID 2 FLAGS \(\) MODSEQ
		S: b OK
		S: \* 1 FETCH \(MODSEQ \([0-9]+\)\)$
		S: c OK
		S: \* 2 FETCH \(FLAGS \(\)\)$
		S: d OK
		S: \* STATUS "?INBOX"? \(MAILBOXID \([^)]+\)\)$
		S: e OK
		S: \* STATUS "?INBOX"? \(MESSAGES 3\)$
		S: f OK
		S: g OK \[APPENDUID
		S: h BAD
		S: \* SEARCH$
		S: i OK
		S: \* QUOTAROOT "INBOX"$
		S: j OK
		S: k OK \[MODIFIED 3\]
		S: \* 3 FETCH \(UID 3 FLAGS \(y\) MODSEQ
		S: l OK
		S: m OK
		S: \* 3 EXISTS
		S~ \* OK \[MAILBOXID
		S: n OK
		S: \* BYE
		S: o OK
		END`)
}
