package plugins_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"

	"github.com/centerleap/postern/gateway/gatewaytest"
	"github.com/centerleap/postern/plugins/hostile"
	"github.com/centerleap/postern/sdk/abi"
)

// put installs a module by hand, and switches it on.
func (c *tenant) put(name, query string, wasm []byte, permissions ...string) string {
	c.Helper()
	return c.putAs(map[string]any{"v": 1, "name": name, "hooks": []string{"inbound"}, "permissions": permissions}, query, wasm)
}

func (c *tenant) putAs(as map[string]any, query string, wasm []byte) string {
	c.Helper()
	name := as["name"]
	manifest, err := json.Marshal(as)
	if err != nil {
		c.Fatal(err)
	}
	status, a := c.upload("/plugins"+query, map[string]string{"wasm": string(wasm), "manifest": string(manifest)})
	if status != 201 {
		c.Fatalf("%s: %d %v", name, status, a)
	}
	if status, a := c.g.Do("PATCH", "/plugins/"+a.Str("id"), c.key, map[string]any{"status": "enabled"}); status != 200 {
		c.Fatalf("%s: %d %v", name, status, a)
	}
	return a.Str("id")
}

// What is counted in a call that fails is counted, and is there after a restart.
func TestCountersOverFailures(t *testing.T) {
	c := start(t)
	id := c.put("counter", "", hostile.Counter("enough", 4), abi.PermitKV)
	for range 2 {
		c.arrive("early")
	}
	c.g.Restart()
	for range 3 {
		c.arrive("later")
	}
	c.want("mail", c.folder(gatewaytest.Account, "INBOX"), []string{"later [enough]", "later [enough]", "later [plugin-error]", "early [plugin-error]", "early [plugin-error]"})
	if said := c.said(id); len(said) != 3 || !strings.Contains(said[0], "trap") {
		t.Errorf("%q", said)
	}
}

// A mail that a plugin sends arrives as one of its account's, once for each mail that it
// was asked about; one in another's name never leaves.
func TestPluginSends(t *testing.T) {
	c := start(t)
	c.account("friend@demo.localhost")
	doc := `{"to":["friend@demo.localhost"],"subject":"%s","text":"hello","headers":{"X-Bot":"yes"}%s}`
	c.put("sender", "?email="+gatewaytest.Account, hostile.Sender(fmt.Sprintf(doc, "from a plugin", "")), abi.PermitSend)
	liar := c.put("liar", "?email="+gatewaytest.Account, hostile.Sender(fmt.Sprintf(doc, "a lie", `,"from":"friend@demo.localhost"`)), abi.PermitSend)
	mute := c.put("mute", "?email="+gatewaytest.Account, hostile.Sender(fmt.Sprintf(doc, "not allowed", "")))
	for range 2 {
		if code, text := c.arrive("ask"); code != 250 {
			t.Fatal(code, text)
		}
	}
	gatewaytest.Eventually(t, "both arrive", func() bool { return len(c.folder("friend@demo.localhost", "INBOX")) == 2 })
	c.want("what arrived", c.folder("friend@demo.localhost", "INBOX"), []string{"from a plugin []", "from a plugin []"})
	c.want("what was sent", c.folder(gatewaytest.Account, "Sent"), []string{"from a plugin []", "from a plugin []"})
	_, a := c.g.Do("GET", "/emails?folder=INBOX&email=friend@demo.localhost", c.key, nil)
	if from := fmt.Sprint(a.At("data.0.from")); !strings.Contains(from, gatewaytest.Account) {
		t.Errorf("it is from %s", from)
	}
	for id, want := range map[string]string{liar: "is not the account's address", mute: "returned -2"} {
		if said := strings.Join(c.said(id), "\n"); !strings.Contains(said, want) {
			t.Errorf("%q, want %q", said, want)
		}
	}
}

