package imapd_test

import (
	"encoding/base64"
	"fmt"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/centerleap/postern/gateway"
	"github.com/centerleap/postern/gateway/gatewaytest"
)

// login opens an IMAP session of the account.
func login(t testing.TB, g *gatewaytest.Gateway) *gatewaytest.Chat {
	t.Helper()
	c := g.Dial(t, "imaps")
	c.Script("S: \\* OK \\[CAPABILITY .* ID\\]\nC: a LOGIN " + gatewaytest.Account + " " + g.Keys.Account + "\nS: a OK \\[CAPABILITY .* ID\\] Logged in")
	return c
}

// receive puts one message into the account's inbox.
func receive(t testing.TB, g *gatewaytest.Gateway, raw string) {
	t.Helper()
	env := gateway.Envelope{ReturnPath: "ann@elsewhere.example", Recipients: []string{gatewaytest.Account}, RemoteIP: "192.0.2.1"}
	if err := g.Receiver.Receive(t.Context(), env, strings.NewReader(raw)); err != nil {
		t.Fatal(err)
	}
}

func simple(n int) string {
	return fmt.Sprintf("From: Ann <ann@elsewhere.example>\r\nTo: bot@demo.localhost\r\nSubject: number %d\r\nMessage-ID: <%d@elsewhere.example>\r\nDate: Mon, 23 Nov 2026 10:00:00 +0000\r\n\r\nhello %d\r\n", n, n, n)
}

func TestIMAPLogins(t *testing.T) {
	g := gatewaytest.Start(t)
	c := g.Dial(t, "imap")
	c.Script(`
		S: \* OK \[CAPABILITY IMAP4rev2 IMAP4rev1 LITERAL\+ ID STARTTLS LOGINDISABLED\]
		C: a CAPABILITY
		S: \* CAPABILITY IMAP4rev2 IMAP4rev1 LITERAL\+ ID STARTTLS LOGINDISABLED$
		S: a OK
		C: b ID NIL
		S: \* ID \("name" "Postern" "version" "` + gatewaytest.Version + `"\)$
		S: b OK
		C: c LOGIN ` + gatewaytest.Account + ` ` + g.Keys.Account + `
		S: c NO \[PRIVACYREQUIRED\]
		C: d SELECT INBOX
		S: d BAD
		C: e STARTTLS
		S: e OK
		TLS
		C: f CAPABILITY
		S: \* CAPABILITY IMAP4rev2 IMAP4rev1 SASL-IR LITERAL\+ AUTH=PLAIN ID$
		S: f OK
		C: g LOGIN ` + gatewaytest.Account + ` ` + g.Keys.Domain + `
		S: g OK
		C: h LOGOUT
		S: \* BYE
		S: h OK
		END`)
	plain := func(user, key string) string {
		return base64.StdEncoding.EncodeToString([]byte("\x00" + user + "\x00" + key))
	}
	for _, script := range []string{
		"C: a AUTHENTICATE PLAIN " + plain(gatewaytest.Account, g.Keys.Account) + "\nS: a OK",
		"C: a AUTHENTICATE PLAIN\nS: \\+ $\nC: " + plain("centerleap", g.Keys.Account) + "\nS: a OK",
		"C: a AUTHENTICATE PLAIN\nS: \\+ \nC: *\nS: a BAD\nC: b NOOP\nS: b OK",
	} {
		chat := g.Dial(t, "imaps")
		chat.Script("S: \\* OK\n" + script)
	}
	chat := g.Dial(t, "imaps")
	chat.Script("S: \\* OK")
	chat.Raw(fmt.Sprintf("a LOGIN {%d+}\r\n%s {%d}\r\n", len(gatewaytest.Account), gatewaytest.Account, len(g.Keys.Account)))
	chat.Script("S: \\+ ")
	chat.Raw(g.Keys.Account + "\r\n")
	chat.Script("S: a OK")

	// Every refusal sounds the same.
	for name, who := range map[string][2]string{
		"send-only key":            {gatewaytest.Account, g.Keys.SendOnly},
		"domain key without whose": {"centerleap", g.Keys.Domain},
		"operator's key":           {gatewaytest.Account, g.Keys.Admin},
		"another's address":        {"other@demo.localhost", g.Keys.Account},
		"another domain":           {"bot@elsewhere.example", g.Keys.Domain},
		"unknown key":              {gatewaytest.Account, "bm_live_0000000000000000000000000000000000000000"},
		"no key":                   {gatewaytest.Account, `""`},
	} {
		chat := g.Dial(t, "imaps")
		chat.Script("S: \\* OK")
		chat.Raw("a LOGIN " + who[0] + " " + who[1] + "\r\n")
		if line, _ := chat.Line(); line != "a NO [AUTHENTICATIONFAILED] Authentication failed" {
			t.Errorf("%s: %q", name, line)
		}
	}
	chat = g.Dial(t, "imaps")
	chat.Script("S: \\* OK\nC: a LOGIN x x\nS: a NO\nC: a LOGIN x x\nS: a NO\nC: a LOGIN x x\nS: \\* BYE\nEND")
	_, logs := g.Do("GET", "/logs?protocol=imap", g.Keys.Account, nil)
	if logs.Str("data.0.method") != "LOGIN" {
		t.Errorf("the log has no login: %v", logs)
	}
}

