package serve

import (
	"context"
	"fmt"
	"log/slog"
	"runtime/debug"
	"strings"
	"testing"
)

// The memory is a word, bytes, or MiB, in a file and in a variable alike.
func TestMemorySetting(t *testing.T) {
	for _, tt := range []struct {
		file, variable string
		want           int64
	}{
		{`"default"`, "default", 400 << 20},
		{`"small"`, "small", 250 << 20},
		{`"300MiB"`, "300MiB", 300 << 20},
		{`"300 MiB"`, "300 MiB", 300 << 20},
		{`100000000`, "100000000", 100_000_000},
	} {
		c := Defaults()
		if err := c.load("x.toml", fmt.Appendf(nil, "[server]\nmemory = %s\n", tt.file)); err != nil || c.Memory != tt.want {
			t.Errorf("%s in a file: %d, %v, want %d", tt.file, c.Memory, err, tt.want)
		}
		c = Defaults()
		if err := c.LoadEnv([]string{"POSTERN_SERVER_MEMORY=" + tt.variable}); err != nil || c.Memory != tt.want {
			t.Errorf("%s in a variable: %d, %v, want %d", tt.variable, c.Memory, err, tt.want)
		}
	}
	if Defaults().Memory != 400<<20 {
		t.Errorf("the default is %d", Defaults().Memory)
	}
	if err := Defaults().load("x.toml", []byte("[server]\nmemory = true\n")); err == nil || !strings.Contains(err.Error(), "x.toml:2: server.memory: a number of bytes or text") {
		t.Errorf("neither text nor a number: %v", err)
	}
}

// A command holds its process to the setting, or to GOMEMLIMIT if that is set;
// the line that says it serves says which.
func TestMemoryLimit(t *testing.T) {
	before := debug.SetMemoryLimit(-1)
	t.Cleanup(func() { debug.SetMemoryLimit(before) })
	for _, tt := range []struct {
		variable string
		want     int64
		says     string
	}{
		{"", 250 << 20, "memory.limit=262144000 memory.by=server.memory"},
		{"300MiB", 1 << 30, "memory.limit=1073741824 memory.by=GOMEMLIMIT"},
		{"off", 1 << 30, "memory.limit=1073741824 memory.by=GOMEMLIMIT"},
	} {
		t.Setenv("GOMEMLIMIT", tt.variable)
		debug.SetMemoryLimit(1 << 30) // as the runtime took it from the variable
		var log strings.Builder
		c := Defaults()
		c.Data = dataDir(t)
		if err := c.LoadEnv([]string{"POSTERN_SERVER_MEMORY=small", "POSTERN_REST_LISTEN=127.0.0.1:0"}); err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		cancel() // it stops as soon as it serves
		if err := Run(ctx, c, slog.New(slog.NewTextHandler(&log, nil))); err != nil {
			t.Errorf("serving: %v", err)
		}
		if got := debug.SetMemoryLimit(-1); got != tt.want || !strings.Contains(log.String(), "msg=serving") || !strings.Contains(log.String(), tt.says) {
			t.Errorf("GOMEMLIMIT=%s: %d, want %d; the log says %s", tt.variable, got, tt.want, log.String())
		}
	}
}
