package imapd_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/centerleap/postern/gateway"
	"github.com/centerleap/postern/gateway/gatewaytest"
)

// The rules about mailboxes, each as a dialogue after login with two messages in the
// inbox. X in a pattern stands for what the line before it captured.
var rules = []struct{ name, script string }{
	{"INBOX is the same in any case, also as a level", `
		C: a SELECT iNbOx
		S~ a OK
		C: b CREATE inbox/Lists
		S: b OK
		C: c LIST "" InBoX/%
		S: \* LIST \(\\HasNoChildren\) "/" "?INBOX/Lists"?$
		S: c OK
		C: d STATUS Inbox/Lists (MESSAGES)
		S: \* STATUS "?INBOX/Lists"? \(MESSAGES 0\)
		S: d OK
		C: e LIST "" inbox%
		S: \* LIST \(\\HasChildren\) "/" "?INBOX"?$
		S: e OK`},
	{"INBOX can't be deleted, and no mailbox every account has", `
		C: a DELETE inbox
		S: a NO \[CANNOT\]
		C: b DELETE Sent
		S: b NO \[CANNOT\]
		C: c RENAME Trash Bin
		S: c NO \[CANNOT\]
		C: d STATUS INBOX (MESSAGES)
		S: \* STATUS "?INBOX"? \(MESSAGES 2\)
		S: d OK`},
	{"RENAME INBOX moves its messages and keeps it", `
		C: a CREATE INBOX/Below
		S: a OK
		C: b RENAME INBOX Old/Mail
		S: b OK
		C: c STATUS INBOX (MESSAGES UIDNEXT)
		S: \* STATUS "?INBOX"? \(MESSAGES 0 UIDNEXT 3\)
		S: c OK
		C: d STATUS Old/Mail (MESSAGES)
		S: \* STATUS "?Old/Mail"? \(MESSAGES 2\)
		S: d OK
		C: e LIST "" INBOX/*
		S: \* LIST .*"?INBOX/Below"?$
		S: e OK
		C: f RENAME INBOX Old
		S: f NO \[ALREADYEXISTS\]`},
	{"CREATE makes what is missing above, RFC 9051 section 6.3.4", `
		C: a CREATE a/b/c
		S: a OK
		C: b LIST "" a*
		S: \* LIST \(\\HasChildren\) "/" "?a"?$
		S: \* LIST \(\\HasChildren\) "/" "?a/b"?$
		S: \* LIST \(\\HasNoChildren\) "/" "?a/b/c"?$
		S: b OK
		C: c RENAME a/b x/y/z
		S: c OK
		C: d LIST "" (x* a*)
		S: \* LIST \(\\HasNoChildren\) "/" "?a"?$
		S: \* LIST \(\\HasChildren\) "/" "?x"?$
		S: \* LIST \(\\HasChildren\) "/" "?x/y"?$
		S: \* LIST \(\\HasChildren\) "/" "?x/y/z"?$
		S: \* LIST \(\\HasNoChildren\) "/" "?x/y/z/c"?$
		S: d OK`},
	{"DELETE keeps what stands below, whose level is shown", `
		C: a CREATE Work/2026
		S: a OK
		C: b DELETE Work
		S: b OK
		C: c LIST "" W%
		S: \* LIST \(\\HasChildren \\Noselect \\NonExistent\) "/" "?Work"?$
		S: c OK
		C: d LIST "" Work/%
		S: \* LIST .*"?Work/2026"?$
		S: d OK
		C: e SELECT Work
		S: e NO \[NONEXISTENT\]
		C: f DELETE Work
		S: f NO \[NONEXISTENT\]
		C: g LIST (SUBSCRIBED) "" W%
		S: g OK
		C: h LIST (SUBSCRIBED RECURSIVEMATCH) "" W%
		S: \* LIST \(\\HasChildren \\Noselect \\NonExistent\) "/" "?Work"? \("?CHILDINFO"? \("SUBSCRIBED"\)\)$
		S: h OK
		C: i LIST (SUBSCRIBED RECURSIVEMATCH) "" W*
		S: \* LIST \(\\HasNoChildren \\Subscribed\) "/" "?Work/2026"?$
		S: i OK
		C: j LSUB "" W%
		S: \* LSUB \(\\Noselect\) "/" "?Work"?$
		S: j OK
		C: k CREATE Work
		S: k OK`},
	{"UIDVALIDITY is never that of an earlier mailbox of the name", `
		C: a CREATE Again
		S: a OK
		C: b STATUS Again (UIDVALIDITY)
		S: \* STATUS "?Again"? \(UIDVALIDITY 7\)
		S: b OK
		C: c DELETE Again
		S: c OK
		C: d CREATE Again
		S: d OK
		C: e STATUS Again (UIDVALIDITY)
		S: \* STATUS "?Again"? \(UIDVALIDITY 8\)
		S: e OK
		C: f RENAME Again Then
		S: f OK
		C: g STATUS Then (UIDVALIDITY)
		S: \* STATUS "?Then"? \(UIDVALIDITY 8\)
		S: g OK
		C: h CREATE Again
		S: h OK
		C: i STATUS Again (UIDVALIDITY)
		S: \* STATUS "?Again"? \(UIDVALIDITY 9\)
		S: i OK`},
	{"UIDNEXT only grows", `
		C: a SELECT INBOX
		S~ \* OK \[UIDNEXT 3\]
		S~ a OK
		C: b STORE 1:* +FLAGS.SILENT \Deleted
		S: b OK
		C: c EXPUNGE
		S~ c OK
		C: d STATUS INBOX (MESSAGES UIDNEXT)
		S: \* STATUS "?INBOX"? \(MESSAGES 0 UIDNEXT 3\)
		S: d OK
		C: f APPEND INBOX {3+}
		C: x
		C:
		S: \* 1 EXISTS
		S: f OK \[APPENDUID 1 3\]`},
	{"the mailboxes of special use are there from the start", `
		C: a LIST (SPECIAL-USE) "" * RETURN (SPECIAL-USE)
		S: \* LIST \(\\HasNoChildren \\Sent\) "/" "?Sent"?$
		S: \* LIST \(\\HasNoChildren \\Drafts\) "/" "?Drafts"?$
		S: \* LIST \(\\HasNoChildren \\Trash\) "/" "?Trash"?$
		S: \* LIST \(\\HasNoChildren \\Junk\) "/" "?Junk"?$
		S: \* LIST \(\\HasNoChildren \\Archive\) "/" "?Archive"?$
		S: a OK
		C: b CREATE Sent2 (USE (\Sent))
		S: b NO \[USEATTR\]
		C: c CREATE 2026 (USE (\Archive))
		S: c OK
		C: d LIST (SPECIAL-USE) "" 2%
		S: \* LIST \(\\HasNoChildren \\Archive\) "/" "?2026"?$
		S: d OK
		C: e LIST "" Sent2
		S: e OK
		C: f CREATE Both (USE (\Archive \Junk))
		S: f NO \[USEATTR\]`},
	{"keywords are kept, in the spelling they came in", `
		C: a SELECT INBOX
		S~ a OK
		C: b STORE 1 +FLAGS ($Junk $NotJunk $Forwarded $MDNSent \Answered)
		S: \* 1 FETCH \(FLAGS \(\\Answered \$Junk \$NotJunk \$Forwarded \$MDNSent\)\)
		S: b OK
		C: c STORE 1 -FLAGS ($junk)
		S: \* 1 FETCH \(FLAGS \(\\Answered \$NotJunk \$Forwarded \$MDNSent\)\)
		S: c OK
		C: d SELECT INBOX
		S~ \* FLAGS \(.*\$NotJunk.*\)
		S: \* OK \[PERMANENTFLAGS \(.*\$NotJunk.* \\\*\)\]
		S~ d OK
		C: e SEARCH KEYWORD $forwarded
		S: \* SEARCH 1$
		S: e OK
		C: f STORE 1 +FLAGS (\Recent)
		S: f NO \[CANNOT\]`},
	{"EXAMINE changes nothing", `
		C: a EXAMINE INBOX
		S~ \* OK \[PERMANENTFLAGS \(\)\]
		S~ a OK \[READ-ONLY\]
		C: b STORE 1 +FLAGS \Deleted
		S: b NO \[CANNOT\]
		C: c UID STORE 1 +FLAGS \Deleted
		S: c NO \[CANNOT\]
		C: d EXPUNGE
		S: d NO \[CANNOT\]
		C: e UID EXPUNGE 1:*
		S: e NO \[CANNOT\]
		C: f MOVE 1 Trash
		S: f NO \[CANNOT\]
		C: g FETCH 1 BODY[TEXT]
		S: \* 1 FETCH \(BODY\[TEXT\] \{9\}
		S: hello 1
		S: \)$
		S: g OK
		C: h COPY 1 Archive
		S: h OK \[COPYUID
		C: i SELECT INBOX
		S~ i OK \[READ-WRITE\]
		C: j STORE 2 +FLAGS.SILENT \Deleted
		S: j OK
		C: k EXAMINE INBOX
		S~ k OK
		C: l CLOSE
		S: l OK
		C: m STATUS INBOX (MESSAGES UNSEEN)
		S: \* STATUS "?INBOX"? \(MESSAGES 2 UNSEEN 2\)
		S: m OK`},
	{"a subscription is of a mailbox, and goes with it", `
		C: a SUBSCRIBE Nowhere
		S: a NO \[NONEXISTENT\]
		C: b CREATE Mine
		S: b OK
		C: c UNSUBSCRIBE Mine
		S: c OK
		C: d LSUB "" M*
		S: d OK
		C: e LIST "" M* RETURN (SUBSCRIBED)
		S: \* LIST \(\\HasNoChildren\) "/" "?Mine"?$
		S: e OK
		C: f SUBSCRIBE Mine
		S: f OK
		C: g LSUB "" M*
		S: \* LSUB .*"?Mine"?$
		S: g OK
		C: h DELETE Mine
		S: h OK
		C: i LSUB "" M*
		S: i OK
		C: j UNSUBSCRIBE Mine
		S: j OK`},
	{"what a name may be", `
		C: a CREATE Trailing/
		S: a OK
		C: b STATUS Trailing (MESSAGES)
		S: \* STATUS
		S: b OK
		C: c CREATE ""
		S: c NO \[CLIENTBUG\]
		C: d CREATE /x
		S: d NO \[CLIENTBUG\]
		C: e CREATE x//y
		S: e NO \[CLIENTBUG\]
		C: f CREATE "a*"
		S: f NO \[CLIENTBUG\]
		C: g CREATE "&AAk-"
		S: g NO \[CLIENTBUG\]
		C: h CREATE "&AIU-"
		S: h NO \[CLIENTBUG\]
		C: i CREATE "&ICg-"
		S: i NO \[CLIENTBUG\]
		C: j CREATE "&AOk-/&-x"
		S: j OK
		C: k LIST "" &AOk-/*
		S: \* LIST .* "&AOk-/&-x"$
		S: k OK
		C: l CREATE "&broken"
		S: l (BAD|NO)
		C: m CREATE "` + strings.Repeat("n", 1024) + `"
		S: m OK
		C: n CREATE "` + strings.Repeat("n", 1025) + `"
		S: n NO \[CLIENTBUG\]
		C: o CREATE "p/` + strings.Repeat("n", 1000) + `"
		S: o OK
		C: p RENAME p "` + strings.Repeat("q", 100) + `"
		S: p NO \[CLIENTBUG\]
		C: q LIST "" p
		S: \* LIST \(\\HasChildren\) "/" "?p"?$
		S: q OK`},
	{"COPY and MOVE to the mailbox itself", `
		C: a SELECT INBOX
		S~ a OK
		C: b COPY 1 INBOX
		S: \* 3 EXISTS
		S: b OK \[COPYUID 1 1 3\]
		C: c FETCH 1:* UID
		S: \* 1 FETCH \(UID 1\)
		S: \* 2 FETCH \(UID 2\)
		S: \* 3 FETCH \(UID 3\)
		S: c OK
		C: d MOVE 1 inbox
		S: \* OK \[COPYUID 1 1 4\]
		S: \* 1 EXPUNGE
		S: \* 3 EXISTS
		S: d OK
		C: e UID SEARCH ALL
		S: \* SEARCH 2 3 4$
		S: e OK
		C: f MOVE 1 Nowhere
		S: f NO \[TRYCREATE\]`},
	{"APPEND keeps flags, date and keywords", `
		C: a APPEND Nowhere {3+}
		C: x
		C:
		S: a NO \[TRYCREATE\]
		C: b APPEND Archive (\Seen \Flagged $Junk) " 1-Feb-2024 10:00:00 +0100" {3+}
		C: x
		C:
		S: b OK \[APPENDUID 6 1\]
		C: c SELECT Archive
		S~ c OK
		C: d FETCH 1 (FLAGS INTERNALDATE)
		S: \* 1 FETCH \(FLAGS \(\\Flagged \\Seen \$Junk\) INTERNALDATE " 1-Feb-2024 09:00:00 \+0000"\)
		S: d OK
		C: e APPEND Archive (\Recent) {3+}
		C: x
		C:
		S: e NO \[CANNOT\]`},
	{"STATUS of the mailbox that is selected", `
		C: a SELECT INBOX
		S~ a OK
		C: b STORE 1 +FLAGS.SILENT (\Seen \Deleted)
		S: b OK
		C: c STATUS INBOX (MESSAGES UNSEEN DELETED UIDNEXT UIDVALIDITY SIZE RECENT APPENDLIMIT)
		S: \* STATUS "?INBOX"? \(MESSAGES 2 UIDNEXT 3 UIDVALIDITY 1 UNSEEN 1 DELETED 1 SIZE [1-9][0-9]+ APPENDLIMIT 52428800 RECENT 0\)
		S: c OK`},
}

