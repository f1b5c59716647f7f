package imapd_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/centerleap/postern/gateway/gatewaytest"
)

// letter is a message with these fields; an empty value leaves its field out.
func letter(from, to, cc, subject, date string, size int) string {
	var b strings.Builder
	for _, f := range [][2]string{{"From", from}, {"To", to}, {"Cc", cc}, {"Subject", subject}, {"Date", date}} {
		if f[1] != "" {
			b.WriteString(f[0] + ": " + f[1] + "\r\n")
		}
	}
	return b.String() + "\r\n" + strings.Repeat("x", size)
}

// SORT and ESORT with every key, RFC 5256, 5267 and 5957.
func TestSort(t *testing.T) {
	g := gatewaytest.Start(t)
	for _, m := range []string{
		letter("Zoe <bea@x.example>", "d@x.example", "m@x.example", "Re: [list] beta", "Mon, 23 Nov 2026 10:00:00 +0200", 300),
		letter("Ann <Cid@x.example>", "c@x.example", "", "Alpha", "Mon, 23 Nov 2026 09:00:00 +0000", 200),
		letter("abe@x.example", "=?utf-8?q?=C3=A4nne?= <b@x.example>", "a@x.example", "beta", "Mon, 23 Nov 2026 10:00:00 +0000", 900),
		letter("=?utf-8?q?=C3=84nne?= <dan@x.example>", "", "", "", "", 100),
	} {
		receive(t, g, m)
	}
	c := login(t, g)
	c.Script("C: a SELECT INBOX\nS~ a OK")
	for keys, want := range map[string]string{
		"CC": "2 4 3 1", "FROM": "3 1 2 4", "TO": "4 3 2 1", "SUBJECT": "4 2 1 3", "REVERSE SUBJECT": "1 3 2 4",
		"SIZE": "4 2 1 3", "REVERSE SIZE": "3 1 2 4", "DATE": "1 2 3 4", "reverse date": "4 3 2 1",
		"DISPLAYFROM": "3 2 4 1", "DISPLAYTO": "4 3 2 1", "SUBJECT REVERSE DATE": "4 2 3 1", "REVERSE SUBJECT SIZE": "1 3 2 4",
	} {
		c.Raw("x SORT (" + keys + ") UTF-8 ALL\r\n")
		if line, _ := c.Line(); line != "* SORT "+want {
			t.Errorf("SORT (%s): %q, want %q", keys, line, want)
		}
		c.Script("S: x OK SORT completed")
	}
	c.Script(`
		C: b STORE 1 +FLAGS.SILENT (\Deleted)
		S: b OK
		C: c EXPUNGE
		S: \* 1 EXPUNGE
		S: c OK
		C: d SORT (SIZE) US-ASCII SUBJECT "beta"
		S: \* SORT 2$
		S: d OK
		C: e UID SORT (SUBJECT) {5+}
		C: UTF-8 NOT (SMALLER 1 SEEN)
		S: \* SORT 4 2 3$
		S: e OK UID SORT completed
		C: f SORT RETURN (MIN MAX COUNT ALL) (SUBJECT) UTF-8 ALL
		S: \* ESEARCH \(TAG "f"\) MIN 3 MAX 2 ALL 3,1:2 COUNT 3$
		S: f OK
		C: g UID SORT RETURN () (REVERSE SIZE) UTF-8 LARGER 1
		S: \* ESEARCH \(TAG "g"\) UID ALL 3,2,4$
		S: g OK
		C: h SORT (SUBJECT) UTF-8 FLAGGED
		S: \* SORT$
		S: h OK
		C: i SORT (SUBJECT) KOI8-R ALL
		S: i NO \[BADCHARSET
		C: j SORT (NONSENSE) UTF-8 ALL
		S: j BAD
		C: k SORT (SUBJECT REVERSE) UTF-8 ALL
		S: k BAD
		C: l SORT () UTF-8 ALL
		S: l BAD
		C: m SORT (SUBJECT) UTF-8
		S: m BAD
		C: n SORT SUBJECT UTF-8 ALL
		S: n BAD
		C: o SORT (SUBJECT) UTF-8 NONSENSE
		S: o (BAD|NO)
		C: p SORT RETURN SUBJECT UTF-8 ALL
		S: p BAD
		C: q CLOSE
		S: q OK
		C: r SORT (SUBJECT) UTF-8 ALL
		S: r BAD`)
}