func TestFolders(t *testing.T) {
	g := gatewaytest.Start(t)
	c := login(t, g)
	c.Script(`
		C: a LIST "" *
		S: \* LIST \(\\HasNoChildren\) "/" "?INBOX"?$
		S: \* LIST \(\\HasNoChildren \\Sent\) "/" "?Sent"?$
		S: \* LIST \(\\HasNoChildren \\Drafts\) "/" "?Drafts"?$
		S: \* LIST \(\\HasNoChildren \\Trash\) "/" "?Trash"?$
		S: \* LIST \(\\HasNoChildren \\Junk\) "/" "?Junk"?$
		S: \* LIST \(\\HasNoChildren \\Archive\) "/" "?Archive"?$
		S: a OK
		C: b CREATE Work/2026/
		S: b OK
		C: c CREATE work
		S: c OK
		C: d CREATE inbox
		S: d NO \[ALREADYEXISTS\]
		C: e CREATE "&ZeVnLIqe-"
		S: e OK
		C: f LIST "" W%
		S: \* LIST \(\\HasChildren\) "/" "?Work"?$
		S: f OK
		C: f LIST "" Work/%
		S: \* LIST \(\\HasNoChildren\) "/" "?Work/2026"?$
		S: f OK
		C: g LIST "" "&ZeVnLIqe-"
		S: \* LIST \(\\HasNoChildren\) "/" "&ZeVnLIqe-"
		S: g OK
		C: h RENAME Work/2026 Jobs
		S: h OK
		C: i UNSUBSCRIBE Jobs
		S: i OK
		C: j LSUB "" J*
		S: \* LSUB .* "?Junk"?$
		S: j OK
		C: k DELETE Jobs
		S: k OK
		C: l DELETE Sent
		S: l NO \[CANNOT\]
		C: m DELETE Nothing
		S: m NO \[NONEXISTENT\]
		C: n LIST (SPECIAL-USE) "" % RETURN (STATUS (MESSAGES UIDNEXT))
		S: \* LIST .*Sent
		S: \* STATUS "?Sent"? \(MESSAGES 0 UIDNEXT 1\)
		S~ n OK
		C: o NAMESPACE
		S: \* NAMESPACE \(\("" "/"\)\) NIL NIL
		S: o OK
		C: p LIST "" ""
		S: \* LIST \(\\Noselect\) "/" ""
		S: p OK
		C: q SELECT Nowhere
		S: q NO \[NONEXISTENT\]
		C: r STATUS inbox (MESSAGES UNSEEN RECENT UIDVALIDITY SIZE)
		S: \* STATUS "?INBOX"? \(MESSAGES 0 UIDVALIDITY 1 UNSEEN 0 SIZE 0 RECENT 0\)
		S: r OK`)
}

