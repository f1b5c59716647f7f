package gateway

import (
	"net/mail"
	"strings"
	"time"
	"unicode"
)

// Domain is a tenant: it owns accounts, keys, plugins and everything else.
type Domain struct {
	ID        DomainID
	UUID      ID
	Name      string // lower case, A-labels
	Status    DomainStatus
	Local     bool // marked verified by the operator, no DNS asked
	CatchAll  bool // unknown recipients get an implicit account
	CreatedAt time.Time
	Limits    DomainLimits
	TLS       TLSPolicy // towards the servers its mail is delivered to
}

// TLSPolicy says what delivery asks of a remote server.
type TLSPolicy string

// The policies. Opportunistic delivers in the clear rather than not at all, as RFC
// 7435 describes; enforced wants a certificate that fits.
const (
	TLSOpportunistic TLSPolicy = "opportunistic"
	TLSEnforced      TLSPolicy = "enforced"
)

// SigningKey is one with which a domain's mail is signed: RFC 6376 for RSA, RFC
// 8463 for Ed25519.
type SigningKey struct {
	Selector  string
	Algorithm string // as in the k= of its record: rsa or ed25519
	Private   Secret // PKCS #8, DER
	Public    []byte // as in the p= of its record, before base64
	CreatedAt time.Time
}

// DomainStatus says whether the domain may send. The names are those of REST.
type DomainStatus string

// The states of a domain, in the order a new one passes them.
const (
	DomainNotStarted DomainStatus = "not_started"
	DomainPending    DomainStatus = "pending"
	DomainVerified   DomainStatus = "verified"
	DomainPartial    DomainStatus = "partially_verified" // it may send; its mail goes elsewhere
	DomainFailed     DomainStatus = "failed"
)

// Sends reports whether mail of the domain may leave.
func (d *Domain) Sends() bool { return d.Status == DomainVerified || d.Status == DomainPartial }

// Receives reports whether mail for the domain comes here and nowhere else.
func (d *Domain) Receives() bool { return d.Status == DomainVerified }

// DomainLimits caps all keys of a domain together, per hour; 0 is no limit.
type DomainLimits struct {
	Messages, Recipients int64
}

// Account is an address with mailboxes.
type Account struct {
	Domain    DomainID
	ID        AccountID
	UUID      ID
	Email     string // lower case
	Name      string
	Aliases   []string
	Implicit  bool // made by a first send or a catch-all receipt; no IMAP login by account key
	CreatedAt time.Time
	Quota     int64 // most bytes of its messages; 0 is no limit
	Used      int64 // bytes of its messages: the sum of their sizes
}

// Full reports whether the account has no room for anything.
func (a *Account) Full() bool { return a.Quota > 0 && a.Used >= a.Quota }

// Address is a mailbox with its display name.
type Address struct {
	Name string // decoded, may be empty
	Addr string // local-part@domain; the domain in lower case
}

// String is how the address stands in a header field.
func (a Address) String() string {
	return (&mail.Address{Name: a.Name, Address: a.Addr}).String()
}

// SplitAddress cuts an address at its last @. Both are empty if there is none.
func SplitAddress(addr string) (local, domain string) {
	i := strings.LastIndexByte(addr, '@')
	if i <= 0 || i == len(addr)-1 {
		return "", ""
	}
	return addr[:i], addr[i+1:]
}

// DomainWritten is how long a domain may be as people write it, in bytes: making A-labels
// of a label takes time by the square of its length. Ours; the 253 bytes of RFC 1035
// section 2.3.4 are no more in any script.
const DomainWritten = 1 << 10

// ValidName reports whether a name that people give a key or an account is one line of
// at most 200 bytes, without control characters.
func ValidName(name string) bool {
	return len(name) <= 200 && !strings.ContainsFunc(name, unicode.IsControl)
}

// FoldAddress is the form in which addresses are looked up and compared:
// Postern's local parts ignore case, which RFC 5321 section 2.4 leaves to us.
func FoldAddress(addr string) string { return strings.ToLower(addr) }
