package imapd_test

import (
	"regexp"
	"slices"
	"testing"
)

// doorSeeds are conversations after the login, with INBOX selected.
func doorSeeds(t testing.TB) []string {
	seeds := []string{
		"", "a NOOP\r\n", "a FETCH 1:* (FLAGS BODY.PEEK[])\r\nb UID FETCH 1:4294967295 (ENVELOPE BODYSTRUCTURE)\r\n", "a IDLE\r\nDONE\r\nb NOOP\r\n", "a IDLE\r\nNOOP\r\n",
		"a APPEND INBOX {5}\r\nhello\r\nb NOOP\r\n", "a APPEND INBOX (\\Seen) {5+}\r\nhello\r\nb NOOP\r\n", "a STATUS {5}\r\nINBOX (MESSAGES)\r\nb NOOP\r\n", "a STATUS {5+}\r\nINBOX (MESSAGES)\r\nb LOGOUT\r\n",
		"a SEARCH OR LARGER 5 NOT (SUBJECT {1+}\r\nx 1:*)\r\nb UID SEARCH RETURN (SAVE) ALL\r\nc FETCH $ UID\r\n", "a LIST (SUBSCRIBED RECURSIVEMATCH) \"\" (% *) RETURN (STATUS (MESSAGES) CHILDREN)\r\nb LSUB \"\" *\r\n",
		"a STORE 1 +FLAGS.SILENT (\\Deleted $x)\r\nb EXPUNGE\r\nc CLOSE\r\nd SELECT INBOX\r\n", "a COPY 1 Trash\r\nb UID MOVE 1 Nowhere\r\n", "a FETCH 1 BODY[]<1.9223372036854775807>\r\n",
		"a SORT (REVERSE DATE) UTF-8 ALL\r\nb THREAD REFERENCES UTF-8 ALL\r\nc UID SORT RETURN (COUNT) (SUBJECT) US-ASCII TEXT x\r\n", "a GETQUOTAROOT INBOX\r\nb ID NIL\r\nc NAMESPACE\r\n",
		"a ENABLE CONDSTORE QRESYNC UTF8=ACCEPT\r\nb SELECT INBOX (QRESYNC (1 1 1:5))\r\nc UID FETCH 1:* FLAGS (CHANGEDSINCE 1 VANISHED)\r\nd STORE 1 (UNCHANGEDSINCE 1) FLAGS ()\r\n",
		"a AUTHENTICATE PLAIN\r\nb LOGIN x y\r\nc STARTTLS\r\nd UNAUTHENTICATE\r\n", "a CREATE &AOk-\r\nb CREATE &\r\nc RENAME &AOk- \"\\\"\"\r\nd DELETE \"\\\"\"\r\n", "{3+}\r\nx\r\n", " \r\n", "a\r\n", "a \r\n", "a (\r\n", "a UID\r\n",
		"a X {3}\r\nb NOOP\r\n", "a X {99999}\r\nb NOOP\r\n", "a \"x {3+}\r\nb NOOP\r\n", "a FETCH 1 (BODY[HEADER.FIELDS (\"a]\" b)]<0.5>)\r\n", "a APPEND INBOX UTF8 (~{2+}\r\nhi)\r\n",
	}
	return append(seeds, smuggling(t)...)
}

// FuzzDoor: whatever a client sends after its login, each command has one tagged
// answer or the connection ends, as a second reader has it; nothing inside a literal
// is a command, and the door is never at fault.
func FuzzDoor(f *testing.F) {
	in := newInside(f)
	for i := range 3 {
		receive(f, in.g, simple(i+1))
	}
	for _, s := range doorSeeds(f) {
		f.Add(s, uint16(0))
	}
	f.Fuzz(func(t *testing.T, sent string, at uint16) {
		if at == 0 {
			at = 1<<16 - 1
		}
		said := in.talk(t, sent, int(at))
		if err := (&judge{sent: sent, said: said}).hold(); err != nil {
			t.Errorf("%q: %v; the door said %q", sent, err, said)
		}
		if lines := in.log.take(); lines != nil {
			t.Errorf("%q: %s", sent, lines)
		}
	})
}

// However the bytes of a conversation are cut, each command has the same answer.
func TestEverySplit(t *testing.T) {
	in := newInside(t)
	receive(t, in.g, simple(1))
	changes := regexp.MustCompile("CREATE|EXPUNGE|UNCHANGEDSINCE") // what is done twice is answered otherwise
	answer := regexp.MustCompile(`(?m)^[a-z]+ (OK|NO|BAD)|^\+ |^\* BYE`)
	for _, s := range doorSeeds(t) {
		if s += "zz LOGOUT\r\n"; len(s) > 400 || changes.MatchString(s) {
			continue
		}
		want := answer.FindAllString(in.talk(t, s, len(s)), -1)
		for _, at := range []int{1, 2, 3, 7} {
			said := in.talk(t, s, at)
			if err := (&judge{sent: s, said: said}).hold(); err != nil {
				t.Errorf("%q by %d: %v; the door said %q", s, at, err, said)
			}
			if got := answer.FindAllString(said, -1); !slices.Equal(got, want) {
				t.Errorf("%q by %d: %q, whole: %q", s, at, got, want)
			}
		}
	}
}