func TestFetch(t *testing.T) {
	g := gatewaytest.Start(t)
	receive(t, g, simple(1))
	receive(t, g, "From: a@b.example\r\nSubject: =?utf-8?q?gr=C3=BC=C3=9Fe?=\r\nContent-Type: multipart/mixed; boundary=x\r\n\r\n"+
		"--x\r\n\r\nplain text\r\n--x\r\nContent-Type: message/rfc822\r\n\r\nSubject: inner\r\n\r\ninner body\r\n--x--\r\n")
	c := login(t, g)
	c.Script(`
		C: a SELECT inbox
		S: \* 2 EXISTS
		S: \* 0 RECENT
		S: \* OK \[UNSEEN 1\]
		S: \* OK \[UIDVALIDITY 1\]
		S: \* OK \[UIDNEXT 3\]
		S: \* FLAGS \(\\Answered \\Flagged \\Deleted \\Seen \\Draft\)
		S: \* OK \[PERMANENTFLAGS \(\\Answered \\Flagged \\Deleted \\Seen \\Draft \\\*\)\]
		S: \* OK \[HIGHESTMODSEQ [1-9][0-9]*\]
		S: \* OK \[MAILBOXID \([0-9a-f-]{36}\)\]
		S: a OK \[READ-WRITE\]
		C: b FETCH 1 FAST
		S: \* 1 FETCH \(FLAGS \(\) INTERNALDATE ".*" RFC822\.SIZE [0-9]+\)
		S: b OK
		C: c UID FETCH 1:* (ENVELOPE)
		S: \* 1 FETCH \(UID 1 ENVELOPE \("Mon, 23 Nov 2026 10:00:00 \+0000" "number 1" \(\("Ann" NIL "ann" "elsewhere.example"\)\)
		S: \* 2 FETCH \(UID 2 ENVELOPE
		S: c OK
		C: d FETCH 2 (BODYSTRUCTURE BODY.PEEK[1])
		S: \* 2 FETCH \(BODYSTRUCTURE \(\("text" "plain" .*"message" "rfc822".* "mixed" .*BODY\[1\] \{10\}
		S: plain text\)
		S: d OK
		C: e FETCH 2 (BODY.PEEK[2.HEADER] BODY.PEEK[2.TEXT]<6.100> BODY.PEEK[2.MIME] BODY.PEEK[7])
		S: \* 2 FETCH \(BODY\[2\.HEADER\] \{18\}
		S: Subject: inner
		S: $
		S:  BODY\[2\.TEXT\]<6> \{4\}
		S: body BODY\[2\.MIME\] \{32\}
		S: Content-Type: message/rfc822
		S: $
		S:  BODY\[7\] NIL\)
		S: e OK
		C: f FETCH 1 (BODY.PEEK[HEADER.FIELDS (subject X-None From)] FLAGS)
		S: \* 1 FETCH \(BODY\[HEADER\.FIELDS \(subject X-None From\)\] \{56\}
		S: From: Ann
		S: Subject: number 1
		S: $
		S:  FLAGS \(\)\)
		S: f OK
		C: g FETCH 1 BODY[TEXT]
		S: \* 1 FETCH \(BODY\[TEXT\] \{9\}
		S: hello 1
		S:  FLAGS \(\\Seen\)\)
		S: g OK
		C: h FETCH 7 FLAGS
		S: h OK
		C: i FETCH 1 (RFC822.HEADER UID)
		S: \* 1 FETCH \(RFC822\.HEADER \{[0-9]+\}
		S: Return-Path: <ann@elsewhere.example>
		S~  UID 1\)
		S: i OK
		C: j FETCH 1 NONSENSE
		S: j BAD
		C: k EXAMINE INBOX
		S: \* OK \[CLOSED\]
		S~ k OK \[READ-ONLY\]
		C: l FETCH 2 BODY[]
		S: \* 2 FETCH \(BODY\[\] \{[0-9]+\}
		S~ \)$
		S: l OK
		C: m FETCH 2 FLAGS
		S: \* 2 FETCH \(FLAGS \(\)\)
		S: m OK
		C: n STORE 2 +FLAGS \Seen
		S: n NO
		C: o EXPUNGE
		S: o NO
		C: p CLOSE
		S: p OK`)
}

