package content

import (
	"strings"
	"testing"

	"github.com/centerleap/postern/gateway"
)

// A program answers people who wrote to its mailbox, and nothing else.
func TestAutomation(t *testing.T) {
	const mine = "To: Bot <bot@here.example>\r\n"
	for _, tt := range []struct {
		name   string
		header string // besides From and what ends a header
		from   string // a@there.example if empty
		path   string // likewise; <> is the null one
		dmarc  string
		want   gateway.Automation
	}{
		{name: "a letter", header: mine},
		{name: "in copy", header: "Cc: x@y.example, BOT@here.example\r\n"},
		{name: "to an alias", header: "To: sales@here.example\r\n"},
		{name: "sent on by hand", header: "To: x@y.example\r\nResent-To: bot@here.example\r\n"},
		{name: "auto-submitted no", header: mine + "Auto-Submitted: No (by hand)\r\n"},
		{name: "suppresses nothing", header: mine + "X-Auto-Response-Suppress: None\r\n"},
		{name: "DMARC passes", header: mine, dmarc: "pass"},
		{name: "DMARC is unknown", header: mine, dmarc: "temperror"},

		{name: "null reverse-path", header: mine, path: "<>", want: gateway.Automation{Bounce: true, Silent: "it has the null reverse-path"}},
		{name: "auto-replied", header: mine + "auto-submitted: auto-replied; x=y\r\n", want: gateway.Automation{Auto: true, Silent: "it is marked as automatic"}},
		{name: "auto-generated", header: mine + "Auto-Submitted: auto-generated(cron)\r\n", want: gateway.Automation{Auto: true, Silent: "it is marked as automatic"}},
		{name: "of two fields one", header: mine + "Auto-Submitted: no\r\nAuto-Submitted: auto-replied\r\n", want: gateway.Automation{Auto: true, Silent: "it is marked as automatic"}},
		{name: "a report", header: mine + "Content-Type: Multipart/Report; report-type=disposition-notification\r\n", want: gateway.Automation{Auto: true, Silent: "it is marked as automatic"}},
		{name: "a list", header: mine + "List-Unsubscribe: <mailto:a@b.example>\r\n", want: gateway.Automation{List: true, Silent: "it is from a mailing list"}},
		{name: "a list's own", header: mine + "List-Id: <a.b.example>\r\nPrecedence: list\r\n", want: gateway.Automation{List: true, Bulk: true, Silent: "it is from a mailing list"}},
		{name: "bulk", header: mine + "Precedence: BULK\r\n", want: gateway.Automation{Bulk: true, Silent: "it is bulk mail"}},
		{name: "junk", header: mine + "Precedence: junk\r\n", want: gateway.Automation{Bulk: true, Silent: "it is bulk mail"}},
		{name: "suppressed", header: mine + "X-Auto-Response-Suppress: OOF, AutoReply\r\n", want: gateway.Automation{Silent: "it asks programs not to answer"}},
		{name: "two authors", from: "a@x.example, b@x.example", header: mine, want: gateway.Automation{Silent: "it has not one author"}},
		{name: "a daemon", from: "MAILER-DAEMON@x.example", header: mine, want: gateway.Automation{Silent: "it is from the address of a program"}},
		{name: "a postmaster", from: "postmaster@x.example", header: mine, want: gateway.Automation{Silent: "it is from the address of a program"}},
		{name: "a list's manager", from: "a-request@x.example", header: mine, want: gateway.Automation{Silent: "it is from the address of a program"}},
		{name: "its owner on the way", path: "owner-a@x.example", header: mine, want: gateway.Automation{Silent: "it is from the address of a program"}},
		{name: "unread", from: "No-Reply@x.example", header: mine, want: gateway.Automation{Silent: "it is from the address of a program"}},
		{name: "from itself", from: "Bot@here.example", header: mine, want: gateway.Automation{Silent: "it is from the mailbox itself"}},
		{name: "from its alias", from: "sales@here.example", header: mine, want: gateway.Automation{Silent: "it is from the mailbox itself"}},
		{name: "sent by itself", path: "bot@here.example", header: mine, want: gateway.Automation{Silent: "it is from the mailbox itself"}},
		{name: "forged", header: mine, dmarc: "fail", want: gateway.Automation{Silent: "it fails DMARC"}},
		{name: "a blind copy", header: "To: x@y.example\r\n", want: gateway.Automation{Silent: "it does not name the mailbox among its recipients"}},
		{name: "its name alone", header: "To: \"bot@here.example\" <x@y.example>\r\n", want: gateway.Automation{Silent: "it does not name the mailbox among its recipients"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			from, path := "A <a@there.example>", "a@there.example"
			if tt.from != "" {
				from = tt.from
			}
			if tt.path != "" {
				path = strings.Trim(tt.path, "<>")
			}
			raw := "From: " + from + "\r\n" + tt.header + "\r\nhello\r\n"
			c, err := Scan(strings.NewReader(raw), gateway.DefaultLimits())
			if err != nil {
				t.Fatal(err)
			}
			fields, err := Header(strings.NewReader(raw), gateway.DefaultLimits())
			if err != nil {
				t.Fatal(err)
			}
			about := Correspondence{ReturnPath: path, Own: []string{"bot@here.example", "sales@here.example"}, DMARC: tt.dmarc}
			if got := Automation(c, fields, about); got != tt.want {
				t.Errorf("%+v, want %+v", got, tt.want)
			}
		})
	}
}
