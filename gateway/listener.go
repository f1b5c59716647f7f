package gateway

// Listener is a door, and where it listens; empty if it is closed.
type Listener struct{ Name, Address string }
