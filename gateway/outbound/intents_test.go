package outbound_test

import (
	"context"
	"errors"
	"log/slog"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/centerleap/postern/gateway"
	"github.com/centerleap/postern/gateway/content"
	"github.com/centerleap/postern/gateway/keys"
	"github.com/centerleap/postern/gateway/outbound"
	"github.com/centerleap/postern/gateway/threading"
	"github.com/centerleap/postern/store"
)

// bot is a lab with an account that has a plugin.
type bot struct {
	*lab
	account *gateway.Account
	plugin  gateway.Plugin
}

func newBot(t testing.TB) *bot {
	t.Helper()
	b := &bot{lab: newLab(t), account: &gateway.Account{Email: "bot@a.test", Name: "Bot", Aliases: []string{"robot@a.test"}}}
	b.account.Domain = b.domain.ID
	b.ok(b.store.CreateAccount(t.Context(), keys.System(), b.account))
	b.plugin = b.install("bot", b.account.ID)
	return b
}

// install makes a plugin that may send and answer.
func (b *bot) install(name string, of gateway.AccountID) gateway.Plugin {
	b.Helper()
	sc := keys.Internal(b.domain.ID)
	w, err := b.store.CreateBlob(b.Context(), sc, b.domain.ID, 0)
	b.ok(err)
	defer w.Close()
	_, err = w.Write([]byte(name))
	b.ok(err)
	p := gateway.Plugin{
		ID: gateway.ID(uuid.New()), Domain: b.domain.ID, Account: of, Name: name, Version: "1", Enabled: true,
		Asks: []string{"reply", "send"}, Grants: []string{"reply", "send"},
	}
	p.Code, err = w.Seal()
	b.ok(err)
	p, _, err = b.store.InstallPlugin(b.Context(), sc, &p, false)
	b.ok(err)
	return p
}

// letter is a mail from a person to the bot, and what the gateway knows about it.
type letter struct {
	raw        string // empty: the usual one
	prefix     string // fields before it
	returnPath string // empty: ada@x.test; <> is the null one
	to         *gateway.Account
	auth       gateway.AuthResults
}

const usual = "From: Ada <ada@x.test>\r\nTo: bot@a.test\r\nSubject: How are you?\r\nMessage-ID: <2@x.test>\r\n" +
	"In-Reply-To: <1@x.test>\r\nReferences: <0@x.test> <1@x.test>\r\nReply-To: victim@z.test\r\n\r\nhello\r\n"

// receive files a letter.
func (b *bot) receive(l letter) *gateway.Message {
	b.Helper()
	sc := keys.Internal(b.domain.ID)
	if l.raw == "" {
		l.raw = usual
	}
	if l.to == nil {
		l.to = b.account
	}
	switch l.returnPath {
	case "":
		l.returnPath = "ada@x.test"
	case "<>":
		l.returnPath = ""
	}
	w, err := b.store.CreateBlob(b.Context(), sc, b.domain.ID, 0)
	b.ok(err)
	defer w.Close()
	_, err = w.Write([]byte(l.raw))
	b.ok(err)
	blob, err := w.Seal()
	b.ok(err)
	c, err := content.Scan(strings.NewReader(l.raw), gateway.DefaultLimits())
	b.ok(err)
	id := gateway.ID(uuid.New())
	b.ok(b.store.Deliver(b.Context(), sc, &gateway.Filing{
		Message: &gateway.Message{Arrived: b.now(), ReturnPath: l.returnPath, Blob: blob, Content: *c, Auth: l.auth}, Facts: threading.Facts(c, b.now()),
		Copies: []gateway.Copy{{Account: l.to.ID, ID: id, Folder: gateway.Inbox, Prefix: []byte(l.prefix), Recipients: []string{l.to.Email}}},
	}))
	m, err := b.store.Message(b.Context(), sc, id)
	b.ok(err)
	return m
}

// wants has the plugin want mails sent.
func (b *bot) wants(list ...gateway.Intent) {
	b.Helper()
	for i := range list {
		if list[i].Plugin.IsZero() {
			list[i].Plugin = b.plugin.ID
		}
	}
	b.ok(b.store.RemindPlugins(b.Context(), keys.Internal(b.domain.ID), gateway.Effects{Intents: list}))
}

