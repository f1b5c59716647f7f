package main

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/centerleap/postern/gateway/gatewaytest"
	"github.com/centerleap/postern/gateway/serve"
)

// The real binary is killed with SIGKILL while a plugin keeps tickets together, again
// and again over the same data. What the plugin remembered with a mail that got its
// 250 it knows when the next mail about the ticket comes, also after a kill.
func TestKilledPlugin(t *testing.T) {
	dir, err := os.MkdirTemp("", "postern")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	k := &killed{T: t, bin: binary(t), data: filepath.Join(dir, "d"), tickets: make(map[int][]string)}
	for cycle := range kills {
		k.start()
		if cycle == 0 {
			k.install("ticket-threads")
		}
		k.load(cycle, time.Duration(100+rand.IntN(300))*time.Millisecond)
	}
	k.start()
	func() {
		defer func() {
			_ = k.cmd.Process.Kill()
			_ = k.cmd.Wait()
		}()
		k.check()
	}()
	recount(t, k.bin, k.data)
}

type killed struct {
	*testing.T
	bin, data string
	cmd       *exec.Cmd
	banner    serve.Banner
	key       string // of the domain

	mu      sync.Mutex
	tickets map[int][]string // Message-IDs that got their 250, by ticket
}

func (k *killed) start() {
	k.Helper()
	k.cmd = exec.Command(k.bin, "quickstart", "--data", k.data, "--json")
	k.cmd.Env = environ("POSTERN_LIMITS_KEY_MESSAGES=1000000", "POSTERN_LIMITS_KEY_RECIPIENTS=1000000",
		"POSTERN_LIMITS_PLUGIN_MILLIS=20000", "POSTERN_LIMITS_PLUGIN_MESSAGE_MILLIS=60000") // a busy machine must not change what is decided
	out, err := k.cmd.StdoutPipe()
	if err != nil {
		k.Fatal(err)
	}
	if err := k.cmd.Start(); err != nil {
		k.Fatal(err)
	}
	var b serve.Banner
	if err := json.NewDecoder(out).Decode(&b); err != nil {
		k.Fatal(err)
	}
	if k.banner = b; b.Keys != nil {
		k.key = b.Keys.Domain
	}
}

// install puts a plugin of the examples at work for the mailbox.
func (k *killed) install(name string) {
	k.Helper()
	from := filepath.Join(builtPlugins(k), name)
	for _, args := range [][]string{
		{"push", from + ".wasm", "--manifest", from + ".json"}, {"enable", name},
	} {
		args = append([]string{"plugin"}, append(args, "--account", gatewaytest.Account, "--data", k.data)...)
		if out, err := exec.Command(k.bin, args...).CombinedOutput(); err != nil {
			k.Fatalf("%v: %v\n%s", args, err, out)
		}
	}
}

// load delivers mail about tickets until the process is killed under the clients.
func (k *killed) load(cycle int, life time.Duration) {
	kill := time.AfterFunc(life, func() { _ = k.cmd.Process.Kill() })
	defer kill.Stop()
	var clients sync.WaitGroup
	for i := range 3 {
		clients.Go(func() { k.deliver(cycle, i) })
	}
	clients.Wait()
	_ = k.cmd.Wait() // killed: that is the point
}

// deliver is another server that delivers mail, three about each ticket. Two cycles
// share their tickets, so that half of them live over a kill.
func (k *killed) deliver(cycle, client int) {
	t := dial(k.banner.MX, patience)
	defer t.close()
	t.say("", "220 ")
	t.say("EHLO peer.example", "250 ")
	for i := 0; ; i++ {
		id, ticket := fmt.Sprintf("<%d.%d.%d@peer.example>", cycle, client, i), (cycle/2*10+client)*100000+i/3
		if !t.transact(id, fmt.Sprintf("[#%d] mail %d", ticket, i), "body\r\n") {
			if t.no != "" {
				k.Errorf("%s was refused: %s", id, t.no)
			}
			return
		}
		k.mu.Lock()
		k.tickets[ticket] = append(k.tickets[ticket], id)
		k.mu.Unlock()
	}
}

// listed is an email as a list shows it.
type listed struct {
	ID      string `json:"message_id"`
	EmailID string `json:"email_id"`
	Thread  string `json:"thread_id"`
}

// list collects the emails of a folder by Message-ID.
func (k *killed) list(email, folder string) map[string][]listed {
	k.Helper()
	seen := make(map[string][]listed)
	for after := ""; ; {
		req, err := http.NewRequest("GET", fmt.Sprintf("%s/emails?email=%s&folder=%s&limit=100&after=%s", k.banner.REST, email, folder, after), nil)
		if err != nil {
			k.Fatal(err)
		}
		req.Header.Set("Authorization", "Bearer "+k.key)
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			k.Fatal(err)
		}
		var page struct {
			Data []listed
			More bool `json:"has_more"`
		}
		err = json.NewDecoder(resp.Body).Decode(&page)
		resp.Body.Close()
		if err != nil {
			k.Fatal(err)
		}
		for _, m := range page.Data {
			seen[m.ID] = append(seen[m.ID], m)
			after = m.EmailID
		}
		if !page.More {
			return seen
		}
	}
}

// check wants all acknowledged mail, once, and all about a ticket in one
// conversation.
func (k *killed) check() {
	k.Helper()
	inbox, mails, over := k.list(gatewaytest.Account, "INBOX"), 0, 0
	for ticket, ids := range k.tickets {
		for _, id := range ids {
			if mails++; len(inbox[id]) != 1 {
				k.Errorf("%s got its 250 and is %d times in INBOX", id, len(inbox[id]))
				continue
			}
			if a := inbox[ids[0]]; len(a) == 1 && a[0].Thread != inbox[id][0].Thread {
				k.Errorf("ticket %d: %s is in conversation %s, %s in %s", ticket, ids[0], a[0].Thread, id, inbox[id][0].Thread)
			}
		}
		first, _, _ := strings.Cut(ids[0], ".")
		if !strings.HasPrefix(ids[len(ids)-1], first+".") { // of another cycle
			over++
		}
	}
	k.Logf("%d mails about %d tickets, %d of them over a kill", mails, len(k.tickets), over)
	if over < 5 {
		k.Error("so little was acknowledged that the test shows nothing")
	}
}
