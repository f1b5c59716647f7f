package sdk

import "time"

// KV is what the plugin remembers, for each place where it is installed.
// Permission kv.
var KV values

type values struct{}

// Get returns a value, and whether there is one.
func (values) Get(key string) ([]byte, bool) { return host.KVGet(key) }

// Put remembers a value: for ttlSeconds, or for good with 0. A key has 1 to 512
// bytes, a value at most 64 KiB. It lasts if the call ends well.
func (values) Put(key string, value []byte, ttlSeconds int64) error {
	return host.KVPut(key, value, ttlSeconds)
}

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

// Debug writes one line.
func (logger) Debug(text string) { host.Log(0, text) }

// Info writes one line.
func (logger) Info(text string) { host.Log(1, text) }

// Warn writes one line.
func (logger) Warn(text string) { host.Log(2, text) }

// Error writes one line.
func (logger) Error(text string) { host.Log(3, text) }
