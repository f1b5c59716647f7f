//go:build !linux

package main

import (
	"os"
	"time"
)

func datasync(f *os.File) error { return f.Sync() }
func cpuTime() time.Duration    { return 0 } // not measured
func inMemory(string) bool      { return false }
