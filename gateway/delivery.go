package gateway

import "time"

// Delivery is the job of carrying one message to one recipient.
type Delivery struct {
	ID         ID
	Domain     DomainID // of the sender
	Account    AccountID
	Message    MessageNumber
	Email      ID // the message's public id
	Key        ID
	ReturnPath string
	Author     string // the From domain that Submit authorised
	Blob       Blob   // the bytes to carry; linked until the delivery ends
	Prefix     []byte // what stands before them; there when it is leased
	Recipient  string
	State      DeliveryState
	Held       HeldReason // why, when State is held
	Then       HeldReason // what holds it after that
	Attempts   int
	Due        time.Time
	LastCode   int
	LastText   string
	CreatedAt  time.Time
	UpdatedAt  time.Time
	Fence      uint64 // of the newest lease; results of older ones are refused
}

// DeliveryState is where a delivery stands.
type DeliveryState string

// The states: queued -> leased -> delivered | queued again | failed; or held; or
// suppressed, from the start.
const (
	DeliveryQueued    DeliveryState = "queued"
	DeliveryLeased    DeliveryState = "leased"
	DeliveryDelivered DeliveryState = "delivered"
	DeliveryFailed    DeliveryState = "failed"
	DeliveryHeld      DeliveryState = "held"
	DeliveryCanceled  DeliveryState = "canceled"
	// DeliverySuppressed is never tried: its recipient is not to get mail.
	DeliverySuppressed DeliveryState = "suppressed"
)

// Ended reports whether no attempt will follow: the bytes are let go.
func (s DeliveryState) Ended() bool {
	return s == DeliveryDelivered || s == DeliveryFailed || s == DeliveryCanceled || s == DeliverySuppressed
}

// HeldReason says why a delivery waits for somebody.
type HeldReason string

// The reasons to hold.
const (
	HeldCapture   HeldReason = "capture"   // the gateway keeps foreign mail until an operator releases it
	HeldScheduled HeldReason = "scheduled" // until its time
	HeldPlugin    HeldReason = "plugin"    // an outbound hook asked for approval
)

// LastDraft is the last event of a message that was never sent. Source: the list of
// statuses in openapi.yaml.
const LastDraft = "draft"

// Outcome is how one attempt ended.
type Outcome struct {
	State DeliveryState // delivered, failed, or queued to try again
	Code  int           // SMTP reply code, or ours
	Text  string
	Retry time.Time // when State is queued
}

// DeliveryMode says what becomes of mail to foreign domains.
type DeliveryMode string

// The modes. Capture is quickstart's: nobody sends real mail by accident.
const (
	ModeCapture DeliveryMode = "capture"
	ModeDirect  DeliveryMode = "direct"
	ModeRelay   DeliveryMode = "relay"
)
