package imapd_test

import (
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/centerleap/postern/gateway/gatewaytest"
)

// ask sends one command and returns the lines of its answer, the tagged one last.
func ask(t testing.TB, c *gatewaytest.Chat, command string) (lines []string) {
	t.Helper()
	c.Raw("q " + command + "\r\n")
	for {
		line, ok := c.Line()
		if !ok {
			t.Fatalf("%s: the connection ended after %q", command, lines)
		}
		if lines = append(lines, line); strings.HasPrefix(line, "q ") {
			return lines
		}
	}
}

// says sends one command, whose answer is to match line by line.
func says(t testing.TB, c *gatewaytest.Chat, command string, want ...string) {
	t.Helper()
	got := ask(t, c, command)
	same := len(got) == len(want)
	for i := 0; same && i < len(want); i++ {
		same = regexp.MustCompile("^(?:" + want[i] + ")").MatchString(got[i])
	}
	if !same {
		t.Errorf("%s:\n got %q\nwant %q", command, got, want)
	}
}

// numberIn is the number behind a word in the first line that has it.
func numberIn(t testing.TB, lines []string, word string) uint64 {
	t.Helper()
	for _, l := range lines {
		if m := regexp.MustCompile(regexp.QuoteMeta(word) + ` \(?([0-9]+)`).FindStringSubmatch(l); m != nil {
			n, err := strconv.ParseUint(m[1], 10, 64)
			if err != nil {
				t.Fatal(err)
			}
			return n
		}
	}
	t.Fatalf("no %s in %q", word, lines)
	return 0
}

