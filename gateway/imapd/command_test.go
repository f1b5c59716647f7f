package imapd

import (
	"bufio"
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/centerleap/postern/gateway"
	"github.com/centerleap/postern/gateway/mailbox"
)

// testBounds are those of a user, with small messages.
var testBounds = userBounds(gateway.Limits{MessageBytes: 1000})

func parse(in string) (*command, string, error) {
	r := bufio.NewReader(strings.NewReader(in))
	c, err := readCommand(r, testBounds, func() error { return nil })
	rest, _ := r.ReadString(0)
	return c, rest, err
}

// FuzzCommand: what is understood is printed as one line without a literal, and
// reads back the same; what is refused and announced a literal is fatal.
func FuzzCommand(f *testing.F) {
	for _, s := range []string{
		"a NOOP\r\n", "a LOGIN \"x\\\"y\" {3}\r\nabc\r\n", "a FETCH 1:* (FLAGS BODY[HEADER.FIELDS (\"a]\" b)]<0.5>)\r\n",
		"a APPEND x (\\Seen) \"01-Feb-2024 10:00:00 +0100\" {5+}\r\nhello\r\n", "a APPEND x UTF8 (~{2}\r\nhi)\r\n", "a X {99999+}\r\n",
		"a SELECT x (CONDSTORE QRESYNC (1 2 3:4 (5 6)))\r\n", "a UID FETCH 1:* (MODSEQ EMAILID) (CHANGEDSINCE 1 VANISHED)\r\n", "a STORE 1 (UNCHANGEDSINCE 3) FLAGS ()\r\n",
		"a SEARCH OR MODSEQ \"/flags/x\" all 5 EMAILID {1}\r\nx\r\n", "a LIST \"\" * RETURN (STATUS (MAILBOXID))\r\n", "a STATUS {1}\r\nx (HIGHESTMODSEQ)\r\n", "a GETQUOTAROOT {2}\r\na\"\r\n", "a ENABLE QRESYNC x\r\n",
		"a (((\r\n", "a \"\r\n", "\r\n", "a UID\r\n", "a SEARCH RETURN (ALL) LARGER 5\r\n", "a SEARCH OR LARGER 5 NOT SMALLER 6\r\n",
	} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, in string) {
		c, _, err := parse(in)
		if r := (refusal{}); errors.As(err, &r) {
			if strings.ContainsAny(r.tag+r.text, "\r\n") {
				t.Fatalf("%q is refused with %q", in, r.tag+r.text)
			}
			return
		}
		if err != nil {
			return
		}
		if _, err := rewrite(c, offersWithout(nil)); err != nil {
			if strings.ContainsAny(err.Error(), "\r\n") {
				t.Fatalf("%q is refused with %q", in, err)
			}
			return
		}
		out := c.String()
		line := strings.TrimSuffix(out, "\r\n")
		if strings.ContainsAny(line, "\r\n\x00") {
			t.Fatalf("%q became more than a line: %q", in, out)
		}
		if c.message >= 0 {
			line = line[:strings.LastIndexByte(line, '{')]
		}
		again, rest, err := parse(strings.TrimRight(line, " ") + "\r\n")
		if err != nil || rest != "" || again.name != c.name || !slices.Equal(again.args, c.args) {
			t.Fatalf("%q became %q, which reads as %+v, %q, %v; not as %+v", in, out, again, rest, err, c)
		}
	})
}

// FuzzMatches: the LIST matcher agrees with the plainest one there is.
func FuzzMatches(f *testing.F) {
	f.Add("*", "a/b")
	f.Add("%/b*", "a/b")
	f.Fuzz(func(t *testing.T, pattern, name string) {
		if len(pattern) > 12 || len(name) > 20 {
			return
		}
		want := slow(pattern, name)
		if strings.EqualFold(pattern, "INBOX") {
			want = name == "INBOX"
		}
		if got := matches(pattern, name); got != want {
			t.Errorf("matches(%q, %q) = %t", pattern, name, got)
		}
	})
}

func slow(pattern, name string) bool {
	if pattern == "" {
		return name == ""
	}
	switch pattern[0] {
	case '*', '%':
		for i := 0; i <= len(name); i++ {
			if slow(pattern[1:], name[i:]) {
				return true
			}
			if i < len(name) && name[i] == '/' && pattern[0] == '%' {
				return false
			}
		}
		return false
	}
	return name != "" && name[0] == pattern[0] && slow(pattern[1:], name[1:])
}

func TestAppendSet(t *testing.T) {
	for want, list := range map[string][]uint32{"": nil, "7": {7}, "1:3": {1, 2, 3}, "1,3:4,9": {1, 3, 4, 9}} {
		if got := string(appendSet(nil, list)); got != want {
			t.Errorf("%v is %q, want %q", list, got, want)
		}
	}
}

func TestSpanCut(t *testing.T) {
	s := mailbox.Span{At: 10, Size: 5}
	for in, want := range map[[2]int64]mailbox.Span{
		{0, 5}: s, {2, 100}: {At: 12, Size: 3}, {5, 1}: {At: 15}, {99, 1}: {At: 15}, {1, 1 << 62}: {At: 11, Size: 4}, {-1, -1}: {At: 10},
	} {
		if got := s.Cut(in[0], in[1]); got != want {
			t.Errorf("Cut(%v) = %v, want %v", in, got, want)
		}
	}
}
