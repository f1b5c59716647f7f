package outbound_test

import (
	"fmt"
	"testing"

	"github.com/centerleap/postern/gateway"
	"github.com/centerleap/postern/gateway/outbound"
)

// A person's reply goes to where its author wants it, and to oneself only if there is
// nobody else.
func TestReplyOfAPerson(t *testing.T) {
	list := func(all ...string) (out []gateway.Address) {
		for _, a := range all {
			out = append(out, gateway.Address{Addr: a})
		}
		return out
	}
	me := &gateway.Account{Email: "bot@demo.localhost", Aliases: []string{"help@demo.localhost"}, Name: "Bot"}
	tests := []struct {
		name            string
		m               gateway.Message
		all             bool
		to, cc, subject string
	}{
		{"to its author", gateway.Message{Content: gateway.Content{From: list("ann@a.example"), To: list("bot@demo.localhost", "carl@b.example"), Subject: "Hi"}}, false, "[ann@a.example]", "[]", "Re: Hi"},
		{"where its author wants it", gateway.Message{Content: gateway.Content{From: list("ann@a.example"), ReplyTo: list("desk@a.example"), Subject: "RE: Hi"}}, false, "[desk@a.example]", "[]", "RE: Hi"},
		{"to everybody", gateway.Message{Content: gateway.Content{From: list("ann@a.example"), To: list("HELP@demo.localhost", "carl@b.example"), Cc: list("Ann@a.example", "dora@c.example", "carl@b.example")}}, true, "[ann@a.example]", "[carl@b.example dora@c.example]", "Re: "},
		{"after one's own", gateway.Message{Sent: true, Content: gateway.Content{From: list("bot@demo.localhost"), To: list("ann@a.example"), ReplyTo: list("help@demo.localhost"), Subject: "Hi"}}, false, "[ann@a.example]", "[]", "Re: Hi"},
		{"a note to oneself", gateway.Message{Sent: true, Content: gateway.Content{From: list("bot@demo.localhost"), To: list("bot@demo.localhost"), Subject: "Hi"}}, false, "[bot@demo.localhost]", "[]", "Re: Hi"},
		{"a subject of two lines", gateway.Message{Content: gateway.Content{From: list("ann@a.example"), Subject: "Hi\r\nBcc: x@evil.example"}}, false, "[ann@a.example]", "[]", "Re: Hi  Bcc: x@evil.example"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			tt.m.ID = gateway.ID{1}
			c := outbound.Reply(me, &tt.m, tt.all)
			addrs := func(all []gateway.Address) string {
				out := []string{}
				for _, a := range all {
					out = append(out, a.Addr)
				}
				return fmt.Sprint(out)
			}
			if addrs(c.To) != tt.to || addrs(c.Cc) != tt.cc || c.Subject != tt.subject || c.InReplyTo != tt.m.ID.String() || c.From.Addr != me.Email || c.From.Name != "Bot" {
				t.Errorf("%+v", c)
			}
		})
	}
}

// A field of a form holds addresses as people write them; one that is none is an error of
// that field.
func TestAddresses(t *testing.T) {
	tests := []struct{ text, want string }{
		{"", "[]"},
		{" , ; ", "[]"},
		{"ann@a.example", `[<ann@a.example>]`},
		{`"Lee, Ann" <ann@A.example>; carl@b.example,`, `["Lee, Ann" <ann@a.example> <carl@b.example>]`},
		{"ann@a.example carl@b.example", "cc"},
		{"ann", "cc"},
		{"ann@a.example\r\nBcc: x@evil.example", "cc"},
	}
	for _, tt := range tests {
		got, err := outbound.Addresses("cc", tt.text)
		if tt.want == "cc" {
			if e := gateway.AsError(err); err == nil || e.Kind != gateway.InvalidParameter || e.Field != "cc" {
				t.Errorf("%q: %v, %v", tt.text, got, err)
			}
		} else if err != nil || fmt.Sprint(got) != tt.want {
			t.Errorf("%q: %s, %v", tt.text, got, err)
		}
	}
}
