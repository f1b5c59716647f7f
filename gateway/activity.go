package gateway

import "time"

// Activity is one row of the log: who did what, and how it ended. No bodies,
// no secrets. Source: API guide, "Monitoring Usage".
type Activity struct {
	ID        ID
	At        time.Time
	Domain    DomainID // 0 when the caller is unknown or the operator
	Account   AccountID
	Key       ID
	KeyPrefix string
	Protocol  string // one of Protocols
	Method    string
	Endpoint  string
	Status    int
	IP        string
	UserAgent string
	Email     ID     // the message it was about
	Error     string // error name
	Reason    string // precise: unknown, revoked, expired, wrong username ...
	Tags      []Tag  // of the message, if the row is about sending it
}

// Protocols are the ways in which something happens that leaves a row.
var Protocols = [...]string{"rest", "smtp", "imap", "system", "plugin", "dashboard"}

// ActivityFilter narrows a listing of the log, which is newest first.
type ActivityFilter struct {
	Domain       DomainID // for an instance scope; 0 is what belongs to no domain
	Key          ID
	Account      AccountID
	Protocol     string
	Status       int
	Since, Until time.Time
	Tag          *TagFilter
	Before       ID // cursor: rows older than this one
	Newer        ID // cursor: the rows just newer than this one
	Limit        int
}

// ActivityRetention is how long rows are kept, unless an operator says otherwise.
// Source: the same as the feed's.
const ActivityRetention = 30 * 24 * time.Hour
