package imapd_test

import (
	"encoding/base64"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/centerleap/postern/gateway/gatewaytest"
)

// upload is how a client brings a message to Archive.
func upload(tag, body string) string {
	return fmt.Sprintf("\nC: %s APPEND Archive {%d+}\nC: ", tag, len(body)) + strings.ReplaceAll(body, "\r\n", "\nC: ")
}

// uses are dialogues that use each capability, after login with two messages in the
// inbox.
var uses = map[string]string{
	"IMAP4rev1": `
		C: a SELECT INBOX
		S: \* 2 EXISTS
		S: \* 0 RECENT
		S~ a OK
		C: b SEARCH ALL
		S: \* SEARCH 1 2$
		S: b OK`,
	"IMAP4rev2": `
		C: a ENABLE imap4rev2
		S: \* ENABLED IMAP4rev2$
		S: a OK
		C: b CREATE R&D/Grüße
		S: b BAD
		C: c CREATE "R&D/Grüße"
		S: c OK
		C: d SELECT "R&D"
		S: \* 0 EXISTS
		S: \* OK \[UIDVALIDITY
		S: \* OK \[UIDNEXT 1\]
		S: \* FLAGS
		S: \* OK \[PERMANENTFLAGS
		S: \* LIST \(\\HasChildren\) "/" "R&D"$
		S~ d OK
		C: e SELECT INBOX
		S: \* OK \[CLOSED\]
		S: \* 2 EXISTS
		S: \* OK \[UIDVALIDITY
		S: \* OK \[UIDNEXT 3\]
		S: \* FLAGS
		S: \* OK \[PERMANENTFLAGS
		S: \* LIST \(\\HasNoChildren\) "/" "?INBOX"?$
		S~ e OK
		C: f SEARCH UNSEEN
		S: \* ESEARCH \(TAG "f"\) ALL 1:2$
		S: f OK
		C: g UID SEARCH FLAGGED
		S: \* ESEARCH \(TAG "g"\) UID$
		S: g OK
		C: h FETCH 1 BINARY.PEEK[1]
		S: \* 1 FETCH \(BINARY\[1\] ~\{9\}
		S: hello 1
		S: \)$
		S: h OK
		C: i STATUS "R&D/Grüße" (MESSAGES DELETED SIZE)
		S: \* STATUS "R&D/Grüße" \(MESSAGES 0 DELETED 0 SIZE 0\)
		S: i OK
		C: j SORT (SUBJECT) UTF-8 ALL
		S: \* SORT 1 2$
		S: j OK
		C: k RENAME "R&D" "&-"
		S: k OK
		C: l LIST "" "&-*"
		S: \* LIST \(\\HasChildren\) "/" "&-"$
		S: \* LIST \(\\HasNoChildren\) "/" "&-/Grüße"$
		S: l OK`,
	"UTF8=ACCEPT": `
		C: a CREATE "&ZeVnLIqe-&-x"
		S: a OK
		C: b LIST "" "&ZeVnLIqe-*"
		S: \* LIST .* "&ZeVnLIqe-&-x"$
		S: b OK
		C: c ENABLE UTF8=ACCEPT NONSENSE
		S: \* ENABLED UTF8=ACCEPT$
		S: c OK
		C: d LIST "" "日*"
		S: \* LIST .* "日本語&x"$
		S: d OK
		C: e STATUS "日本語&x" (MESSAGES)
		S: \* STATUS "日本語&x" \(MESSAGES 0\)
		S: e OK
		C: f APPEND "日本語&x" UTF8 (~{20+}
		C: Subject: grüße
		C:
		C: )
		S: f OK \[APPENDUID 7 1\]
		C: g SELECT INBOX
		S: \* 2 EXISTS
		S: \* 0 RECENT
		S~ g OK
		C: h SEARCH SUBJECT "number 2"
		S: \* SEARCH 2$
		S: h OK
		C: i COPY 1 "日本語&x"
		S: i OK \[COPYUID 7 1 2\]`,
	"LITERAL+": `
		C: a CREATE {5+}
		C: Typed
		S: a OK
		C: b STATUS {5+}
		C: Typed (MESSAGES)
		S: \* STATUS "?Typed"? \(MESSAGES 0\)
		S: b OK
		C: c APPEND {5+}
		C: Typed {5000+}
		C: ` + strings.Repeat("x", 5000) + `
		S: c OK \[APPENDUID`,
	"SASL-IR":   "C: a NOOP\nS: a OK", // see TestCapabilities
	"UNSELECT":  "C: a SELECT INBOX\nS~ a OK\nC: b STORE 1 +FLAGS.SILENT \\Deleted\nS: b OK\nC: c UNSELECT\nS: c OK\nC: d STATUS INBOX (MESSAGES)\nS: \\* STATUS \"?INBOX\"? \\(MESSAGES 2\\)\nS: d OK\nC: e FETCH 1 UID\nS: e BAD",
	"ENABLE":    "C: a ENABLE NONSENSE\nS: \\* ENABLED$\nS: a OK",
	"IDLE":      "C: a SELECT INBOX\nS~ a OK\nC: b IDLE\nS: \\+ \nC: DONE\nS: b OK",
	"NAMESPACE": "C: a NAMESPACE\nS: \\* NAMESPACE \\(\\(\"\" \"/\"\\)\\) NIL NIL$\nS: a OK",
	"UIDPLUS": `
		C: a SELECT INBOX
		S~ a OK
		C: b COPY 2 Archive
		S: b OK \[COPYUID 6 2 1\]
		C: c STORE 1:2 +FLAGS.SILENT \Deleted
		S: c OK
		C: d UID EXPUNGE 2
		S: \* 2 EXPUNGE
		S: d OK
		C: e APPEND Archive {1+}
		C: x
		S: e OK \[APPENDUID 6 2\]`,
	"ESEARCH": "C: a SELECT INBOX\nS~ a OK\nC: b SEARCH RETURN (MIN COUNT) ALL\nS: \\* ESEARCH \\(TAG \"b\"\\) MIN 1 COUNT 2$\nS: b OK",
	"SEARCHRES": `
		C: a SELECT INBOX
		S~ a OK
		C: b SEARCH RETURN (SAVE) SUBJECT "number 2"
		S: b OK
		C: c STORE $ +FLAGS (\Flagged)
		S: \* 2 FETCH \(FLAGS \(\\Flagged\)\)
		S: c OK
		C: d SEARCH NOT $
		S: \* SEARCH 1$
		S: d OK
		C: e SEARCH RETURN (SAVE) KOI8
		S: e (NO|BAD)
		C: f UID COPY $ Archive
		S: f OK \[COPYUID 6 2 1\]`,
	"LIST-EXTENDED": `
		C: a LIST (SUBSCRIBED) "" (I* S*) RETURN (CHILDREN)
		S: \* LIST \(\\HasNoChildren \\Subscribed\) "/" "?INBOX"?$
		S: \* LIST \(\\HasNoChildren \\Sent \\Subscribed\) "/" "?Sent"?$
		S: a OK
		C: b LIST (REMOTE) "" INBOX
		S: \* LIST \(\\HasNoChildren\) "/" "?INBOX"?$
		S: b OK
		C: c LIST (RECURSIVEMATCH) "" *
		S: c BAD`,
	"LIST-STATUS": "C: a LIST \"\" I* RETURN (STATUS (MESSAGES UNSEEN))\nS: \\* LIST .*INBOX\nS: \\* STATUS \"?INBOX\"? \\(MESSAGES 2 UNSEEN 2\\)\nS: a OK",
	"MOVE":        "C: a SELECT INBOX\nS~ a OK\nC: b UID MOVE 1 Archive\nS: \\* OK \\[COPYUID 6 1 1\\]\nS: \\* 1 EXPUNGE\nS: b OK",
	"STATUS=SIZE": "C: a STATUS INBOX (SIZE)\nS: \\* STATUS \"?INBOX\"? \\(SIZE [1-9][0-9]+\\)\nS: a OK",
	"BINARY": upload("a", "Content-Type: application/octet-stream\r\nContent-Transfer-Encoding: base64\r\n\r\nAAEC\r\nAwQ=\r\n") + `
		S: a OK` +
		upload("b", "Content-Transfer-Encoding: quoted-printable\r\n\r\ngr=C3=BC=\r\nn\r\n") + `
		S: b OK` +
		upload("c", "Content-Transfer-Encoding: x-uue\r\n\r\nwat") + `
		S: c OK
		C: d SELECT Archive
		S~ d OK
		C: e FETCH 1 (BINARY.SIZE[1] BINARY[1]<1.2> FLAGS)
		S: \* 1 FETCH \(BINARY\.SIZE\[1\] 5 BINARY\[1\]<1> ~\{2\}
		S: ` + "\x01\x02" + ` FLAGS \(\\Seen\)\)$
		S: e OK
		C: f FETCH 2 (BINARY.PEEK[1] BINARY.PEEK[7] BINARY.SIZE[7] BINARY.PEEK[1]<100.5> UID)
		S: \* 2 FETCH \(BINARY\[1\] ~\{[0-9]+\}
		S: grün
		S~  BINARY\[7\] NIL BINARY\.SIZE\[7\] 0 BINARY\[1\]<100> ~\{0\}
		S:  UID 2\)$
		S: f OK
		C: g FETCH 2:3 BINARY.SIZE[1]
		S: \* 2 FETCH \(BINARY\.SIZE\[1\] [0-9]+\)
		S: g NO \[UNKNOWN-CTE\]
		C: h FETCH 3 BINARY.SIZE[]
		S: \* 3 FETCH \(BINARY\.SIZE\[\] 39\)$
		S: h OK
		C: i FETCH 3 BINARY.PEEK[]<0.7>
		S: \* 3 FETCH \(BINARY\[\]<0> ~\{7\}
		S: Content\)$
		S: i OK
		C: j FETCH 3 BINARY[1.MIME]
		S: j (BAD|NO)
		C: k APPEND Archive ~{1}
		S: k NO \[UNKNOWN-CTE\]`,
	"CHILDREN":           "C: a CREATE x/y\nS: a OK\nC: b LIST \"\" x*\nS: \\* LIST \\(\\\\HasChildren\\) \"/\" \"?x\"?$\nS: \\* LIST \\(\\\\HasNoChildren\\) \"/\" \"?x/y\"?$\nS: b OK",
	"SPECIAL-USE":        "C: a LIST (SPECIAL-USE) \"\" S* RETURN (SPECIAL-USE)\nS: \\* LIST \\(\\\\HasNoChildren \\\\Sent\\) \"/\" \"?Sent\"?$\nS: a OK",
	"CREATE-SPECIAL-USE": "C: a CREATE Old (USE (\\Archive))\nS: a OK\nC: b LIST \"\" Old\nS: \\* LIST \\(\\\\HasNoChildren \\\\Archive\\) \"/\" \"?Old\"?$\nS: b OK\nC: c CREATE All (USE (\\All))\nS: c NO \\[USEATTR\\]",
	"APPENDLIMIT":        "C: a STATUS INBOX (APPENDLIMIT)\nS: \\* STATUS \"?INBOX\"? \\(APPENDLIMIT 52428800\\)\nS: a OK\nC: b APPEND INBOX {52428801}\nS: b NO \\[TOOBIG\\]",
	"ID":                 "C: a ID (\"name\" \"x\" \"version\" NIL)\nS: \\* ID \\(\"name\" \"Postern\" \"version\" \"" + gatewaytest.Version + "\"\\)$\nS: a OK",
	"QUOTA":              "C: a GETQUOTAROOT INBOX\nS: \\* QUOTAROOT\nS~ a OK",
	"QUOTA=RES-STORAGE":  "C: a GETQUOTAROOT INBOX\nS~ a OK",
	"SORT":               "C: a SELECT INBOX\nS~ a OK\nC: b SORT (REVERSE SUBJECT) UTF-8 ALL\nS: \\* SORT 2 1$\nS: b OK",
	"SORT=DISPLAY":       "C: a SELECT INBOX\nS~ a OK\nC: b SORT (DISPLAYFROM REVERSE DISPLAYTO) UTF-8 ALL\nS: \\* SORT 1 2$\nS: b OK",
	"ESORT":              "C: a SELECT INBOX\nS~ a OK\nC: b SORT RETURN (MIN) (REVERSE SUBJECT) UTF-8 ALL\nS: \\* ESEARCH \\(TAG \"b\"\\) MIN 2$\nS: b OK",
	"THREAD=REFERENCES":  "C: a SELECT INBOX\nS~ a OK\nC: b THREAD REFERENCES UTF-8 ALL\nS: \\* THREAD \\(1\\)\\(2\\)$\nS: b OK",
	"CONDSTORE":          "C: a SELECT INBOX (CONDSTORE)\nS~ \\* OK \\[HIGHESTMODSEQ [1-9]\nS~ a OK\nC: b FETCH 1 (MODSEQ)\nS: \\* 1 FETCH \\(MODSEQ \\([1-9][0-9]*\\)\\)$\nS: b OK",
	"QRESYNC":            "C: a ENABLE QRESYNC\nS: \\* ENABLED .*QRESYNC\nS: a OK\nC: b SELECT INBOX (QRESYNC (1 1))\nS~ b OK",
	"OBJECTID":           "C: a SELECT INBOX\nS~ \\* OK \\[MAILBOXID \\(\nS~ a OK\nC: b FETCH 1 (EMAILID THREADID)\nS: \\* 1 FETCH \\(EMAILID \\([-0-9a-f]{36}\\) THREADID \\([-0-9a-f]{36}\\)\\)$\nS: b OK",
}

