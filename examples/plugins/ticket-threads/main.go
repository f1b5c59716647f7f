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
	sdk.Thread(func(m *sdk.Message) sdk.Verdict {
		found := ticket.FindStringSubmatch(m.Subject())
		if found == nil {
			return sdk.Accept()
		}
		key := m.Mailbox() + "\x00" + found[1]
		thread, known := sdk.KV.Get(key)
		if !known {
			thread = []byte(m.ThreadID())
		}
		if err := sdk.KV.Put(key, thread, lasting); err != nil {
			sdk.Log.Warn("ticket " + found[1] + " is not remembered: " + err.Error())
		}
		if !known {
			return sdk.Accept()
		}
		return sdk.Join(string(thread))
	})
}

func main() {}
