package main

import (
	"testing"
	"time"

	"github.com/centerleap/postern/sdk/sdktest"
)

func TestTickets(t *testing.T) {
	h := sdktest.NewHost()
	h.Thread(t, sdktest.Mail{Subject: "[#1234] Printer is on fire", NewThreadID: "one"}).WantJoin("")
	h.Thread(t, sdktest.Mail{Subject: "Re: ticket 1234", NewThreadID: "two"}).WantJoin("one")
	h.Thread(t, sdktest.Mail{Subject: "TICKET #1234 closed", ThreadID: "three", NewThreadID: "four"}).WantJoin("one")
	h.Thread(t, sdktest.Mail{Subject: "[#12345] another", NewThreadID: "five"}).WantJoin("")
	h.Thread(t, sdktest.Mail{Subject: "no ticket", NewThreadID: "six"}).WantJoin("")
	h.Thread(t, sdktest.Mail{Subject: "[#1234]", NewThreadID: "seven", Mailbox: "other@demo.localhost"}).WantJoin("")

	h.Clock = h.Clock.Add(lasting*time.Second + time.Second)
	h.Thread(t, sdktest.Mail{Subject: "[#1234] a new life", NewThreadID: "eight"}).WantJoin("")
}