// BODY[] is, byte for byte, what REST gives as raw, also when it is large and
// when it is read in pieces.
func TestFetchBytes(t *testing.T) {
	g := gatewaytest.Start(t)
	receive(t, g, simple(1)+strings.Repeat("0123456789abcdef\r\n", 50_000))
	_, a := g.Do("GET", "/emails", g.Keys.Account, nil)
	resp := g.Send("GET", "/emails/"+a.Str("data.0.email_id")+"/raw", g.Keys.Account, nil)
	defer resp.Body.Close()
	raw, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	want := string(raw)
	c := login(t, g)
	c.Script("C: a EXAMINE INBOX\nS~ a OK")
	fetch := func(item string) string {
		c.Raw("b FETCH 1 " + item + "\r\n")
		line, _ := c.Line()
		var n int
		if _, err := fmt.Sscanf(line[strings.LastIndexByte(line, '{'):], "{%d}", &n); err != nil {
			t.Fatalf("%s: %q", item, line)
		}
		got := c.Bytes(n)
		c.Script("S: \\)$\nS: b OK")
		return got
	}
	if got := fetch("BODY[]"); got != want {
		t.Errorf("BODY[] has %d bytes, raw %d", len(got), len(want))
	}
	var pieces strings.Builder
	for at := 0; at < len(want); at += 100_000 {
		pieces.WriteString(fetch(fmt.Sprintf("BODY[]<%d.100000>", at)))
	}
	if pieces.String() != want {
		t.Errorf("the pieces have %d bytes, raw %d", pieces.Len(), len(want))
	}
	if got := fetch("BODY[HEADER]") + fetch("BODY[TEXT]"); got != want {
		t.Error("HEADER and TEXT are not the whole")
	}
	c.Script("C: c FETCH 1 BODY[]<9223372036854775807.9223372036854775807>\nS: \\* 1 FETCH \\(BODY\\[\\]<9223372036854775807> \\{0\\}\nS: \\)\nS: c OK")
}

func TestStoreCopyMoveExpunge(t *testing.T) {
	g := gatewaytest.Start(t)
	for i := range 5 {
		receive(t, g, simple(i+1))
	}
	c := login(t, g)
	c.Script(`
		C: a SELECT INBOX
		S~ a OK
		C: b STORE 1:2 +FLAGS (\seen $Work)
		S: \* 1 FETCH \(FLAGS \(\\Seen \$Work\)\)
		S: \* 2 FETCH \(FLAGS \(\\Seen \$Work\)\)
		S: b OK
		C: c UID STORE 1 -FLAGS.SILENT (\Seen)
		S: c OK
		C: d UID STORE 1 FLAGS (\Flagged)
		S: \* 1 FETCH \(UID 1 FLAGS \(\\Flagged\)\)
		S: d OK
		C: e STORE 1 +FLAGS (\Nonsense)
		S: e NO
		C: f COPY 2 Archive
		S: f OK \[COPYUID 6 2 1\]
		C: g COPY 2 Nowhere
		S: g NO \[TRYCREATE\]
		C: h MOVE 4:* Archive
		S: \* OK \[COPYUID 6 4:5 2:3\]
		S: \* 5 EXPUNGE
		S: \* 4 EXPUNGE
		S: h OK
		C: i STORE 1,3 +FLAGS.SILENT \Deleted
		S: i OK
		C: j UID EXPUNGE 3:9
		S: \* 3 EXPUNGE
		S: j OK
		C: k EXPUNGE
		S: \* 1 EXPUNGE
		S: k OK
		C: l UID SEARCH ALL
		S: \* SEARCH 2$
		S: l OK
		C: m STORE 1 +FLAGS.SILENT \Deleted
		S: m OK
		C: n CLOSE
		S: n OK
		C: o STATUS INBOX (MESSAGES)
		S: \* STATUS "?INBOX"? \(MESSAGES 0\)
		S: o OK
		C: p SELECT Archive
		S: \* 3 EXISTS
		S~ p OK
		C: q FETCH 1 FLAGS
		S: \* 1 FETCH \(FLAGS \(\\Seen \$Work\)\)
		S: q OK`)
	if status, a := g.Do("GET", "/emails?folder=Archive", g.Keys.Account, nil); status != 200 || a.At("total") != 3.0 || a.At("data.2.labels.0") != "$Work" {
		t.Errorf("REST sees %d %v", status, a)
	}
}