// settled runs the worker until nothing is due, or being tried: a lease ends at a time that
// no other wait comes to.
func (b *bot) settled() {
	b.Helper()
	ctx, stop := context.WithTimeout(b.Context(), 20*time.Second)
	defer stop()
	done := make(chan error, 1)
	go func() { done <- b.Run(ctx) }()
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for {
		next, err := b.store.NextIntent(ctx, keys.System())
		b.ok(err)
		if next.IsZero() || next.After(b.now()) && !next.Equal(b.now().Add(gateway.LeaseTime)) {
			break
		}
		if <-tick.C; ctx.Err() != nil {
			b.Fatal("it is never settled")
		}
	}
	stop()
	if err := <-done; !errors.Is(err, context.Canceled) { // it was stopped while it began
		b.ok(err)
	}
}

// sent lists what an address has in Sent.
func (b *bot) sent(addr string) (all []*gateway.Message) {
	b.Helper()
	sc := keys.Internal(b.domain.ID)
	a, err := b.store.Account(b.Context(), sc, b.domain.ID, addr)
	if gateway.KindOf(err) == gateway.NotFound && err != nil {
		return nil
	}
	b.ok(err)
	l, err := b.store.List(b.Context(), sc, gateway.ListQuery{Domain: a.Domain, Account: a.ID, Mailbox: gateway.SentMailbox, Limit: 100})
	b.ok(err)
	for _, m := range l.Messages {
		whole, err := b.store.Message(b.Context(), sc, m.ID)
		b.ok(err)
		all = append(all, whole)
	}
	return all
}

// said is the newest line of a plugin's log.
func (b *bot) said(p gateway.ID) string {
	b.Helper()
	page, err := b.store.PluginLines(b.Context(), keys.Internal(b.domain.ID), p, gateway.LineFilter{Limit: 1})
	b.ok(err)
	if len(page.Lines) == 0 {
		return ""
	}
	return page.Lines[0].Text
}

// rows are what the domain's log has of plugins, the newest first.
func (b *bot) rows() []gateway.Activity {
	b.Helper()
	rows, _, err := b.store.Activity(b.Context(), keys.Internal(b.domain.ID), gateway.ActivityFilter{Protocol: "plugin", Limit: 100})
	b.ok(err)
	return rows
}

// header is the header section of a stored message.
func (b *bot) header(m *gateway.Message) string {
	b.Helper()
	h, _, _ := strings.Cut(b.body(b.Context(), m.Blob), "\r\n\r\n")
	return h + "\r\n"
}

