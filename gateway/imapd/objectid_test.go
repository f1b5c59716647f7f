package imapd_test

import (
	"fmt"
	"regexp"
	"strings"
	"testing"

	"github.com/centerleap/postern/gateway/gatewaytest"
)

// idIn is the object id behind a word.
func idIn(t testing.TB, lines []string, word string) string {
	t.Helper()
	for _, l := range lines {
		if m := regexp.MustCompile(word + ` \(([A-Za-z0-9_-]{1,255})\)`).FindStringSubmatch(l); m != nil {
			return m[1]
		}
	}
	t.Fatalf("no %s in %q", word, lines)
	return ""
}

// RFC 8474: ids of messages and conversations are those that REST has, and outlive a
// move; that of a mailbox outlives a new name.
func TestObjectID(t *testing.T) {
	g := gatewaytest.Start(t)
	receive(t, g, simple(1))
	receive(t, g, strings.Replace(simple(2), "\r\n\r\n", "\r\nIn-Reply-To: <1@elsewhere.example>\r\n\r\n", 1))
	receive(t, g, simple(3))
	c := login(t, g)
	inbox := idIn(t, ask(t, c, "SELECT INBOX"), "MAILBOXID")
	for i := range 3 {
		got := ask(t, c, fmt.Sprintf("FETCH %d (EMAILID THREADID)", i+1))
		_, a := g.Do("GET", fmt.Sprintf("/emails/%d", i+1), g.Keys.Account, nil)
		if email, thread := idIn(t, got, "EMAILID"), idIn(t, got, "THREADID"); email != a.Str("email_id") || thread != a.Str("thread_id") {
			t.Errorf("%q, where REST has %v and %v", got, a.Str("email_id"), a.Str("thread_id"))
		}
	}
	one := ask(t, c, "UID FETCH 1 (THREADID UID EMAILID FLAGS)")
	if !regexp.MustCompile(`^\* 1 FETCH \(THREADID \([^)]+\) UID 1 EMAILID \([^)]+\) FLAGS \(\)\)$`).MatchString(one[0]) {
		t.Errorf("the order asked for: %q", one)
	}
	email, thread := idIn(t, one, "EMAILID"), idIn(t, one, "THREADID")
	says(t, c, "SEARCH EMAILID "+email, `\* SEARCH 1$`, "q OK")
	says(t, c, `SEARCH THREADID "`+thread+`"`, `\* SEARCH 1 2$`, "q OK")
	says(t, c, "UID SEARCH NOT OR EMAILID "+email+" THREADID "+strings.Repeat("0", 255), `\* SEARCH 2 3$`, "q OK")
	for _, bad := range []string{"SEARCH EMAILID", "SEARCH THREADID x.y", "SEARCH EMAILID " + strings.Repeat("0", 256), `SEARCH EMAILID ""`, "SEARCH EMAILID (x)"} {
		says(t, c, bad, "q BAD")
	}
	says(t, c, "COPY 1 Archive", "q OK")
	says(t, c, "MOVE 1 Junk", `\* OK \[COPYUID`, `\* 1 EXPUNGE`, "q OK")
	for _, box := range []string{"Archive", "Junk"} {
		ask(t, c, "EXAMINE "+box)
		if got := ask(t, c, "FETCH 1 (EMAILID THREADID)"); idIn(t, got, "EMAILID") != email || idIn(t, got, "THREADID") != thread {
			t.Errorf("%s: %q", box, got)
		}
	}

	made := idIn(t, ask(t, c, `CREATE "new (box)"`), "MAILBOXID")
	says(t, c, "RENAME \"new (box)\" Old", "q OK")
	says(t, c, "STATUS Old (MAILBOXID)", fmt.Sprintf(`\* STATUS "?Old"? \(MAILBOXID \(%s\)\)$`, made), "q OK")
	says(t, c, "STATUS Old (MESSAGES MAILBOXID UIDNEXT)", fmt.Sprintf(`\* STATUS "?Old"? \(MESSAGES 0 UIDNEXT 1 MAILBOXID \(%s\)\)$`, made), "q OK")
	says(t, c, "DELETE Old", "q OK")
	again := idIn(t, ask(t, c, "CREATE Old"), "MAILBOXID")
	other := idIn(t, ask(t, c, "CREATE &ZeVnLIqe-"), "MAILBOXID")
	if made == again || made == other || again == other || inbox == made {
		t.Errorf("ids of mailboxes: %q", []string{inbox, made, again, other})
	}
	says(t, c, `LIST "" ("INBOX" &ZeVnLIqe-) RETURN (SUBSCRIBED STATUS (MAILBOXID HIGHESTMODSEQ))`,
		`\* LIST .*INBOX`, fmt.Sprintf(`\* STATUS "?INBOX"? \(MAILBOXID \(%s\) HIGHESTMODSEQ [0-9]+\)$`, inbox),
		`\* LIST .*&ZeVnLIqe-`, fmt.Sprintf(`\* STATUS "?&ZeVnLIqe-"? \(MAILBOXID \(%s\) HIGHESTMODSEQ 1\)$`, other), "q OK")
	says(t, c, `LIST "" INBOX RETURN (STATUS (MESSAGES MAILBOXID) CHILDREN)`, `\* LIST`, fmt.Sprintf(`\* STATUS "?INBOX"? \(MESSAGES 2 MAILBOXID \(%s\)\)$`, inbox), "q OK")
}