func TestMailboxRules(t *testing.T) {
	for _, tt := range rules {
		t.Run(tt.name, func(t *testing.T) {
			g := gatewaytest.Start(t)
			receive(t, g, simple(1))
			receive(t, g, simple(2))
			login(t, g).Script(tt.script)
		})
	}
}

// Who is in a mailbox that somebody deletes hears that it is gone, not that another is
// missing.
func TestCopyFromDeleted(t *testing.T) {
	for _, verb := range []string{"COPY", "MOVE"} {
		g := gatewaytest.Start(t)
		receive(t, g, simple(1))
		reader, owner := login(t, g), login(t, g)
		owner.Script("C: a CREATE Box\nS: a OK\nC: b SELECT INBOX\nS~ b OK\nC: c COPY 1 Box\nS: c OK")
		reader.Script("C: a SELECT Box\nS~ a OK")
		owner.Script("C: d DELETE Box\nS: d OK")
		reader.Script("C: b " + verb + " 1 INBOX\nS~ b NO\nS: \\* BYE the mailbox was deleted\nEND")
	}
}

// Who deletes the mailbox that it has selected is told that it did, and then that the session
// ends.
func TestDeleteSelected(t *testing.T) {
	g := gatewaytest.Start(t)
	c := login(t, g)
	c.Script("C: a CREATE Box\nS: a OK\nC: b SELECT Box\nS~ b OK\nC: c DELETE Box\nS: c OK\nS: \\* BYE the mailbox was deleted\nEND")
}