// An answer goes to who wrote, in the conversation, marked as a program's, with the null
// reverse-path; and the bot has it in Sent.
func TestReply(t *testing.T) {
	aligned := gateway.AuthResults{FromAligned: true, DMARC: gateway.AuthResult{Result: "pass"}}
	for _, tt := range []struct {
		name   string
		letter letter
		intent gateway.Intent
		from   string // bot@a.test if empty
		want   []string
	}{
		{name: "a letter", want: []string{
			"From: \"Bot\" <bot@a.test>", "To: <ada@x.test>", "Subject: Re: How are you?", "In-Reply-To: <2@x.test>", "References: <0@x.test> <1@x.test> <2@x.test>",
			"Auto-Submitted: auto-replied",
		}},
		{name: "a proven author", letter: letter{returnPath: "bounces+17@mailer.test", auth: aligned}, want: []string{"To: \"Ada\" <ada@x.test>"}},
		{name: "an author who may be forged", letter: letter{returnPath: "ada@other.test"}, want: []string{"To: <ada@other.test>"}},
		{name: "no doubled Re", letter: letter{raw: strings.Replace(usual, "How are", "AW: How are", 1)}, want: []string{"Subject: AW: How are you?"}},
		{name: "an encoded line end", letter: letter{raw: strings.Replace(usual, "How are you?", "=?utf-8?q?a=0D=0ABcc:_v@z.test?=", 1)}, want: []string{"Subject: Re: a  Bcc: v@z.test"}},
		{name: "without references", letter: letter{raw: "From: ada@x.test\r\nTo: bot@a.test\r\nMessage-ID: <2@x.test>\r\nIn-Reply-To: <1@x.test>\r\n\r\nx\r\n"}, want: []string{"References: <1@x.test> <2@x.test>", "Subject: Re: \r\n"}},
		{
			name: "its own words", intent: gateway.Intent{Mail: gateway.Compose{
				From: gateway.Address{Addr: "Robo <robot@A.test>"}, Subject: "Away", To: []gateway.Address{{Addr: "victim@z.test"}},
				Headers: []gateway.HeaderField{{Name: "auto-submitted", Value: "no"}, {Name: "X-Bot", Value: "1"}},
			}},
			want: []string{"From: \"Robo\" <robot@a.test>", "To: <ada@x.test>", "Subject: Away", "X-Bot: 1", "Auto-Submitted: auto-replied"},
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			b := newBot(t)
			var via string
			b.hook = func(look *gateway.Look) { via = look.Via }
			m := b.receive(tt.letter)
			in := tt.intent
			in.Answers, in.Mail.Text = m.ID, "fine"
			b.wants(in)
			b.settled()
			sent := b.sent("bot@a.test")
			if len(sent) != 1 {
				t.Fatalf("%d were sent; the log says %q", len(sent), b.said(b.plugin.ID))
			}
			h := b.header(sent[0])
			for _, want := range tt.want {
				if !strings.Contains(h, want) {
					t.Errorf("no %q in\n%s", want, h)
				}
			}
			if strings.Contains(strings.ReplaceAll(h, "Bcc: v@z.test", ""), "z.test") || strings.Count(strings.ToLower(h), "auto-submitted") != 1 {
				t.Errorf("the header is\n%s", h)
			}
			if s := sent[0]; s.ReturnPath != "" || len(s.Recipients) != 1 || s.Thread != m.Thread || s.Plugin != b.plugin.ID || via != "plugin" {
				t.Errorf("return path %q, to %v, thread %s of %s, plugin %s, via %q", s.ReturnPath, s.Recipients, s.Thread, m.Thread, s.Plugin, via)
			}
			rows := b.rows()
			if len(rows) != 1 || rows[0].Status != 200 || rows[0].Method != "reply" || rows[0].Endpoint != "bot" || rows[0].Email != sent[0].ID || rows[0].Account != b.account.ID {
				t.Errorf("the log: %+v", rows)
			}
		})
	}
}

// What a program must not answer it does not, and its plugin's log says why.
func TestNoReply(t *testing.T) {
	for _, tt := range []struct {
		name   string
		letter letter
		before func(b *bot, m *gateway.Message)
		want   string
	}{
		{name: "a bounce", letter: letter{returnPath: "<>"}, want: "no reply: it has the null reverse-path"},
		{name: "a program", letter: letter{raw: "Auto-Submitted: auto-replied\r\n" + usual}, want: "no reply: it is marked as automatic"},
		{name: "a list", letter: letter{raw: "List-Id: <x.test>\r\n" + usual}, want: "no reply: it is from a mailing list"},
		{name: "a list, as a plugin of its sender's marks it", letter: letter{prefix: "List-Id: <x.test>\r\n"}, want: "no reply: it is from a mailing list"},
		{name: "forged", letter: letter{auth: gateway.AuthResults{DMARC: gateway.AuthResult{Result: "fail"}}}, want: "no reply: it fails DMARC"},
		{name: "its alias", letter: letter{raw: strings.Replace(usual, "ada@x.test", "robot@a.test", 1)}, want: "no reply: it is from the mailbox itself"},
		{name: "a blind copy", letter: letter{raw: strings.Replace(usual, "bot@a.test", "list@y.test", 1)}, want: "no reply: it does not name the mailbox among its recipients"},
		{name: "a second letter", before: func(b *bot, _ *gateway.Message) {
			b.wants(gateway.Intent{Answers: b.receive(letter{}).ID})
			b.settled()
		}, want: "reply not sent: its sender was answered less than 4 hours ago"},
		{name: "deleted", before: func(b *bot, m *gateway.Message) {
			at := gateway.Place{Domain: m.Domain, Account: m.Account, Mailbox: m.Entries[0].Mailbox, UID: m.Entries[0].UID}
			b.ok(b.store.Expunge(b.Context(), keys.Internal(m.Domain), at))
		}, want: "reply not sent: no such email"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			b := newBot(t)
			m := b.receive(tt.letter)
			if tt.before != nil {
				tt.before(b, m)
			}
			before := len(b.sent("bot@a.test"))
			b.wants(gateway.Intent{Answers: m.ID})
			b.settled()
			if n := len(b.sent("bot@a.test")); n != before {
				t.Errorf("%d were sent", n-before)
			}
			if got := b.said(b.plugin.ID); got != tt.want {
				t.Errorf("the log says %q, want %q", got, tt.want)
			}
		})
	}
}