func TestAppend(t *testing.T) {
	g := gatewaytest.Start(t)
	c := login(t, g)
	msg := simple(1)
	up := func(tag, args, body string) {
		c.Raw(fmt.Sprintf("%s APPEND %s {%d}\r\n", tag, args, len(body)))
		c.Script("S: \\+ ")
		c.Raw(body + "\r\n")
	}
	up("a", `Drafts (\Draft $x) "01-Feb-2024 10:00:00 +0100"`, msg)
	c.Script("S: a OK \\[APPENDUID 3 1\\]")
	c.Raw(fmt.Sprintf("b APPEND Sent (\\Seen) {%d+}\r\n%s\r\n", len(msg), msg))
	c.Script("S: b OK \\[APPENDUID 2 1\\]")
	up("c", "Sent", msg) // a client's copy of what we keep already
	c.Script("S: c OK \\[APPENDUID 2 1\\]")
	up("d", "Nowhere", msg)
	c.Script("S: d NO \\[TRYCREATE\\]\nC: e SELECT Drafts\nS: \\* 1 EXISTS\nS~ e OK\nC: f FETCH 1 (FLAGS INTERNALDATE)\n" +
		`S: \* 1 FETCH \(FLAGS \(\\Draft \$x\) INTERNALDATE " 1-Feb-2024 09:00:00 \+0000"\)` + "\nS: f OK")
	up("g", "Drafts", "no header at all")
	c.Script("S: \\* 2 EXISTS\nS: g OK")
	c.Raw("h ENABLE UTF8=ACCEPT\r\n")
	c.Script("S: \\* ENABLED UTF8=ACCEPT\nS: h OK")
	body := "Subject: grüße\r\n\r\nx"
	c.Raw(fmt.Sprintf("i APPEND Drafts UTF8 (~{%d}\r\n", len(body)))
	c.Script("S: \\+ ")
	c.Raw(body + ")\r\n")
	c.Script("S: \\* 3 EXISTS\nS: i OK")
	if status, a := g.Do("GET", "/emails?folder=Drafts", g.Keys.Account, nil); status != 200 || a.At("total") != 3.0 || a.Str("data.0.subject") != "grüße" {
		t.Errorf("REST sees %d %v", status, a)
	}
}

