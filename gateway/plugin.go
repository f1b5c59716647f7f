package gateway

import (
	"encoding/hex"
	"slices"
	"time"
)

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
	Secrets  map[string]Secret // configuration that is never shown; no name is in both

	Version string // as its author calls it
	SHA256  [32]byte
	Code    Blob // the module
	Hooks   []Hook
	Asks    []string
	PluginReach
	SignedBy  string          // the Ed25519 key that signed this code, in base64; empty: none
	CodeAt    time.Time       // when this code was uploaded
	Kept      []PluginVersion // what it can go back to; the one left last comes first
	CreatedAt time.Time
	UpdatedAt time.Time
}

// PluginVersion is one code of an installation, named by its digest.
type PluginVersion struct {
	Version string // as its author calls it; nothing keeps two from having one name
	SHA256  [32]byte
	Code    Blob
	Hooks   []Hook
	Asks    []string
	Grants  []string // what it has, or had when it was left
	PluginReach
	SignedBy  string // see Plugin
	CreatedAt time.Time
}

// PluginReach is what else the manifest of a code says of how it is asked.
type PluginReach struct {
	HTTPHosts   []string    // that it may ask, folded: host, host:port or *.domain
	Events      []EventType // that its event hook is told of; none: EventReceived
	TickSeconds int64       // from one tick to the next; 0: it has none
	Limits      PluginLimits
}

// PluginLimits are lower limits of its calls than the gateway's; 0 is as there.
type PluginLimits struct{ Millis, Fuel, Memory int64 }

// Active is the version that is asked.
func (p *Plugin) Active() PluginVersion {
	return PluginVersion{p.Version, p.SHA256, p.Code, p.Hooks, p.Asks, p.Grants, p.PluginReach, p.SignedBy, p.CodeAt}
}

// Use makes v the version that is asked.
func (p *Plugin) Use(v PluginVersion) {
	p.Version, p.SHA256, p.Code, p.Hooks, p.Asks, p.Grants, p.CodeAt = v.Version, v.SHA256, v.Code, v.Hooks, v.Asks, v.Grants, v.CreatedAt
	p.PluginReach, p.SignedBy = v.PluginReach, v.SignedBy
}

// Versions are all that are kept, the newest upload first.
func (p *Plugin) Versions() []PluginVersion {
	all := append([]PluginVersion{p.Active()}, p.Kept...)
	slices.SortStableFunc(all, func(a, b PluginVersion) int { return b.CreatedAt.Compare(a.CreatedAt) })
	return all
}

// Find returns the kept version of a digest in hex, or of a name that one has alone. What
// could be a digest is one: an author may give a version any name.
func (p *Plugin) Find(name string) (found PluginVersion, err error) {
	raw, bad := hex.DecodeString(name)
	digest := bad == nil && len(raw) == len(p.SHA256)
	n := 0
	for _, v := range p.Versions() {
		switch name {
		case hex.EncodeToString(v.SHA256[:]):
			return v, nil
		case "":
			continue
		case v.Version:
			if !digest {
				found, n = v, n+1
			}
		}
	}
	switch {
	case n == 1:
		return found, nil
	case n > 1:
		return found, Errorf(InvalidParameter, "%d versions are called %.80q: name one by its sha256", n, name)
	}
	return found, Errorf(InvalidParameter, "no version %.80q is kept", name)
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
	Name     string    // instead of the manifest's
	Grants   *[]string // nil: what the manifest asks for
	Later    bool      // grant a new one nothing yet, and one that is known no more than it has; without Grants
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
	Secrets  map[string]*Secret // by name; nil removes one, those not named stay
	Version  *string            // a digest or a name, see Plugin.Find; it has the grants that it had
}

// PluginStats is how an installation did, in one process, since that began or its code
// changed.
type PluginStats struct {
	Calls, Errors, Timeouts int64 // Timeouts are Errors too: of time or of fuel
	LastError               string
	P50, P99                time.Duration // of a call; at most an eighth too much
	Paused                  bool          // one of its hooks failed too often: its failure policy answers for a while
}
