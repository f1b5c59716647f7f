package inbound

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/centerleap/postern/gateway"
	"github.com/centerleap/postern/gateway/content"
)

// oneBody is a store that has one body.
type oneBody struct {
	Store
	text string
}

func (b *oneBody) OpenBlob(_ context.Context, _ gateway.Scope, _ gateway.Blob, off, n int64) (io.ReadCloser, error) {
	rest := b.text[off:]
	if n >= 0 {
		rest = rest[:n]
	}
	return io.NopCloser(strings.NewReader(rest)), nil
}

// ways knows that x.example is elsewhere.
type ways struct{}

func (ways) Way(_ context.Context, addr string) (string, gateway.HeldReason, error) {
	switch _, host := gateway.SplitAddress(addr); host {
	case "x.example":
		return host, gateway.HeldCapture, nil
	case "broken.example":
		return "", "", io.ErrUnexpectedEOF
	}
	return "", "", nil
}

func (ways) Wake() {}

// What is sent on has its way; what would go round, to itself, or to too many, stays.
func TestRedirect(t *testing.T) {
	lim := gateway.DefaultLimits()
	const own = "Received: from a by mail.here.test with ESMTP; x\r\n"
	var many []string
	for i := range lim.PluginRedirects + 1 {
		many = append(many, fmt.Sprintf("a%d@x.example", i))
	}
	for _, tt := range []struct {
		name   string
		prefix string // of mail from inside
		header string
		to     []string
		router Router
		want   string // recipients with their ways, whether a copy is kept, labels
	}{
		{"away", "", "", []string{"a@x.example", "b@here.test"}, ways{}, "[a@x.example/x.example/capture b@here.test//] false []"},
		{"twice to one", "", "", []string{"a@x.example", "A@x.example"}, ways{}, "[a@x.example/x.example/capture] false []"},
		{"to itself, too", "", "", []string{"BOT@here.test", "b@here.test"}, ways{}, "[b@here.test//] true []"},
		{"to its alias alone", "", "", []string{"alias@here.test"}, ways{}, "[] true []"},
		{"to too many", "", "", many, ways{}, "10 true []"},
		{"here before", "", "Delivered-To: Bot@here.test\r\n", []string{"b@here.test"}, ways{}, "[] false [not-redirected]"},
		{"here before as its alias", "", "delivered-to: <alias@here.test>\r\n", []string{"b@here.test"}, ways{}, "[] false [not-redirected]"},
		{"here before, from inside", "Delivered-To: bot@here.test\r\n" + own, "", []string{"b@here.test"}, ways{}, "[] false [not-redirected]"},
		{"sent on by others", "Delivered-To: c@here.test\r\n" + own, strings.Repeat(own, 3), []string{"b@here.test"}, ways{}, "[b@here.test//] false []"},
		{"sent on too often", own, strings.Repeat(own, 4), []string{"b@here.test"}, ways{}, "[] false [not-redirected]"},
		{"a long way", "", strings.Repeat("Received: by b\r\n", 50), []string{"b@here.test"}, ways{}, "[] false [not-redirected]"},
		{"nothing leaves", "", "", []string{"b@here.test"}, nil, "[] false [not-redirected]"},
		{"a way that is not known", "", "", []string{"b@broken.example"}, ways{}, "error"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			text := tt.header + "Subject: x\r\n\r\nbody\r\n"
			c, err := content.Scan(strings.NewReader(text), lim)
			if err != nil {
				t.Fatal(err)
			}
			r := &Receiver{cfg: Config{Store: &oneBody{text: text}, Router: tt.router, Hostname: "mail.here.test", Limits: lim, Log: slog.New(slog.DiscardHandler)}}
			cp := gateway.Copy{Account: 7, Address: "bot@here.test", Recipients: []string{"bot@here.test"}}
			for _, addr := range tt.to {
				cp.Redirects = append(cp.Redirects, gateway.Redirect{Recipient: addr})
			}
			m := &tray{
				domain: &gateway.Domain{Name: "here.test"}, content: c, env: gateway.Envelope{Prefix: []byte(tt.prefix)}, arrived: time.Unix(0, 0).UTC(),
				copies: []gateway.Copy{cp}, aliases: map[gateway.AccountID][]string{7: {"alias@here.test"}},
			}
			err = r.redirect(t.Context(), m)
			got, list := "error", []string{}
			for _, to := range m.copies[0].Redirects {
				list = append(list, to.Recipient+"/"+to.Site+"/"+string(to.Held))
				if before := string(to.Prefix); err == nil && (!strings.HasPrefix(before, "Delivered-To: bot@here.test\r\nReceived: from localhost") || !strings.HasSuffix(before, tt.prefix)) {
					t.Errorf("it leaves behind %q", before)
				}
			}
			if err == nil {
				got = fmt.Sprint(list, " ", m.copies[0].Keep, " ", m.copies[0].Labels)
			}
			if len(list) == 10 {
				got = fmt.Sprint(len(list), " ", m.copies[0].Keep, " ", m.copies[0].Labels)
			}
			if got != tt.want {
				t.Errorf("%s (%v), want %s", got, err, tt.want)
			}
		})
	}
}

