package gateway

import "time"

// Acceptance is all that one accepted submission makes durable, in one commit
// of the sender's domain.
type Acceptance struct {
	Message *Message // ID, Arrived, Recipients, Blob, Content, Tags, Key; the rest is filled
	From    Address  // the author: its account is found or made in the commit
	Facts   ThreadFacts
	// Deliveries have ID, Recipient, Site, State, Held, Due, ReturnPath and Author. One
	// that is leased the caller tries as soon as the commit is durable, with no other lease.
	Deliveries []Delivery
	Thread     ThreadChoice
	NewThread  ID // of the conversation it may start; zero: any
	Effects    Effects
	Activity   *Activity // filled and logged with the commit; may be nil
	Intent     *Intent   // that this fulfils: the commit ends it; may be nil
	// Draft keeps the message in Drafts: nothing is sent, counted or delivered.
	Draft bool
	// Replaces is the draft that is sent: it goes, and the message takes its ID and
	// its conversation.
	Replaces bool
}

// Once makes a request happen once, however often a client makes it. Source: the
// Idempotency-Key header, draft-ietf-httpapi-idempotency-key-header.
type Once struct {
	Name   string                  // the request's route and what the client calls it
	Digest [32]byte                // SHA-256 of what it asks for
	Answer func([]Accepted) []byte // its answer, which commits with what it did
}

// Replay is what a request that has happened was, and its answer.
type Replay struct {
	Digest [32]byte
	Answer []byte
}

// OnceRetention is how long the answer to a request is kept for those who make it
// again.
const OnceRetention = 24 * time.Hour

// Accepted is what the commit decided.
type Accepted struct {
	Account AccountID
	Thread  ID
	Used    Usage      // of the key, this message included
	Leased  []Delivery // those of its deliveries that the caller is to try now
}

// Filing is all that one received message makes durable, in one commit of the
// recipients' domain.
type Filing struct {
	Delivery ID        // for mail from inside; its outcome is remembered
	Author   string    // the domain that Submit authorised, of such mail
	Client   Client    // that brought it otherwise
	Leased   *Delivery // the job, if it is of the same domain: it ends with this
	Message  *Message
	Facts    ThreadFacts
	Copies   []Copy
	Effects  Effects
}

// LabelNotRedirected marks mail that stayed because it could not be sent on.
const LabelNotRedirected = "not-redirected"

// Copy is the message in one account.
type Copy struct {
	Account    AccountID // 0: made for Address, when the domain takes any
	Address    string
	ID         ID // of the record
	Recipients []string
	Prefix     []byte
	Folder     string
	MakeFolder bool // if there is none of that name
	Flags      Flags
	Labels     []string
	Headers    []HeaderField // that plugins add; they end the Prefix
	// Redirects are whom it is sent on to. It then stays only with Keep, or if the commit
	// finds that none of them can be made.
	Redirects []Redirect
	Keep      bool
	Thread    ThreadChoice
	NewThread ID // of the conversation it may start; zero: any
}

// Place is one entry, named by where it stands.
type Place struct {
	Domain  DomainID
	Account AccountID
	Mailbox MailboxID
	UID     uint32
}

// Selection is one mailbox, of which a command means some entries.
type Selection struct {
	Domain  DomainID
	Account AccountID
	Mailbox MailboxID
}

// Moved says which UID an entry got where it went.
type Moved struct{ From, To uint32 }

// Appending is a message that an IMAP client puts into a mailbox.
type Appending struct {
	Message *Message // ID, Arrived, Blob, Content; the rest is filled
	Facts   ThreadFacts
	Flags   Flags
	Labels  []string
}

// FlagChange alters an entry; labels are IMAP keywords. With Replace, Add and
// AddLabels are all it has afterwards.
type FlagChange struct {
	Replace bool

	Add, Remove             Flags
	AddLabels, RemoveLabels []string
}

// ListQuery asks for entries of one mailbox in list order: newest arrival
// first, then newest number.
type ListQuery struct {
	Domain  DomainID
	Account AccountID
	Mailbox MailboxID
	Skip    int
	Limit   int
	After   *Entry // the entries below this one
	Before  *Entry // instead: those just above it, in list order all the same
	// Since and Until narrow to arrivals from one time on and before another; zero
	// does not.
	Since, Until time.Time
}

// Wanted names messages of an account: those of a list, in order, and all that came
// after one.
type Wanted struct {
	Among  []MessageNumber
	Behind MessageNumber
}

// Listed is a message in the list of a mailbox.
type Listed struct {
	Message MessageNumber
	UID     uint32
}

// Listing is a page of a mailbox.
type Listing struct {
	Mailbox  Mailbox
	Messages []*Message // each with Entries[0] being the entry listed
	More     bool       // on the far side of the page, seen from where it began
}
