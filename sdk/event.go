package sdk

import "time"

// Type is what happened, for the event hook: such as email.received.
func (*Message) Type() string { return value("type") }

// EventID is the event's, for the event hook: the same each time that it is tried.
func (*Message) EventID() string { return value("id") }

// Attempt counts how often the plugin was told of the event: 1 is the first time.
func (*Message) Attempt() int { return int(number("attempt")) }

// Detail is the recipient that the event is about, if it is about one.
func (*Message) Detail() string { return value("detail") }

// Done is what a Message returns when an event hook asks it for something, so that a hook
// can end with it:
//
//	return m.Reply(sdk.Text(answer)).Label("auto-answered")
//
// It is an error by its type alone: a hook that returns one, or errors.Join of some, has
// succeeded. Nothing is done before that.
type Done struct{} //nolint:errname // it is no error

// Error says that nothing is wrong.
func (Done) Error() string { return "nothing is wrong: this is what an event hook asks for" }

// wishes are what an event hook asks for; nil if nothing.
var wishes *Verdict

func wished() Verdict {
	if wishes == nil {
		return Verdict{}
	}
	return *wishes
}

func wish(v Verdict) Done {
	wishes = &v
	return Done{}
}

// Reply answers the message, in an event hook: its author alone, and only where RFC 3834
// has a program answer, which ReplyOK says beforehand. There is one answer, the last.
// Permission reply.
func (*Message) Reply(r Reply) Done { return wish(wished().Reply(r)) }

// Label marks the message with labels, in an event hook: IMAP keywords of 1 to 64 letters,
// digits and marks.
func (*Message) Label(labels ...string) Done { return wish(wished().Label(labels...)) }

// Unlabel takes labels away, in an event hook.
func (*Message) Unlabel(labels ...string) Done { return wish(wished().Unlabel(labels...)) }

// Flag sets flags, in an event hook: \Seen, \Flagged or \Answered.
func (*Message) Flag(flags ...string) Done { return wish(wished().Flag(flags...)) }

// MoveTo moves the message to a folder, in an event hook; it is made if there is none.
func (*Message) MoveTo(folder string) Done { return wish(wished().Folder(folder)) }

// Reply is as Message.Reply.
func (Done) Reply(r Reply) Done { return wish(wished().Reply(r)) }

// Label is as Message.Label.
func (Done) Label(labels ...string) Done { return wish(wished().Label(labels...)) }

// Unlabel is as Message.Unlabel.
func (Done) Unlabel(labels ...string) Done { return wish(wished().Unlabel(labels...)) }

// Flag is as Message.Flag.
func (Done) Flag(flags ...string) Done { return wish(wished().Flag(flags...)) }

// MoveTo is as Message.MoveTo.
func (Done) MoveTo(folder string) Done { return wish(wished().Folder(folder)) }

// failed is what of an error is one: nothing of a Done, nor of errors joined of such.
func failed(err error) error {
	switch e := any(err).(type) {
	case nil, Done:
		return nil
	case interface{ Unwrap() []error }:
		for _, in := range e.Unwrap() {
			if failed(in) != nil {
				return err
			}
		}
		return nil
	}
	return err
}

// Turn is one of those that a tick hook has.
type Turn struct {
	ID        string    // the same each time that it is tried
	Scheduled time.Time // when it was due
	Previous  time.Time // when the one before was; zero for the first
	Domain    string    // whose plugin it is
	Mailbox   string    // likewise; empty for a plugin of a domain
	DryRun    bool      // somebody only tries the plugin
}

// Tick is the turn that a tick hook is asked for.
func Tick() Turn {
	return Turn{
		ID: value("id"), Scheduled: moment("scheduled"), Previous: moment("previous"),
		Domain: value("domain"), Mailbox: value("mailbox"), DryRun: value("dry_run") == "true",
	}
}
