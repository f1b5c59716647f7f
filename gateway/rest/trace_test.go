package rest_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/centerleap/postern/gateway"
	"github.com/centerleap/postern/gateway/gatewaytest"
)

// enabled installs the puppet with all hooks and has it asked; change is told to PATCH.
func (c *client) enabled(key, name, change string) (id string) {
	c.Helper()
	id = c.push(201, "/plugins", key, withManifest(c.T, all(name, "1")), "application/wasm").Str("id")
	c.do(200, "PATCH", "/plugins/"+id, key, change)
	c.do(200, "PATCH", "/plugins/"+id, key, `{"status":"enabled"}`)
	return id
}

// receives gets mail from outside.
func (c *client) receives(subject string, to ...string) {
	c.Helper()
	raw := "From: Ann <ann@elsewhere.example>\r\nMessage-ID: <" + strings.ReplaceAll(subject, " ", ".") + "@elsewhere.example>\r\nSubject: " + subject + "\r\n\r\nbody\r\n"
	err := c.g.Receiver.Receive(c.Context(), gateway.Envelope{
		ReturnPath: "ann@elsewhere.example", Recipients: to, RemoteIP: "2001:db8::1", Helo: "peer.example", Protocol: "ESMTPS",
	}, strings.NewReader(raw))
	if err != nil {
		c.Fatal(err)
	}
}

// newest is the email_id of the newest mail of a folder.
func (c *client) newest(email, folder string) string {
	c.Helper()
	return c.do(200, "GET", "/emails?limit=1&folder="+folder+"&email="+email, c.g.Keys.Domain, nil).Str("data.0.email_id")
}

// told are the entries of a trace, one a line, with what tests look at.
func told(a gatewaytest.Answer) (out []string) {
	list, _ := a["data"].([]any)
	last := ""
	for i := range list {
		e := gatewaytest.Answer(list[i].(map[string]any))
		line := e.Str("type")
		switch line {
		case "plugin":
			line = fmt.Sprint(e.Str("plugin.hook"), " ", e.Str("plugin.of"), " ", e.Str("plugin.name"), " ", e.Str("plugin.verdict.action"), " ", e.At("plugin.verdict.reason"),
				" ", e.At("plugin.changes.labels"), " ", e.At("plugin.logs"), " ", e.At("plugin.error") != nil)
		case "received":
			line = fmt.Sprint("received ", e.Str("received.remote_ip"), " ", e.Str("received.helo"), " ", e.Str("received.protocol"), " ", e.At("received.recipients"))
		case "authentication":
			line = fmt.Sprint(e.Str("authentication.method"), " ", e.Str("authentication.result"), " ", e.At("authentication.disposition"))
		case "stored":
			line = fmt.Sprint("stored ", e.Str("stored.folder"), " ", e.At("stored.labels"))
		case "thread":
			line = fmt.Sprint("thread ", e.At("thread.count"), " ", e.At("thread.by"))
		case "accepted":
		default:
			line = fmt.Sprint(line, " ", e.Str("delivery.state"), " ", e.At("delivery.reason"), " ", e.At("delivery.attempt"), " ", e.At("delivery.host"), " ", e.At("delivery.code"), " ", e.Str("delivery.message"))
		}
		if at := e.Str("at"); at < last {
			line += " out of order"
		} else {
			last = at
		}
		out = append(out, line)
	}
	return out
}

func (c *client) trace(id, key string) []string {
	c.Helper()
	return told(c.do(200, "GET", "/emails/"+id+"/trace", key, nil))
}

func (c *client) same(what string, got []string, want ...string) {
	c.Helper()
	if g, w := strings.Join(got, "\n"), strings.Join(want, "\n"); g != w {
		c.Errorf("%s:\n%s\nwant\n%s", what, g, w)
	}
}

