//go:build race

package sandbox

// raceEnabled: the race detector keeps memory of its own.
const raceEnabled = true
