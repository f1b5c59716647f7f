package gateway

// Fetched says what a remote file called itself.
type Fetched struct {
	ContentType string // media type without parameters; empty if none was given
	Filename    string // as the other side named it: not safe to use as a path
	Size        int64  // bytes
}
