package sdk

import (
	"slices"
	"time"

	"github.com/centerleap/postern/sdk/abi"
)

// Verdict is what a hook decides. Its methods return a Verdict with something added. Each
// hook takes some of it only, as package abi says of each member; a verdict that its hook
// does not take, or that needs a permission the plugin lacks, is a failure of the plugin.
type Verdict struct{ doc abi.Verdict }

func act(action string) Verdict { return Verdict{abi.Verdict{Action: action}} }

// Accept takes the message that arrives. For the thread hook: it goes where it would
// go anyway.
func Accept() Verdict { return act(abi.Accept) }

// Reject refuses it for good: code is 550 to 559, or 0 for 550; text is one line for
// its sender.
func Reject(code int, text string) Verdict {
	return Verdict{abi.Verdict{Action: abi.Reject, SMTP: &abi.SMTP{Code: code, Text: text}}}
}

// Tempfail asks its sender to try again later.
func Tempfail(text string) Verdict {
	return Verdict{abi.Verdict{Action: abi.Tempfail, SMTP: &abi.SMTP{Text: text}}}
}

// Quarantine files it in Junk.
func Quarantine(reason string) Verdict {
	return Verdict{abi.Verdict{Action: abi.Quarantine, Reason: reason}}
}

// Discard drops it; its sender hears that all is well. Permission discard.
func Discard() Verdict { return act(abi.Discard) }

// Allow lets mail leave.
func Allow() Verdict { return act(abi.Allow) }

// Deny refuses mail that wants to leave; its sender is told text at once.
func Deny(text string) Verdict {
	return Verdict{abi.Verdict{Action: abi.Deny, SMTP: &abi.SMTP{Text: text}}}
}

// Hold keeps mail that wants to leave until somebody releases it.
func Hold(reason string) Verdict { return Verdict{abi.Verdict{Action: abi.Hold, Reason: reason}} }

// HoldUntil keeps mail that wants to leave until then, unless somebody releases it before.
func HoldUntil(reason string, until time.Time) Verdict {
	v := Hold(reason)
	v.doc.Hold = &abi.HoldUntil{Until: until.UTC().Format(time.RFC3339)}
	return v
}

// Join puts the message into a conversation of its mailbox; one that there is not
// (any more) changes nothing. Permission thread.
func Join(threadID string) Verdict {
	return Verdict{abi.Verdict{Thread: &abi.ThreadMove{Op: "join", ThreadID: threadID}}}
}

// NewThread starts a conversation with the message: NewThreadID. Permission thread.
func NewThread() Verdict { return Verdict{abi.Verdict{Thread: &abi.ThreadMove{Op: "new"}}} }

// Merge puts the message into a conversation as Join does, or leaves it where it goes
// anyway if threadID is empty, and has others become part of that one. Permission thread.
func Merge(threadID string, others ...string) Verdict {
	return Verdict{abi.Verdict{Thread: &abi.ThreadMove{Op: "merge", ThreadID: threadID, With: others}}}
}

// Split starts a conversation as NewThread does, and takes earlier messages of the mailbox
// into it, by their ID. Permission thread.
func Split(messageIDs ...string) Verdict {
	return Verdict{abi.Verdict{Thread: &abi.ThreadMove{Op: "split", With: messageIDs}}}
}

// Folder files the message there; the folder is made if there is none.
func (v Verdict) Folder(name string) Verdict {
	v.doc.Folder = name
	return v
}

// Label adds labels, which are IMAP keywords: 1 to 64 letters, digits and marks.
func (v Verdict) Label(labels ...string) Verdict {
	v.doc.Labels = append(slices.Clone(v.doc.Labels), labels...)
	return v
}

// Unlabel takes labels away that plugins gave which were asked before.
func (v Verdict) Unlabel(labels ...string) Verdict {
	v.doc.Unlabel = append(slices.Clone(v.doc.Unlabel), labels...)
	return v
}

// Flag sets flags: \Seen, \Flagged or \Answered.
func (v Verdict) Flag(flags ...string) Verdict {
	v.doc.Flags = append(slices.Clone(v.doc.Flags), flags...)
	return v
}

// AddHeader adds a header field: to the stored copy of mail that arrives, to mail that
// leaves before it is signed. Permission headers.
func (v Verdict) AddHeader(name, value string) Verdict {
	v.doc.Headers = append(slices.Clone(v.doc.Headers), abi.HeaderEdit{Op: "add", Name: name, Value: value})
	return v
}

// SetHeader has mail that leaves carry one field of that name, with this value.
// Permission headers.
func (v Verdict) SetHeader(name, value string) Verdict {
	v.doc.Headers = append(slices.Clone(v.doc.Headers), abi.HeaderEdit{Op: "set", Name: name, Value: value})
	return v
}

// DeleteHeader has mail that leaves carry no field of that name. Permission headers.
func (v Verdict) DeleteHeader(name string) Verdict {
	v.doc.Headers = append(slices.Clone(v.doc.Headers), abi.HeaderEdit{Op: "delete", Name: name})
	return v
}

// Subject gives mail that leaves another one, if REST or a plugin composed it. Permission
// body.
func (v Verdict) Subject(text string) Verdict {
	v.doc.Subject = &text
	return v
}

// Body gives mail that leaves another text, if REST or a plugin composed it; of the two
// forms, an empty one is left out. Attachments stay. Permission body.
func (v Verdict) Body(text, html string) Verdict {
	v.doc.Body = &abi.Body{Text: text, HTML: html}
	return v
}

// Tag adds a tag to mail that leaves.
func (v Verdict) Tag(name, value string) Verdict {
	v.doc.Tags = append(slices.Clone(v.doc.Tags), abi.Tag{Name: name, Value: value})
	return v
}

// Remove takes recipients away from mail that leaves. Permission rcpt.
func (v Verdict) Remove(recipients ...string) Verdict {
	v.doc.Remove = append(slices.Clone(v.doc.Remove), recipients...)
	return v
}

// Redirect sends mail that arrives on to these addresses, instead of keeping it.
// Permission redirect.
func (v Verdict) Redirect(to ...string) Verdict {
	v.doc.Redirect = append(slices.Clone(v.doc.Redirect), to...)
	return v
}

// Keep keeps a copy of mail that is redirected.
func (v Verdict) Keep() Verdict {
	v.doc.Keep = true
	return v
}

// Reply answers mail that arrives: its author alone, and only where RFC 3834 has a program
// answer, which Message.ReplyOK says beforehand. Permission reply.
func (v Verdict) Reply(r Reply) Verdict {
	v.doc.Reply = &r.doc
	return v
}

// Score says how sure the plugin is.
func (v Verdict) Score(score float64) Verdict {
	v.doc.Score = score
	return v
}

// Reason says why, for the tenant.
func (v Verdict) Reason(text string) Verdict {
	v.doc.Reason = text
	return v
}

// Final is the last word: no plugin after this one is asked.
func (v Verdict) Final() Verdict {
	v.doc.Final = true
	return v
}