// The trace of a mail says how it came, who really sent it, what each plugin said and
// where it is; of the plugins of other recipients, and of what the domain's said among
// themselves, its owner learns nothing.
func TestTraceOfArrival(t *testing.T) {
	c := newClient(t, append(withPlugins(), gatewaytest.Limit("plugin_fuel", "20000000"))...)
	c.do(201, "POST", "/accounts", c.g.Keys.Domain, `{"email":"eve@demo.localhost"}`)
	eve := c.do(201, "POST", "/api-keys", c.g.Keys.Domain, `{"email":"eve@demo.localhost"}`).Str("token")
	c.enabled(c.g.Keys.Domain, "marker", `{"config":{"only":"label","label":"seen"},"priority":1}`)
	c.enabled(c.g.Keys.Domain, "talker", `{"config":{"only":"envelope"},"priority":2}`)
	c.enabled(c.g.Keys.Account, "guard", `{"config":{"only":"quarantine"}}`)
	c.enabled(eve, "broken", `{"config":{"only":"loop"},"failure_policy":"quarantine"}`)
	c.receives("x too loud", gatewaytest.Account, "eve@demo.localhost")

	checks := []string{"spf none <nil>", "dkim none <nil>", "dmarc none none"}
	lines := "[map[level:info text:to bot@demo.localhost eve@demo.localhost .]]"
	common := func(said string) []string {
		return []string{"inbound domain marker accept <nil> [seen] [] false", "inbound domain talker accept <nil> [] " + said + " false"}
	}
	bots := func(said string) []string {
		out := append([]string{"received 2001:db8::1 peer.example ESMTPS [bot@demo.localhost]"}, checks...)
		out = append(out, common(said)...)
		return append(out, "inbound account guard quarantine too loud [] [] false", "thread domain marker accept <nil> [] [] false", "thread domain talker accept <nil> [] [] false",
			"thread account guard accept <nil> [] [] false", "thread 1 <nil>", "stored Junk [seen quarantined]")
	}
	id := c.newest(gatewaytest.Account, "Junk")
	c.same("the domain's key", c.trace(id, c.g.Keys.Domain), bots(lines)...)
	c.same("the account's key", c.trace(id, c.g.Keys.Account), bots("[]")...)
	out := append([]string{"received 2001:db8::1 peer.example ESMTPS [eve@demo.localhost]"}, checks...)
	out = append(append(out, common("[]")...), "inbound account broken quarantine <nil> [] [] true", "thread domain marker accept <nil> [] [] false", "thread domain talker accept <nil> [] [] false",
		"thread account broken accept <nil> [] [] false", "thread 1 <nil>", "stored Junk [seen quarantined]")
	his := c.newest("eve@demo.localhost", "Junk")
	c.same("eve's", c.trace(his, eve), out...)

	c.do(404, "GET", "/emails/"+id+"/trace", eve, nil)
	c.do(201, "POST", "/domains", c.g.Keys.Admin, `{"name":"rival.example","verified":true}`)
	rival := c.do(201, "POST", "/api-keys", c.g.Keys.Admin, `{"domain":"rival.example"}`).Str("token")
	c.do(404, "GET", "/emails/"+id+"/trace", rival, nil)
	c.do(200, "DELETE", "/emails/"+id+"?permanent=true", c.g.Keys.Account, nil)
	c.do(404, "GET", "/emails/"+id+"/trace", c.g.Keys.Account, nil)
}

