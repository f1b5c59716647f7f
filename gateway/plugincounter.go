package gateway

import "time"

// PluginCounter is a number that a plugin keeps, apart from the values it remembers: it
// counts attempts, whatever becomes of them.
type PluginCounter struct {
	Plugin  ID
	Key     string
	Value   int64     // from 0 to MaxPluginCounter
	Expires time.Time // zero: never
}

// MaxPluginCounter is the largest value of a counter: the largest that every language
// with doubles for numbers counts to. Source: package abi.
const MaxPluginCounter = 1 << 53