// What a plugin sends is checked as what anybody sends, and within its own walls.
func TestPluginSends(t *testing.T) {
	to := []gateway.Address{{Addr: "ada@x.test"}}
	for _, tt := range []struct {
		name   string
		domain bool // it is the domain's plugin
		mail   func(b *bot) gateway.Compose
		from   string
		want   string // what the log says; empty: it is sent
	}{
		{name: "as itself", mail: func(*bot) gateway.Compose { return gateway.Compose{To: to} }, from: "bot@a.test"},
		{name: "as an address of the domain", domain: true, mail: func(*bot) gateway.Compose {
			return gateway.Compose{From: gateway.Address{Addr: "news@A.test"}, To: to}
		}, from: "news@a.test"},
		{name: "the domain's as nobody", domain: true, mail: func(*bot) gateway.Compose { return gateway.Compose{To: to} }, want: "send not sent: the plugin of a domain names an address of it in from"},
		{name: "as a stranger", domain: true, mail: func(*bot) gateway.Compose {
			return gateway.Compose{From: gateway.Address{Addr: "ada@x.test"}, To: to}
		}, want: "send not sent: the key belongs to a.test and may not send as ada@x.test"},
		{name: "as a neighbour", mail: func(*bot) gateway.Compose {
			return gateway.Compose{From: gateway.Address{Addr: "eve@a.test"}, To: to}
		}, want: "send not sent: the plugin of an account may not send as eve@a.test"},
		{name: "to nobody", mail: func(*bot) gateway.Compose { return gateway.Compose{} }, want: "send not sent: at least one recipient is needed"},
		{name: "to no address", mail: func(*bot) gateway.Compose { return gateway.Compose{To: []gateway.Address{{Addr: "x <a@b.test>,"}}} }, want: `send not sent: to: "x <a@b.test>," is no address`},
		{name: "a protected field", mail: func(*bot) gateway.Compose {
			return gateway.Compose{To: to, Headers: []gateway.HeaderField{{Name: "DKIM-Signature", Value: "v=1"}}}
		}, want: "send not sent: the header field DKIM-Signature can't be set"},
		{name: "an answer to a neighbour's mail", mail: func(b *bot) gateway.Compose {
			eve := &gateway.Account{Domain: b.domain.ID, Email: "eve2@a.test"}
			b.ok(b.store.CreateAccount(b.Context(), keys.System(), eve))
			return gateway.Compose{To: to, InReplyTo: b.receive(letter{to: eve}).ID.String()}
		}, want: "send not sent: no email has the id "},
	} {
		t.Run(tt.name, func(t *testing.T) {
			b := newBot(t)
			p := b.plugin
			if tt.domain {
				p = b.install("domain's", 0)
			}
			b.wants(gateway.Intent{Plugin: p.ID, Mail: tt.mail(b)})
			b.settled()
			if got := b.said(p.ID); !strings.HasPrefix(got, tt.want) || tt.want == "" && got != "" {
				t.Errorf("the log says %q, want %q", got, tt.want)
			}
			rows := b.rows()
			if tt.want != "" {
				if len(rows) != 1 || rows[0].Status < 400 || rows[0].Error == "" || rows[0].Method != "send" {
					t.Errorf("the log: %+v", rows)
				}
				return
			}
			sent := b.sent(tt.from)
			if len(sent) != 1 || sent[0].ReturnPath != tt.from {
				t.Fatalf("sent: %+v", sent)
			}
			if h := b.header(sent[0]); !strings.Contains(h, "Auto-Submitted: auto-generated\r\n") {
				t.Errorf("the header is\n%s", h)
			}
		})
	}
}

