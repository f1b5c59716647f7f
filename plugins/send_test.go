package plugins

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/centerleap/postern/gateway"
	"github.com/centerleap/postern/gateway/content"
	"github.com/centerleap/postern/sdk/abi"
)

// sender is a call of a plugin that may send, of an account if there is one.
func sender(account gateway.AccountID) *guest {
	lim := gateway.DefaultLimits()
	lim.PluginBody, lim.PluginVerdict = 1000, 5000
	return &guest{
		plugins: &Plugins{cfg: Config{Limits: lim, ParseAddress: content.ParseAddress, CheckMail: func(c *gateway.Compose) error { return content.CheckCompose(c, lim) }}},
		inst:    &gateway.Plugin{ID: gateway.ID{1}, Domain: 3, Account: account, Grants: []string{abi.PermitSend}},
		view:    &view{hook: gateway.HookEvent, look: &gateway.Look{Account: 5, Mailbox: "bot@ours.example", Message: &gateway.Message{}, Effects: &gateway.Effects{}}},
	}
}

// A mail becomes an intent, word for word.
func TestSend(t *testing.T) {
	g := sender(5)
	err := g.Send([]byte(`{"from":"The Bot <BOT@ours.example>","to":["a@x.example","B <b@x.example>"],"cc":["c@x.example"],"bcc":["d@x.example"],"reply_to":["e@x.example"],
		"subject":"Grüße","text":"hello","html":"<p>hello","headers":{"X-B":"2","X-A":"1"},"tags":[{"name":"k","value":"v"}],"in_reply_to":"<1@x.example>","references":["<0@x.example>"]}`))
	if err != nil || len(g.intents) != 1 {
		t.Fatal(err, g.intents)
	}
	in := g.intents[0]
	got := fmt.Sprint(in.Domain, in.Account, in.Plugin == g.inst.ID, in.Answers.IsZero(), in.Mail.From, in.Mail.To, in.Mail.Cc, in.Mail.Bcc, in.Mail.ReplyTo, in.Mail.Subject, in.Mail.Text, in.Mail.HTML, in.Mail.Headers, in.Mail.Tags, in.Mail.InReplyTo, in.Mail.References)
	want := `3 5 true true "The Bot" <BOT@ours.example> [<a@x.example> "B" <b@x.example>] [<c@x.example>] [<d@x.example>] [<e@x.example>]` +
		`Grüßehello<p>hello[{X-A 1} {X-B 2}] [{k v}]<1@x.example>[<0@x.example>]`
	if got != want {
		t.Errorf("%s\nwant %s", got, want)
	}
}

const plainMail = `"to":["a@x.example"],"subject":"s","text":"t"`

// Whom a mail may be from, and who may send at all.
func TestSendFrom(t *testing.T) {
	for _, tt := range []struct {
		name    string
		account gateway.AccountID
		from    string
		change  func(*guest)
		want    error
		of      gateway.AccountID
	}{
		{"an account's own", 5, "bot@ours.example", nil, nil, 5},
		{"an account's, without", 5, "", nil, nil, 5},
		{"a neighbour's", 5, "ann@ours.example", nil, abi.Denied, 0},
		{"another domain's", 5, "bot@theirs.example", nil, abi.Denied, 0},
		{"one below", 5, "bot@sub.ours.example", nil, abi.Denied, 0},
		{"the domain's plugin", 0, "ann@ours.example", nil, nil, 0},
		{"the domain's plugin, of another domain", 0, "ann@theirs.example", nil, abi.Denied, 0},
		{"the domain's plugin, without", 0, "", nil, nil, 5},
		{"the domain's plugin, about nobody's copy", 0, "", func(g *guest) { g.look.Account = 0 }, abi.BadArgument, 0},
		{"a tick of the domain's plugin", 0, "ann@ours.example", func(g *guest) {
			g.hook, g.look = gateway.HookTick, &gateway.Look{Domain: "ours.example", Effects: &gateway.Effects{}}
		}, nil, 0},
		{"no address", 5, "nobody", nil, abi.BadArgument, 0},
		{"two", 5, "bot@ours.example, ann@ours.example", nil, abi.BadArgument, 0},
		{"a line more", 5, "bot@ours.example\r\nBcc: x@y.example", nil, abi.BadArgument, 0},
		{"a long one", 5, strings.Repeat("x", 2000) + " <bot@ours.example>", nil, abi.BadArgument, 0},
		{"without the permission", 5, "", func(g *guest) { g.inst.Grants = nil }, abi.Denied, 0},
		{"at the thread hook", 5, "", func(g *guest) { g.hook = gateway.HookThread }, abi.Denied, 0},
		{"while mail arrives", 5, "", func(g *guest) { g.hook = gateway.HookInbound }, nil, 5},
		{"while a client's mail leaves", 5, "", func(g *guest) { g.hook, g.look.Via = gateway.HookOutbound, "smtp" }, nil, 5},
		{"while a plugin's mail leaves", 5, "", func(g *guest) { g.hook, g.look.Via = gateway.HookOutbound, "plugin" }, abi.Denied, 0},
		{"about a plugin's mail", 5, "", func(g *guest) { g.look.Message.Plugin = gateway.ID{9} }, abi.Denied, 0},
	} {
		g := sender(tt.account)
		if tt.change != nil {
			tt.change(g)
		}
		from, err := json.Marshal(tt.from)
		if err != nil {
			t.Fatal(err)
		}
		err = g.Send([]byte(`{"from":` + string(from) + `,` + plainMail + `}`))
		if !errors.Is(err, tt.want) || (err == nil) != (len(g.intents) == 1) || err == nil && g.intents[0].Account != tt.of {
			t.Errorf("%s: %v %+v, want %v for account %d", tt.name, err, g.intents, tt.want, tt.of)
		}
	}
}

