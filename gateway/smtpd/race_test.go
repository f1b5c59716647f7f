//go:build race

package smtpd

// raceEnabled says that code is ten times as slow.
const raceEnabled = true
