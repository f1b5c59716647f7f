package gateway

// DomainID numbers a domain inside the store; 0 is the instance.
type DomainID uint32

// AccountID numbers an account within its domain; 0 is none.
type AccountID uint32

// Level is how far a scope reaches.
type Level uint8

// The levels of a scope, from nothing to everything.
const (
	LevelNone Level = iota
	LevelAccount
	LevelDomain
	LevelInstance
)

// String is the REST name of the level.
func (l Level) String() string {
	return [...]string{"none", "account", "domain", "instance"}[min(l, LevelInstance)]
}

// Scope is what a caller may touch. Every call into the store takes one. Only
// the keys room makes them; the zero Scope reaches nothing.
type Scope struct {
	level   Level
	domain  DomainID
	account AccountID
	key     ID
}

// NewScope is for the keys room alone; the rooms test sees to it.
func NewScope(level Level, domain DomainID, account AccountID, key ID) Scope {
	return Scope{level, domain, account, key}
}

// Level says how far the scope reaches.
func (s Scope) Level() Level { return s.level }

// Domain is the one domain of a domain or account scope, else 0.
func (s Scope) Domain() DomainID { return s.domain }

// Account is the one account of an account scope, else 0.
func (s Scope) Account() AccountID { return s.account }

// Key is the key the caller showed; zero for Postern's own work.
func (s Scope) Key() ID { return s.key }

// CoversDomain reports whether the scope reaches all of domain d.
func (s Scope) CoversDomain(d DomainID) bool {
	return s.level == LevelInstance || s.level == LevelDomain && s.domain == d && d != 0
}

// TouchesDomain reports whether the scope reaches anything in domain d.
func (s Scope) TouchesDomain(d DomainID) bool {
	return s.CoversDomain(d) || s.level == LevelAccount && s.domain == d && d != 0
}

// Covers reports whether the scope reaches account a of domain d.
func (s Scope) Covers(d DomainID, a AccountID) bool {
	return s.CoversDomain(d) || s.level == LevelAccount && s.domain == d && s.account == a && d != 0 && a != 0
}