// What is not said clearly is not sent; how much is, is bounded.
func TestSendRefused(t *testing.T) {
	for doc, want := range map[string]error{
		``: abi.BadArgument, `null`: abi.BadArgument, `{}`: abi.BadArgument, `{` + plainMail + `} {}`: abi.BadArgument, `{` + plainMail + `,"attachments":[]}`: abi.BadArgument,
		`{` + plainMail + `,"scheduled_at":"x"}`: abi.BadArgument, `{` + plainMail + `,"To":["b@x.example"]}`: abi.BadArgument, `{"to":"a@x.example","text":"t"}`: abi.BadArgument,
		`{"to":[],"subject":"s","text":"t"}`: abi.BadArgument, `{"to":["nobody"],"text":"t"}`: abi.BadArgument, `{"to":["a@x.example"]}`: abi.BadArgument,
		`{"to":["a@x.example\r\nX: y"],"text":"t"}`: abi.BadArgument, `{"to":["a@x.example"],"subject":"a\r\nX: y","text":"t"}`: abi.BadArgument,
		`{"to":["a@x.example"],"text":"a\u0000b"}`: abi.BadArgument, `{"to":["a@x.example"],"text":"` + strings.Repeat("x", 1001) + `"}`: abi.TooLarge,
		`{"to":["a@x.example"],"subject":"` + strings.Repeat("x", maxSubject+1) + `","text":"t"}`:                      abi.BadArgument,
		`{` + plainMail + `,"headers":{"X-A":"b\r\nBcc: c@d.example"}}`:                                                abi.BadArgument,
		`{` + plainMail + `,"headers":{"Received":"x"}}`:                                                               abi.BadArgument,
		`{` + plainMail + `,"headers":{"DKIM-Signature":"x"}}`:                                                         abi.BadArgument,
		`{` + plainMail + `,"headers":{"Bcc":"c@d.example"}}`:                                                          abi.BadArgument,
		`{` + plainMail + `,"tags":[{"name":"a b","value":"v"}]}`:                                                      abi.BadArgument,
		`{` + plainMail + `,"tags":[` + strings.Repeat(`{"name":"a","value":"v"},`, 20) + `{"name":"a","value":"v"}]}`: abi.BadArgument,
		`{` + plainMail + `,"in_reply_to":"<a@b>\r\nX: y"}`:                                                            abi.BadArgument,
		`{` + plainMail + `,"references":["<a@b>\n"]}`:                                                                 abi.BadArgument,
		`{` + plainMail + `,"references":[` + strings.Repeat(`"<a@b>",`, 100) + `"<a@b>"]}`:                            abi.BadArgument,
		`{"to":[` + strings.Repeat(`"a@x.example",`, 50) + `"a@x.example"],"text":"t"}`:                                abi.BadArgument,
	} {
		g := sender(5)
		if err := g.Send([]byte(doc)); !errors.Is(err, want) || len(g.intents) != 0 {
			t.Errorf("%.120s: %v, want %v", doc, err, want)
		}
	}
	g := sender(5)
	if err := g.Send(make([]byte, 7001)); !errors.Is(err, abi.TooLarge) {
		t.Errorf("a long document: %v", err)
	}
	got := map[error]int{}
	for range 100 {
		got[g.Send([]byte(`{`+plainMail+`}`))]++
	}
	if got[nil] != 10 || got[abi.OverQuota] != 90 || len(g.intents) != 10 {
		t.Errorf("%v, %d mails", got, len(g.intents))
	}
	g = sender(5)
	got = map[error]int{}
	for range 9 {
		got[g.Send([]byte(`{`+plainMail+strings.Repeat(" ", 1000)+`}`))]++
	}
	if got[abi.TooLarge] != 3 {
		t.Errorf("together: %v", got)
	}
}