// ARRIVAL is INTERNALDATE, and a message without a readable Date is sorted by it.
func TestSortArrival(t *testing.T) {
	g := gatewaytest.Start(t)
	c := login(t, g)
	for i, date := range []string{"03-Feb-2024 10:00:00 +0000", "01-Feb-2024 10:00:00 +0000", "02-Feb-2024 10:00:00 +0000"} {
		body := letter("a@x.example", "", "", fmt.Sprint(i), "nonsense", 1)
		c.Raw(fmt.Sprintf("a APPEND Archive \"%s\" {%d+}\r\n%s\r\n", date, len(body), body))
		c.Script("S: a OK")
	}
	c.Script(`
		C: b EXAMINE Archive
		S~ b OK
		C: c SORT (ARRIVAL) UTF-8 ALL
		S: \* SORT 2 3 1$
		S: c OK
		C: d SORT (REVERSE DATE) UTF-8 ALL
		S: \* SORT 1 3 2$
		S: d OK`)
}

// answer is a message that refers to others.
func answer(id string, minute int, refs ...string) string {
	m := fmt.Sprintf("From: ann@x.example\r\nSubject: s%s\r\nMessage-ID: <%s@x.example>\r\nDate: Mon, 23 Nov 2026 10:%02d:00 +0000\r\n", id, id, minute)
	for i, r := range refs {
		refs[i] = "<" + r + "@x.example>"
	}
	if len(refs) > 0 {
		m += "References: " + strings.Join(refs, " ") + "\r\n"
	}
	return m + "\r\nx\r\n"
}

// THREAD shows the conversations of REST, with who answers whom.
func TestThread(t *testing.T) {
	g := gatewaytest.Start(t)
	for _, m := range []string{
		answer("a", 1),           // 1
		answer("b", 2, "a"),      // 2
		answer("c", 3, "a", "b"), // 3
		answer("d", 4, "a", "b"), // 4
		answer("e", 0),           // 5: another one, which began before
		answer("g", 9, "lost"),   // 6: two that answer what never came
		answer("h", 8, "lost"),   // 7
		answer("p", 20, "q"),     // 8: they refer to each other
		answer("q", 21, "p"),     // 9
		answer("r", 22, "r"),     // 10: to itself
		"Subject: no id\r\nDate: Mon, 23 Nov 2026 10:30:00 +0000\r\n\r\nx", // 11
	} {
		receive(t, g, m)
	}
	c := login(t, g)
	c.Script(`
		C: a SELECT INBOX
		S~ a OK
		C: b THREAD REFERENCES UTF-8 ALL
		S: \* THREAD \(5\)\(1 2 \(3\)\(4\)\)\(\(7\)\(6\)\)\(9 8\)\(10\)\(11\)$
		S: b OK THREAD completed
		C: c THREAD references US-ASCII NOT SUBJECT "sb"
		S: \* THREAD \(5\)\(1 \(3\)\(4\)\)\(\(7\)\(6\)\)
		S: c OK
		C: d STORE 1,5 +FLAGS.SILENT (\Deleted)
		S: d OK
		C: e EXPUNGE
		S: \* 5 EXPUNGE
		S: \* 1 EXPUNGE
		S: e OK
		C: f UID THREAD REFERENCES UTF-8 ALL
		S: \* THREAD \(2 \(3\)\(4\)\)\(\(7\)\(6\)\)
		S: f OK UID THREAD completed
		C: g THREAD REFERENCES UTF-8 2:3
		S: \* THREAD \(\(2\)\(3\)\)$
		S: g OK
		C: h THREAD REFERENCES UTF-8 FLAGGED
		S: \* THREAD$
		S: h OK
		C: i THREAD ORDEREDSUBJECT UTF-8 ALL
		S: i BAD
		C: j THREAD REFERENCES UTF-8
		S: j BAD
		C: k THREAD REFERENCES KOI8-R ALL
		S: k NO \[BADCHARSET`)
	ids := map[string]bool{}
	_, mails := g.Do("GET", "/emails?limit=50", g.Keys.Account, nil)
	for i := range 9 {
		ids[mails.Str(fmt.Sprintf("data.%d.thread_id", i))] = true
	}
	if c.Script("C: l THREAD REFERENCES UTF-8 ALL\nS: \\* THREAD \\(1 \\(2\\)\\(3\\)\\)\\(\\(5\\)\\(4\\)\\)\\(7 6\\)\\(8\\)\\(9\\)$\nS: l OK"); len(ids) != 5 || ids[""] {
		t.Errorf("REST has %d threads, THREAD 5", len(ids))
	}
}
