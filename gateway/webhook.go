package gateway

import (
	"encoding/binary"
	"encoding/hex"
	"slices"
	"strings"
	"time"
)

// Webhook is an endpoint that is told what happens, each event by one POST that is
// signed. Source: Standard Webhooks; names of events and data: those of Resend where both
// have them.
type Webhook struct {
	ID       ID
	Domain   DomainID  // 0: the instance's, which is told of domains that come and go
	Account  AccountID // 0: the domain's, which is told of all accounts
	Endpoint string    // https URL; http where the operator allows it
	Types    []EventType
	Enabled  bool
	// Stopped is why the gateway switched it off; empty if it did not.
	Stopped string
	// Secret signs, and so does Former until FormerUntil. Both are SecretPrefix and base64.
	Secret, Former Secret
	FormerUntil    time.Time
	// FailingSince is when it failed for the first time since it last took something, or
	// had nothing to take; zero if it took the last.
	FailingSince         time.Time
	CreatedAt, UpdatedAt time.Time
}

// WebhookSecretPrefix begins a webhook's secret. Source: Standard Webhooks.
const WebhookSecretPrefix = "whsec_"

// WebhookEvents are those that a webhook of a domain may ask for, and is told when it names none, but
// for EventUpdated: that is told to those who name it. Source: design, "Webhooks and
// events".
var WebhookEvents = []EventType{
	EventReceived, EventScheduled, EventQueued, EventSent, EventDelivered, EventDelayed, EventBounced, EventComplained, EventFailed,
	EventSuppressed, EventCanceled, EventHeld, EventUpdated, EventDomain, EventSuppressionAdded, EventSuppressionRemoved,
	EventPluginDisabled,
}

// InstanceEvents are those of a webhook of the instance. They are in a feed of its own: no
// domain's is read for it.
var InstanceEvents = []EventType{EventDomainCreated, EventDomainDeleted}

// WebhookEventsOf are those that a webhook of a domain may ask for; of 0, the instance.
func WebhookEventsOf(d DomainID) []EventType {
	if d == 0 {
		return InstanceEvents
	}
	return WebhookEvents
}

// Wanted are the events that it is told of.
func (w *Webhook) Wanted() []EventType {
	switch {
	case len(w.Types) > 0:
		return w.Types
	case w.Domain == 0:
		return InstanceEvents
	}
	return slices.DeleteFunc(slices.Clone(WebhookEvents), func(t EventType) bool { return t == EventUpdated })
}

// WebhookChange changes a webhook; nil stays.
type WebhookChange struct {
	Endpoint *string
	Types    *[]EventType
	Enabled  *bool
}

// WebhookAttempt is one POST of an event.
type WebhookAttempt struct {
	At     time.Time
	Took   time.Duration
	Status int    // of the answer; 0 if there was none
	Answer string // the beginning of it
	Error  string // why it counts as a failure; empty if it was taken
}

// WebhookState is how far the telling of an event is.
type WebhookState string

// The states.
const (
	WebhookDelivered WebhookState = "delivered"
	WebhookPending   WebhookState = "pending" // it failed, and is tried again
	WebhookFailed    WebhookState = "failed"  // it is given up
	WebhookSkipped   WebhookState = "skipped" // what it is about was gone: the endpoint was not asked again
)

// WebhookEvent is an event as a webhook was told of it.
type WebhookEvent struct {
	Position
	Event    Event
	State    WebhookState
	Tried    int              // how often it was asked
	Attempts []WebhookAttempt // the newest ones, in order
	Next     time.Time        // when it is tried again; zero: it is not
}

// WebhookEventPage is some of what a webhook was told, the newest events first.
type WebhookEventPage struct {
	Events []WebhookEvent
	More   bool
}

// eventPrefix begins the id of an event.
const eventPrefix = "evt_"

// EventID names an event for all who are told of it by webhook, the same each time. The
// time tells apart what has one number since a backup was restored.
func EventID(p Position, at time.Time) string {
	b := binary.BigEndian.AppendUint64(nil, p.Sequence)
	b = binary.BigEndian.AppendUint32(b, p.Part)
	b = binary.BigEndian.AppendUint64(b, uint64(at.UnixMilli())) //nolint:gosec // events are after 1970
	return eventPrefix + hex.EncodeToString(b)
}

// ParseEventID is EventID read; false if it is none.
func ParseEventID(id string) (p Position, ms int64, ok bool) {
	b, err := hex.DecodeString(strings.TrimPrefix(id, eventPrefix))
	if err != nil || len(b) != 20 || !strings.HasPrefix(id, eventPrefix) {
		return p, 0, false
	}
	p = Position{binary.BigEndian.Uint64(b), binary.BigEndian.Uint32(b[8:])}
	return p, int64(binary.BigEndian.Uint64(b[12:])), true //nolint:gosec // what is no time is found nowhere
}