// RFC 7162 section 3.1, after its examples.
func TestCondstore(t *testing.T) {
	g := gatewaytest.Start(t)
	for i := range 4 {
		receive(t, g, simple(i+1))
	}
	c := login(t, g)
	opened := ask(t, c, "SELECT INBOX (CONDSTORE)")
	highest := numberIn(t, opened, "HIGHESTMODSEQ")
	if n := numberIn(t, opened, "UIDNEXT"); n != 5 || !strings.Contains(opened[len(opened)-1], "READ-WRITE") {
		t.Errorf("%q", opened)
	}
	modseq := func(n int) uint64 { return numberIn(t, ask(t, c, fmt.Sprintf("FETCH %d MODSEQ", n)), "MODSEQ") }
	if modseq(4) != highest || modseq(1) >= modseq(2) {
		t.Errorf("the newest has %d, the mailbox %d", modseq(4), highest)
	}
	says(t, c, "STATUS INBOX (UIDVALIDITY HIGHESTMODSEQ MESSAGES)", fmt.Sprintf(`\* STATUS "?INBOX"? \(MESSAGES 4 UIDVALIDITY 1 HIGHESTMODSEQ %d\)$`, highest), "q OK")
	says(t, c, "STATUS INBOX (HIGHESTMODSEQ)", fmt.Sprintf(`\* STATUS "?INBOX"? \(HIGHESTMODSEQ %d\)$`, highest), "q OK")

	// Every change is told with UID and mod-sequence, .SILENT or not, own or another's.
	first := modseq(1)
	says(t, c, `STORE 1 +FLAGS.SILENT (\Seen)`, `\* 1 FETCH \(UID 1 MODSEQ \([0-9]+\)\)$`, "q OK")
	says(t, c, `UID STORE 2 +FLAGS (\Seen)`, `\* 2 FETCH \(UID 2 FLAGS \(\\Seen\) MODSEQ \([0-9]+\)\)$`, "q OK")
	if now := modseq(1); now <= highest || first > highest {
		t.Errorf("from %d to %d where %d was the highest", first, now, highest)
	}
	says(t, c, "FETCH 3 BODY[TEXT]", `\* 3 FETCH \(BODY\[TEXT\] \{9\}`, "hello 3", ` FLAGS \(\\Seen\) MODSEQ \([0-9]+\) UID 3\)$`, "q OK")
	says(t, c, "FETCH 3 (FLAGS UID)", `\* 3 FETCH \(FLAGS \(\\Seen\) UID 3\)$`, "q OK") // what was asked for, and no more
	if status, a := g.Do("PATCH", "/emails/4", g.Keys.Account, `{"is_starred":true}`); status != 200 {
		t.Fatalf("%d %v", status, a)
	}
	says(t, c, "NOOP", `\* 4 FETCH \(UID 4 FLAGS \(\\Flagged\) MODSEQ \([0-9]+\)\)$`, "q OK")

	// CHANGEDSINCE, with the mod-sequence although nobody asks for it.
	since := modseq(2)
	says(t, c, fmt.Sprintf("FETCH 1:* (FLAGS) (CHANGEDSINCE %d)", since),
		`\* 3 FETCH \(FLAGS \(\\Seen\) MODSEQ \([0-9]+\)\)$`, `\* 4 FETCH \(FLAGS \(\\Flagged\) MODSEQ \([0-9]+\)\)$`, "q OK")
	says(t, c, fmt.Sprintf("UID FETCH 1:* FAST (CHANGEDSINCE %d)", modseq(4)), "q OK")
	says(t, c, fmt.Sprintf("UID FETCH 1:* (MODSEQ) (changedsince %d)", modseq(3)), `\* 4 FETCH \(UID 4 MODSEQ \([0-9]+\)\)$`, "q OK")

	// Searching: the highest mod-sequence of what was found comes with it.
	says(t, c, fmt.Sprintf("SEARCH MODSEQ %d", modseq(3)), fmt.Sprintf(`\* SEARCH 3 4 \(MODSEQ %d\)$`, modseq(4)), "q OK")
	says(t, c, fmt.Sprintf(`SEARCH MODSEQ "/flags/\\draft" all %d FLAGGED`, modseq(3)), fmt.Sprintf(`\* SEARCH 4 \(MODSEQ %d\)$`, modseq(4)), "q OK")
	says(t, c, fmt.Sprintf("UID SEARCH OR MODSEQ %d NOT MODSEQ %d", modseq(4), modseq(2)), fmt.Sprintf(`\* SEARCH 1 4 \(MODSEQ %d\)$`, modseq(4)), "q OK")
	says(t, c, fmt.Sprintf("SEARCH MODSEQ %d", modseq(4)+1), `\* SEARCH$`, "q OK")
	says(t, c, fmt.Sprintf("SEARCH RETURN (ALL) MODSEQ %d", modseq(3)), fmt.Sprintf(`\* ESEARCH \(TAG "q"\) ALL 3:4 MODSEQ %d$`, modseq(4)), "q OK")
	says(t, c, fmt.Sprintf("SEARCH RETURN (MIN) MODSEQ %d", modseq(3)), fmt.Sprintf(`\* ESEARCH \(TAG "q"\) MIN 3 MODSEQ %d$`, modseq(3)), "q OK")
	says(t, c, fmt.Sprintf("SEARCH RETURN (MIN MAX) MODSEQ %d", modseq(3)), fmt.Sprintf(`\* ESEARCH \(TAG "q"\) MIN 3 MAX 4 MODSEQ %d$`, modseq(4)), "q OK")
	says(t, c, fmt.Sprintf("SORT (SUBJECT) UTF-8 MODSEQ %d", modseq(3)), fmt.Sprintf(`\* SORT 3 4 \(MODSEQ %d\)$`, modseq(4)), "q OK")
	for _, word := range []string{"SUBJECT MODSEQ", "HEADER MODSEQ 1", "HEADER Subject EMAILID", "KEYWORD MODSEQ", "BODY THREADID"} {
		says(t, c, "SEARCH "+word, `\* SEARCH$`, "q OK") // a word, not a key
	}
	for _, bad := range []string{
		"SEARCH MODSEQ", "SEARCH MODSEQ x", "SEARCH MODSEQ 9223372036854775808", `SEARCH MODSEQ "/flags/x" nobody 1`, `SEARCH MODSEQ "/flags/x"`,
		"FETCH 1 FLAGS (CHANGEDSINCE)", "FETCH 1 FLAGS (CHANGEDSINCE 1 CHANGEDSINCE 2)", "FETCH 1 FLAGS (NONSENSE 1)", "FETCH 1 (FLAGS) ()", "FETCH 1 FLAGS MODSEQ",
		"UID FETCH 1 FLAGS (VANISHED)", "FETCH 1 FLAGS (CHANGEDSINCE 1 VANISHED)", "STORE 1 (UNCHANGEDSINCE) FLAGS ()", "STORE 1 (NONSENSE 1) FLAGS ()",
		"STORE 1 (UNCHANGEDSINCE 1 2) FLAGS ()", "SELECT INBOX (CONDSTORE NONSENSE)", "SELECT INBOX (QRESYNC)", "STATUS INBOX (HIGHESTMODSEQ NONSENSE)",
	} {
		says(t, c, bad, "q BAD")
	}
	says(t, c, "EXAMINE INBOX", `\* OK \[CLOSED\]`, `\* 4 EXISTS`, `\* 0 RECENT`, `\* OK \[UNSEEN 4\]`, `\* OK \[UIDVALIDITY 1\]`, `\* OK \[UIDNEXT 5\]`, `\* FLAGS`, `\* OK \[PERMANENTFLAGS \(\)\]`,
		`\* OK \[HIGHESTMODSEQ [0-9]+\]`, `\* OK \[MAILBOXID`, `q OK \[READ-ONLY\]`)
	says(t, c, `STORE 1 (UNCHANGEDSINCE 1) +FLAGS (\Draft)`, `q NO \[CANNOT\]`)
}

