package gateway

import "context"

// Lease is the right to do a job that only one may do at a time. It ends by
// itself when its holder dies.
type Lease interface {
	// Renew starts its time anew. InvalidState when it was lost to another.
	Renew(ctx context.Context) error
	Release(ctx context.Context) error
}
