package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/centerleap/postern/gateway/gatewaytest"
	"github.com/centerleap/postern/gateway/serve"
)

// The real binary is killed with SIGKILL while it takes and delivers mail, again
// and again over the same data. What was answered with 200 is in Sent, and in the
// recipient's INBOX once: not lost, not doubled.
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
	k := &killed{T: t, bin: bin, data: filepath.Join(dir, "d"), ledger: make(map[string]bool)}
	for range 8 {
		k.start()
		k.load(time.Duration(100+rand.IntN(400)) * time.Millisecond)
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
	rest, key string

	mu     sync.Mutex
	ledger map[string]bool // Message-IDs answered with 200
}

func (k *killed) start() {
	k.Helper()
	k.cmd = exec.Command(k.bin, "quickstart", "--data", k.data, "--json")
	k.cmd.Env = append(os.Environ(), "POSTERN_REST_LISTEN=127.0.0.1:0", "POSTERN_LIMITS_KEY_MESSAGES=1000000", "POSTERN_LIMITS_KEY_RECIPIENTS=1000000")
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
	k.rest = b.REST
	if b.Keys != nil {
		k.key = b.Keys.Domain
	}
}

// load sends from several callers until the process is killed under them.
func (k *killed) load(life time.Duration) {
	kill := time.AfterFunc(life, func() { _ = k.cmd.Process.Kill() })
	defer kill.Stop()
	var senders sync.WaitGroup
	for range 8 {
		senders.Go(func() {
			for k.send() {
			}
		})
	}
	senders.Wait()
	_ = k.cmd.Wait() // killed: that is the point
}

// send sends one email and enters it into the ledger; false when nobody answers.
func (k *killed) send() bool {
	req, err := http.NewRequest("POST", k.rest+"/emails", bytes.NewReader([]byte(
		`{"from":"hello@demo.localhost","to":"bot@demo.localhost","subject":"x","text":"x"}`)))
	if err != nil {
		k.Error(err)
		return false
	}
	req.Header.Set("Authorization", "Bearer "+k.key)
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return false
	}
	defer resp.Body.Close()
	var a gatewaytest.Answer
	if err := json.NewDecoder(resp.Body).Decode(&a); err != nil || resp.StatusCode != 200 {
		return err == nil && resp.StatusCode == 429
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	k.ledger[a.Str("message_id")] = true
	return true
}

// list collects the Message-IDs of a folder, and how often each is there.
func (k *killed) list(email, folder string) map[string]int {
	k.Helper()
	seen := make(map[string]int)
	for after := ""; ; {
		req, err := http.NewRequest("GET", fmt.Sprintf("%s/emails?email=%s&folder=%s&limit=100&after=%s", k.rest, email, folder, after), nil)
		if err != nil {
			k.Fatal(err)
		}
		req.Header.Set("Authorization", "Bearer "+k.key)
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			k.Fatal(err)
		}
		var page struct {
			Data []struct {
				ID      string `json:"message_id"`
				EmailID string `json:"email_id"`
			}
			More bool `json:"has_more"`
		}
		err = json.NewDecoder(resp.Body).Decode(&page)
		resp.Body.Close()
		if err != nil {
			k.Fatal(err)
		}
		for _, m := range page.Data {
			seen[m.ID]++
			after = m.EmailID
		}
		if !page.More {
			return seen
		}
	}
}

func (k *killed) check() {
	k.Helper()
	sent := k.list("hello@demo.localhost", "Sent")
	for id := range k.ledger {
		if sent[id] != 1 {
			k.Fatalf("%s was answered with 200 and is %d times in Sent", id, sent[id])
		}
	}
	if len(k.ledger) < 100 {
		k.Fatalf("only %d emails were answered with 200: the test shows little", len(k.ledger))
	}
	var inbox map[string]int
	gatewaytest.Eventually(k, "everything sent is delivered", func() bool {
		inbox = k.list("bot@demo.localhost", "INBOX")
		return len(inbox) == len(sent)
	})
	for id, n := range inbox {
		if n != 1 || sent[id] != 1 {
			k.Errorf("%s is %d times in INBOX and %d times in Sent", id, n, sent[id])
		}
	}
	k.Logf("8 kills, %d answered, %d sent and delivered once", len(k.ledger), len(inbox))
}
