package gateway

import "time"

// DomainCheck is what was found in DNS of the records that a domain should publish.
type DomainCheck struct {
	At      time.Time // when somebody looked last; zero: nobody did
	Due     time.Time // when to look again; zero: not before somebody asks
	Since   time.Time // when the domain began to wait for its records
	Failing time.Time // since when what it was verified by is not there; zero: it is
	Records []RecordCheck
}

// RecordCheck is what was found of one record.
type RecordCheck struct {
	Record string // as in what is to be published
	Name   string
	Status RecordStatus
	Seen   []string // what is there instead, or as well
	Reason string   // for people: why it is not verified
}

// RecordStatus says what was seen of a record. The names are those of REST.
type RecordStatus string

// The states of a record.
const (
	RecordUnchecked RecordStatus = "unchecked" // nobody has looked for it
	RecordPending   RecordStatus = "pending"   // it is not there, or DNS fails for now
	RecordVerified  RecordStatus = "verified"
	RecordFailed    RecordStatus = "failed" // something else is there
)
