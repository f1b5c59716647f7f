package gateway

// Verdict is what a hook says about a message. The zero Verdict has no opinion:
// accept, allow.
type Verdict struct {
	Action Action
	Code   int    // SMTP reply code of a refusal; 0 for the usual one
	Text   string // for the sender, of a refusal
	Folder string // where an accepted copy goes; empty for the usual place
	Flags  Flags
	Labels []string
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
