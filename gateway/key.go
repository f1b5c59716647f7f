package gateway

import (
	"time"
)

// Key is an API key as it is stored: everything but the key.
type Key struct {
	ID         ID
	Name       string
	Prefix     string // the first 12 characters
	Last4      string // the last 4
	Digest     Digest
	Permission Permission
	Level      Level
	Domain     DomainID  // 0 for an instance key
	Account    AccountID // 0 but for an account key
	CreatedAt  time.Time
	ExpiresAt  time.Time // zero: never
	RevokedAt  time.Time // zero: not revoked
	LastUsedAt time.Time
	Limits     KeyLimits
	Used       Usage // of the current hour, as far as known
}

// Display is how a key is shown after its creation.
func (k *Key) Display() string { return k.Prefix + "..." + k.Last4 }

// Expired reports whether the key had ended at t: the instant itself is too late.
func (k *Key) Expired(t time.Time) bool { return !k.ExpiresAt.IsZero() && !t.Before(k.ExpiresAt) }

// Live reports whether the key may be used at t.
func (k *Key) Live(t time.Time) bool { return k.RevokedAt.IsZero() && !k.Expired(t) }

// KeyUse says when a key was last used.
type KeyUse struct {
	ID     ID
	Domain DomainID
	At     time.Time
}

// Permission is what a key may do. Source: API guide, "Permission Levels".
type Permission string

// The two permissions of the guide.
const (
	FullAccess Permission = "full_access"
	SendOnly   Permission = "send_only"
)

// KeyLimits caps a key, per hour; 0 is no limit. Source: API guide, "Rate Limits".
type KeyLimits struct {
	Messages, Recipients int64
}

// Usage is one hourly window: it opens with the first accepted message and
// lasts Window.
type Usage struct {
	Opened               time.Time
	Messages, Recipients int64
}

// Window is how long an hourly limit counts, from its first accepted message.
// Source: API guide, "Rate Limits" ("resets hourly").
const Window = time.Hour

// At returns the usage that counts at t: u itself, or an empty one if u's
// window has passed.
func (u Usage) At(t time.Time) Usage {
	if u.Opened.IsZero() || !t.Before(u.Opened.Add(Window)) {
		return Usage{}
	}
	return u
}