// Of messages that have changed since, STORE changes none, says which, and what they are
// now. RFC 7162 section 3.1.3.
func TestUnchangedSince(t *testing.T) {
	g := gatewaytest.Start(t)
	for i := range 5 {
		receive(t, g, simple(i+1))
	}
	a, b := login(t, g), login(t, g)
	since := numberIn(t, ask(t, a, "SELECT INBOX"), "HIGHESTMODSEQ")
	ask(t, b, "SELECT INBOX")
	says(t, b, `STORE 2 +FLAGS.SILENT (\Flagged)`, "q OK") // it knows of no mod-sequences
	says(t, a, fmt.Sprintf(`STORE 1:3 (UNCHANGEDSINCE %d) +FLAGS.SILENT (\Deleted)`, since),
		`\* 1 FETCH \(UID 1 MODSEQ \([0-9]+\)\)$`, `\* 3 FETCH \(UID 3 MODSEQ \([0-9]+\)\)$`, `\* 2 FETCH \(UID 2 FLAGS \(\\Flagged\) MODSEQ \([0-9]+\)\)$`, `q OK \[MODIFIED 2\]`)
	says(t, b, `UID STORE 4 +FLAGS.SILENT (\Deleted)`, `\* 1 FETCH \(FLAGS`, `\* 3 FETCH \(FLAGS`, "q OK")
	says(t, b, "UID EXPUNGE 4", `\* 4 EXPUNGE`, "q OK")
	says(t, a, fmt.Sprintf(`UID STORE 2,4:5 (UNCHANGEDSINCE %d) +FLAGS (x)`, since),
		`\* 5 FETCH \(UID 5 FLAGS \(x\) MODSEQ \([0-9]+\)\)$`, `\* 4 EXPUNGE$`, `q NO \[MODIFIED 2,4\]`)
	says(t, a, `STORE 1:* (UNCHANGEDSINCE 0) +FLAGS (y)`, `q OK \[MODIFIED 1:4\]`)
	says(t, a, fmt.Sprintf(`STORE 1:* (UNCHANGEDSINCE %d) +FLAGS.SILENT (\Seen)`, uint64(1)<<62),
		`\* 1 FETCH \(UID 1 MODSEQ`, `\* 2 FETCH \(UID 2 MODSEQ`, `\* 3 FETCH \(UID 3 MODSEQ`, `\* 4 FETCH \(UID 5 MODSEQ`, "q OK STORE completed")
	says(t, b, "SEARCH KEYWORD y", `\* SEARCH$`, `\* [0-9] FETCH`, `\* [0-9] FETCH`, `\* [0-9] FETCH`, `\* [0-9] FETCH`, "q OK")
}

// Of many clients that store on one mod-sequence exactly one wins.
func TestUnchangedSinceRace(t *testing.T) {
	g := gatewaytest.Start(t)
	receive(t, g, simple(1))
	const clients, rounds = 4, 15
	chats := make([]*gatewaytest.Chat, clients)
	for i := range chats {
		chats[i] = login(t, g)
		ask(t, chats[i], "SELECT INBOX (CONDSTORE)")
	}
	for round := range rounds {
		since := numberIn(t, ask(t, chats[0], "STATUS INBOX (HIGHESTMODSEQ)"), "HIGHESTMODSEQ")
		answers := make([]string, clients)
		var all sync.WaitGroup
		for i, c := range chats {
			all.Go(func() {
				lines := ask(t, c, fmt.Sprintf("UID STORE 1 (UNCHANGEDSINCE %d) +FLAGS.SILENT (r%d.%d)", since, round, i))
				answers[i] = lines[len(lines)-1]
			})
		}
		all.Wait()
		won := 0
		for _, a := range answers {
			if a == "q OK UID STORE completed" {
				won++
			} else if !strings.HasPrefix(a, "q OK [MODIFIED 1]") {
				t.Errorf("round %d: %q", round, a)
			}
		}
		if won != 1 {
			t.Fatalf("round %d: %d have won: %q", round, won, answers)
		}
	}
}

