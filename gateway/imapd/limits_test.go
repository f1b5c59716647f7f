package imapd_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/centerleap/postern/gateway/gatewaytest"
)

// What an account may have: mailboxes, their names and levels, a message's size and
// keywords; each met at its bound, and one past it.
func TestAccountBounds(t *testing.T) {
	g := gatewaytest.Start(t, gatewaytest.Limit("mailboxes_per_account", "9"), gatewaytest.Limit("mailbox_name", "20"),
		gatewaytest.Limit("mailbox_levels", "3"), gatewaytest.Limit("message_bytes", "5000"), gatewaytest.Limit("labels", "3"))
	c := login(t, g)
	for _, tt := range []struct{ send, want string }{
		{"CREATE " + strings.Repeat("n", 20), "OK"},
		{"CREATE " + strings.Repeat("n", 21), `NO .*it is too long`},
		{"CREATE a/b/c/d", `NO .*it has too many levels`},
		{"CREATE a", "OK"},
		{"RENAME " + strings.Repeat("n", 20) + " a/b/c", "OK"}, // makes a/b
		{"CREATE x", "NO "},
		{"DELETE a/b/c", "OK"},
		{"RENAME a x/y/z", `NO .*over 3 levels`}, // a/b would be x/y/z/b
		{"RENAME a " + strings.Repeat("m", 19), `NO .*over 20 bytes`},
		{"RENAME a/b " + strings.Repeat("m", 20), "OK"},
	} {
		c.Raw("x " + tt.send + "\r\n")
		c.Script("S: x " + tt.want)
	}
	body := func(n int) string { return "Subject: x\r\n\r\n" + strings.Repeat("y", n-14) }
	for _, plus := range []string{"", "+"} {
		c.Raw(fmt.Sprintf("a APPEND Drafts {5000%s}\r\n", plus))
		if plus == "" {
			c.Script("S: \\+ ")
		}
		c.Raw(body(5000) + "\r\n")
		c.Script("S: a OK")
	}
	c.Script("C: b APPEND Drafts {5001}\nS: b NO \\[TOOBIG\\]\nC: s SELECT Drafts\nS~ s OK")
	c.Raw("c APPEND Drafts {5001+}\r\n")
	c.Script("S: c NO \\[TOOBIG\\]\nS: \\* BYE\nEND")
}
