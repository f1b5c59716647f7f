package imapd_test

import (
	"fmt"
	"io"
	"os"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/centerleap/postern/gateway/gatewaytest"
)

// smuggled are the commands that the bytes of a literal hold: a mark for each way
// to run one.
const smuggled = "x DELETE Victim\r\n"

// forms reads testdata/smuggling.txt. PAYLOAD is as many bytes of commands as the
// literal before it announces.
func forms(t testing.TB) (names, sends []string) {
	t.Helper()
	raw, err := os.ReadFile("testdata/smuggling.txt")
	if err != nil {
		t.Fatal(err)
	}
	size := regexp.MustCompile(`\{([0-9]+)[^{]*$`)
	for row := range strings.Lines(string(raw)) {
		if strings.HasPrefix(row, "#") {
			continue
		}
		name, form, ok := strings.Cut(strings.TrimSuffix(row, "\n"), " | ")
		text, err := strconv.Unquote(`"` + strings.ReplaceAll(form, `"`, `\"`) + `"`)
		if !ok || err != nil {
			t.Fatalf("%q is no row: %v", row, err)
		}
		for {
			before, after, found := strings.Cut(text, "PAYLOAD")
			if !found {
				break
			}
			n := len(smuggled)
			if m := size.FindStringSubmatch(before); m != nil {
				if n, err = strconv.Atoi(m[1]); err != nil || n > 100_000 {
					n = len(smuggled)
				}
			}
			text = before + strings.Repeat(smuggled, n/len(smuggled)+1)[:n] + after
		}
		names, sends = append(names, name), append(sends, text)
	}
	return names, sends
}

// smuggling are the bytes of all forms.
func smuggling(t testing.TB) []string {
	_, sends := forms(t)
	return sends
}

// The smuggling table: whatever is refused, and however, nothing in the bytes of a
// literal is run; and each command before it has one tagged answer, or the
// connection ends. Sent whole and byte by byte it is the same.
func TestSmuggling(t *testing.T) {
	g := gatewaytest.Start(t, gatewaytest.Limit("message_bytes", "10000"))
	c := login(t, g)
	c.Script("C: a CREATE Victim\nS: a OK")
	names, sends := forms(t)
	if len(names) < 13 {
		t.Fatalf("%d forms", len(names))
	}
	for i, name := range names {
		t.Run(name, func(t *testing.T) {
			for _, bytewise := range []bool{false, true} {
				if bytewise && len(sends[i]) > 2000 {
					continue
				}
				if got := answers(t, g, sends[i], bytewise); strings.Contains(got, "x OK") || strings.Contains(got, "x NO") || strings.Contains(got, "x BAD") {
					t.Errorf("bytewise %t: the payload was read as commands: %q", bytewise, got)
				} else if !strings.Contains(got, "b BAD") && !strings.Contains(got, "b NO") && !strings.Contains(got, "* BYE") && !strings.Contains(got, "b OK") {
					t.Errorf("bytewise %t: no answer: %q", bytewise, got)
				}
			}
			check := login(t, g)
			check.Script("C: a STATUS Victim (MESSAGES)\nS: \\* STATUS\nS: a OK")
		})
	}
}

// answers sends bytes after a login, then NOOP, and returns what comes back.
func answers(t *testing.T, g *gatewaytest.Gateway, sent string, bytewise bool) string {
	t.Helper()
	c := login(t, g)
	defer c.Conn.Close()
	sent += "y NOOP\r\n"
	go func() { // the gateway may hang up in the middle of it
		if !bytewise {
			_, _ = io.WriteString(c.Conn, sent)
			return
		}
		for i := range len(sent) {
			if _, err := io.WriteString(c.Conn, sent[i:i+1]); err != nil {
				return
			}
		}
	}()
	var all strings.Builder
	for {
		line, ok := c.Line()
		if !ok || strings.HasPrefix(line, "y ") {
			return all.String()
		}
		fmt.Fprintln(&all, line)
	}
}
