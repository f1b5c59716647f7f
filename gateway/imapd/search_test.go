package imapd_test

import (
	"crypto/tls"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/centerleap/postern/gateway/gatewaytest"
)

// The day of a Date field counts as it stands there, in its own zone.
func TestSearchZones(t *testing.T) {
	g := gatewaytest.Start(t)
	for _, date := range []string{"Tue, 01 Jan 2019 00:30:00 +0200", "Tue, 01 Jan 2019 23:30:00 -0500", "Tue, 01 Jan 2019 12:00:00 +0000", "never"} {
		receive(t, g, "From: a@b.example\r\nDate: "+date+"\r\n\r\nx")
	}
	c := login(t, g)
	c.Script("C: a SELECT INBOX\nS~ a OK")
	for key, want := range map[string]string{
		"SENTON 1-Jan-2019": " 1 2 3", "SENTON 31-Dec-2018": "", "SENTON 2-Jan-2019": "", "SENTBEFORE 1-Jan-2019": "",
		"SENTSINCE 1-Jan-2019": " 1 2 3", "SENTSINCE 2-Jan-2019": "", "NOT SENTSINCE 1-Jan-1980": " 4",
	} {
		c.Raw("x SEARCH " + key + "\r\n")
		if line, _ := c.Line(); line != "* SEARCH"+want {
			t.Errorf("SEARCH %s: %q, want %q", key, line, want)
		}
		c.Script("S: x OK")
	}
}

// $ is what was asked to be saved, and nothing after a search that failed: RFC 5182
// section 2.1.
func TestSearchSave(t *testing.T) {
	g := gatewaytest.Start(t, gatewaytest.Limit("search_seconds", "1"))
	long := "RETURN (SAVE)" + strings.Repeat(" NOT BODY nothing", 1000)
	receive(t, g, "Subject: long\r\n\r\n"+strings.Repeat("some words\r\n", 400_000))
	for i := range 3 {
		receive(t, g, simple(i+1))
	}
	c := login(t, g)
	c.Script("C: a SELECT INBOX\nS~ a OK")
	for _, tt := range []struct{ search, saved string }{
		{"RETURN (SAVE) 2:3", " 2 3"},
		{"RETURN (SAVE ALL) 2:3", " 2 3"},
		{"RETURN (SAVE MIN) 2:4", " 2"},
		{"RETURN (SAVE MAX) 2:4", " 4"},
		{"RETURN (SAVE MIN MAX) 2:4", " 2 4"},
		{"RETURN (SAVE MIN COUNT) 2:4", " 2 3 4"},
		{"RETURN (SAVE MIN) 9:9", ""},
		{"RETURN (SAVE) 2", " 2"},
		{"RETURN (MIN) 3", " 2"},
		{long, ""}, // out of time
	} {
		c.Raw("x SEARCH " + tt.search + "\r\n")
		if tt.search == long {
			c.Script(`S: x NO \[LIMIT\] the search takes too long; narrow it`)
		} else {
			c.Script("S~ x OK")
		}
		c.Raw("y SEARCH $\r\n")
		if line, _ := c.Line(); line != "* SEARCH"+tt.saved {
			t.Errorf("after %.40s: %q, want %q", tt.search, line, tt.saved)
		}
		c.Script("S: y OK")
	}
}

// What can't be searched for is refused, and the session goes on.
func TestSearchRefused(t *testing.T) {
	g := gatewaytest.Start(t)
	receive(t, g, simple(1))
	c := login(t, g)
	c.Script("C: a SELECT INBOX\nS~ a OK")
	for _, tt := range []struct{ search, want string }{
		{"CHARSET KOI8-R SUBJECT x", `x NO \[BADCHARSET \(US-ASCII UTF-8\)\]`},
		{"CHARSET US-ASCII SUBJECT number", `\* SEARCH 1`},
		{strings.Repeat("NOT ", 49) + "SEEN", `\* SEARCH 1`},
		{strings.Repeat("NOT ", 50) + "SEEN", `x NO \[LIMIT\] the search is nested too deep`},
		{"OR " + strings.Repeat("NOT ", 50) + "SEEN ALL", `x NO \[LIMIT\] the search is nested too deep`},
		{"SEEN UNSEEN", `\* SEARCH$`},
		{`BODY ""`, `\* SEARCH 1`},
		{`NOT TEXT ""`, `\* SEARCH$`},
		{`SUBJECT ""`, `\* SEARCH 1`},
		{`CC ""`, `\* SEARCH$`},
	} {
		c.Raw("x SEARCH " + tt.search + "\r\n")
		c.Script("S: " + tt.want)
		if !strings.HasPrefix(tt.want, "x ") {
			c.Script("S: x OK")
		}
	}
}

