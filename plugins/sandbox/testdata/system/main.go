// System is a plugin of standard Go that looks around: each hook returns 0 if it finds
// nothing.
package main

import (
	"crypto/rand"
	"os"
	"time"
)

// inbound looks for files, arguments and an environment.
//
//go:wasmexport postern_inbound
func inbound() int32 {
	for i, try := range []func() error{
		func() error { _, err := os.ReadFile("/etc/passwd"); return err },
		func() error { _, err := os.ReadDir("/"); return err },
		func() error { return os.WriteFile("x", []byte("x"), 0o600) },
		func() error { return os.Mkdir("/tmp/x", 0o700) },
		func() error { return os.Remove("/etc/passwd") },
		func() error { _, err := os.Stat("."); return err },
	} {
		if try() == nil {
			return int32(i + 1)
		}
	}
	if len(os.Args) > 1 || len(os.Environ()) > 0 {
		return 100
	}
	if n, err := os.Stdin.Read(make([]byte, 1)); n != 0 || err == nil {
		return 101
	}
	return 0
}

// outbound looks at the clock, and sleeps.
//
//go:wasmexport postern_outbound
func outbound() int32 {
	before := time.Now()
	time.Sleep(time.Minute)
	if time.Since(before) < time.Minute {
		return 1
	}
	if time.Now().Unix() != before.Unix() { // without what is monotonic in it
		return 2
	}
	return 0
}

var seen [16]byte

// thread asks for random numbers, and prints.
//
//go:wasmexport postern_thread
func thread() int32 {
	if seen != [16]byte{} {
		return 1
	}
	if _, err := rand.Read(seen[:]); err != nil {
		return 2
	}
	os.Stdout.WriteString("out\n")
	os.Stderr.WriteString("err\n")
	return 0
}

func main() {}
