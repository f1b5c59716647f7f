package gateway

import (
	"cmp"
	"io"
	"slices"
	"time"
)

// Hook is a point in a flow where plugins are asked.
type Hook string

// The hooks.
const (
	HookInbound  Hook = "inbound"
	HookOutbound Hook = "outbound"
	HookThread   Hook = "thread"
	HookEvent    Hook = "event" // after the fact: nothing waits for it
	HookTick     Hook = "tick"
)

// Look is a message as a hook gets to see it. One goroutine uses it.
type Look struct {
	Message  *Message // what was parsed of it; it may have no id yet; nil for HookTick
	Envelope Envelope
	// Account and Mailbox are whose copy it is about; 0 and empty when the
	// domain's own plugins are asked about mail that arrives.
	Account AccountID
	Mailbox string
	Domain  string // the name of its domain, if neither Mailbox nor Envelope has it
	Via     string // rest, smtp or plugin, for mail that leaves
	Reading Reading
	// Automation says whether a program wrote it, and whether one may answer. It reads
	// the header, so it is called only if somebody asks; nil if there is no message.
	Automation func() (Automation, error)
	// Folder, Flags and Labels are where it is, or will be as far as it is decided; Score
	// is the sum of what was given.
	Folder string
	Flags  Flags
	Labels []string
	Score  float64
	// Edit does to the message what a verdict wants changed of it, so that those who are
	// asked after see it so. InvalidParameter or TooLarge is about what was wanted: then
	// all is as it was. Nil if nothing can be changed.
	Edit func(*Verdict) error
	// Event is what happened, for HookEvent, and Tick which turn it is, for HookTick.
	Event *Happening
	Tick  *Tick
	// Candidates finds the conversations it may belong to, for HookThread: it joins
	// the first unless a plugin says otherwise, or starts NewThread. It is called
	// only if somebody is asked.
	Candidates func() ([]Thread, error)
	// Conversation reads the one that the message is in, or will be as far as is known; nil
	// if there is none. It is itself nil where nobody's copy is looked at.
	Conversation func() (*Conversation, error)
	NewThread    ID
	// Until is when the time of all hooks of this message is over.
	Until time.Time
	// DryRun says that nothing is done of what is decided: somebody tries a plugin.
	DryRun bool
	// Effects gathers what plugins want to remember about this message, over all
	// hooks it passes.
	Effects *Effects
}

// Reading gives the bytes of a message to whom may read it.
type Reading interface {
	// Header is the message's own header section, unfolded and decoded.
	Header() ([]HeaderField, error)
	// Part opens the decoded bytes of Content.Parts[i]; -1 is the raw message.
	// NotFound if there is no such part.
	Part(i int) (io.ReadCloser, error)
	// Text is the start of the plain text shown to people, at most most bytes;
	// cut says there was more.
	Text(most int64) (text string, cut bool, err error)
}

// Automation says whether a program wrote a message, and whether one may answer it:
// RFC 3834 section 2.
type Automation struct {
	Auto   bool // marked as automatic
	List   bool // from a mailing list
	Bulk   bool // Precedence: bulk, list or junk
	Bounce bool // null reverse-path
	// Silent is why a program must not answer; empty if it may.
	Silent string
}

// Happening is an event as the plugin of an installation is told it.
type Happening struct {
	ID      string // the same each time it is told
	Type    EventType
	Detail  string // the recipient it is about, if it is about one
	Attempt int    // 1 for the first
}

// Tick is one turn of a plugin that is asked at intervals.
type Tick struct {
	ID                  string
	Scheduled, Previous time.Time // Previous is zero for the first
}

// Verdict is what a hook says about a message. The zero Verdict has no opinion:
// accept, allow.
type Verdict struct {
	Action   Action
	Code     int    // SMTP reply code of a refusal; 0 for the usual one
	Text     string // for the sender, of a refusal
	Folder   string // where an accepted copy goes, made if need be; empty for the usual place
	Flags    Flags
	Labels   []string
	Unlabel  []string
	Redirect []string      // addresses that it is sent on to; a copy stays only with Keep
	Keep     bool          //
	Headers  []HeaderField // to be added: to a copy that arrives, or before mail that leaves is signed
	Edits    []HeaderEdit  // to be made to the header of mail that leaves, in order
	Subject  *string       // instead of its own, of mail that leaves
	Body     *Body         // likewise
	Tags     []Tag         // added to mail that leaves
	Remove   []string      // recipients that mail that leaves is not for
	Until    time.Time     // when mail that is held leaves by itself; zero: never
	Reply    *AutoReply
	Thread   ThreadChoice
	Score    float64
	Final    bool // nobody else is to be asked
}

// HeaderEdit changes the header of mail that leaves: with Set, the field is the only one
// of its name; without, none of that name is left.
type HeaderEdit struct {
	Set         bool
	Name, Value string
}

// Body is a text in both its forms; what is empty is not there.
type Body struct{ Text, HTML string }

// AutoReply is what a plugin answers.
type AutoReply struct {
	Plugin  ID     // who answers
	From    string // empty: the mailbox
	Subject string // empty: that of the message, as an answer has it
	Body
}

// Changes reports whether a verdict changes the message itself.
func (v *Verdict) Changes() bool {
	return len(v.Headers)+len(v.Edits)+len(v.Tags)+len(v.Remove) > 0 || v.Subject != nil || v.Body != nil
}

