// Package mailbox reads and changes stored mail, for REST and IMAP alike: list,
// get, update, delete, threads and attachments; and empties Trash. It finds what a client's id
// means inside the client's scope; nothing here parses a message again.
package mailbox

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"runtime"
	"time"

	"github.com/centerleap/postern/gateway"
)

// Store is the part of the store that mailboxes need. What lies outside a scope
// is NotFound.
type Store interface {
	IndexStore
	Domain(ctx context.Context, s gateway.Scope, id gateway.DomainID) (*gateway.Domain, error)
	Account(ctx context.Context, s gateway.Scope, d gateway.DomainID, email string) (*gateway.Account, error)
	AccountByID(ctx context.Context, s gateway.Scope, d gateway.DomainID, id gateway.AccountID) (*gateway.Account, error)
	Mailboxes(ctx context.Context, s gateway.Scope, d gateway.DomainID, a gateway.AccountID) ([]gateway.Mailbox, error)
	// MailboxNamed finds one of them; names match exactly, but for INBOX.
	MailboxNamed(ctx context.Context, s gateway.Scope, d gateway.DomainID, a gateway.AccountID, name string) (gateway.Mailbox, error)
	List(ctx context.Context, s gateway.Scope, q gateway.ListQuery) (gateway.Listing, error)
	// Walk shows fn entry after entry until it returns false. cut says that it ended
	// after q.Limit although there were more.
	Walk(ctx context.Context, s gateway.Scope, q gateway.ListQuery, fn func(*gateway.Message) bool) (cut bool, err error)
	// Listed returns where wanted messages stand in a list, in its order, with q.Before
	// against it. cut says that there are more than q.Limit.
	Listed(ctx context.Context, s gateway.Scope, q gateway.ListQuery, w gateway.Wanted) (at []gateway.Listed, cut bool, err error)
	// ListedMessages reads them, each with its one entry; one that is gone is nil.
	ListedMessages(ctx context.Context, s gateway.Scope, q gateway.ListQuery, at []gateway.Listed) ([]*gateway.Message, error)
	Message(ctx context.Context, s gateway.Scope, id gateway.ID) (*gateway.Message, error)
	MessageByUID(ctx context.Context, s gateway.Scope, at gateway.Place) (*gateway.Message, error)
	MessagesByMessageID(ctx context.Context, s gateway.Scope, a gateway.AccountID, msgid string) ([]*gateway.Message, error)
	// Change alters one entry and, with a folder, moves it, in one commit.
	Change(ctx context.Context, s gateway.Scope, at gateway.Place, c gateway.FlagChange, folder string) (gateway.Entry, error)
	Expunge(ctx context.Context, s gateway.Scope, at gateway.Place) error
	Thread(ctx context.Context, s gateway.Scope, id gateway.ID, skip, limit int) (gateway.Thread, []*gateway.Message, error)
	// Conversation is Newest with structures, without entries.
	Conversation(ctx context.Context, s gateway.Scope, id gateway.ID, most int) (gateway.Thread, []*gateway.Message, error)
	// Newest returns a conversation with its newest messages, newest first.
	Newest(ctx context.Context, s gateway.Scope, id gateway.ID, most int) (gateway.Thread, []*gateway.Message, error)
	Deliveries(ctx context.Context, s gateway.Scope, d gateway.DomainID, a gateway.AccountID, n gateway.MessageNumber) ([]gateway.Delivery, error)
	// RecentMessages returns messages that arrived or were sent, the newest first, behind a
	// place that an earlier call returned; of an account, or with 0 of the scope's domain.
	RecentMessages(ctx context.Context, s gateway.Scope, a gateway.AccountID, sent, newer bool, behind []byte, most int) (all []*gateway.Message, next []byte, err error)
	// RecentPlace is where a message stands among those.
	RecentPlace(ctx context.Context, s gateway.Scope, a gateway.AccountID, id gateway.ID) ([]byte, error)
	// Trace returns which part plugins had in a message.
	Trace(ctx context.Context, s gateway.Scope, d gateway.DomainID, a gateway.AccountID, n gateway.MessageNumber) (gateway.Trace, error)
	OpenBlob(ctx context.Context, s gateway.Scope, b gateway.Blob, off, n int64) (io.ReadCloser, error)
	CreateBlob(ctx context.Context, s gateway.Scope, d gateway.DomainID, sizeHint int64) (gateway.BlobWriter, error)

	// Candidates returns the conversations that a message belongs to by its facts.
	Candidates(ctx context.Context, s gateway.Scope, a gateway.AccountID, f *gateway.ThreadFacts) ([]gateway.Thread, error)

	// What IMAP does to a selected mailbox; entries that are gone are passed over.
	Entries(ctx context.Context, s gateway.Scope, at gateway.Selection) (gateway.Mailbox, []gateway.Entry, error)
	// WalkEntries shows fn every entry, by UID, with the mailbox; neither is kept.
	WalkEntries(ctx context.Context, s gateway.Scope, at gateway.Selection, fn func(*gateway.Mailbox, *gateway.Entry)) (gateway.Mailbox, error)
	EntriesAt(ctx context.Context, s gateway.Scope, at gateway.Selection, uids []uint32) (*gateway.Mailbox, []gateway.Entry, error)
	Messages(ctx context.Context, s gateway.Scope, d gateway.DomainID, a gateway.AccountID, numbers []gateway.MessageNumber, structure bool) ([]*gateway.Message, error)
	// Threaded reads which conversations messages are in, and by what facts.
	Threaded(ctx context.Context, s gateway.Scope, d gateway.DomainID, a gateway.AccountID, numbers []gateway.MessageNumber) ([]*gateway.Threaded, error)
	// Described and Bodies show fn a little of many messages, which is fn's during the call
	// only; those that are gone are passed over. See the store.
	Described(ctx context.Context, s gateway.Scope, d gateway.DomainID, a gateway.AccountID, numbers []gateway.MessageNumber, fn func(i int, c *gateway.Content)) error
	Bodies(ctx context.Context, s gateway.Scope, d gateway.DomainID, a gateway.AccountID, numbers []gateway.MessageNumber, fn func(i int, m *gateway.Message)) error
	// Searched shows fn what a search looks at of messages, in any order; with whole, the
	// bodies of at most so many bytes.
	Searched(ctx context.Context, s gateway.Scope, d gateway.DomainID, a gateway.AccountID, numbers []gateway.MessageNumber, whole int64, fn func(i int, m *gateway.Message, body []byte) error) error
	Vanished(ctx context.Context, s gateway.Scope, at gateway.Selection, since uint64) (uids []gateway.UIDRange, all bool, err error)
	// FlagKnown changes entries whose mod-sequence is since or less, and returns them with
	// the UIDs of the others.
	FlagKnown(ctx context.Context, s gateway.Scope, at gateway.Selection, known gateway.Known, c gateway.FlagChange, since uint64) ([]gateway.Entry, []uint32, error)
	ExpungeAll(ctx context.Context, s gateway.Scope, at gateway.Selection, uids []uint32, marked bool) ([]uint32, error)
	Copy(ctx context.Context, s gateway.Scope, at gateway.Selection, uids []uint32, to gateway.MailboxID, move bool) ([]gateway.Moved, error)
	Append(ctx context.Context, s gateway.Scope, at gateway.Selection, a *gateway.Appending) (gateway.Entry, error)
	CreateMailboxFor(ctx context.Context, s gateway.Scope, d gateway.DomainID, a gateway.AccountID, name, use string) (gateway.Mailbox, error)
	CreateMailbox(ctx context.Context, s gateway.Scope, d gateway.DomainID, a gateway.AccountID, name string) (gateway.Mailbox, error)
	RenameMailbox(ctx context.Context, s gateway.Scope, at gateway.Selection, name string) (gateway.Mailbox, error)
	DeleteMailbox(ctx context.Context, s gateway.Scope, at gateway.Selection) error
	SubscribeMailbox(ctx context.Context, s gateway.Scope, at gateway.Selection, on bool) error

	// What signed links to files need.
	Setting(ctx context.Context, s gateway.Scope, name string) (string, error)
	// KeepSetting sets what was never set, and returns what stands.
	KeepSetting(ctx context.Context, s gateway.Scope, name, value string) (string, error)
	Key(ctx context.Context, s gateway.Scope, id gateway.ID) (*gateway.Key, error)

	// What emptying Trash needs.
	Domains(ctx context.Context, s gateway.Scope) ([]gateway.Domain, error)
	Accounts(ctx context.Context, s gateway.Scope, d gateway.DomainID, after gateway.AccountID, most int) ([]gateway.Account, error)
	// Overdue returns UIDs from one on, at most most, of entries that came into the
	// mailbox before a time.
	Overdue(ctx context.Context, s gateway.Scope, at gateway.Selection, before time.Time, from uint32, most int) ([]uint32, error)
	// Lease takes the right to do a job. InvalidState when somebody else has it.
	Lease(ctx context.Context, s gateway.Scope, job string, ttl time.Duration) (gateway.Lease, error)
}