// A domain's plugin answers a message once, an account's for its own copy; only what is
// accepted is answered or sent on.
func TestReply(t *testing.T) {
	r := &Receiver{}
	one, two := &gateway.AutoReply{Plugin: gateway.ID{1}, From: "Bot <bot@here.test>", Body: gateway.Body{Text: "1"}}, &gateway.AutoReply{Plugin: gateway.ID{2}, Subject: "s", Body: gateway.Body{HTML: "2"}}
	for _, tt := range []struct {
		name    string
		domain  bool
		replies []*gateway.AutoReply
		want    string // account, copy, plugin and From of each intent; which copies are kept
	}{
		{"nobody", false, []*gateway.AutoReply{nil, nil}, "[] false false"},
		{"each its own", false, []*gateway.AutoReply{one, two}, `[7 a1 01 "Bot" <bot@here.test> 8 a2 02 <@>] true true`},
		{"the second alone", false, []*gateway.AutoReply{nil, two}, "[8 a2 02 <@>] false true"},
		{"the domain", true, []*gateway.AutoReply{one, one}, `[0 a1 01 "Bot" <bot@here.test>] true false`},
		{"the domain, where the first is refused", true, []*gateway.AutoReply{nil, two}, "[0 a2 02 <@>] false true"},
	} {
		m := &tray{domain: &gateway.Domain{ID: 3}, copies: []gateway.Copy{{Account: 7, ID: gateway.ID{0xa1}}, {Account: 8, ID: gateway.ID{0xa2}}}}
		if err := r.reply(m, tt.domain, tt.replies); err != nil {
			t.Fatal(err)
		}
		var all []string
		for _, in := range m.effects.Intents {
			all = append(all, fmt.Sprintf("%d %x %x %s", in.Account, in.Answers[:1], in.Plugin[:1], in.Mail.From))
			if in.Domain != 3 || in.ID.IsZero() || in.Mail.Text+in.Mail.HTML == "" {
				t.Errorf("%s: %+v", tt.name, in)
			}
		}
		if got := fmt.Sprint(all, " ", m.copies[0].Keep, " ", m.copies[1].Keep); got != tt.want {
			t.Errorf("%s: %s, want %s", tt.name, got, tt.want)
		}
	}
	kept, replies := applied(make([]gateway.Copy, 3), []gateway.Verdict{
		{Action: gateway.ActionQuarantine, Reply: one, Redirect: []string{"a@x.example"}},
		{Action: gateway.ActionReject, Reply: one, Redirect: []string{"a@x.example"}},
		{Reply: two, Redirect: []string{"a@x.example"}, Keep: true},
	})
	for i, c := range kept {
		if want := i == 2; (replies[i] != nil) != want || (len(c.Redirects) > 0) != want || c.Keep != want {
			t.Errorf("copy %d: %+v, answered %v", i, c, replies[i])
		}
	}
}