// What put a mail into its conversation is seen where the mail says it, or a plugin.
func TestTraceOfThreads(t *testing.T) {
	c := newClient(t, withPlugins()...)
	c.receives("first", gatewaytest.Account)
	thread := c.do(200, "GET", "/emails/"+c.newest(gatewaytest.Account, "INBOX"), c.g.Keys.Account, nil).Str("thread_id")
	reply := func(head string) {
		err := c.g.Receiver.Receive(c.Context(), gateway.Envelope{ReturnPath: "ann@elsewhere.example", Recipients: []string{gatewaytest.Account}, RemoteIP: "192.0.2.1"},
			strings.NewReader("From: Ann <ann@elsewhere.example>\r\n"+head+"\r\n\r\nbody\r\n"))
		if err != nil {
			t.Fatal(err)
		}
	}
	last := func() string {
		all := c.trace(c.newest(gatewaytest.Account, "INBOX"), c.g.Keys.Account)
		return all[len(all)-2]
	}
	reply("Subject: other\r\nReferences: <first@elsewhere.example>")
	if got := last(); got != "thread 2 references" {
		t.Error(got)
	}
	reply("Subject: Re: first")
	if got := last(); got != "thread 3 subject" {
		t.Error(got)
	}
	c.enabled(c.g.Keys.Account, "sorter", `{}`)
	reply("Subject: join " + thread)
	if got := last(); got != "thread 4 plugin" {
		t.Error(got)
	}
}

// The trace of a sent mail has each turn of its deliveries: what held it and when it was
// let go, each attempt, and what was heard of it later.
func TestTraceOfDelivery(t *testing.T) {
	clock, mx, dns := &clock{at: time.Now()}, gatewaytest.ServeMX(t), gatewaytest.ServeDNS(t)
	hosts := map[string]*gatewaytest.MX{"example.com": mx}
	c := newClient(t, append(withPlugins(), gatewaytest.Clock(clock.now), gatewaytest.Hosts(dns, hosts))...)
	busy := true
	mx.Answer(func(command string) string {
		if busy && strings.HasPrefix(command, "RCPT") {
			busy = false
			return "450 4.2.1 come later"
		}
		return ""
	})
	key := c.g.Keys.Domain
	c.enabled(key, "censor", `{}`)
	c.do(201, "POST", "/suppressions", key, `{"email":"gone@example.com"}`)
	id := c.do(200, "POST", "/emails", key, email("from", gatewaytest.Account, "to", []string{"x@example.com", "gone@example.com"}, "subject", "hold for review")).Str("id")
	c.do(200, "POST", "/emails/"+id+"/send", key, nil)
	c.fate(id, "delivery_delayed")
	clock.add(time.Hour)
	c.g.Sender.Wake()
	c.fate(id, "delivered")
	all := c.trace(id, key)
	c.same("held, released, late", all,
		"accepted",
		"outbound domain censor hold for review [] [] false",
		"thread domain censor accept <nil> [] [] false",
		"thread 1 <nil>", "stored Sent []",
		"held held plugin 0 <nil> 0 ", "released queued plugin 0 <nil> 0 ",
		"attempt queued <nil> 1 mx.example.com 450 4.2.1 come later",
		"suppressed suppressed <nil> 0 <nil> 0 ", // in the first hour, like the others
		"attempt delivered <nil> 2 mx.example.com 250 2.0.0 queued",
	)
	c.g.Restart()
	c.same("after a restart", c.trace(id, key), all...)
}

// Mail of a gateway without plugins has a trace, too; so has a draft.
func TestTraceWithoutPlugins(t *testing.T) {
	c := newClient(t)
	key := c.g.Keys.Account
	id := c.do(200, "POST", "/emails", key, email("from", gatewaytest.Account, "to", gatewaytest.Account, "draft", true)).Str("id")
	c.same("a draft", c.trace(id, key), "thread 1 <nil>", "stored Drafts []")
	c.do(200, "POST", "/emails/"+id+"/send", key, nil)
	c.fate(id, "delivered")
	c.same("sent", c.trace(id, key), "accepted", "thread 2 <nil>", "stored Sent []", "attempt delivered <nil> 1 <nil> 250 2.1.5 delivered")
	all := c.trace(c.newest(gatewaytest.Account, "INBOX"), key)
	if all[0] != "received   LOCAL [bot@demo.localhost]" || all[1] != "spf pass <nil>" || len(all) != 6 {
		t.Errorf("%q", all)
	}
}
