package imapd

import (
	"bytes"
	"log"
	"log/slog"
	"strings"
	"testing"
)

// A panic that the library caught is a fault of ours, and seen; what else it says is for
// who looks for it.
func TestLibraryLog(t *testing.T) {
	for line, want := range map[string]string{
		"panic handling command: index out of range\ngoroutine 1": "ERROR",
		"failed to read command: EOF":                             "DEBUG",
		"handling SELECT command: panic is not its first word":    "DEBUG",
	} {
		var b bytes.Buffer
		l := debugLog{slog.New(slog.NewTextHandler(&b, &slog.HandlerOptions{Level: slog.LevelDebug})), "imaps"}
		log.New(l, "", 0).Print(line)
		if got := b.String(); !strings.Contains(got, "level="+want+" ") || !strings.Contains(got, "door=imaps") {
			t.Errorf("%q is logged as %s", line, got)
		}
	}
}
