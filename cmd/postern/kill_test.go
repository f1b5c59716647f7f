package main

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/centerleap/postern/gateway/gatewaytest"
	"github.com/centerleap/postern/gateway/serve"
)

const kills = 20

// The real binary is killed with SIGKILL while clients are at all its doors, again
// and again over the same data. What was acknowledged is there once: mail by REST
// 200 and SMTP 250, what IMAP said OK to of APPEND, STORE and MOVE, and what a
// plugin remembered because of a mail that got its 250. UIDs go up and stay.
func TestKilledGateway(t *testing.T) {
	dir, err := os.MkdirTemp("", "postern")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	bin := filepath.Join(dir, "bin")
	if out, err := exec.Command("go", "build", "-o", bin, ".").CombinedOutput(); err != nil {
		t.Fatalf("go build: %v\n%s", err, out)
	}
	k := &killed{T: t, bin: bin, data: filepath.Join(dir, "d"), ledger: newLedger(), uids: make(map[string]uint32)}
	for cycle := range kills {
		k.start()
		if cycle == 0 {
			k.install("ticket-threads")
		}
		k.checkUIDs(gatewaytest.Account, "INBOX")
		k.load(cycle, time.Duration(100+rand.IntN(500))*time.Millisecond)
	}
	k.start()
	defer func() {
		_ = k.cmd.Process.Kill()
		_ = k.cmd.Wait()
	}()
	k.check()
}

type killed struct {
	*testing.T
	bin, data string
	cmd       *exec.Cmd
	banner    serve.Banner
	key       string // of the domain
	ledger    *ledger
	uids      map[string]uint32 // by folder and Message-ID, as seen so far
	highest   uint32            // of INBOX before the last kill
}

func (k *killed) start() {
	k.Helper()
	k.cmd = exec.Command(k.bin, "quickstart", "--data", k.data, "--json")
	k.cmd.Env = append(os.Environ(), "POSTERN_LIMITS_KEY_MESSAGES=1000000", "POSTERN_LIMITS_KEY_RECIPIENTS=1000000",
		"POSTERN_LIMITS_PLUGIN_MILLIS=20000", "POSTERN_LIMITS_PLUGIN_MESSAGE_MILLIS=60000") // a busy machine must not change what is decided
	for _, door := range serve.Doors {
		k.cmd.Env = append(k.cmd.Env, "POSTERN_"+strings.ToUpper(door)+"_LISTEN=127.0.0.1:0")
	}
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

// load works at every door until the process is killed under the clients.
func (k *killed) load(cycle int, life time.Duration) {
	kill := time.AfterFunc(life, func() { _ = k.cmd.Process.Kill() })
	defer kill.Stop()
	var clients sync.WaitGroup
	for i, work := range []func(*killed, string){
		(*killed).sendREST, (*killed).sendREST, (*killed).deliver, (*killed).deliver, (*killed).submit, (*killed).read, (*killed).read,
	} {
		clients.Go(func() { work(k, fmt.Sprintf("%d.%d", cycle, i)) })
	}
	clients.Wait()
	_ = k.cmd.Wait() // killed: that is the point
}

// listed is an email as a list shows it.
type listed struct {
	ID      string `json:"message_id"`
	EmailID string `json:"email_id"`
	Thread  string `json:"thread_id"`
	UID     uint32 `json:"uid"`
	Starred bool   `json:"is_starred"`
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

// checkUIDs holds a folder to what UIDs promise, over all kills so far: one message
// each, for good, and new ones above all that were seen.
func (k *killed) checkUIDs(email, folder string) map[string][]listed {
	k.Helper()
	all, owner, highest := k.list(email, folder), make(map[uint32]string), k.highest
	for id, found := range all {
		m := found[0]
		if other, taken := owner[m.UID]; taken {
			k.Errorf("UID %d is that of %s and of %s", m.UID, id, other)
		}
		owner[m.UID] = id
		before, known := k.uids[email+folder+id]
		switch {
		case known && before != m.UID:
			k.Errorf("%s had UID %d in %s and has %d", id, before, folder, m.UID)
		case !known && email == gatewaytest.Account && folder == "INBOX" && m.UID <= k.highest:
			k.Errorf("%s is new and has UID %d, but %d was seen before", id, m.UID, k.highest)
		}
		k.uids[email+folder+id] = m.UID
		highest = max(highest, m.UID)
	}
	if email == gatewaytest.Account && folder == "INBOX" {
		k.highest = highest
	}
	return all
}

// check compares the ledger with what is there.
func (k *killed) check() {
	k.Helper()
	l := k.ledger
	sent := k.list("hello@demo.localhost", "Sent")
	for id := range l.sent {
		if len(sent[id]) != 1 {
			k.Errorf("%s was acknowledged and is %d times in Sent", id, len(sent[id]))
		}
	}
	k.checkInbox(sent)
	k.checkReading()
	k.checkTickets()
	k.Logf("%d kills: %d sends and %d deliveries acknowledged, %d APPEND, %d STORE, %d MOVE, %d tickets", kills, len(l.sent), len(l.arrived), len(l.appended), len(l.flagged), len(l.moved), len(l.tickets))
	if min(len(l.sent), len(l.arrived), len(l.appended), len(l.moved), len(l.tickets)) < kills {
		k.Error("so little was acknowledged that the test shows nothing")
	}
}

// checkInbox wants everything sent, and everything delivered, in INBOX once.
func (k *killed) checkInbox(sent map[string][]listed) {
	k.Helper()
	var inbox map[string][]listed
	gatewaytest.Eventually(k, "everything sent is delivered", func() bool {
		inbox = k.list("hello@demo.localhost", "INBOX")
		for id := range sent {
			if len(inbox[id]) == 0 {
				return false
			}
		}
		return true
	})
	arrived := k.checkUIDs(gatewaytest.Account, "INBOX")
	for id := range k.ledger.arrived {
		if len(arrived[id]) == 0 {
			k.Errorf("%s got its 250 and is not in INBOX", id)
		}
	}
	for _, box := range []map[string][]listed{inbox, arrived} {
		for id, found := range box {
			if len(found) != 1 {
				k.Errorf("%s is %d times in INBOX", id, len(found))
			}
		}
	}
}

// checkReading wants what IMAP said OK to.
func (k *killed) checkReading() {
	k.Helper()
	drafts, archive := k.checkUIDs(gatewaytest.Account, "Drafts"), k.checkUIDs(gatewaytest.Account, "Archive")
	for id := range k.ledger.appended {
		found := slices.Concat(drafts[id], archive[id])
		if len(found) != 1 {
			k.Errorf("%s was appended and is there %d times", id, len(found))
			continue
		}
		if k.ledger.flagged[id] && !found[0].Starred {
			k.Errorf("%s was flagged and is not", id)
		}
		if k.ledger.moved[id] && len(archive[id]) != 1 {
			k.Errorf("%s was moved to Archive and is not there", id)
		}
	}
}

// checkTickets wants all acknowledged mail about a ticket in one conversation: what
// the plugin remembered with the first mail it knew when the next one came, also
// over a kill.
func (k *killed) checkTickets() {
	k.Helper()
	inbox := k.list(gatewaytest.Account, "INBOX")
	for ticket, ids := range k.ledger.tickets {
		for _, id := range ids {
			if a, b := inbox[ids[0]], inbox[id]; len(a) == 1 && len(b) == 1 && a[0].Thread != b[0].Thread {
				k.Errorf("ticket %d: %s is in conversation %s, %s in %s", ticket, ids[0], a[0].Thread, id, b[0].Thread)
			}
		}
	}
}
