package serve

import (
	"fmt"
	"log/slog"
	"os"
	"runtime/debug"
	"strconv"
	"strings"
)

const (
	// memoryDefault is what the Go runtime aims to stay below. Source: DESIGN
	// section 5, "GOMEMLIMIT 400 MiB".
	memoryDefault = 400 << 20
	// memorySmall is for a machine of 512 MiB; ours.
	memorySmall = 250 << 20
	// memoryLeast is far over what an idle gateway needs; below it, the runtime
	// would do nothing but collect. Ours.
	memoryLeast = 64 << 20
	// memoryMost is 1 TiB.
	memoryMost = 1 << 40
)

// setMemory takes default, small, or a number of bytes or MiB.
func setMemory(c *Config, v string) error {
	switch v {
	case "default":
		c.Memory = memoryDefault
		return nil
	case "small":
		c.Memory = memorySmall
		return nil
	}
	digits, unit := v, int64(1)
	if n, ok := strings.CutSuffix(v, "MiB"); ok {
		digits, unit = strings.TrimSpace(n), 1<<20
	}
	n, err := strconv.ParseInt(digits, 10, 64)
	if err != nil || n < memoryLeast/unit || n > memoryMost/unit {
		return fmt.Errorf(`default, small, or a size from "%dMiB" to "%dMiB" is expected, not %q`, memoryLeast>>20, memoryMost>>20, v)
	}
	c.Memory = n * unit
	return nil
}

// limitMemory holds the process to its memory, unless GOMEMLIMIT does already:
// who sets that knows Go. It returns what the log says of it. It is for commands:
// a process has one limit, however many gateways a test opens in it.
func limitMemory(c *Config) slog.Attr {
	by := "GOMEMLIMIT"
	if os.Getenv(by) == "" {
		by = "server.memory"
		debug.SetMemoryLimit(c.Memory)
	}
	return slog.Group("memory", slog.Int64("limit", debug.SetMemoryLimit(-1)), slog.String("by", by))
}
