// Ticket-threads keeps all mail about a ticket in one conversation: help desks write
// its number into the subject and start a new conversation with every mail.
package main

import (
	"regexp"

	"github.com/centerleap/postern/sdk"
)

// ticket is a number as in "[#1234] Printer is on fire" or "Re: Ticket 1234".
var ticket = regexp.MustCompile(`(?i)(?:\[#|\bticket #?)(\d{1,12})\b`)

// lasting is how long a ticket is remembered after its last mail, in seconds.
const lasting = 180 * 24 * 3600

func init() {
	sdk.Thread(decide)
	sdk.OnStored(stored)
}

func decide(m *sdk.Message) sdk.Verdict {
	number := numberIn(m)
	if number == "" {
		return sdk.Accept()
	}
	going := m.ThreadID()
	answers := len(m.Candidates()) > 0 // it goes into a conversation that there is
	others := answers && belongs(m, going) != "" && belongs(m, going) != number
	thread, known := sdk.KV.Get(key(m, number))
	switch {
	case !known && others: // somebody answered a mail about another ticket
		remember(m, number, m.NewThreadID())
		return sdk.NewThread()
	case !known:
		remember(m, number, going)
		return sdk.Accept()
	}
	remember(m, number, string(thread))
	if answers && !others && going != string(thread) { // it was not known that this is about the ticket
		return sdk.Merge(string(thread), going)
	}
	return sdk.Join(string(thread))
}

// stored sees where a mail really is: a conversation may have been deleted, or merged into
// another one, since it was remembered.
func stored(m *sdk.Message) error {
	number := numberIn(m)
	if number == "" {
		return nil
	}
	if thread, known := sdk.KV.Get(key(m, number)); known && string(thread) != m.ThreadID() {
		remember(m, number, m.ThreadID())
	}
	return nil
}

// numberIn is the number of the ticket that a mail is about; empty if it is about none.
func numberIn(m *sdk.Message) string {
	if found := ticket.FindStringSubmatch(m.Subject()); found != nil {
		return found[1]
	}
	return ""
}

// key is where the conversation of a ticket is remembered: each mailbox has its own.
func key(m *sdk.Message, number string) string { return m.Mailbox() + "\x00" + number }

// belongs is the ticket that a conversation is about, as far as is known.
func belongs(m *sdk.Message, thread string) string {
	number, _ := sdk.KV.Get(m.Mailbox() + "\x00in\x00" + thread)
	return string(number)
}

// remember keeps in mind that a ticket is in a conversation, and the conversation about it.
func remember(m *sdk.Message, number, thread string) {
	for _, kv := range [][2]string{{key(m, number), thread}, {m.Mailbox() + "\x00in\x00" + thread, number}} {
		if err := sdk.KV.Put(kv[0], []byte(kv[1]), lasting); err != nil {
			sdk.Log.Warn("ticket " + number + " is not remembered: " + err.Error())
		}
	}
}

func main() {}
