package gateway

import (
	"slices"
	"time"
)

// Subscription is somebody who is told what happens in a domain, each event at least
// once and each in its own time: a plugin at its event hook, or a webhook.
type Subscription struct {
	ID      ID // of the plugin or webhook
	Domain  DomainID
	Account AccountID   // 0: all of them, and the domain itself
	Types   []EventType // of these; none: of all
	Plugin  bool        // it is a plugin, which is not told what event hooks did
}

// Wants reports whether a subscription is for an event.
func (s *Subscription) Wants(e *Event) bool {
	return (s.Account == 0 || s.Account == e.Account) && (len(s.Types) == 0 || slices.Contains(s.Types, e.Type)) && (!s.Plugin || e.Plugin.IsZero())
}

// Position is one thing to be told of a feed: an event, or of an event that is about several
// entries the one about Event.UIDs[Part].
type Position struct {
	Sequence uint64
	Part     uint32
}

// Less is the order of the feed.
func (p Position) Less(o Position) bool {
	return p.Sequence < o.Sequence || p.Sequence == o.Sequence && p.Part < o.Part
}

// Cursor is how far a subscription has come.
type Cursor struct {
	// Next is the first place that is not dealt with: all before it was told, or waits to
	// be told again, or is given up. Done are those behind it of which the same is true.
	Next Position
	Done []Position
	// Waiting is how many wait to be told again, and Due when the first of them is due;
	// zero if none waits.
	Waiting int
	Due     time.Time
}

// Waiting is an event that is told again.
type Waiting struct {
	Position
	Event    Event
	Attempts int // made so far
	Due      time.Time
	Error    string // of the last one
}

// Told is what came of telling a subscription of an event.
type Told struct {
	Position
	Event Event
	// Next is the first place before which nothing is under way.
	Next     Position
	Due      time.Time // when it was due again; zero: it comes from the feed
	Attempts int       // this one included
	// Error is why it failed; empty if it did not. Again is when it is told again; zero:
	// it is given up.
	Error string
	Again time.Time
	Result
}

// Result is what somebody who was told wants done.
type Result struct {
	// Skipped says that the event is not for the subscription after all: nobody was asked.
	Skipped bool
	Effects Effects
	Change  MessageChange // of the entry that the event is about
	// Attempt is what a webhook answered, and Stop why it is told of nothing any more.
	Attempt *WebhookAttempt
	Stop    string
}

// PluginTurn is one of a plugin that is asked at intervals.
type PluginTurn struct {
	Domain        DomainID
	Plugin        ID
	Due, Previous time.Time // Previous is zero for the first
}

// MessageChange is what is done to an entry.
type MessageChange struct {
	FlagChange
	Folder string // where it goes, made if need be; empty: it stays
}

// None reports whether nothing is done.
func (c *MessageChange) None() bool {
	return c.Folder == "" && !c.Replace && c.Add|c.Remove == 0 && len(c.AddLabels)+len(c.RemoveLabels) == 0
}

// Failure is an event that a subscription could not be told of: a dead letter.
type Failure struct {
	Sequence uint64 // of the subscription's failures, from 1
	Position Position
	Event    Event
	Attempts int
	Error    string // of the last one
	At       time.Time
	EventID  string // as the plugin is told; not stored
}

// FailurePage is some of a subscription's failures, the newest first.
type FailurePage struct {
	Failures []Failure
	More     bool
}