// What is in the way for a while is waited for, a day at most; then the log says so.
func TestIntentsAreTriedAgain(t *testing.T) {
	b := newBot(t)
	b.verdict = gateway.Verdict{Action: gateway.ActionTempfail, Text: "not yet"}
	b.wants(gateway.Intent{Mail: gateway.Compose{To: []gateway.Address{{Addr: "ada@x.test"}}}})
	b.settled()
	next, err := b.store.NextIntent(t.Context(), keys.System())
	b.ok(err)
	if wait := next.Sub(b.now()); wait < 20*time.Second || wait > 2*time.Minute {
		t.Errorf("tried again in %v", wait)
	}
	b.later(next.Sub(b.now()))
	b.verdict = gateway.Verdict{}
	b.settled()
	if n := len(b.sent("bot@a.test")); n != 1 {
		t.Fatalf("%d were sent", n)
	}
	b.verdict = gateway.Verdict{Action: gateway.ActionTempfail, Text: "never"}
	b.wants(gateway.Intent{Mail: gateway.Compose{To: []gateway.Address{{Addr: "ada@x.test"}}}})
	began, tries := b.now(), 0
	b.hook = func(*gateway.Look) { tries++ }
	for b.said(b.plugin.ID) == "" && tries < 100 {
		b.settled()
		next, err := b.store.NextIntent(t.Context(), keys.System())
		b.ok(err)
		if !next.IsZero() {
			b.later(next.Sub(b.now()))
		}
	}
	if got := b.said(b.plugin.ID); got != "send not sent: never" || b.now().Sub(began) != 24*time.Hour || tries < 20 || tries > 40 {
		t.Errorf("after %v and %d tries: %q", b.now().Sub(began), tries, got)
	}
	if rows := b.rows(); rows[0].Status != 503 {
		t.Errorf("the log: %+v", rows[0])
	}
}

// forgetful is a store whose answer to a commit is lost, as a process that dies after it
// loses it.
type forgetful struct {
	*store.Store
	lost int
}

func (f *forgetful) AcceptAll(ctx context.Context, s gateway.Scope, list []*gateway.Acceptance, once *gateway.Once) ([]gateway.Accepted, error) {
	out, err := f.Store.AcceptAll(ctx, s, list, once)
	if f.lost++; f.lost == 1 && err == nil {
		err = gateway.Errorf(gateway.Unavailable, "nobody knows")
	}
	return out, err
}

// Who does not know whether a mail was sent tries again, and sends it once.
func TestIntentIsSentOnce(t *testing.T) {
	b := newBot(t)
	var err error
	b.Sender, err = outbound.New(outbound.Config{
		Store: &forgetful{Store: b.store}, Receiver: b.lab, System: keys.System(), Internal: keys.Internal, Limits: gateway.DefaultLimits(), Now: b.now, Log: slog.New(slog.DiscardHandler),
	})
	b.ok(err)
	for n := range 2 {
		b.wants(gateway.Intent{Mail: gateway.Compose{To: []gateway.Address{{Addr: "ada@x.test"}}}})
		b.settled()
		if got := len(b.sent("bot@a.test")); got != n+1 {
			t.Errorf("%d were sent, want %d", got, n+1)
		}
	}
	b.later(time.Hour)
	b.settled()
	if got := len(b.sent("bot@a.test")); got != 2 {
		t.Errorf("%d were sent in the end", got)
	}
}

// Mail of plugins leads to no mail of plugins.
func TestIntentsEnd(t *testing.T) {
	for name, v := range map[string]gateway.Verdict{"allowed": {}, "denied": {Action: gateway.ActionDeny, Text: "no"}} {
		t.Run(name, func(t *testing.T) {
			b := newBot(t)
			b.verdict = v
			b.hook = func(look *gateway.Look) {
				look.Effects.Intents = append(look.Effects.Intents, gateway.Intent{Plugin: b.plugin.ID, Mail: gateway.Compose{To: []gateway.Address{{Addr: "log@x.test"}}}})
			}
			b.wants(gateway.Intent{Mail: gateway.Compose{To: []gateway.Address{{Addr: "ada@x.test"}}}})
			b.settled()
			want := 0
			if name == "allowed" {
				want = 1
			}
			if n := len(b.sent("bot@a.test")); n != want {
				t.Errorf("%d were sent, want %d", n, want)
			}
			page, err := b.store.PluginLines(t.Context(), keys.Internal(b.domain.ID), b.plugin.ID, gateway.LineFilter{Limit: 10})
			b.ok(err)
			if !slices.ContainsFunc(page.Lines, func(l gateway.PluginLine) bool { return l.Text == "send not sent: mail of plugins leads to no other" }) {
				t.Errorf("the log: %+v", page.Lines)
			}
		})
	}
}
