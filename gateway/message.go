package gateway

import (
	"strings"
	"time"
)

// MessageNumber numbers a message within its account, in order of arrival.
type MessageNumber uint64

// Message is one account's record of a message: immutable bytes, plus what was
// parsed from them once, at ingest.
type Message struct {
	ID      ID // public, and kept when the message moves
	Domain  DomainID
	Account AccountID
	Number  MessageNumber

	Arrived    time.Time // INTERNALDATE: when Postern accepted it
	Sent       bool      // by the account, rather than received
	ReturnPath string    // reverse-path of the envelope; empty is the null one
	Recipients []string  // forward-paths: all of a sent message, the account's own of a received one
	Prefix     []byte    // fields of this copy, trace or signature; they stand before the body's bytes
	Blob       Blob      // the bytes themselves
	Content    Content   // what is in Prefix + Blob; offsets count from the start of Blob
	Tags       []Tag
	Auth       AuthResults
	Key        ID // that sent it
	Plugin     ID // that had it sent, or of a copy that arrives from inside, its sender's; zero for all else

	Scheduled time.Time // when it is to leave; zero: at once

	Thread    ID
	Position  int // rank in the thread, by date
	LastEvent string
	Entries   []Entry // where it stands; none while it is being accepted
}

// Size is RFC822.SIZE: what a reader of the whole message gets.
func (m *Message) Size() int64 { return int64(len(m.Prefix)) + m.Blob.Size }

// Content is what the scanner found in a message. Offsets count from the first
// byte of the scanned bytes.
type Content struct {
	MessageID  string // with angle brackets; empty if absent or unusable as an id
	InReplyTo  string
	References []string
	Date       time.Time // of the Date field; zero if unreadable
	Subject    string    // decoded
	From       []Address
	Sender     []Address
	ReplyTo    []Address
	To, Cc     []Address
	Bcc        []Address
	Preview    string // API guide, "List (Preview)": 200 characters
	AutoReply  bool   // marked as automatic, RFC 3834 section 5
	Defects    Defects

	Received   []string // fields of that name, the last hop first; not stored
	HeaderSize int64    // bytes of the header section, with the empty line
	Parts      []Part
	TextPart   int // index of the plain text shown to people; -1 if none
	HTMLPart   int // likewise the HTML

	Envelope      []byte // IMAP ENVELOPE, ready to be sent, RFC 9051 section 7.5.2
	BodyStructure []byte // IMAP BODYSTRUCTURE, with extension data
	Body          []byte // IMAP BODY: the same without extension data
}

// HasAttachments reports whether any part is an attachment.
func (c *Content) HasAttachments() bool {
	for i := range c.Parts {
		if c.Parts[i].Attachment {
			return true
		}
	}
	return false
}

// Part is one MIME entity. Parts stand in the order of the message, each
// multipart before its children; Parts[0] is the message itself.
type Part struct {
	Number     string // IMAP section, such as 1.2; empty for the root
	Parent     int    // index; -1 for the root
	Type       string // media type, lower case; text/plain if absent or broken
	Params     []Param
	Charset    string
	Encoding   string // Content-Transfer-Encoding, lower case
	Filename   string // decoded, made safe to show; empty if none
	ContentID  string // without angle brackets
	Attachment bool   // a file to download
	Inline     bool   // shown within the HTML

	HeaderAt, HeaderSize int64 // the part's header section, with the empty line
	BodyAt, BodySize     int64 // as encoded in the message
	Lines                int64 // of the body as encoded
	DecodedSize          int64 // after the transfer encoding
}

// ShownImage reports whether browsers may show a media type as an image: of those that
// mail has, SVG alone can hold code.
func ShownImage(media string) bool {
	switch media {
	case "image/png", "image/jpeg", "image/gif", "image/webp":
		return true
	}
	return false
}

// Param is a parameter of a media type.
type Param struct{ Name, Value string }

// Tag marks a sent message. Source: API guide, "Request Body".
type Tag struct {
	Name  string `json:"name"`
	Value string `json:"value"`
}