func TestSearch(t *testing.T) {
	g := gatewaytest.Start(t)
	for i := range 4 {
		receive(t, g, simple(i+1))
	}
	receive(t, g, "From: Zoe <zoe@x.example>\r\nSubject: other\r\nX-Mark: yes\r\nDate: Tue, 01 Jan 2019 10:00:00 +0000\r\n\r\n"+strings.Repeat("big ", 500))
	c := login(t, g)
	c.Script("C: a SELECT INBOX\nS~ a OK\nC: b STORE 2 +FLAGS.SILENT (\\Flagged work)\nS: b OK")
	today := time.Now().UTC().Format("2-Jan-2006")
	for key, want := range map[string]string{
		"ALL": " 1 2 3 4 5", "FLAGGED": " 2", "UNFLAGGED": " 1 3 4 5", "KEYWORD WORK": " 2", "UNKEYWORD work": " 1 3 4 5",
		"UNSEEN": " 1 2 3 4 5", "SEEN": "", "DELETED": "", "OLD": " 1 2 3 4 5", "NEW": "",
		`SUBJECT "number 3"`: " 3", `FROM zoe`: " 5", `TO bot@`: " 1 2 3 4", "HEADER X-Mark yes": " 5", `HEADER X-Mark ""`: " 5",
		"HEADER Message-ID <2@": " 2", `BODY "hello 4"`: " 4", `TEXT zoe`: " 5", "NOT SUBJECT number": " 5",
		"OR SUBJECT \"number 1\" FROM zoe": " 1 5", "2:3": " 2 3", "*": " 5", "UID 4:*": " 4 5", "UID 99:*": " 5", "4:2 UNFLAGGED": " 3 4",
		"LARGER 1000": " 5", "SMALLER 1000": " 1 2 3 4", "SMALLER 1000 SENTSINCE 1-Jan-2026": " 1 2 3 4", "SMALLER 100 LARGER 1": "",
		"NOT LARGER 1000": " 1 2 3 4", "OR LARGER 1000 FLAGGED": " 2 5", "SUBJECT LARGER": "",
		"SENTBEFORE 1-Jan-2020": " 5", "SENTON 1-Jan-2019": " 5", "SENTSINCE 23-Nov-2026": " 1 2 3 4", "SINCE " + today: " 1 2 3 4 5", "BEFORE " + today: "",
		"(FLAGGED SUBJECT number)": " 2", "CHARSET UTF-8 SUBJECT other": " 5",
	} {
		c.Raw("x SEARCH " + key + "\r\n")
		line, _ := c.Line()
		if line != "* SEARCH"+want {
			t.Errorf("SEARCH %s: %q, want %q", key, line, want)
		}
		c.Script("S: x OK")
	}
	c.Script(`
		C: e SEARCH RETURN (MIN MAX COUNT ALL) UNFLAGGED
		S: \* ESEARCH \(TAG "e"\) MIN 1 MAX 5 ALL 1,3:5 COUNT 4$
		S: e OK
		C: f UID SEARCH RETURN () FLAGGED
		S: \* ESEARCH \(TAG "f"\) UID ALL 2$
		S: f OK
		C: g SEARCH RETURN (SAVE) FROM ann
		S: g OK
		C: h FETCH $ UID
		S: \* 1 FETCH \(UID 1\)
		S~ \* 4 FETCH \(UID 4\)
		S: h OK
		C: i SEARCH CHARSET KOI8-R SUBJECT x
		S: i NO \[BADCHARSET
		C: j SEARCH NONSENSE
		S: j (BAD|NO)
		C: k SEARCH KEYWORD $postern.larger.1
		S: k BAD`)
}

// What happens elsewhere is told: at the end of a command without expunges while
// numbers are in use, and at once in IDLE.
func TestNews(t *testing.T) {
	g := gatewaytest.Start(t)
	for i := range 3 {
		receive(t, g, simple(i+1))
	}
	a, b := login(t, g), login(t, g)
	a.Script("C: a SELECT INBOX\nS~ a OK")
	b.Script("C: a SELECT INBOX\nS~ a OK")
	b.Script("C: b STORE 1 +FLAGS.SILENT (\\Deleted)\nS: b OK\nC: c EXPUNGE\nS: \\* 1 EXPUNGE\nS: c OK\nC: d STORE 1 +FLAGS.SILENT (\\Flagged)\nS: d OK")
	receive(t, g, simple(4))
	a.Script(`
		C: b FETCH 2 (UID)
		S: \* 2 FETCH \(UID 2\)
		S: \* 4 EXISTS
		S: \* 2 FETCH \(FLAGS \(\\Flagged\)\)
		S: b OK
		C: c FETCH 1 (UID FLAGS)
		S: c NO \[EXPUNGEISSUED\]
		C: d NOOP
		S: \* 1 EXPUNGE
		S: d OK
		C: e FETCH 1:* (UID)
		S: \* 1 FETCH \(UID 2\)
		S: \* 2 FETCH \(UID 3\)
		S: \* 3 FETCH \(UID 4\)
		S: e OK
		C: f IDLE
		S: \+ `)
	receive(t, g, simple(5))
	a.Script("S: \\* 4 EXISTS")
	if status, ans := g.Do("PATCH", "/emails/5", g.Keys.Account, `{"is_read":true}`); status != 200 {
		t.Fatalf("%d %v", status, ans)
	}
	a.Script("S: \\* 4 FETCH \\(FLAGS \\(\\\\Seen\\)\\)")
	if status, ans := g.Do("DELETE", "/emails/5", g.Keys.Account, nil); status != 200 {
		t.Fatalf("%d %v", status, ans)
	}
	a.Script("S: \\* 4 EXPUNGE\nC: done\nS: f OK\nC: g LOGOUT\nS: \\* BYE\nS: g OK\nEND")
}

