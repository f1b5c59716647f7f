//go:build !linux

package snapshot

import "errors"

// newKernel fails: no other system tells which pages of a mapping are private.
func newKernel() (kernel, error) {
	return nil, errors.New("snapshot: pages can be shared on Linux only")
}
