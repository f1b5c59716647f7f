package sdk

import "time"

// Config is a setting of this installation; empty if it is not set.
func Config(key string) string {
	v, _ := host.Config(key)
	return v
}

// Secret is a setting that nobody is shown; empty if it is not set.
func Secret(key string) string { return Config(key) }

// Now is the time of the call: it stands still while a hook runs.
func Now() time.Time { return time.UnixMilli(host.Now()) }

// Log writes to the log that the tenant reads: at most 64 lines a call, of 1 KiB.
var Log logger

type logger struct{}

// The levels of the log.
const (
	levelDebug = iota
	levelInfo
	levelWarning
	levelError
)

// Debug writes one line.
func (logger) Debug(text string) { host.Log(levelDebug, text) }

// Info writes one line.
func (logger) Info(text string) { host.Log(levelInfo, text) }

// Warn writes one line.
func (logger) Warn(text string) { host.Log(levelWarning, text) }

// Error writes one line.
func (logger) Error(text string) { host.Log(levelError, text) }