// offered are the capabilities that a client is told of.
func offered(c *gatewaytest.Chat) []string {
	line := c.Script("C: cap CAPABILITY\nS: \\* CAPABILITY ")
	c.Script("S: cap OK")
	return strings.Fields(strings.TrimPrefix(line, "* CAPABILITY "))
}

// Every capability that is offered works, and none is offered twice or without a
// dialogue here.
func TestCapabilities(t *testing.T) {
	g := gatewaytest.Start(t)
	caps := offered(login(t, g))
	for _, name := range caps {
		t.Run(name, func(t *testing.T) {
			name, _, _ := strings.Cut(name, "=5") // APPENDLIMIT=52428800
			script, ok := uses[name]
			if !ok {
				t.Fatal("it is offered, and no dialogue here uses it")
			}
			g := gatewaytest.Start(t)
			receive(t, g, simple(1))
			receive(t, g, simple(2))
			login(t, g).Script(script)
		})
	}
	for name := range uses {
		if !slices.ContainsFunc(caps, func(c string) bool { return strings.HasPrefix(c, name) }) {
			t.Errorf("%s works and is not offered", name)
		}
	}
	if sorted := slices.Sorted(slices.Values(caps)); len(slices.Compact(sorted)) != len(caps) {
		t.Errorf("one is offered twice: %q", caps)
	}
}

// What is offered before the login works there.
func TestCapabilitiesBeforeLogin(t *testing.T) {
	g := gatewaytest.Start(t)
	plain := base64.StdEncoding.EncodeToString([]byte("\x00" + gatewaytest.Account + "\x00" + g.Keys.Account))
	c := g.Dial(t, "imap")
	c.Script("S: \\* OK")
	if want := []string{"IMAP4rev2", "IMAP4rev1", "LITERAL+", "ID", "STARTTLS", "LOGINDISABLED"}; !slices.Equal(offered(c), want) {
		t.Errorf("before TLS others than %q are offered", want)
	}
	c.Script("C: a LOGIN {1+}\nC: x y\nS: a NO \\[PRIVACYREQUIRED\\]\nC: b ID NIL\nS: \\* ID\nS: b OK\nC: c STARTTLS\nS: c OK\nTLS")
	if want := []string{"IMAP4rev2", "IMAP4rev1", "SASL-IR", "LITERAL+", "AUTH=PLAIN", "ID"}; !slices.Equal(offered(c), want) {
		t.Errorf("before the login others than %q are offered", want)
	}
	c.Script("C: d AUTHENTICATE PLAIN " + plain + "\nS: d OK \\[CAPABILITY ")
}
