package plugins_test

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/centerleap/postern/gateway"
	"github.com/centerleap/postern/gateway/gatewaytest"
	"github.com/centerleap/postern/sdk/abi"
)

// examples are the modules of examples/plugins, each built once.
var examples sync.Map

// example is one of them, and its manifest.
func (c *tenant) example(name string) ([]byte, abi.Manifest) {
	c.Helper()
	from := filepath.Join("..", "examples", "plugins", name)
	build, _ := examples.LoadOrStore(name, sync.OnceValues(func() ([]byte, error) {
		out := filepath.Join(compiled, name+".wasm") // which goes when all tests have ended
		cmd := exec.Command("go", "build", "-buildmode=c-shared", "-ldflags=-s -w", "-o", out, ".")
		cmd.Dir, cmd.Env = from, append(os.Environ(), "GOOS=wasip1", "GOARCH=wasm", "GOFLAGS=")
		if text, err := cmd.CombinedOutput(); err != nil {
			return text, err
		}
		return os.ReadFile(out)
	}))
	wasm, err := build.(func() ([]byte, error))()
	if err != nil {
		c.Fatalf("%v\n%s", err, wasm)
	}
	var m abi.Manifest
	text, err := os.ReadFile(filepath.Join(from, "manifest.json"))
	if err == nil {
		err = json.Unmarshal(text, &m)
	}
	if err != nil {
		c.Fatal(err)
	}
	return wasm, m
}

// enable uploads an example with its manifest, for a mailbox or the domain, and switches it
// on as PATCH is told. Its failures would be seen.
func (c *tenant) enable(name, query string, change map[string]any, edit func(*abi.Manifest)) string {
	c.Helper()
	wasm, m := c.example(name)
	if edit != nil {
		edit(&m)
	}
	doc, err := json.Marshal(m)
	if err != nil {
		c.Fatal(err)
	}
	status, a := c.upload("/plugins"+query, map[string]string{"wasm": string(wasm), "manifest": string(doc)})
	if status != 201 {
		c.Fatalf("%s: %d %v", name, status, a)
	}
	set := map[string]any{"status": "enabled", "failure_policy": "closed"}
	maps.Copy(set, change)
	if status, b := c.g.Do("PATCH", "/plugins/"+a.Str("id"), c.key, set); status != 200 {
		c.Fatalf("%s: %d %v", name, status, b)
	}
	return a.Str("id")
}

// mail delivers a message of somebody outside, as it is.
func (c *tenant) mail(returnPath, raw string) {
	c.Helper()
	err := c.g.Receiver.Receive(c.Context(), gateway.Envelope{
		ReturnPath: returnPath, Recipients: []string{gatewaytest.Account}, RemoteIP: "192.0.2.1", Helo: "peer.example",
	}, strings.NewReader(strings.ReplaceAll(raw, "\n", "\r\n")))
	if err != nil {
		c.Fatal(err)
	}
}

// whole reads all mails of a folder, newest first.
func (c *tenant) whole(email, folder string) (all []gatewaytest.Answer) {
	c.Helper()
	_, list := c.g.Do("GET", "/emails?folder="+folder+"&email="+email, c.key, nil)
	for _, one := range list["data"].([]any) {
		id := gatewaytest.Answer(one.(map[string]any)).Str("email_id")
		status, a := c.g.Do("GET", "/emails/"+id+"?email="+email, c.key, nil)
		if status != 200 {
			c.Fatalf("%s of %s: %d %v", folder, email, status, a)
		}
		all = append(all, a)
	}
	return all
}

// fields are the values of a header field.
func fields(a gatewaytest.Answer, name string) (all []string) {
	list, _ := a["headers"].([]any)
	for _, one := range list {
		f := gatewaytest.Answer(one.(map[string]any))
		if strings.EqualFold(f.Str("name"), name) {
			all = append(all, f.Str("value"))
		}
	}
	return all
}

const complete = "To: " + gatewaytest.Account + "\nDate: Mon, 2 Mar 2026 10:00:00 +0000\nMessage-ID: <%s@x.example>\n"

// The filter puts what has enough points to Junk, says how many in the header, and comes to
// know a domain that sends it, by itself and from people.
func TestExampleSpamFilter(t *testing.T) {
	c := start(t)
	id := c.enable("spam-filter", "", nil, nil)
	letter := func(n, subject string) {
		t.Helper()
		c.mail("ann@x.example", strings.ReplaceAll(complete, "%s", n)+"From: Ann <ann@x.example>\nSubject: "+subject+"\n\nhello\n")
	}
	score := func(folder, want string) {
		t.Helper()
		c.want("score", fields(c.whole(gatewaytest.Account, folder)[0], "X-Spam-Score"), []string{want})
	}
	letter("1", "lunch")
	score("INBOX", "0.0")
	c.mail("ann@x.example", "From: \"service@bank.example\" <ann@x.example>\nSubject: YOU HAVE WON!!\n\nhttp://192.0.2.7/prize\n")
	score("Junk", "10.5")
	if list := strings.Join(c.folder(gatewaytest.Account, "Junk"), ""); !strings.Contains(list, "spam") {
		t.Errorf("Junk has %s", list)
	}
	c.person("INBOX", "Junk")
	gatewaytest.Eventually(t, "it learned from a person", func() bool {
		return strings.Contains(strings.Join(c.folder(gatewaytest.Account, "Junk"), "\n"), "lunch [spam]")
	})
	letter("2", "dinner")
	score("INBOX", "1.8") // of 8 times a person's word and once its own, against once
	c.want("what it says", c.said(id), []string{
		"info: reason: 0.0 of 5.0: no rule",
		"info: reason: 10.5 of 5.0: subject shouts, subject has a word of spam, no Message-ID, no Date, name is another address, link to a bare address",
		"info: reason: 1.8 of 5.0: reputation 1.8",
	})
}

