//go:build !wasip1

package main

// say is for the guest alone.
func say(string) {}
