package gateway

import (
	"context"
	"errors"
	"time"
)

// Event is one change of a domain, or of the instance, as its feed tells it: the doors' streams,
// IDLE, webhooks and plugins all read the same feed.
type Event struct {
	Sequence uint64 // of the domain; also MODSEQ and the stream's id
	Type     EventType
	At       time.Time
	Domain   DomainID
	Account  AccountID
	Mailbox  MailboxID
	Folder   string
	UID      uint32
	UIDs     []uint32 // of a change of several entries, instead of UID
	Message  MessageNumber
	Email    ID
	Delivery ID     // for the fate of one recipient
	Detail   string // recipient, or what else the type needs
	Plugin   ID     // whose event hook made it happen: no plugin is told, so that none goes in circles
	Subject  ID     // of what is no email: the plugin, or the domain that came or went
}

// EventType names what happened; the names of webhooks where they have one.
type EventType string

// The types.
const (
	EventReceived   EventType = "email.received"
	EventQueued     EventType = "email.queued"
	EventScheduled  EventType = "email.scheduled"
	EventDrafted    EventType = "email.drafted"
	EventSent       EventType = "email.sent" // to a smart host
	EventDelivered  EventType = "email.delivered"
	EventDelayed    EventType = "email.delivery_delayed"
	EventFailed     EventType = "email.failed"
	EventBounced    EventType = "email.bounced"
	EventComplained EventType = "email.complained"
	EventHeld       EventType = "email.held"
	EventCanceled   EventType = "email.canceled"
	EventSuppressed EventType = "email.suppressed"
	EventAppended   EventType = "email.appended" // put there by an IMAP client
	EventUpdated    EventType = "email.updated"  // flags, labels
	EventMoved      EventType = "email.moved"
	EventDeleted    EventType = "email.deleted"
	EventMailbox    EventType = "mailbox.updated"
	EventDomain     EventType = "domain.updated"
	// EventDomainCreated and EventDomainDeleted are the instance's. Detail is the name.
	EventDomainCreated EventType = "domain.created"
	EventDomainDeleted EventType = "domain.deleted"
	EventKeyChanged    EventType = "key.updated"
	EventPlugin        EventType = "plugin.updated"  // one begins to be told of events; Detail is its id
	EventWebhook       EventType = "webhook.updated" // as EventPlugin

	// EventPluginDisabled: one is not asked any more. Detail is the hook of one that failed
	// too often, which is asked again after a while; empty if it was switched off.
	EventPluginDisabled EventType = "plugin.disabled"

	EventSuppressionAdded   EventType = "suppression.added" // Detail is the address
	EventSuppressionRemoved EventType = "suppression.removed"
)

// PluginEvents are those that a plugin's event hook may be told of: they are about an
// email that there is.
var PluginEvents = []EventType{
	EventReceived, EventQueued, EventScheduled, EventSent, EventDelivered, EventDelayed, EventFailed, EventBounced, EventComplained, EventHeld,
	EventCanceled, EventSuppressed, EventUpdated, EventMoved,
}

// ErrTrimmed means that a feed no longer reaches back to where a reader stands.
var ErrTrimmed = errors.New("the feed no longer reaches back that far")

// Feed reads one domain's changes: in order, without a gap. One goroutine uses
// it.
type Feed interface {
	// Next returns up to most events without waiting; none means the reader has
	// caught up. ErrTrimmed when events were lost to age.
	Next(ctx context.Context, most int) ([]Event, error)
	// Wake receives when there may be more: a hint.
	Wake() <-chan struct{}
	// Head is the newest sequence; Seek goes on behind a sequence.
	Head(ctx context.Context) (uint64, error)
	Seek(sequence uint64)
	Close()
}

// Follower reads what happens to one account from some place on. One goroutine
// uses it.
type Follower interface {
	// Next returns up to most events without waiting; none means the follower
	// has caught up. ErrTrimmed when it is too far behind.
	Next(ctx context.Context, most int) ([]Event, error)
	// Refresh makes Next see everything that is committed by now; without, it
	// may lag by a moment.
	Refresh(ctx context.Context) error
	// Wake receives when there may be more: a hint with one slot. Take it, then
	// call Next until it returns none.
	Wake() <-chan struct{}
	// At is the sequence up to which Next has looked.
	At() uint64
	Close()
}
