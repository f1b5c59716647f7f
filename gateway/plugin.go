package gateway

import "time"

// Plugin is an installation: a module that is asked at hooks of a domain, or of
// one account.
type Plugin struct {
	ID       ID
	Domain   DomainID
	Account  AccountID // 0: the domain's
	Name     string    // one of a kind in its domain or account
	Enabled  bool
	Priority int // lower is asked first, then by name
	Failure  FailurePolicy
	Grants   []string // permissions, of those that Asks names
	Config   map[string]string

	Version   string // as its author calls it
	SHA256    [32]byte
	Code      Blob // the module
	Hooks     []Hook
	Asks      []string
	CreatedAt time.Time
	UpdatedAt time.Time
}

// FailurePolicy says what becomes of mail when its plugin fails.
type FailurePolicy string

// The policies.
const (
	FailOpen       FailurePolicy = "open"       // it passes, with the label plugin-error
	FailClosed     FailurePolicy = "closed"     // its sender is told to try again
	FailQuarantine FailurePolicy = "quarantine" // arriving mail goes to Junk
)

// PluginUpload is a module that somebody wants to install. One of the same name
// in the same place is replaced by it.
type PluginUpload struct {
	Wasm     []byte
	Manifest []byte    // instead of the one in the module; nil: it has one
	Grants   *[]string // nil: what the manifest asks for
	Account  AccountID // 0: for the whole domain
	Operator bool      // an operator may install also when tenants may not
}

// PluginChange is what may be changed of an installation; nil keeps.
type PluginChange struct {
	Enabled  *bool
	Priority *int
	Failure  *FailurePolicy
	Grants   *[]string
	Config   *map[string]string
}
