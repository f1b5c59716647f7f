package gateway

import "time"

// Event is one change of a domain, as its feed tells it: the doors' streams,
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
	Message  MessageNumber
	Email    ID
	Delivery ID     // for the fate of one recipient
	Detail   string // recipient, or what else the type needs
}

// EventType names what happened; the names of webhooks where they have one.
type EventType string

// The types.
const (
	EventReceived   EventType = "email.received"
	EventQueued     EventType = "email.queued"
	EventDelivered  EventType = "email.delivered"
	EventDelayed    EventType = "email.delivery_delayed"
	EventFailed     EventType = "email.failed"
	EventHeld       EventType = "email.held"
	EventCanceled   EventType = "email.canceled"
	EventUpdated    EventType = "email.updated" // flags, labels
	EventMoved      EventType = "email.moved"
	EventDeleted    EventType = "email.deleted"
	EventMailbox    EventType = "mailbox.updated"
	EventDomain     EventType = "domain.updated"
	EventKeyChanged EventType = "key.updated"
)