// None reports whether a verdict has no opinion.
func (v *Verdict) None() bool {
	return v.Action == ActionAccept && v.Code == 0 && v.Text == "" && v.Folder == "" && v.Flags == 0 && !v.Keep && !v.Final && v.Score == 0 &&
		len(v.Labels)+len(v.Unlabel)+len(v.Redirect) == 0 && !v.Changes() && v.Until.IsZero() && v.Reply == nil && v.Thread.None()
}

// Add makes of a verdict what two hooks say that are asked one after the other: the later
// one decides where it has an opinion, and what they add adds up. There is one reply: the
// first.
func (v *Verdict) Add(later *Verdict) {
	if later.None() { // as of most who are asked
		return
	}
	until := later.Until
	if v.Action == ActionHold && later.Action == ActionHold { // until all who hold it let it go
		until = longer(v.Until, until)
	}
	if later.Action != ActionAccept { // with its own words, or none
		v.Action, v.Code, v.Text, v.Until = later.Action, later.Code, later.Text, until
	}
	v.Folder = cmp.Or(later.Folder, v.Folder)
	v.Flags |= later.Flags
	v.Labels = slices.DeleteFunc(slices.Clone(v.Labels), func(l string) bool { return slices.Contains(later.Unlabel, l) })
	v.Labels = append(v.Labels, later.Labels...)
	v.Unlabel = slices.Concat(v.Unlabel, later.Unlabel)
	v.Redirect = slices.Concat(v.Redirect, later.Redirect)
	v.Keep = v.Keep || later.Keep
	v.Headers = slices.Concat(v.Headers, later.Headers)
	v.Edits = slices.Concat(v.Edits, later.Edits)
	v.Subject = cmp.Or(later.Subject, v.Subject)
	v.Body = cmp.Or(later.Body, v.Body)
	v.Tags = slices.Concat(v.Tags, later.Tags)
	v.Remove = slices.Concat(v.Remove, later.Remove)
	v.Reply = cmp.Or(v.Reply, later.Reply)
	if !later.Thread.None() {
		v.Thread = later.Thread
	}
	v.Score += later.Score
	v.Final = v.Final || later.Final
}

// longer is the later of two ends, of which zero is none.
func longer(a, b time.Time) time.Time {
	if a.IsZero() || b.IsZero() {
		return time.Time{}
	}
	if a.After(b) {
		return a
	}
	return b
}

// Action is what becomes of the message.
type Action string

// The actions. Accept, Reject, Tempfail, Quarantine and Discard are for mail
// that arrives; Allow, Deny and Hold for mail that leaves.
const (
	ActionAccept     Action = "" // also Allow
	ActionReject     Action = "reject"
	ActionTempfail   Action = "tempfail"
	ActionQuarantine Action = "quarantine"
	ActionDiscard    Action = "discard"
	ActionDeny       Action = "deny"
	ActionHold       Action = "hold"
)

// ThreadChoice is what a plugin decides about a message's conversation: nothing,
// or to join one, or to start one. One that is gone by the commit is as nothing, as is one
// of another account.
type ThreadChoice struct {
	Join  ID   // of the same account
	New   bool // start Look.NewThread
	Merge []ID // conversations that go into the message's own
	Take  []ID // emails that go into the one that New starts
}

// None reports whether nothing is decided.
func (c *ThreadChoice) None() bool {
	return c.Join.IsZero() && !c.New && len(c.Merge)+len(c.Take) == 0
}

// Effects are what comes of asking plugins about a message, besides the verdict. They are
// durable with it: all or nothing.
type Effects struct {
	KV      []PluginWrite
	Intents []Intent
	Steps   []Step
}

// Empty reports whether there is nothing to make durable.
func (e *Effects) Empty() bool { return len(e.KV)+len(e.Intents)+len(e.Steps) == 0 }

// PluginWrite is one value that a plugin remembers, or forgets.
type PluginWrite struct {
	Plugin  ID
	Key     string
	Value   []byte
	Expires time.Time // zero: never
	Delete  bool
}

// Intent is mail that a plugin wants sent. It is durable with what caused it, and
// submitted afterwards, once: its ID is what it happens once by.
type Intent struct {
	ID      ID
	Domain  DomainID
	Account AccountID // that it is sent for; 0: the domain, whose plugin names an address of it
	Plugin  ID
	Answers ID      // the email it replies to; zero for one that stands for itself
	Mail    Compose // without attachments; of a reply From, Subject, Text and HTML
	Created time.Time
	Due     time.Time // when it is tried, or tried again
	Tried   int
	Fence   uint64 // of who tries it now; 0 if nobody does
}

// Step is one plugin's part in what became of a message: its trace.
type Step struct {
	At       time.Time
	Hook     Hook
	Account  AccountID // whose plugin; 0: the domain's
	Mailbox  string    // whose copy it was asked about; empty: all of them
	Plugin   ID
	Name     string
	Version  string // see PluginVersion
	SHA256   [32]byte
	Verdict  Verdict // of its failure policy, if it failed
	Reason   string  // of the verdict
	Failure  string  // why it failed; empty if it did not
	Paused   bool    // it was not asked: it failed too often
	Fuel     int64
	Calls    int64 // imports used
	Took     time.Duration
	Lines    []PluginLine // Level and Text
	Event    EventType    // of HookEvent
	Sequence uint64       // likewise
}