// settled waits until a plugin has been told all that happened.
func (c *tenant) settled(id string) {
	c.Helper()
	gatewaytest.Eventually(c.T, "all is told", func() bool {
		_, a := c.g.Do("GET", "/plugins/"+id, c.key, nil)
		return a.At("backlog.waiting") == 0.0
	})
}

// Who writes is answered once in some days. Lists, bulk mail, reports and programs are not,
// by this plugin, nor by one that wants to answer them.
func TestExampleAutoReply(t *testing.T) {
	clock := &movedClock{}
	c := start(t, gatewaytest.Clock(clock.now))
	mine := c.enable("auto-reply", "?email="+gatewaytest.Account, map[string]any{"config": map[string]string{"text": "I am away.", "days": "3"}}, nil)
	stubborn := c.listener("stubborn", "?email="+gatewaytest.Account, `{"reply":{"subject":"me too","text":"hello"}}`)
	letter := func(from, returnPath, more string) {
		t.Helper()
		c.mail(returnPath, "From: "+from+"\nTo: "+gatewaytest.Account+"\nSubject: Lunch?\n"+more+"\nhello\n")
	}
	for i, more := range []string{
		"List-Id: <l.x.example>\n", "Precedence: bulk\n", "Auto-Submitted: auto-generated\n", "X-Auto-Response-Suppress: All\n",
		"MIME-Version: 1.0\nContent-Type: multipart/report; report-type=delivery-status; boundary=b\n",
	} {
		who := string(rune('a'+i)) + "@x.example"
		letter(who, who, more)
	}
	letter("f@x.example", "", "")
	letter("noreply@x.example", "noreply@x.example", "")
	letter("owner-list@x.example", "owner-list@x.example", "")
	c.settled(mine)
	c.settled(stubborn)
	sent := func(want ...string) {
		t.Helper()
		gatewaytest.Eventually(t, "the answers", func() bool { return len(c.folder(gatewaytest.Account, "Sent")) >= len(want) })
		got := c.folder(gatewaytest.Account, "Sent")
		slices.Sort(got)
		c.want("what was sent", got, want)
	}
	letter("ann@x.example", "ann@x.example", "")
	sent("Auto: Lunch? []", "me too []")
	for _, a := range c.whole(gatewaytest.Account, "Sent") {
		c.want("who wrote it", fields(a, "Auto-Submitted"), []string{"auto-replied"})
		c.want("to", a.At("to"), "ann@x.example")
	}
	clock.add(5 * time.Hour) // longer than limits.reply_hours
	letter("ann@x.example", "ann@x.example", "")
	sent("Auto: Lunch? []", "me too []", "me too []")
	clock.add(3 * 24 * time.Hour)
	letter("ann@x.example", "ann@x.example", "")
	sent("Auto: Lunch? []", "Auto: Lunch? []", "me too []", "me too []", "me too []")
}

