package gateway

import (
	"errors"
	"fmt"
	"time"
)

// Kind says what went wrong, once, for every protocol: each Kind has one REST
// name and status, one SMTP reply and one IMAP response code.
type Kind uint8

// The kinds of failure. A Kind without a row in replies fails its test.
const (
	Internal            Kind = iota // a fault of ours: the client may try again
	Malformed                       // the request can't be read
	BadIdempotencyKey               // empty, or too long
	MissingKey                      // no credential was given
	InvalidKey                      // unknown, revoked or expired, or a wrong username
	Restricted                      // the key's permission or scope is too small
	DomainNotAuthorized             // sending from outside the scope, or from an unverified domain
	PluginRejected                  // a hook refused the message
	NotFound                        // no such object in this scope
	MethodNotAllowed                // the route exists, the method does not
	IdempotencyMismatch             // same Idempotency-Key, other request
	IdempotencyRunning              // the first request with that key is not done
	AlreadyExists                   // the name is taken
	AmbiguousID                     // a Message-ID that names several messages, on a write
	InvalidState                    // not possible any more, or not yet
	Gone                            // a link whose time is over
	TooLarge                        // over a size limit
	UnsupportedMedia                // a body of a type that is not read here
	MissingField                    // a required field is absent
	InvalidParameter                // a value out of its range or form
	InvalidFrom                     // the sender's address is not one address
	InvalidAttachment               // not base64, too many, or a source that is refused
	OverQuota                       // the account holds all the bytes it may
	RateLimited                     // over an hourly or request limit
	Unavailable                     // draining, disk low, or read-only
	kinds
)

// Reply is how one Kind sounds at each door.
type Reply struct {
	Name     string // REST error name
	Status   int    // HTTP status code
	SMTP     int    // SMTP reply code
	Enhanced [3]int // enhanced mail system status code
	IMAP     string // IMAP response code
}

// Permanent reports whether a client gains nothing by trying again unchanged.
func (r Reply) Permanent() bool { return r.SMTP >= 500 }

// Columns: REST name and HTTP status, RFC 9110 section 15; SMTP reply, RFC 5321
// section 4.2.3; enhanced code, RFC 3463 section 3; IMAP response code, RFC 5530
// section 3.
var replies = [kinds]Reply{
	Internal:            {"internal_server_error", 500, 451, [3]int{4, 3, 0}, "SERVERBUG"},
	Malformed:           {"validation_error", 400, 501, [3]int{5, 5, 2}, "CLIENTBUG"},
	BadIdempotencyKey:   {"invalid_idempotency_key", 400, 501, [3]int{5, 5, 4}, "CLIENTBUG"},
	MissingKey:          {"missing_api_key", 401, 530, [3]int{5, 7, 0}, "AUTHENTICATIONFAILED"},
	InvalidKey:          {"invalid_api_key", 401, 535, [3]int{5, 7, 8}, "AUTHENTICATIONFAILED"},
	Restricted:          {"restricted_api_key", 403, 550, [3]int{5, 7, 1}, "NOPERM"},
	DomainNotAuthorized: {"domain_not_authorized", 403, 550, [3]int{5, 7, 1}, "NOPERM"},
	PluginRejected:      {"plugin_rejected", 403, 550, [3]int{5, 7, 1}, "NOPERM"},
	NotFound:            {"not_found", 404, 550, [3]int{5, 1, 1}, "NONEXISTENT"},
	MethodNotAllowed:    {"method_not_allowed", 405, 502, [3]int{5, 5, 1}, "CANNOT"},
	IdempotencyMismatch: {"invalid_idempotent_request", 409, 554, [3]int{5, 5, 4}, "CANNOT"},
	IdempotencyRunning:  {"concurrent_idempotent_requests", 409, 451, [3]int{4, 5, 0}, "INUSE"},
	AlreadyExists:       {"already_exists", 409, 554, [3]int{5, 5, 0}, "ALREADYEXISTS"},
	AmbiguousID:         {"ambiguous_id", 409, 554, [3]int{5, 5, 4}, "CANNOT"},
	InvalidState:        {"invalid_state", 409, 554, [3]int{5, 5, 1}, "CANNOT"},
	Gone:                {"gone", 410, 550, [3]int{5, 1, 6}, "NONEXISTENT"},
	TooLarge:            {"payload_too_large", 413, 552, [3]int{5, 3, 4}, "TOOBIG"},
	UnsupportedMedia:    {"unsupported_media_type", 415, 554, [3]int{5, 6, 1}, "CANNOT"},
	MissingField:        {"missing_required_field", 422, 501, [3]int{5, 5, 4}, "CLIENTBUG"},
	InvalidParameter:    {"invalid_parameter", 422, 501, [3]int{5, 5, 4}, "CLIENTBUG"},
	InvalidFrom:         {"invalid_from_address", 422, 553, [3]int{5, 1, 7}, "CANNOT"},
	InvalidAttachment:   {"invalid_attachment", 422, 554, [3]int{5, 6, 0}, "CANNOT"},
	OverQuota:           {"quota_exceeded", 422, 552, [3]int{5, 2, 2}, "OVERQUOTA"},
	RateLimited:         {"rate_limit_exceeded", 429, 451, [3]int{4, 7, 1}, "LIMIT"},
	Unavailable:         {"service_unavailable", 503, 452, [3]int{4, 3, 1}, "UNAVAILABLE"},
}

