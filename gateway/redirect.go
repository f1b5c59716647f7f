package gateway

// Redirect is a received message on its way to somebody else, because a plugin of its
// recipient has it sent on: as it came, and from whom it came. RFC 5321 section 3.9.1 calls
// that an alias. It is a delivery, in the commit that receives the message.
type Redirect struct {
	Recipient string
	Site      string     // that it goes to; empty if its recipient lives here
	Held      HeldReason // what holds it, if anything does
	Prefix    []byte     // trace fields of this gateway; they stand before the body's bytes
}

// Client is who brought a message to this gateway, as SMTP saw it. A redirect keeps it, so
// that whoever receives the mail here can tell who really sent it.
type Client struct {
	IP, Helo string
}