// A mailbox has at most 128 keywords; PERMANENTFLAGS says whether there is room.
func TestKeywordLimit(t *testing.T) {
	g := gatewaytest.Start(t)
	receive(t, g, simple(1))
	receive(t, g, simple(2))
	names := func(from, to int) string {
		var b strings.Builder
		for i := from; i < to; i++ {
			fmt.Fprintf(&b, " k%d", i)
		}
		return b.String()[1:]
	}
	c := login(t, g)
	c.Script("C: a SELECT INBOX\nS~ a OK\nC: b STORE 1 +FLAGS.SILENT (" + names(0, 64) + ")\nS: b OK\n" +
		"C: c STORE 2 +FLAGS.SILENT (" + names(64, 127) + ")\nS: c OK\nC: d SELECT INBOX\nS~ \\* OK \\[PERMANENTFLAGS .* \\\\\\*\\)\\]\nS~ d OK\n" +
		"C: e STORE 2 +FLAGS.SILENT (k127)\nS: e OK\nC: f STORE 2 +FLAGS (k128)\nS: f NO \\[LIMIT\\]\n" +
		"C: k APPEND INBOX (k128) {1+}\nC: x\nS: k NO \\[LIMIT\\]\nC: k STORE 2 -FLAGS.SILENT (k9)\nS: k OK\n" +
		"C: g STORE 2 +FLAGS.SILENT (K0 \\Seen)\nS~ g OK\nC: h SELECT INBOX\nS~ \\* OK \\[PERMANENTFLAGS .*k127\\)\\]\nS~ h OK\n" +
		"C: i STORE 1 FLAGS.SILENT ()\nS: i OK\nC: j STORE 1 +FLAGS (k128)\nS: \\* 1 FETCH \\(FLAGS \\(k128\\)\nS~ j OK")
}

