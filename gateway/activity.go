package gateway

import (
	"slices"
	"strconv"
	"strings"
	"time"
)

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
	Fates        []string // rows of deliveries that came to one of these, such as bounced; none: all rows
	Tag          *TagFilter
	Before       ID // cursor: rows older than this one
	Newer        ID // cursor: the rows just newer than this one
	Limit        int
}

// ActivityConditions are the names that Set knows: those of GET /logs.
var ActivityConditions = [...]string{"key_id", "after", "before", "since", "until", "tag", "protocol", "status"}

// Set adds the condition of a name, as it stands in a query; an empty one is none.
func (f *ActivityFilter) Set(name, value string) (err error) {
	if value == "" {
		return nil
	}
	switch name {
	case "key_id":
		f.Key, err = idCondition(name, value)
	case "after": // the log is newest first
		f.Before, err = idCondition(name, value)
	case "before":
		f.Newer, err = idCondition(name, value)
	case "since":
		f.Since, err = timeCondition(name, value)
	case "until":
		f.Until, err = timeCondition(name, value)
	case "tag":
		f.Tag, err = ParseTagFilter(value)
	case "protocol":
		if f.Protocol = value; !slices.Contains(Protocols[:], value) {
			return Fieldf(InvalidParameter, name, "protocol is one of %s", strings.Join(Protocols[:], ", "))
		}
	case "status":
		if f.Status, err = strconv.Atoi(value); err != nil || f.Status < 100 || f.Status > 599 {
			return Fieldf(InvalidParameter, name, "status is a number from 100 to 599")
		}
	}
	return err
}

func idCondition(name, value string) (ID, error) {
	id, err := ParseID(value)
	if err != nil {
		return id, Fieldf(InvalidParameter, name, "%s is an id", name)
	}
	return id, nil
}

func timeCondition(name, value string) (time.Time, error) {
	t, err := time.Parse(time.RFC3339, value)
	if err != nil {
		return t, Fieldf(InvalidParameter, name, "%s is a time such as 2026-03-19T18:00:00Z", name)
	}
	return t, nil
}

// ActivityRetention is how long rows are kept, unless an operator says otherwise.
// Source: the same as the feed's.
const ActivityRetention = 30 * 24 * time.Hour
