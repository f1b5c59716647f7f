package gateway

import "time"

// Suppression is an address that a domain sends nothing to.
type Suppression struct {
	ID        ID
	Domain    DomainID
	Email     string // as FoldAddress gives it
	Origin    SuppressionOrigin
	CreatedAt time.Time

	// What brought it about, unless it was added by hand, or before that was kept.
	Code int    // SMTP reply code
	Text string // what the host said, the enhanced status code first
	Sent ID     // the email to which it said so
}

// SuppressionOrigin says why an address is suppressed. The names are those of REST.
type SuppressionOrigin string

// The origins.
const (
	SuppressedBounce    SuppressionOrigin = "bounce"    // its host refused mail to it for good
	SuppressedComplaint SuppressionOrigin = "complaint" // its owner called mail unwanted
	SuppressedManual    SuppressionOrigin = "manual"    // the tenant said so
)

// Valid reports whether o is an origin.
func (o SuppressionOrigin) Valid() bool {
	return o == SuppressedBounce || o == SuppressedComplaint || o == SuppressedManual
}