// Until a client shows that it knows of mod-sequences it is told none.
func TestModSeqUnasked(t *testing.T) {
	g := gatewaytest.Start(t)
	receive(t, g, simple(1))
	for name, enables := range map[string]string{
		"SELECT": "SELECT INBOX (CONDSTORE)", "STATUS": "STATUS INBOX (HIGHESTMODSEQ)", "FETCH": "FETCH 1 MODSEQ", "CHANGEDSINCE": "FETCH 1 UID (CHANGEDSINCE 1)",
		"STORE": "STORE 1 (UNCHANGEDSINCE 1) FLAGS ()", "SEARCH": "SEARCH MODSEQ 1", "ENABLE": "ENABLE CONDSTORE", "QRESYNC": "ENABLE QRESYNC",
		"LIST": `LIST "" INBOX RETURN (STATUS (HIGHESTMODSEQ))`,
	} {
		t.Run(name, func(t *testing.T) {
			c := login(t, g)
			ask(t, c, "SELECT INBOX")
			says(t, c, "STORE 1 FLAGS.SILENT ()", "q OK")
			says(t, c, `STORE 1 FLAGS (\Seen)`, `\* 1 FETCH \(FLAGS \(\\Seen\)\)$`, "q OK")
			ask(t, c, enables)
			says(t, c, `STORE 1 FLAGS ()`, `\* 1 FETCH \(UID 1 FLAGS \(\) MODSEQ \([0-9]+\)\)$`, "q OK")
		})
	}
	c := login(t, g)
	says(t, c, "ENABLE CONDSTORE X-NONE QRESYNC CONDSTORE", `\* ENABLED CONDSTORE QRESYNC$`, "q OK")
	early := g.Dial(t, "imaps")
	early.Script("S: \\* OK\nC: a ENABLE CONDSTORE\nS: a BAD\nC: a LOGIN " + gatewaytest.Account + " " + g.Keys.Account + "\nS: a OK")
	ask(t, early, "SELECT INBOX")
	says(t, early, `STORE 1 FLAGS ()`, `\* 1 FETCH \(FLAGS \(\)\)$`, "q OK") // it was refused
}

// Without the capabilities none of it is served.
func TestModSeqHidden(t *testing.T) {
	g := gatewaytest.Start(t, gatewaytest.Setting("imap.hide", "CONDSTORE,OBJECTID"))
	receive(t, g, simple(1))
	c := g.Dial(t, "imaps")
	c.Script("S: \\* OK")
	if l := ask(t, c, "LOGIN "+gatewaytest.Account+" "+g.Keys.Account); strings.Contains(l[0], "CONDSTORE") || strings.Contains(l[0], "QRESYNC") || strings.Contains(l[0], "OBJECTID") {
		t.Errorf("%q", l)
	}
	says(t, c, "ENABLE CONDSTORE QRESYNC", `\* ENABLED$`, "q OK")
	if l := ask(t, c, "SELECT INBOX"); slices.ContainsFunc(l, func(l string) bool { return strings.Contains(l, "MODSEQ") || strings.Contains(l, "MAILBOXID") }) {
		t.Errorf("%q", l)
	}
	for _, command := range []string{
		"SELECT INBOX (CONDSTORE)", "STATUS INBOX (HIGHESTMODSEQ)", "STATUS INBOX (MAILBOXID)", "FETCH 1 MODSEQ", "FETCH 1 EMAILID", "FETCH 1 (UID THREADID)",
		"FETCH 1 UID (CHANGEDSINCE 1)", "STORE 1 (UNCHANGEDSINCE 1) FLAGS ()", "SEARCH MODSEQ 1", "SEARCH EMAILID x", `LIST "" * RETURN (STATUS (MAILBOXID))`,
	} {
		says(t, c, command, "q (BAD|NO)")
	}
	says(t, c, "CREATE New", "q OK CREATE completed")
}

// IMAP4rev2 has SEARCH answered with ESEARCH, and leaves SORT as RFC 5256 has it: its
// mod-sequence stands in parentheses, RFC 7162 section 3.1.5.
func TestModSeqSortedInRev2(t *testing.T) {
	g := gatewaytest.Start(t)
	receive(t, g, simple(1))
	c := login(t, g)
	says(t, c, "ENABLE IMAP4rev2 CONDSTORE", `\* ENABLED IMAP4rev2 CONDSTORE$`, "q OK")
	highest := numberIn(t, ask(t, c, "SELECT INBOX"), "HIGHESTMODSEQ")
	says(t, c, "SORT (DATE) UTF-8 MODSEQ 1", fmt.Sprintf(`\* SORT 1 \(MODSEQ %d\)$`, highest), "q OK")
	says(t, c, "SORT RETURN (COUNT) (DATE) UTF-8 MODSEQ 1", fmt.Sprintf(`\* ESEARCH \(TAG "q"\) COUNT 1 MODSEQ %d$`, highest), "q OK")
	says(t, c, "SEARCH MODSEQ 1", fmt.Sprintf(`\* ESEARCH \(TAG "q"\) ALL 1 MODSEQ %d$`, highest), "q OK")
}
