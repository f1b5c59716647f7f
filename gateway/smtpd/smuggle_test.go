package smtpd

import (
	"bytes"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/centerleap/postern/gateway/content"
)

// around are all sequences of up to three of CR, LF, CRLF and NUL.
func around() (all []string) {
	all = []string{""}
	for from := 0; len(all) < 1+4+16+64; {
		end := len(all)
		for _, s := range all[from:end] {
			for _, c := range []string{"\r", "\n", "\r\n", "\x00"} {
				all = append(all, s+c)
			}
		}
		from = end
	}
	slices.Sort(all)
	return slices.Compact(all) // CR, LF is CRLF
}

// strict is a reader of SMTP that knows one end of a line and one end of a
// message, and gives up at the first byte that could be either to somebody else.
// It takes what follows 354 and returns the messages in it.
func strict(in string, lenient bool) (mails []string) {
	at := strings.Index("\r\n"+in, "\r\n.\r\n")
	if at < 0 {
		return nil
	}
	data, rest := in[:at], in[at+3:]
	if !clean(data+".\r\n", lenient) {
		return nil
	}
	mails = append(mails, strings.ReplaceAll("\r\n"+data, "\r\n.", "\r\n")[2:])
	for {
		line, after, ok := strings.Cut(rest, "\r\n")
		if !ok || strings.ContainsAny(line, "\r\x00") || strings.Contains(line, "\n") {
			return mails
		}
		rest = after
		var n int
		if got, _ := fmt.Sscanf(line, "BDAT %d LAST", &n); got == 1 {
			if n > len(rest) || !cleanChunk(rest[:n], lenient) {
				return mails
			}
			mails = append(mails, rest[:n])
			rest = rest[n:]
		}
	}
}

// clean reports whether all line ends are CRLF; lenient lets LF stand where no dot
// stands alone before it.
func clean(s string, lenient bool) bool {
	if lenient {
		for line := range strings.SplitSeq("\r\n"+s, "\r\n") {
			if strings.HasPrefix(line, ".\n") {
				return false
			}
		}
	}
	return cleanChunk(s, lenient)
}

// cleanChunk is clean where a dot means nothing.
func cleanChunk(s string, lenient bool) bool {
	s = strings.ReplaceAll(s, "\r\n", "")
	return !strings.ContainsAny(s, "\r\x00") && (lenient || !strings.Contains(s, "\n"))
}

const smuggled = "MAIL FROM:<evil@here.test>\r\nRCPT TO:<bot@here.test>\r\nBDAT 10 LAST\r\nsmuggled\r\n"

// Smuggling: with anything around a dot, in DATA and in BDAT, at every door, each
// message is one that a strict reader finds, byte by byte; and those that hold
// nothing suspicious do arrive.
func TestSmuggling(t *testing.T) {
	s := newStage(t, nil)
	defer s.stop()
	sides := around()
	for _, way := range []struct {
		door   string
		secure bool
	}{{"mx", false}, {"mx", true}, {"submission", true}, {"submissions", true}} {
		for _, chunked := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s, TLS %t, BDAT %t", way.door, way.secure, chunked), func(t *testing.T) {
				accepted, step := 0, 1
				if way.secure && way.door == "mx" || raceEnabled {
					step = 7 // the bytes are looked at above TLS: by the same code
				}
				for i := 0; i < len(sides)*len(sides); i += step {
					accepted += s.smuggle(t, way.door, way.secure, chunked, sides[i/len(sides)], sides[i%len(sides)])
				}
				if accepted == 0 {
					t.Error("nothing was accepted; the test tests nothing")
				}
			})
		}
	}
}

// smuggle tries one pair and returns how many messages were accepted.
func (s *stage) smuggle(t *testing.T, door string, secure, chunked bool, before, after string) int {
	lenient := door != "mx"
	payload := "From: a@here.test\r\n\r\nbody" + before + "." + after + smuggled + ".\r\n"
	c := s.enter(t, door, secure)
	c.ask("MAIL FROM:<a@here.test>", "250")
	c.ask("RCPT TO:<bot@here.test>", "250")
	var want []string
	if chunked {
		if cleanChunk(payload, lenient) {
			want = []string{payload}
		}
		c.rest(fmt.Sprintf("BDAT %d LAST\r\n%sQUIT\r\n", len(payload), payload))
	} else {
		want = strict(payload+"QUIT\r\n", lenient)
		c.ask("DATA", "354")
		c.rest(payload + "QUIT\r\n")
	}
	var got []string
	for _, m := range s.taken() {
		got = append(got, m.body)
	}
	if !slices.Equal(got, want) {
		t.Errorf("%q . %q: the flow was given %q, a strict reader finds %q", before, after, got, want)
	}
	for _, body := range got {
		var mended bytes.Buffer
		if _, err := mended.ReadFrom(content.NormalLines(strings.NewReader(body))); err != nil || !clean(mended.String(), false) {
			t.Errorf("%q . %q: stored as %q, %v", before, after, mended.String(), err)
		}
	}
	return len(got)
}