// Streams follows an account's events.
type Streams interface {
	Follow(ctx context.Context, s gateway.Scope, d gateway.DomainID, a gateway.AccountID) (gateway.Follower, error)
	// Resume follows from behind a sequence. gateway.ErrTrimmed when the feed no longer
	// reaches back there.
	Resume(ctx context.Context, s gateway.Scope, d gateway.DomainID, a gateway.AccountID, after uint64) (gateway.Follower, error)
}

// Config of a Mail.
type Config struct {
	Store   Store            // required
	Limits  gateway.Limits   // required
	Streams Streams          // required
	Log     *slog.Logger     // default: slog.Default()
	Now     func() time.Time // default: time.Now

	// TrashRetention is how long a message stays in Trash; 0 is for ever.
	TrashRetention time.Duration
	// System and Internal are the scopes of Postern's own work: all of it, and that
	// of one domain. Both are required.
	System   gateway.Scope
	Internal func(gateway.DomainID) gateway.Scope
}

// Mail is the flow behind every reader.
type Mail struct {
	cfg      Config
	reads    turns // of many messages
	sorts    turns // whose results stand in memory
	index    Index
	selected selected
	// What was read of search indexes.
	segments *openSegments
}

// New checks cfg. It starts nothing.
func New(cfg Config) (*Mail, error) {
	if cfg.Store == nil || cfg.Streams == nil || cfg.Limits == (gateway.Limits{}) {
		return nil, errors.New("mailbox: Store, Streams and Limits are required")
	}
	if cfg.TrashRetention < 0 || cfg.Internal == nil || cfg.System.Level() != gateway.LevelInstance {
		return nil, errors.New("mailbox: System and Internal are required, and a TrashRetention is positive")
	}
	if cfg.Log == nil {
		cfg.Log = slog.Default()
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	atOnce := cfg.Limits.SortsAtOnce
	m := &Mail{
		cfg: cfg, reads: newTurns(int64(runtime.GOMAXPROCS(0)), 0), sorts: newTurns(atOnce, max(1, atOnce/4)),
		selected: selected{by: make(map[gateway.Selection]*shared)},
	}
	m.index, m.segments = m.askIndex, newOpenSegments(cfg.Limits.IndexCache)
	return m, nil
}

// Ref is how a client names a message: by one of ID, MessageID and UID.
type Ref struct {
	ID        gateway.ID
	MessageID string     // with angle brackets
	UID       uint32     // needs Email with a domain scope; Folder is INBOX if empty
	Folder    string     // narrows to the entry there; "" lets reads take INBOX first
	Email     string     // narrows to one account; must be in scope
	Key       gateway.ID // narrows to what this key sent, if one is given
}

// Item is one message where it stands.
type Item struct {
	Message *gateway.Message
	Entry   gateway.Entry // of the folder meant
	Folder  string
	Email   string   // the account's address
	Snippet *Snippet // of a list that was searched for words
}

// Query asks for a page of a folder, newest first.
type Query struct {
	Email  string // required with a domain scope
	Folder string // INBOX if empty
	Page   int    // from 1; 0 with After
	Limit  int    // 1 to Limits.PageSize
	After  *Ref   // instead of Page: the entries after this one in list order
	Before *Ref   // instead of both: those just before this one
	Filter *Filter
}

// Page is the answer to a Query.
type Page struct {
	Items   []Item
	Total   int64
	Capped  bool // there may be more than Total: the filter looked no further
	HasMore bool // in the direction of the query; with Capped, perhaps
	Page    int
	Size    int
}

// Change is an update of one message; nil fields stay.
type Change struct {
	Read, Starred *bool
	Folder        *string
	AddLabels     []string
	RemoveLabels  []string
}

// Removed says where a deleted message went.
type Removed struct {
	ID     gateway.ID
	Folder string // Trash; empty when it is gone for good
	UID    uint32
}

// Conversation is a thread with a page of its messages, oldest first.
type Conversation struct {
	Thread  gateway.Thread
	Email   string
	Items   []Item
	HasMore bool
}

// Body is the readable content of a message.
type Body struct {
	Text, HTML string
	TextFrom   string // "part", or "html" when the text was derived from it
	Hidden     bool   // the HTML hides text that Text leaves out
	Cut        bool   // a part is longer than is read
}

// File is an attachment of a stored message.
type File struct {
	ID   gateway.ID
	Part gateway.Part
	Size int64 // decoded
}