// After ENABLE UTF8=ACCEPT a SEARCH names no charset, RFC 6855 section 3; SORT, whose
// grammar has one, does, and so does a SEARCH under IMAP4rev2.
func TestSearchCharset(t *testing.T) {
	g := gatewaytest.Start(t)
	receive(t, g, simple(1))
	c := login(t, g)
	c.Script("C: a ENABLE IMAP4rev2\nS~ a OK\nC: b SELECT INBOX\nS~ b OK\nC: c SEARCH CHARSET UTF-8 ALL\nS: \\* ESEARCH .* ALL 1\nS: c OK\n" +
		"C: d ENABLE UTF8=ACCEPT\nS~ d OK")
	for send, want := range map[string]string{
		"SEARCH CHARSET UTF-8 ALL": "BAD", "UID SEARCH CHARSET UTF-8 ALL": "BAD", "SEARCH RETURN (MIN) CHARSET UTF-8 ALL": "BAD",
		"SEARCH ALL": "OK", "SEARCH SUBJECT CHARSET": "OK", "SORT (DATE) UTF-8 ALL": "OK", "THREAD REFERENCES UTF-8 ALL": "OK",
	} {
		c.Raw("x " + send + "\r\n")
		c.Script("S~ x " + want)
	}
}

// SORT and THREAD have the time of one search, together with what they search for.
func TestSortTime(t *testing.T) {
	g := gatewaytest.Start(t, gatewaytest.Limit("search_seconds", "1"))
	receive(t, g, "Subject: long\r\n\r\n"+strings.Repeat("some words\r\n", 400_000))
	c := login(t, g)
	c.Script("C: a SELECT INBOX\nS~ a OK")
	for _, verb := range []string{"SORT (DATE) UTF-8", "UID SORT (DATE) UTF-8", "THREAD REFERENCES UTF-8"} {
		c.Raw("x " + verb + strings.Repeat(" NOT BODY nothing", 1000) + "\r\n")
		c.Script("S: x NO \\[LIMIT\\] the search takes too long; narrow it\nC: y NOOP\nS: y OK")
	}
}

// A client that has said its last, and still reads, gets its answer.
func TestSearchOfOneWhoOnlyListens(t *testing.T) {
	g := gatewaytest.Start(t, gatewaytest.Limit("search_seconds", "30000"))
	receive(t, g, "Subject: long\r\n\r\n"+strings.Repeat("some words\r\n", 400_000))
	c := login(t, g)
	c.Script("C: a SELECT INBOX\nS~ a OK")
	c.Raw("b SEARCH" + strings.Repeat(" NOT BODY nothing", 40) + "\r\n")
	if err := c.Conn.(*tls.Conn).CloseWrite(); err != nil {
		t.Fatal(err)
	}
	c.Script("S~ \\* SEARCH 1$\nS: b OK\nEND")
}

// A search does not hold up a stop: its client is told that it was given up.
func TestSearchAtStop(t *testing.T) {
	g := gatewaytest.Start(t, gatewaytest.Limit("search_seconds", "30000"))
	receive(t, g, "Subject: long\r\n\r\n"+strings.Repeat("some words\r\n", 400_000))
	c := login(t, g)
	c.Script("C: a SELECT INBOX\nS~ a OK")
	c.Raw("x SEARCH" + strings.Repeat(" NOT BODY nothing", 2000) + "\r\n") // it would take minutes
	gatewaytest.Eventually(t, "it searches", searching)
	g.Stop()
	nobodyCut(t, g)
	c.Script("S: x NO \\[UNAVAILABLE\\] the server is shutting down\nS: \\* BYE the server is shutting down\nEND")
}

// searching reports whether somebody searches.
func searching() bool {
	stacks := make([]byte, 1<<20)
	return strings.Contains(string(stacks[:runtime.Stack(stacks, true)]), "mailbox.(*View).Search(")
}

// A search does not go on for a client that has left, although nothing is read from it
// meanwhile; what a client sends ahead is kept.
func TestSearchOfOneWhoLeaves(t *testing.T) {
	g := gatewaytest.Start(t, gatewaytest.Limit("search_seconds", "30000"))
	receive(t, g, "Subject: long\r\n\r\n"+strings.Repeat("some words\r\n", 400_000))
	c := login(t, g)
	c.Script("C: a SELECT INBOX\nS~ a OK")
	c.Raw("b SEARCH NOT BODY nothing\r\nc NOOP\r\nd SEARCH NOT BODY nothing\r\n")
	c.Script("S: \\* SEARCH 1\nS: b OK\nS: c OK\nS: \\* SEARCH 1\nS: d OK")
	c.Raw("x SEARCH" + strings.Repeat(" NOT BODY nothing", 2000) + "\r\n")
	gatewaytest.Eventually(t, "it searches", searching)
	_ = c.Conn.Close()
	left := time.Now()
	gatewaytest.Eventually(t, "the search ends", func() bool { return !searching() })
	if took := time.Since(left); took > 20*time.Second { // the whole of it takes minutes
		t.Errorf("the search ended after %v", took)
	}
}