// A plugin reads the conversation that a mail goes into: of its own account, and of no
// other that has a copy of the same mail.
func TestPluginReadsThread(t *testing.T) {
	c := start(t)
	c.account("other@demo.localhost")
	reads := c.put("teller", "?email="+gatewaytest.Account, hostile.Gossip(), abi.PermitThreadRead)
	others := c.put("teller", "?email=other@demo.localhost", hostile.Gossip(), abi.PermitThreadRead)
	domains := c.put("teller", "", hostile.Gossip(), abi.PermitThreadRead)
	c.arrive("plans")
	c.arrive("Re: plans")
	c.arrive("Re: plans", "other@demo.localhost")
	var got abi.Conversation
	said := c.said(reads)
	if len(said) != 1 || json.Unmarshal([]byte(strings.TrimPrefix(said[0], "info: ")), &got) != nil {
		t.Fatalf("%q", said)
	}
	if got.Count != 1 || got.Subject != "plans" || len(got.Messages) != 1 {
		t.Fatalf("%+v", got)
	}
	m := got.Messages[0]
	if m.Subject != "plans" || m.Text != "body\r\n" && m.Text != "body\n" && m.Text != "body" || m.TextTruncated || m.Sent || m.From.Addr != "ann@elsewhere.example" || m.ID == "" || m.Time == "" {
		t.Errorf("%+v", m)
	}
	c.want("another's", c.said(others), []string{})
	c.want("the domain's", c.said(domains), []string{})
}

// A plugin asks a server about what has happened; a server that its manifest does not name
// hears nothing.
func TestPluginAsksServer(t *testing.T) {
	c := start(t)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/asked" {
			t.Errorf("somebody came for %s", r.URL)
		}
		_, _ = w.Write([]byte("an answer"))
	}))
	defer server.Close()
	host := strings.TrimPrefix(server.URL, "http://")
	as := func(name, host string) map[string]any {
		return map[string]any{"v": 1, "name": name, "hooks": []string{"event"}, "permissions": []string{"http"}, "http_hosts": []string{host}}
	}
	asker := c.putAs(as("asker", host), "", hostile.Asker(`{"url":"`+server.URL+`/asked"}`))
	stray := c.putAs(as("stray", "127.0.0.1:1"), "", hostile.Asker(`{"url":"`+server.URL+`/stray"}`))
	c.arrive("something")
	gatewaytest.Eventually(t, "both were told", func() bool { return len(c.said(asker)) > 0 && len(c.said(stray)) > 0 })
	c.want("the answer", c.said(asker), []string{"info: an answer"})
	if said := strings.Join(c.said(stray), "\n"); !strings.Contains(said, "http_hosts do not name "+host) {
		t.Errorf("%q", said)
	}
}

// Robustness 9: while a plugin waits for a server that says nothing, the mail of its own
// domain passes, and other plugins are asked about it.
func TestSlowServerDelaysNoMail(t *testing.T) {
	c := start(t)
	began, goOn := make(chan struct{}, 100), make(chan struct{})
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		began <- struct{}{}
		select {
		case <-goOn:
		case <-r.Context().Done():
		}
		_, _ = w.Write([]byte("at last"))
	}))
	defer server.Close()
	asker := c.putAs(map[string]any{
		"v": 1, "name": "asker", "hooks": []string{"event"}, "permissions": []string{"http"}, "http_hosts": []string{strings.TrimPrefix(server.URL, "http://")},
	}, "", hostile.Asker(`{"url":"`+server.URL+`"}`))
	c.arrive("first")
	<-began
	c.put("labeller", "", hostile.Labeller("seen", 0, 0))
	for range 5 {
		if code, text := c.arrive("meanwhile"); code != 250 {
			t.Errorf("%d %s", code, text)
		}
	}
	c.want("mail", c.folder(gatewaytest.Account, "INBOX")[:5], slices.Repeat([]string{"meanwhile [seen]"}, 5))
	if said := c.said(asker); len(said) != 0 {
		t.Errorf("it did not wait: %q", said)
	}
	close(goOn)
	gatewaytest.Eventually(t, "it goes on", func() bool { return slices.Contains(c.said(asker), "info: at last") })
}

