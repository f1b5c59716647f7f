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
)

// Look is a message as a hook gets to see it. One goroutine uses it.
type Look struct {
	Message  *Message // what was parsed of it; it may have no id yet
	Envelope Envelope
	// Account and Mailbox are whose copy it is about; 0 and empty when the
	// domain's own plugins are asked about mail that arrives.
	Account AccountID
	Mailbox string
	Via     string // rest, smtp or plugin, for mail that leaves
	Reading Reading
	// Candidates finds the conversations it may belong to, for HookThread: it joins
	// the first unless a plugin says otherwise, or starts NewThread. It is called
	// only if somebody is asked.
	Candidates func() ([]Thread, error)
	NewThread  ID
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

// Verdict is what a hook says about a message. The zero Verdict has no opinion:
// accept, allow.
type Verdict struct {
	Action  Action
	Code    int    // SMTP reply code of a refusal; 0 for the usual one
	Text    string // for the sender, of a refusal
	Folder  string // where an accepted copy goes, made if need be; empty for the usual place
	Flags   Flags
	Labels  []string
	Headers []HeaderField // to be added: to a copy that arrives, or before mail that leaves is signed
	Thread  ThreadChoice
	Final   bool // nobody else is to be asked
}

// And is what two hooks say that are asked one after the other: the later one
// decides where it has an opinion, and what they add adds up.
func (v Verdict) And(later Verdict) Verdict {
	if later.Action != ActionAccept { // with its own words, or none
		v.Action, v.Code, v.Text = later.Action, later.Code, later.Text
	}
	v.Folder = cmp.Or(later.Folder, v.Folder)
	v.Flags |= later.Flags
	v.Labels = append(slices.Clone(v.Labels), later.Labels...)
	v.Headers = append(slices.Clone(v.Headers), later.Headers...)
	v.Thread = cmp.Or(later.Thread, v.Thread)
	v.Final = v.Final || later.Final
	return v
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
// or to join one, or to start one. One that is gone by the commit is as nothing.
type ThreadChoice struct {
	Join ID   // of the same account
	New  bool // start Look.NewThread
}

// Effects are what plugins remember because of a message. They are durable with
// it: all or nothing.
type Effects struct{ KV []PluginWrite }

// PluginWrite is one value that a plugin remembers.
type PluginWrite struct {
	Plugin  ID
	Key     string
	Value   []byte
	Expires time.Time // zero: never
}
