package imapread

import (
	"errors"
	"io"
	"strings"
	"testing"
)

func TestNext(t *testing.T) {
	r := NewReader(strings.NewReader("* 2 FETCH (UID 7 FLAGS (\\Seen a) BODY[1]<0> {3}\r\n)\r\n RFC822.SIZE 4)\r\n" +
		"* VANISHED (EARLIER) 3:5,9\r\nx1 OK [UIDNEXT 4] done\r\n* ESEARCH (TAG \"x\") UID COUNT 2 ALL 1,4\r\n* STATUS \"a b\" (MESSAGES 2)\r\n"))
	one, err := r.Next()
	if err != nil || one.Number != 2 || one.Fetch.UID != 7 || len(one.Fetch.Flags) != 2 || one.Fetch.Sections["BODY[1]<0>"] != ")\r\n" || one.Fetch.Size != 4 {
		t.Errorf("%+v, %v", one, err)
	}
	two, err := r.Next()
	if err != nil || !two.Earlier || len(two.Numbers) != 4 {
		t.Errorf("%+v, %v", two, err)
	}
	three, err := r.Next()
	if err != nil || three.Tag != "x1" || three.Code != "UIDNEXT 4" || three.Text != "done" {
		t.Errorf("%+v, %v", three, err)
	}
	four, err := r.Next()
	if err != nil || four.For != "x" || !four.UID || four.Search["COUNT"] != 2 || len(four.Numbers) != 2 {
		t.Errorf("%+v, %v", four, err)
	}
	five, err := r.Next()
	if err != nil || five.Mailbox != "a b" || five.Status["MESSAGES"] != 2 {
		t.Errorf("%+v, %v", five, err)
	}
	if _, err := r.Next(); !errors.Is(err, io.EOF) {
		t.Errorf("the end: %v", err)
	}
}

// What the grammar does not allow is an error.
func TestMalformed(t *testing.T) {
	for _, raw := range []string{
		"* 1 EXISTS \r\n", "*  1 EXISTS\r\n", "* 0 EXPUNGE\r\n", "* 1 FETCH ()\r\n", "* 1 FETCH (UID 0)\r\n", "* 1 FETCH (UID 1 )\r\n",
		"* 1 FETCH (UID 1  FLAGS ())\r\n", "* 1 FETCH (UID 1 UID 1)\r\n", "* 1 FETCH (FLAGS (\\Seen \\seen))\r\n", "* 1 FETCH (FLAGS ( a))\r\n",
		"* 1 FETCH (NONSENSE 1)\r\n", "* NONSENSE\r\n", "x NONSENSE done\r\n", "x OK\r\n", "* OK \x80\r\n", "* SEARCH 0\r\n", "* SEARCH 1 \r\n",
		"* VANISHED 3,3\r\n", "* VANISHED *\r\n", "* STATUS a (MESSAGES -1)\r\n", "* OK [] x\r\n", "* 1 FETCH (BODY[] \"a\x00b\")\r\n",
		"* 1 FETCH (BODY[] \"\\x\")\r\n", "* 1 FETCH (INTERNALDATE \"2026\")\r\n", "* 1 FETCH (EMAILID (a b))\r\n", "* 1 EXISTS\n",
	} {
		var bad *MalformedError
		if r, err := NewReader(strings.NewReader(raw)).Next(); !errors.As(err, &bad) {
			t.Errorf("%q was read as %+v, %v", raw, r, err)
		}
	}
	for _, raw := range []string{
		"()", `("text" "plain" NIL NIL NIL "7bit" 1)`, `("text" "plain" NIL NIL NIL NIL 1 1)`, `("text" "plain" () NIL NIL "7bit" 1 1)`,
		`("multipart" "mixed" NIL NIL NIL "7bit" 1)`, `(("text" "plain" NIL NIL NIL "7bit" 1 1) "mixed" )`, `(("text" "plain" NIL NIL NIL "7bit" 1 1))`,
	} {
		if p, err := ParseBody([]byte(raw), false); err == nil {
			t.Errorf("%q was read as %+v", raw, p)
		}
	}
}

func TestWalk(t *testing.T) {
	const text = `("text" "plain" NIL NIL NIL "7bit" 1 1)`
	message := func(inner string) string {
		return `("message" "rfc822" NIL NIL NIL "7bit" 9 (NIL NIL NIL NIL NIL NIL NIL NIL NIL NIL) ` + inner + ` 3)`
	}
	for raw, want := range map[string]string{
		text:                            "1",
		"(" + text + text + ` "mixed")`: "1 2",
		message(text):                   "1 1.1",
		message(message(text)):          "1 1.1 1.1.1",
		"(" + text + message("("+text+text+` "mixed")`) + ` "mixed")`: "1 2 2.1 2.2",
		`((` + text + ` "alternative")` + message(text) + ` "mixed")`: "1 1.1 2 2.1",
	} {
		p, err := ParseBody([]byte(raw), false)
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		p.Walk(func(n string, _ *Part) { got = append(got, n) })
		if strings.Join(got, " ") != want {
			t.Errorf("%s: %q, want %q", raw, got, want)
		}
	}
}
