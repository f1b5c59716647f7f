package main

import (
	"testing"
	"time"

	"github.com/centerleap/postern/sdk"
	"github.com/centerleap/postern/sdk/sdktest"
)

func newHost() *sdktest.Host { return sdktest.NewHost(sdktest.Manifest("manifest.json")) }

func TestTickets(t *testing.T) {
	h := newHost()
	h.Thread(t, sdktest.Mail{Subject: "[#1234] Printer is on fire", NewThreadID: "one"}).WantJoin("")
	h.Thread(t, sdktest.Mail{Subject: "Re: ticket 1234", NewThreadID: "two"}).WantJoin("one")
	h.Thread(t, sdktest.Mail{Subject: "[#12345] another", NewThreadID: "five"}).WantJoin("")
	h.Thread(t, sdktest.Mail{Subject: "no ticket", NewThreadID: "six"}).WantJoin("")
	h.Thread(t, sdktest.Mail{Subject: "[#1234]", NewThreadID: "seven", Mailbox: "other@demo.localhost"}).WantJoin("")

	h.Clock = h.Clock.Add(lasting*time.Second + time.Second)
	h.Thread(t, sdktest.Mail{Subject: "[#1234] a new life", NewThreadID: "eight"}).WantJoin("")
}

// A conversation that turns out to be about a ticket becomes part of the ticket's; one that
// is about another ticket does not.
func TestMerges(t *testing.T) {
	h := newHost()
	starts := func(subject, thread string) *sdktest.Result {
		t.Helper()
		return h.Thread(t, sdktest.Mail{Subject: subject, NewThreadID: thread})
	}
	answers := func(subject, in, thread string) *sdktest.Result {
		t.Helper()
		return h.Thread(t, sdktest.Mail{Subject: subject, ThreadID: in, NewThreadID: thread, Candidates: []sdk.Candidate{{ThreadID: in}}})
	}
	starts("[#1] fire", "one").WantJoin("")
	starts("[#2] water", "two").WantJoin("")
	answers("Re: smoke [#1]", "smoke", "three").WantMerge("one", "smoke")
	answers("Re: fire [#1]", "one", "four").WantJoin("one")
	answers("Re: water, now [#1]", "two", "five").WantJoin("one")
	answers("Re: fire, now [#3]", "one", "six").WantNewThread()
	starts("[#3]", "seven").WantJoin("six")
	answers("Re: lunch [#4]", "lunch", "eight").WantJoin("")
	starts("[#4]", "nine").WantJoin("lunch")
}

// The conversation that a ticket was in may be gone: then it is where its mail is.
func TestFollows(t *testing.T) {
	h := newHost()
	h.Thread(t, sdktest.Mail{Subject: "[#1] fire", NewThreadID: "gone"}).WantJoin("")
	h.Event(t, sdktest.Mail{Subject: "[#1] fire", ThreadID: "gone"}).WantOK()
	h.Thread(t, sdktest.Mail{Subject: "[#1] again", NewThreadID: "new"}).WantJoin("gone")
	h.Event(t, sdktest.Mail{Subject: "[#1] again", ThreadID: "new"}).WantOK()
	h.Event(t, sdktest.Mail{Subject: "[#2] of before the plugin", ThreadID: "old"}).WantOK()
	h.Event(t, sdktest.Mail{Subject: "no ticket", ThreadID: "other"}).WantOK()
	h.Thread(t, sdktest.Mail{Subject: "[#1] and again", NewThreadID: "newer"}).WantJoin("new")
	h.Thread(t, sdktest.Mail{Subject: "[#2] now", NewThreadID: "newest"}).WantJoin("")
}