// Reply returns the row of k; a Kind out of range is Internal.
func (k Kind) Reply() Reply {
	if k >= kinds {
		k = Internal
	}
	return replies[k]
}

// String is the REST name.
func (k Kind) String() string { return k.Reply().Name }

// Kinds lists every Kind, for tests and documents.
func Kinds() []Kind {
	all := make([]Kind, kinds)
	for i := range all {
		all[i] = Kind(i)
	}
	return all
}

// Error is a failure that a client may see. Message is for the client; Err is
// for the log only.
type Error struct {
	Kind     Kind
	Message  string
	Field    string        // the request field at fault, if one is
	Retry    time.Duration // when to try again, if known
	Limit    string        // which limit was met, for RateLimited
	Code     int           // SMTP reply code instead of the Kind's, such as a plugin chooses; 0 for none
	Enhanced [3]int        // enhanced status code that goes with Code; zero is x.7.1
	IDs      []ID          // what an ambiguous id may mean
	Reason   string        // the precise reason for the activity log, if Message hides it
	Err      error
}

// Error joins what the client sees with what only the log may show.
func (e *Error) Error() string {
	msg := e.Message
	if e.Reason != "" {
		msg += " (" + e.Reason + ")"
	}
	if e.Err != nil {
		msg += ": " + e.Err.Error()
	}
	return msg
}

// Unwrap gives errors.Is and errors.As the cause.
func (e *Error) Unwrap() error { return e.Err }

// Errorf makes an Error whose text the client sees. A %w argument becomes the
// cause as well.
func Errorf(k Kind, format string, args ...any) *Error {
	err := fmt.Errorf(format, args...)
	return &Error{Kind: k, Message: err.Error(), Err: errors.Unwrap(err)}
}

// Fieldf is Errorf for one field of a request.
func Fieldf(k Kind, field, format string, args ...any) *Error {
	e := Errorf(k, format, args...)
	e.Field = field
	return e
}

// KindOf returns the Kind of err; an unknown error is Internal, so that a fault
// of ours delays mail and never loses it.
func KindOf(err error) Kind {
	if e, ok := errors.AsType[*Error](err); ok {
		return e.Kind
	}
	return Internal
}

// AsError returns the Error inside err, or an Internal one that hides err's
// text from the client.
func AsError(err error) *Error {
	if e, ok := errors.AsType[*Error](err); ok {
		return e
	}
	return &Error{Kind: Internal, Message: "something went wrong on our side; try again", Err: err}
}