// Robustness 8: whatever it lists, a plugin lists what it remembers itself; and what it
// counts is its own.
func TestRobustness8Lists(t *testing.T) {
	c := start(t)
	mine := c.install("puppet", "", map[string]any{"config": map[string]string{"only": "put", "key": "secret"}})
	c.arrive("x kept")
	c.g.Do("PATCH", "/plugins/"+mine, c.key, map[string]any{"config": map[string]string{"only": "nothing"}})
	rival := c.rival()
	raw := strings.ReplaceAll(mine, "-", "")
	for i, prefix := range []string{"", "s", "../", "../puppet/", mine, raw, "\x00", "/", strings.Repeat("../", 100), "demo.localhost/"} {
		c.put(fmt.Sprint("list-", i), "?email="+gatewaytest.Account, hostile.Lister(prefix), abi.PermitKV)
		rival.put(fmt.Sprint("list-", i), "", hostile.Lister(prefix), abi.PermitKV)
	}
	c.put("count", "", hostile.Counter("two", 2), abi.PermitKV)
	rival.put("count", "", hostile.Counter("two", 2), abi.PermitKV)
	c.arrive("list")
	c.arrive("list", "spy@rival.example")
	for _, who := range []*tenant{c, rival} {
		_, a := who.g.Do("GET", "/plugins", who.key, nil)
		for _, one := range a["data"].([]any) {
			p := gatewaytest.Answer(one.(map[string]any))
			switch name := p.Str("name"); {
			case strings.HasPrefix(name, "list-"):
				who.want(name+" lists", who.heard(p.Str("id")), `{"keys":[]}`)
			case name == "count":
				if text := who.heard(p.Str("id")); !strings.Contains(text, "trap") { // it had counted but one
					t.Errorf("%s: %q", name, text)
				}
			}
		}
	}
}

// A plugin is told where a message goes unless somebody says otherwise, in a dry run, too.
func TestToldWhere(t *testing.T) {
	c := start(t)
	filer := c.putAs(map[string]any{"v": 1, "name": "filer", "hooks": []string{"inbound"}}, "", hostile.Obedient("inbound"))
	for _, tt := range []struct{ hook, says, want, tried string }{
		{"inbound", `{}`, "folder INBOX flags.0 labels.0 via", "folder INBOX flags.0 labels.0 via"},
		{"outbound", `{}`, `folder Sent flags.0 \Seen labels.0 via rest`, `folder Sent flags.0 \Seen labels.0 via rest`},
		{"thread", `{"folder":"News","flags":["\\Flagged"],"labels":["bulk"]}`, `folder News flags.0 \Flagged labels.0 bulk via`, "folder INBOX flags.0 labels.0 via"},
	} {
		if status, a := c.g.Do("PATCH", "/plugins/"+filer, c.key, map[string]any{"config": map[string]string{"inbound": tt.says}}); status != 200 {
			t.Fatal(status, a)
		}
		id := c.putAs(map[string]any{"v": 1, "name": tt.hook, "hooks": []string{tt.hook}}, "", hostile.Teller(tt.hook, "folder", "flags.0", "labels.0", "via"))
		if tt.hook != "outbound" {
			c.arrive("hello")
		} else if status, a := c.g.Do("POST", "/emails", c.key, map[string]any{"from": gatewaytest.Account, "to": "ann@elsewhere.example", "subject": "hello", "text": "x"}); status != 200 {
			t.Fatal(status, a)
		}
		c.want(tt.hook, strings.ReplaceAll(strings.Join(c.said(id), " "), "info: ", ""), tt.want)
		status, a := c.g.Do("POST", "/plugins/"+id+"/test", c.key, map[string]any{"hook": tt.hook, "raw": "From: bot@demo.localhost\nTo: bot@demo.localhost\n\nhello\n"})
		if status != 200 {
			t.Fatal(status, a)
		}
		var said []string
		for _, l := range a["logs"].([]any) {
			said = append(said, gatewaytest.Answer(l.(map[string]any)).Str("text"))
		}
		c.want(tt.hook+", tried", strings.Join(said, " "), tt.tried)
	}
}
