package imapd

import (
	"bufio"
	"errors"
	"fmt"
	"runtime"
	"strings"
	"testing"
)

// lineOf is a command of so many bytes in one line.
func lineOf(n int) string {
	const head = "a NOOP "
	return head + strings.Repeat("x", n-len(head)) + "\r\n"
}

// literals are n of size bytes each, behind a command.
func literals(n, size int) string {
	return "a X" + strings.Repeat(fmt.Sprintf(" {%d+}\r\n%s", size, strings.Repeat("x", size)), n) + "\r\n"
}

// Each bound of a command is met exactly, and one more is refused; what is refused
// and was sent unasked ends the connection.
func TestBounds(t *testing.T) {
	for _, who := range []struct {
		name string
		most bounds
	}{{"guest", guestBounds}, {"user", testBounds}} {
		b := who.most
		tests := []struct {
			name     string
			at, past string
			want     string // of what is past
			fatal    bool
		}{
			{"line", lineOf(b.line), lineOf(b.line + 1), errLineLength.Error(), true},
			{"line without CR", strings.ReplaceAll(lineOf(b.line), "\r", ""), strings.ReplaceAll(lineOf(b.line+1), "\r", ""), errLineLength.Error(), true},
			{
				"line behind a literal", "a X {1+}\r\nx " + strings.Repeat("y", b.command-10) + "\r\n",
				"a X {1+}\r\nx " + strings.Repeat("y", b.command-9) + "\r\n", "BAD the command is too long", true,
			},
			{"literal", literals(1, int(b.literal)), literals(1, int(b.literal)+1), "NO [TOOBIG] the literal is too long", true},
			{"literals", literals(b.literals, 0), literals(b.literals+1, 0), "BAD there are too many literals", true},
			{"words", "a X" + strings.Repeat(" y", b.words-1) + "\r\n", "a X" + strings.Repeat(" y", b.words) + "\r\n", "BAD there are too many words", false},
			{"words behind a literal", "a X {0+}\r\n" + strings.Repeat(" y", b.words-2) + "\r\n", "a X {0+}\r\n" + strings.Repeat(" y", b.words-1) + "\r\n", "BAD there are too many words", false},
			{"words before a literal", "a X" + strings.Repeat(" y", b.words-2) + " {0+}\r\n\r\n", "a X" + strings.Repeat(" y", b.words) + " {0+}\r\n\r\n", "BAD there are too many words", true},
			{"tag", strings.Repeat("t", maxTag) + " NOOP\r\n", strings.Repeat("t", maxTag+1) + " NOOP\r\n", "BAD a command starts with a tag", true},
			{"message", fmt.Sprintf("a APPEND x {%d}\r\n", b.message), fmt.Sprintf("a APPEND x {%d}\r\n", b.message+1), "NO [TOOBIG] the message is too large", false},
			{"message unasked", fmt.Sprintf("a APPEND x {%d+}\r\n", b.message), fmt.Sprintf("a APPEND x {%d+}\r\n", b.message+1), "NO [TOOBIG] the message is too large", true},
		}
		if nested := func(n int) string { return "a X " + strings.Repeat("(", n) + strings.Repeat(")", n) + "\r\n" }; b.words > 2*maxDepth+2 {
			tests = append(tests, tests[0])
			row := &tests[len(tests)-1]
			row.name, row.at, row.past, row.want, row.fatal = "nesting", nested(maxDepth), nested(maxDepth+1), "BAD parentheses don't match", false
		}
		for _, tt := range tests {
			t.Run(who.name+" "+tt.name, func(t *testing.T) {
				if _, err := readCommand(bufio.NewReader(strings.NewReader(tt.at)), b, func() error { return nil }); err != nil {
					t.Errorf("at the bound: %v", err)
				}
				_, err := readCommand(bufio.NewReader(strings.NewReader(tt.past)), b, func() error { return nil })
				r, ok := errors.AsType[refusal](err)
				if err == nil || err.Error() != tt.want || ok && r.fatal != tt.fatal {
					t.Errorf("past it: %v, fatal %t; want %q, %t", err, r.fatal, tt.want, tt.fatal)
				}
			})
		}
	}
}

// A command as long as may be, of what takes most room when it is read.
func TestBoundsMemory(t *testing.T) {
	for name, in := range map[string]string{
		"parentheses": "a X " + strings.Repeat("(", 40_000) + "\r\n", "literals": literals(5000, 0), "large literals": literals(5000, 4096), "a line": strings.Repeat("x", 1<<20),
	} {
		for _, who := range []bounds{guestBounds, testBounds} {
			r := bufio.NewReader(strings.NewReader(in))
			least := ^uint64(0)
			for range 20 { // what others allocate meanwhile is in some of them
				var before, after runtime.MemStats
				runtime.ReadMemStats(&before)
				r.Reset(strings.NewReader(in))
				if _, err := readCommand(r, who, func() error { return nil }); err == nil {
					t.Fatal("it was not refused")
				}
				runtime.ReadMemStats(&after)
				least = min(least, after.TotalAlloc-before.TotalAlloc)
			}
			if most := uint64(24*who.command + 8<<10); least > most {
				t.Errorf("%s: %d bytes to refuse it, want %d at most", name, least, most)
			}
		}
	}
}

// A FETCH asks for so many items, and a HEADER.FIELDS for so many fields; more is
// refused before anything is read.
func TestFetchBounds(t *testing.T) {
	fields := func(n int) string { return "BODY[HEADER.FIELDS (a" + strings.Repeat(" a", n-1) + ")]" }
	for in, want := range map[string]string{
		"a FETCH 1 (UID" + strings.Repeat(" UID", maxItems-1) + ")": "",
		"a FETCH 1 (UID" + strings.Repeat(" UID", maxItems) + ")":   "FETCH takes fewer items",
		"a FETCH 1 ()": "a list in FETCH is empty",
		"a FETCH 1 (UID BODY[HEADER.FIELDS.NOT ()])": "a list in FETCH is empty",
		"a FETCH 1 " + fields(maxNames):              "",
		"a FETCH 1 " + fields(maxNames+1):            "FETCH takes fewer header fields",
	} {
		c, _, err := parse(in + "\r\n")
		if err != nil {
			t.Fatal(err)
		}
		if _, err = rewrite(c, offersWithout(nil)); want == "" && err != nil || want != "" && (err == nil || err.Error() != want) {
			t.Errorf("%.40q: %v, want %q", in, err, want)
		}
	}
}
