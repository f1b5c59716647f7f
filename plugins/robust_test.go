package plugins_test

import (
	"encoding/binary"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/centerleap/postern/gateway/gatewaytest"
)

// The list of attacks that the runtime is held to. The others are in package
// sandbox (1 to 7, 13 and 14) and beside what they are about: 10 in verdict_test.go, 12 in
// cmd/postern, where the process is killed while plugins decide about arriving mail. 9 is
// in http_test.go. Half of 12 is about the event hook.

// rival is a tenant of another domain.
func (c *tenant) rival() *tenant {
	c.Helper()
	if status, a := c.g.Do("POST", "/domains", c.g.Keys.Admin, map[string]any{"name": "rival.example", "verified": true}); status != 201 {
		c.Fatal(status, a)
	}
	c.g.Do("POST", "/accounts", c.g.Keys.Admin, map[string]any{"email": "spy@rival.example"})
	_, a := c.g.Do("POST", "/api-keys", c.g.Keys.Admin, map[string]any{"domain": "rival.example"})
	return &tenant{c.T, c.g, a.Str("token")}
}

// heard is the newest line of a plugin's log.
func (c *tenant) heard(id string) string {
	c.Helper()
	status, a := c.g.Do("GET", "/plugins/"+id+"/logs?limit=1", c.key, nil)
	if status != 200 {
		c.Fatal(status, a)
	}
	return a.Str("data.0.text")
}

// Robustness 8: no key that a plugin makes up reaches what another installation
// remembers, or is configured with, be it of another domain or of its own; and no
// conversation of another domain can be joined.
func TestRobustness8CraftedKeys(t *testing.T) {
	c := start(t)
	mine := c.install("puppet", "", map[string]any{"config": map[string]string{"only": "put", "key": "secret", "setting": "hidden"}})
	c.arrive("x kept")
	c.g.Do("PATCH", "/plugins/"+mine, c.key, map[string]any{"config": map[string]string{"only": "nothing", "setting": "hidden"}})
	rival := c.rival()
	spies := map[string]*tenant{
		rival.install("puppet", "", nil):                      rival,
		c.install("twin", "?email="+gatewaytest.Account, nil): c,
	}
	ask := func(id string, spy *tenant, only, key, subject string) string {
		if status, a := c.g.Do("PATCH", "/plugins/"+id, spy.key, map[string]any{"config": map[string]string{"only": only, "key": key}}); status != 200 {
			t.Fatalf("key %q: %d %v", key, status, a)
		}
		c.arrive(subject, map[*tenant]string{c: gatewaytest.Account, rival: "spy@rival.example"}[spy])
		return spy.heard(id)
	}
	raw := strings.ReplaceAll(mine, "-", "")
	for id, spy := range spies {
		for _, key := range []string{
			"secret", "setting", "../secret", "../puppet/secret", "../../" + mine + "/secret", mine + "/secret", mine + "secret", raw + "secret", mine + "\x00secret",
			"\x00secret", "secret\x00", "\x00", "/", "%2e%2e/secret", strings.Repeat("../", 100) + "secret", "demo.localhost/secret", "secret" + strings.Repeat("x", 506), strings.Repeat("x", 513),
		} {
			if got := ask(id, spy, "get", key, "x"); got != `got "" false ""` {
				t.Errorf("with the key %q: %s", key, got)
			}
		}
		ask(id, spy, "put", "secret", "x overwritten")
		if got := ask(id, spy, "get", "secret", "x"); got != `got "overwritten" true ""` {
			t.Errorf("its own: %s", got)
		}
	}
	if got := ask(mine, c, "get", "secret", "x"); got != `got "kept" true ""` {
		t.Errorf("afterwards: %s", got)
	}
	_, a := c.g.Do("GET", "/emails?email="+gatewaytest.Account, c.key, nil)
	thread := a.Str("data.0.thread_id")
	c.arrive("join "+thread, "spy@rival.example")
	_, a = c.g.Do("GET", "/emails?email=spy@rival.example", rival.key, nil)
	if got := a.Str("data.0.thread_id"); got == thread || got == "" || a.Str("data.0.subject") != "join "+thread {
		t.Errorf("the rival's mail is in the conversation %s of %s", got, thread)
	}
}