// What somebody else has changed counts, also for a session that was not told of it yet:
// what it reads is marked again, and what was marked is expunged.
func TestNotYetTold(t *testing.T) {
	g := gatewaytest.Start(t)
	for i := range 3 {
		receive(t, g, simple(i+1))
	}
	a, b := login(t, g), login(t, g)
	b.Script("C: a SELECT INBOX\nS~ a OK\nC: b STORE 1:2 +FLAGS.SILENT (\\Seen)\nS: b OK")
	a.Script("C: a SELECT INBOX\nS~ a OK")
	b.Script("C: c STORE 1 -FLAGS.SILENT (\\Seen)\nS: c OK\nC: d STORE 2:3 +FLAGS.SILENT (\\Deleted)\nS: d OK")
	a.Script(`
		C: b FETCH 1 (BODY[TEXT])
		S: \* 1 FETCH \(BODY\[TEXT\] .*
		S~ b OK`)
	b.Script(`
		C: e NOOP
		S: \* 1 FETCH \(FLAGS \(\\Seen\)\)
		S: e OK
		C: f STORE 3 -FLAGS.SILENT (\Deleted)
		S: f OK
		C: g STORE 1 +FLAGS.SILENT (\Deleted)
		S: g OK`)
	a.Script(`
		C: c EXPUNGE
		S: \* 2 EXPUNGE
		S: \* 1 EXPUNGE
		S: \* 1 FETCH \(FLAGS \(\)\)
		S: c OK`)
}

// A key that ends closes its sessions, whatever they are doing.
func TestRevoked(t *testing.T) {
	g := gatewaytest.Start(t)
	receive(t, g, simple(1))
	_, k := g.Do("POST", "/api-keys", g.Keys.Account, `{"name":"short-lived"}`)
	var chats []*gatewaytest.Chat
	for _, last := range []string{"C: b NOOP\nS: b OK", "C: b IDLE\nS: \\+", "C: b APPEND Drafts {1000}\nS: \\+ \nC: Subject: half"} {
		c := g.Dial(t, "imaps")
		c.Script("S: \\* OK\nC: a LOGIN " + gatewaytest.Account + " " + k.Str("token") + "\nS: a OK\nC: s SELECT INBOX\nS~ s OK\n" + last)
		chats = append(chats, c)
	}
	began := time.Now()
	if status, a := g.Do("DELETE", "/api-keys/"+k.Str("id"), g.Keys.Account, nil); status != 200 {
		t.Fatalf("%d %v", status, a)
	}
	for _, c := range chats {
		c.Script("S: \\* BYE the API key has ended\nEND")
	}
	if took := time.Since(began); took > 20*time.Second { // they would last for half an hour
		t.Errorf("the sessions ended after %v", took)
	}
	if _, a := g.Do("GET", "/emails?folder=Drafts", g.Keys.Account, nil); a.At("total") != 0.0 {
		t.Errorf("the half message was stored: %v", a)
	}
}

// A stop says goodbye to those who idle, and lets a command finish.
func TestStop(t *testing.T) {
	g := gatewaytest.Start(t)
	idle, quiet, busy, early := login(t, g), login(t, g), login(t, g), g.Dial(t, "imap")
	early.Script("S: \\* OK")
	idle.Script("C: a IDLE\nS: \\+")
	busy.Script("C: a APPEND Drafts {12}\nS: \\+")
	stopped := make(chan struct{})
	go func() { defer close(stopped); g.Restart() }()
	for _, c := range []*gatewaytest.Chat{idle, quiet, early} {
		c.Script("S: \\* BYE\nEND")
	}
	busy.Raw("Subject: x\r\n\r\n")
	busy.Script("S: a OK \\[APPENDUID\nS: \\* BYE\nEND")
	<-stopped
	if _, a := g.Do("GET", "/emails?folder=Drafts", g.Keys.Account, nil); a.At("total") != 1.0 {
		t.Errorf("the draft: %v", a)
	}
}