// TagLength is how long name and value of a tag may be, in bytes. Source: as above.
const TagLength = 256

// ValidTag reports whether s may be the name or the value of a tag: 1 to TagLength
// letters, digits, _ or -.
func ValidTag(s string) bool {
	for i := range len(s) {
		c := s[i]
		if (c < '0' || c > '9') && (c < 'a' || c > 'z') && (c < 'A' || c > 'Z') && c != '_' && c != '-' {
			return false
		}
	}
	return len(s) >= 1 && len(s) <= TagLength
}

// ParseTagFilter reads name or name:value.
func ParseTagFilter(v string) (*TagFilter, error) {
	name, value, both := strings.Cut(v, ":")
	f := &TagFilter{Name: name}
	if both {
		f.Value = &value
	}
	if !ValidTag(name) || both && !ValidTag(value) {
		return nil, Fieldf(InvalidParameter, "tag", "tag is name or name:value, each of 1 to %d letters, digits, _ or -", TagLength)
	}
	return f, nil
}

// TagFilter asks for a tag by its name and, if it has a value, by that too.
type TagFilter struct {
	Name  string
	Value *string
}

// In reports whether a tag of a list is asked for.
func (f *TagFilter) In(tags []Tag) bool {
	for _, t := range tags {
		if t.Name == f.Name && (f.Value == nil || t.Value == *f.Value) {
			return true
		}
	}
	return false
}

// Defects are what the scanner met and survived.
type Defects uint16

// The defects; each leaves the message readable.
const (
	DefectHeader      Defects = 1 << iota // a line that is no field
	DefectBoundary                        // a multipart without a usable or closing boundary
	DefectEncoding                        // an unknown transfer encoding, or bad base64
	DefectCharset                         // an unknown or wrong charset
	DefectDepth                           // nested deeper than the limit: the rest is opaque
	DefectParts                           // more parts than the limit: the rest is opaque
	DefectFrom                            // not exactly one author
	DefectMessageID                       // none, or unusable
	DefectHeaderLimit                     // a nested header over its limit: the part is opaque
)

// AuthResult is one method's verdict. Source: RFC 8601 section 2.7.
type AuthResult struct {
	Result string // none, pass, fail, softfail, neutral, temperror, permerror, policy
	Reason string // for people, such as "local"
	Domain string // that the verdict is about
}

// AuthResults says who really sent a message, as far as was checked.
type AuthResults struct {
	SPF, DKIM, DMARC AuthResult
	FromAligned      bool
	// Policy is what the domain in From wants done with mail that fails DMARC, its test
	// mode counted; empty if it says nothing. Disposition is what was done with this one
	// because of that, unless a plugin chose otherwise; empty of mail from before.
	Policy, Disposition Disposition
}

// Disposition is what becomes of mail that fails DMARC, RFC 9989 section 4.7.
type Disposition string

// The dispositions. Each is weaker than the next.
const (
	DispositionNone       Disposition = "none"
	DispositionQuarantine Disposition = "quarantine" // Junk
	DispositionReject     Disposition = "reject"     // the sender is told no
)

// HeaderField is one field of a header section, unfolded and decoded.
type HeaderField struct{ Name, Value string }

// Envelope is what SMTP says about a message, apart from its bytes.
type Envelope struct {
	ReturnPath string   // empty is the null reverse-path
	Recipients []string // forward-paths, all in one domain when receiving
	RemoteIP   string   // of the client that brought it to this gateway; empty for mail from inside
	Helo       string
	Protocol   string // the with-clause of Received; empty: ESMTP
	// Delivery is set for mail from inside: the job that carries it. Receiving
	// the same delivery twice gives the first outcome again.
	Delivery ID
	// Leased is that job as its attempt was given it, if its sender's domain is the
	// recipients': then one commit receives the message and ends the job.
	Leased *Delivery
	// Author is the domain that Submit authorised, Body where the bytes are, and
	// Prefix what stands before them, for mail from inside.
	Author string
	Body   Blob
	Prefix []byte
	// Plugin had it sent, if one had, for mail from inside.
	Plugin ID
}