// REST's labels are those keywords, and held to the same limit.
func TestLabelLimit(t *testing.T) {
	g := gatewaytest.Start(t, gatewaytest.Limit("keywords", "1"))
	receive(t, g, simple(1))
	for _, tt := range []struct {
		label string
		want  int
	}{{"a", 200}, {"A", 200}, {"b", 422}} {
		status, a := g.Do("PATCH", "/emails/1", g.Keys.Account, `{"add_labels":["`+tt.label+`"]}`)
		if status != tt.want || tt.want == 422 && a.Str("message") != gateway.ErrKeywords.Message {
			t.Errorf("label %s: %d %v, want %d", tt.label, status, a, tt.want)
		}
	}
	c := login(t, g)
	c.Script("C: a SELECT INBOX\nS~ a OK\nC: b STORE 1 FLAGS (b)\nS: b NO \\[LIMIT\\]\nC: c STORE 1 FLAGS ()\nS~ c OK\nC: d STORE 1 FLAGS (b)\nS: \\* 1 FETCH \\(FLAGS \\(b\\)\nS~ d OK")
}

// What a client was told of UIDs holds after the process has ended.
func TestUIDsAreDurable(t *testing.T) {
	g := gatewaytest.Start(t)
	receive(t, g, simple(1))
	c := login(t, g)
	c.Script("C: a CREATE Kept\nS: a OK\nC: b SELECT INBOX\nS~ \\* OK \\[UIDNEXT 2\\]\nS~ b OK\nC: c COPY 1 Kept\nS: c OK \\[COPYUID 7 1 1\\]\n" +
		"C: d STORE 1 +FLAGS.SILENT \\Deleted\nS: d OK\nC: e EXPUNGE\nS: \\* 1 EXPUNGE\nS: e OK")
	g.Restart()
	c = login(t, g)
	c.Script("C: a STATUS INBOX (UIDNEXT UIDVALIDITY)\nS: \\* STATUS \"?INBOX\"? \\(UIDNEXT 2 UIDVALIDITY 1\\)\nS: a OK\n" +
		"C: b STATUS Kept (UIDNEXT UIDVALIDITY MESSAGES)\nS: \\* STATUS \"?Kept\"? \\(MESSAGES 1 UIDNEXT 2 UIDVALIDITY 7\\)\nS: b OK\n" +
		"C: c CREATE Next\nS: c OK\nC: d STATUS Next (UIDVALIDITY)\nS: \\* STATUS \"?Next\"? \\(UIDVALIDITY 8\\)\nS: d OK")
}