// labeller is a module that gives each message one label.
func labeller(label string) string {
	sized := func(b ...byte) []byte { return append(binary.AppendUvarint(nil, uint64(len(b))), b...) }
	name := func(s string) []byte { return sized([]byte(s)...) }
	verdict := `{"labels":["` + label + `"]}`
	out := []byte("\x00asm\x01\x00\x00\x00")
	for _, s := range []struct {
		id      byte
		content []byte
	}{
		{1, []byte{2, 0x60, 2, 0x7f, 0x7f, 1, 0x7f, 0x60, 0, 1, 0x7f}}, // (i32, i32) -> i32, () -> i32
		{2, slices.Concat([]byte{1}, name("postern_v1"), name("verdict"), []byte{0, 0})},
		{3, []byte{1, 1}},
		{5, []byte{1, 0, 1}},
		{7, slices.Concat([]byte{2}, name("memory"), []byte{2, 0}, name("postern_inbound"), []byte{0, 1})},
		{10, append([]byte{1}, sized(0, 0x41, 16, 0x41, byte(len(verdict)), 0x10, 0, 0x0b)...)}, // verdict(16, length)
		{11, slices.Concat([]byte{1, 0, 0x41, 16, 0x0b}, name(verdict))},
	} {
		out = append(append(out, s.id), sized(s.content...)...)
	}
	return string(out)
}

// images counts the images of plugins that this process has open.
func images(t *testing.T) (n, files int) {
	t.Helper()
	all, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		return 0, 0 // there it is not counted
	}
	for _, f := range all {
		if to, err := os.Readlink(filepath.Join("/proc/self/fd", f.Name())); err == nil && strings.Contains(to, "postern-image") {
			n++
		}
	}
	return n, len(all)
}

// Robustness 11: while 50 versions of a plugin are pushed and switched back, no call
// fails, and afterwards nothing of them is left.
func TestRobustness11Swap(t *testing.T) {
	imagesBefore, filesBefore := images(t)
	routines := runtime.NumGoroutine()
	c := start(t)
	push := func(version int) (id string) {
		manifest := fmt.Sprintf(`{"v":1,"name":"labeller","version":"%d","hooks":["inbound"]}`, version)
		status, a := c.upload("/plugins", map[string]string{"wasm": labeller(fmt.Sprint("v", version)), "manifest": manifest})
		if status != 200 && status != 201 {
			t.Fatalf("version %d: %d %v", version, status, a)
		}
		return a.Str("id")
	}
	id := push(0)
	c.g.Do("PATCH", "/plugins/"+id, c.key, map[string]any{"status": "enabled"})
	var stop atomic.Bool
	var senders sync.WaitGroup
	sent := [3]int{}
	for i := range sent {
		senders.Go(func() {
			for ; !stop.Load(); sent[i]++ {
				if code, text := c.arrive("label"); code != 250 {
					t.Errorf("%d %s", code, text)
					return
				}
			}
		})
	}
	for version := 1; version <= 50; version++ {
		push(version)
		if version%10 == 0 { // back, and forth again
			for _, to := range []int{version - 1, version} {
				if status, a := c.g.Do("PATCH", "/plugins/"+id, c.key, map[string]any{"active_version": fmt.Sprint(to)}); status != 200 {
					t.Errorf("back to version %d: %d %v", to, status, a)
				}
			}
		}
	}
	stop.Store(true)
	senders.Wait()
	const kept = 8 // modules, and one that is made
	if n, _ := images(t); n > imagesBefore+kept+1 {
		t.Errorf("%d images are open, with %d modules kept", n, kept)
	}
	mails := c.folder(gatewaytest.Account, "INBOX")
	if len(mails) != sent[0]+sent[1]+sent[2] || len(mails) < 10 {
		t.Errorf("%d mails arrived of %v", len(mails), sent)
	}
	for _, mail := range mails {
		if !strings.HasPrefix(mail, "label [v") {
			t.Errorf("there is %q", mail)
		}
	}
	c.g.Stop()
	gatewaytest.Eventually(t, "nothing is left", func() bool {
		http.DefaultTransport.(*http.Transport).CloseIdleConnections()
		n, files := images(t)
		return n == imagesBefore && files <= filesBefore && runtime.NumGoroutine() <= routines
	})
}
