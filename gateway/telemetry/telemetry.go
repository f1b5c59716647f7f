// Package telemetry sets up the process log: lines for people on a terminal,
// JSON for programs otherwise, always on standard error.
package telemetry

import (
	"fmt"
	"io"
	"log/slog"
	"os"
)

// Levels are the names of log levels.
var Levels = []string{"debug", "info", "warn", "error"}

// Formats are the names of log formats; auto is text on a terminal.
var Formats = []string{"auto", "text", "json"}

// Logger returns a logger that writes to w.
func Logger(w io.Writer, level, format string) (*slog.Logger, error) {
	var l slog.Level
	if err := l.UnmarshalText([]byte(level)); err != nil {
		return nil, fmt.Errorf("log level %q: %w", level, err)
	}
	opt := &slog.HandlerOptions{Level: l}
	if format == "text" || format == "auto" && isTerminal(w) {
		return slog.New(slog.NewTextHandler(w, opt)), nil
	}
	return slog.New(slog.NewJSONHandler(w, opt)), nil
}

func isTerminal(w io.Writer) bool {
	f, ok := w.(*os.File)
	if !ok {
		return false
	}
	info, err := f.Stat()
	return err == nil && info.Mode()&os.ModeCharDevice != 0
}
