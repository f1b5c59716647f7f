package dashboard_test

import (
	"strings"
	"testing"

	"github.com/centerleap/postern/gateway/gatewaytest"
)

// A person finds a thread, reads it and replies to it.
func TestChromiumThreadIsRepliedTo(t *testing.T) {
	g := gatewaytest.Start(t)
	thread := asks(t, g)
	c := newChromium(t, g)
	c.signIn(g.Keys.Domain)
	c.follow("Email Accounts")
	c.follow("Messages of " + gatewaytest.Account)
	c.wants("INBOX", "Order 4711", "Ann Lee")
	c.follow("Threads")
	c.follow("Order 4711")
	if at := eval[string](c, "location.pathname"); at != thread {
		t.Errorf("the thread is at %s", at)
	}
	c.wants("Order 4711", "Where is <it>?", "1 message", "Reply")
	c.fill("#text", "It left us today.")
	c.click("section#reply button.main")
	c.wants("The reply to desk@elsewhere.example is on its way.", "It left us today.", "2 messages, oldest first.")
	if said := eval[[]string](c, `[...document.querySelectorAll("article pre")].map((e) => e.textContent)`); len(said) != 2 || !strings.HasPrefix(said[0], "Where is") || said[1] != "It left us today." {
		t.Errorf("the thread reads %q", said)
	}
	_, list := g.Do("GET", "/emails?folder=Sent", g.Keys.Account, nil)
	if list.Str("data.0.in_reply_to") != "<q1@elsewhere.example>" || list.Str("data.0.subject") != "Re: Order 4711" {
		t.Errorf("sent %v", list)
	}
}
