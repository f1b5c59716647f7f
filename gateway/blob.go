package gateway

import (
	"errors"
	"io"
)

// ErrDamaged means that a store can't give the bytes of a Blob as they were stored.
var ErrDamaged = errors.New("the stored bytes are damaged")

// Blob names the stored bytes of a message body.
type Blob struct {
	Domain DomainID
	ID     uint64
	Size   int64
	SHA256 [32]byte
	CRC32C uint32
}

// BlobWriter collects the bytes of one body. Seal names them; Close drops them
// unless a commit has taken them meanwhile, so it may always be deferred.
type BlobWriter interface {
	io.Writer
	Seal() (Blob, error)
	Close() error
}