// Mail with a card number is held, with the reason in its trace, or refused as it is sent;
// mail to those who may have it is not.
func TestExampleDLP(t *testing.T) {
	c := start(t)
	id := c.enable("dlp-outbound", "", map[string]any{"config": map[string]string{"allow": "bank.example"}}, nil)
	table := base64.StdEncoding.EncodeToString([]byte(strings.Repeat("nobody,1234567812345678,10\n", 2000) + "ann,4012888888881881,12/27\n"))
	send := func(to string, more map[string]any) (int, gatewaytest.Answer) {
		t.Helper()
		mail := map[string]any{"from": gatewaytest.Account, "to": to, "subject": "Order 4111111111111112", "text": "as agreed", "headers": map[string]string{"X-Order-Id": "4111111111111111"}}
		maps.Copy(mail, more)
		return c.g.Do("POST", "/emails", c.key, mail)
	}
	figures := base64.StdEncoding.EncodeToString([]byte(strings.Repeat("4111 1111 1111 1112\n", 1<<20/20)))
	file := func(content string) map[string]any {
		return map[string]any{"attachments": []map[string]any{{"filename": "cards.csv", "content": content}}}
	}
	with := file(table)
	held := func() (all []string) {
		_, a := c.g.Do("GET", "/queue", c.key, nil)
		for i := range a["data"].([]any) {
			at := fmt.Sprintf("data.%d.", i)
			all = append(all, fmt.Sprint(a.At(at+"recipient"), " ", a.At(at+"state"), " ", a.At(at+"reason")))
		}
		slices.Sort(all)
		return all
	}
	for _, m := range []struct {
		to   string
		more map[string]any
	}{{"ann@x.example", nil}, {"bob@x.example", with}, {"clerk@bank.example", with}, {"eve@x.example", map[string]any{"text": "pay with 4111 1111 1111 1111"}}, {"zoe@x.example", file(figures)}} {
		if status, a := send(m.to, m.more); status != 200 {
			t.Fatal(status, a)
		}
	}
	c.want("queue", held(), []string{"ann@x.example held capture", "bob@x.example held plugin", "clerk@bank.example held capture", "eve@x.example held plugin", "zoe@x.example held plugin"})
	c.want("what it says", c.said(id), []string{
		"info: reason: a card number (ending in 1881) in the attachment cards.csv", "info: reason: a card number (ending in 1111) in the text",
		"info: reason: the attachment cards.csv makes it too long to be looked at",
	})
	_, queue := c.g.Do("GET", "/queue", c.key, nil)
	for i := range queue["data"].([]any) { // somebody approves of one
		if at := fmt.Sprintf("data.%d.", i); queue.Str(at+"recipient") == "bob@x.example" {
			status, a := c.g.Do("POST", "/queue/"+queue.Str(at+"id")+"/release", c.key, nil)
			c.want("release", fmt.Sprint(status, " ", a.Str("reason")), "200 capture") // nothing leaves this gateway
		}
	}
	c.want("queue", held(), []string{"ann@x.example held capture", "bob@x.example held capture", "clerk@bank.example held capture", "eve@x.example held plugin", "zoe@x.example held plugin"})
	c.g.Do("PATCH", "/plugins/"+id, c.key, map[string]any{"config": map[string]string{"action": "deny"}})
	status, a := send("bob@x.example", with)
	c.want("refusal", fmt.Sprint(status, " ", a.Str("name"), ": ", a.Str("message")), "403 plugin_rejected: a card number (ending in 1881) in the attachment cards.csv")
}

// A mail about a ticket that answers in another conversation brings that one along.
func TestExampleTickets(t *testing.T) {
	c := start(t)
	c.enable("ticket-threads", "?email="+gatewaytest.Account, nil, nil)
	letter := func(n, subject, answers string) {
		t.Helper()
		if answers != "" {
			answers = "In-Reply-To: <" + answers + "@x.example>\n"
		}
		c.mail("ann@x.example", strings.ReplaceAll(complete, "%s", n)+"From: ann@x.example\nSubject: "+subject+"\n"+answers+"\nhello\n")
	}
	letter("1", "[#7] Printer is on fire", "")
	letter("2", "smoke", "")
	letter("3", "Re: smoke", "2")
	letter("4", "lunch", "")
	letter("5", "Ticket 7: technician comes", "")
	threads := func() (list []string) {
		_, a := c.g.Do("GET", "/emails/threads?email="+gatewaytest.Account, c.key, nil)
		for _, one := range a["data"].([]any) {
			m := gatewaytest.Answer(one.(map[string]any))
			list = append(list, fmt.Sprint(m.Str("subject"), " ", m.At("message_count")))
		}
		slices.Sort(list)
		return list
	}
	c.want("before", threads(), []string{"[#7] Printer is on fire 2", "lunch 1", "smoke 2"})
	letter("6", "Re: smoke [#7]", "3")
	c.want("after", threads(), []string{"[#7] Printer is on fire 5", "lunch 1"})
}

// The folder's README lists every example, and each README has every setting that its plugin
// looks at.
func TestExampleReadmes(t *testing.T) {
	const dir = "../examples/plugins"
	read := func(name string) string {
		t.Helper()
		text, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil {
			t.Fatal(err)
		}
		return string(text)
	}
	folders, err := filepath.Glob(filepath.Join(dir, "*", "manifest.json"))
	if err != nil || len(folders) < 6 {
		t.Fatal(folders, err)
	}
	settings := regexp.MustCompile(`(?:Config|Secret|edge)\("(\w+)"`)
	for _, folder := range folders {
		name := filepath.Base(filepath.Dir(folder))
		if !strings.Contains(read("README.md"), "| ["+name+"]("+name+") |") {
			t.Errorf("README.md does not list %s", name)
		}
		readme := read(filepath.Join(name, "README.md"))
		if !strings.Contains(readme, "bin/postern plugin push examples/plugins/"+name+" --enable") {
			t.Errorf("%s/README.md does not say how to push it", name)
		}
		sources, _ := filepath.Glob(filepath.Join(dir, name, "*.go"))
		for _, source := range sources {
			if strings.HasSuffix(source, "_test.go") {
				continue
			}
			for _, m := range settings.FindAllStringSubmatch(read(filepath.Join(name, filepath.Base(source))), -1) {
				if !strings.Contains(readme, "| `"+m[1]+"` |") {
					t.Errorf("%s/README.md does not have the setting %s", name, m[1])
				}
			}
		}
	}
}
