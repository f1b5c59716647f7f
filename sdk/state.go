package sdk

import (
	"strconv"

	"github.com/centerleap/postern/sdk/abi"
)

// Candidate is a conversation that a message may belong to.
type Candidate = abi.Candidate

// Conversation is a conversation: how many messages it has, and what the newest 20 say.
type Conversation = abi.Conversation

// Said is a message of a Conversation.
type Said = abi.Said

// ID is the message's id in REST; empty while it has none, as on arrival.
func (*Message) ID() string { return value("message_id") }

// Domain is the domain whose mail it is.
func (*Message) Domain() string { return value("domain") }

// Mailbox is the address whose message it is; empty for a plugin of a domain that is
// asked about mail that arrives, for all its recipients at once.
func (*Message) Mailbox() string { return value("mailbox") }

// Folder is where the message is, or will be as far as it is decided.
func (*Message) Folder() string { return value("folder") }

// Labels are what it is marked with, or will be as far as it is decided.
func (*Message) Labels() []string { return texts("labels") }

// Flags are its flags, such as \Seen, or will be as far as it is decided.
func (*Message) Flags() []string { return texts("flags") }

// Score is the sum of what plugins gave it that were asked before.
func (*Message) Score() float64 {
	f, _ := strconv.ParseFloat(value("score"), 64)
	return f
}

// DryRun reports whether somebody only tries the plugin: nothing is done of what it
// decides, and nothing kept of what it remembers.
func (*Message) DryRun() bool { return value("dry_run") == "true" }

// ThreadID is the conversation that the message will be in unless the plugin says
// otherwise. It is known to the thread hook, and afterwards.
func (*Message) ThreadID() string { return value("thread_id") }

// NewThreadID is the conversation that NewThread would start.
func (*Message) NewThreadID() string { return value("new_thread_id") }

// Candidates are the conversations that the message may belong to, for the thread hook: it
// joins the first.
func (*Message) Candidates() (list []Candidate) {
	each("candidates", ".thread_id", func(id, at string) {
		list = append(list, Candidate{ThreadID: id, Subject: value(at + ".subject")})
	})
	return list
}

// Thread is the conversation that the message is in. Permission thread:read.
func (*Message) Thread() (Conversation, error) {
	doc, err := host.Thread()
	if err != nil {
		return Conversation{}, err
	}
	return decode(doc, (*scanner).conversation)
}
