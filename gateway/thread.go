package gateway

import "time"

// Thread is a conversation inside one account.
type Thread struct {
	ID      ID
	Account AccountID
	Subject string // of its first message
	Count   int
	Newest  time.Time
}

// Conversation is what was said in a thread.
type Conversation struct {
	Thread
	Messages []Said // the newest, oldest first
}

// Said is a message of a conversation, with the start of its text; Cut says there is more.
type Said struct {
	Message *Message
	Text    string
	Cut     bool
}

// ThreadFacts are what decides a message's conversation and its place there.
// The threading room makes them from a message; the store keeps them.
type ThreadFacts struct {
	MessageID string
	Links     []string  // the Message-IDs it refers to
	Base      string    // base subject, RFC 5256 section 2.1
	Reply     bool      // the subject has a reply prefix
	Date      time.Time // for order: the Date field, or the arrival if that can't be
	People    []string  // folded addresses of From, To and Cc
	Rank      string    // bytewise order within a thread
}

// Threaded is where a message belongs, and why.
type Threaded struct {
	Thread ID
	Facts  ThreadFacts
}

// Headerless reports whether only the subject says what this answers.
func (f *ThreadFacts) Headerless() bool { return f.Reply && len(f.Links) == 0 && f.Base != "" }