// REST and IMAP name a message alike: uid and folder are UID and mailbox.
func TestRESTNamesTheSame(t *testing.T) {
	g := gatewaytest.Start(t)
	for i := range 3 {
		receive(t, g, simple(i+1))
	}
	c := login(t, g)
	c.Script("C: a CREATE Work/2026\nS: a OK\nC: b SELECT INBOX\nS~ b OK\nC: c MOVE 3,1 Work/2026\nS~ c OK")
	for folder, want := range map[string][]int{"INBOX": {2}, "Work/2026": {1, 2}} {
		c.Script("C: d EXAMINE " + folder + "\nS~ d OK")
		for n, uid := range want {
			subject := map[string]string{"INBOX1": "number 2", "Work/20261": "number 1", "Work/20262": "number 3"}[fmt.Sprint(folder, n+1)]
			status, a := g.Do("GET", fmt.Sprintf("/emails/%d?folder=%s", uid, folder), g.Keys.Account, nil)
			if status != 200 || a.Str("subject") != subject || a.At("uid") != float64(uid) || a.Str("folder") != folder {
				t.Errorf("REST: UID %d of %s is %d %v %v %v", uid, folder, status, a.Str("subject"), a.At("uid"), a.Str("folder"))
			}
			c.Script(fmt.Sprintf("C: e UID FETCH %d BODY.PEEK[HEADER.FIELDS (SUBJECT)]\nS: \\* %d FETCH \\(UID %d .*\nS: Subject: %s$\nS~ e OK", uid, n+1, uid, subject))
		}
	}
}
