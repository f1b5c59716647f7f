package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"github.com/centerleap/postern/gateway/gatewaytest"
	"github.com/centerleap/postern/gateway/serve"
	"github.com/centerleap/postern/plugins/hostile"
)

// rig is the real binary with two domains that know nothing of each other. It lives
// several times over the same data.
type rig struct {
	*process
	data   string
	env    []string
	said   *bytes.Buffer    // to stderr, in this life
	keys   serve.BannerKeys // of the first life
	victim tenant           // of the domain that quickstart makes
	rival  tenant           // of the other one
}

// newRig starts one. The time of a call is long, so that fuel ends what runs on: a busy
// machine must not change what is decided.
func newRig(t testing.TB, env ...string) *rig {
	t.Helper()
	dir, err := os.MkdirTemp("", "postern")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	r := &rig{process: &process{TB: t}, data: filepath.Join(dir, "d")}
	r.env = append([]string{
		"POSTERN_LIMITS_KEY_MESSAGES=1000000", "POSTERN_LIMITS_KEY_RECIPIENTS=1000000",
		"POSTERN_LIMITS_PLUGIN_MILLIS=20000", "POSTERN_LIMITS_PLUGIN_MESSAGE_MILLIS=60000",
	}, env...)
	r.start()
	t.Cleanup(func() {
		if r.cmd.ProcessState == nil {
			r.end(syscall.SIGKILL)
		}
		if t.Failed() { // perhaps it had ended by itself, and says why
			said := r.said.Bytes()
			t.Logf("the gateway said last:\n%s", said[max(0, len(said)-8<<10):])
		}
	})
	r.keys = *r.banner.Keys
	r.victim = tenant{r, r.keys.Domain, gatewaytest.Account}
	r.want(201, "POST", "/domains", r.keys.Admin, map[string]any{"name": "rival.example", "verified": true})
	r.want(201, "POST", "/accounts", r.keys.Admin, map[string]any{"email": "spy@rival.example"})
	key := r.want(201, "POST", "/api-keys", r.keys.Admin, map[string]any{"domain": "rival.example"})
	r.rival = tenant{r, key.Str("token"), "spy@rival.example"}
	return r
}

// start begins a life.
func (r *rig) start(env ...string) {
	r.Helper()
	r.said, r.banner = &bytes.Buffer{}, serve.Banner{}
	r.cmd = exec.Command(binary(r.TB), "quickstart", "--data", r.data, "--json")
	r.cmd.Env, r.cmd.Stderr = append(environ(r.env...), env...), r.said
	out, err := r.cmd.StdoutPipe()
	if err != nil {
		r.Fatal(err)
	}
	if err := r.cmd.Start(); err != nil {
		r.Fatal(err)
	}
	if err := json.NewDecoder(out).Decode(&r.banner); err != nil {
		r.end(syscall.SIGKILL)
		r.Fatalf("the gateway does not start: %v\n%s", err, r.said)
	}
}

// end ends a life, and reports whether that was clean.
func (r *rig) end(sig syscall.Signal) bool {
	_ = r.cmd.Process.Signal(sig)
	return r.cmd.Wait() == nil
}

// stop ends a life as an operator does.
func (r *rig) stop() {
	r.Helper()
	if !r.end(syscall.SIGTERM) {
		r.Fatalf("the gateway ended badly: %v\n%s", r.cmd.ProcessState, r.said)
	}
}

// call makes a request with a body in JSON, if there is one.
func (r *rig) call(method, path, key string, body any) (int, gatewaytest.Answer) {
	r.Helper()
	var from io.Reader
	if body != nil {
		raw, err := json.Marshal(body)
		if err != nil {
			r.Fatal(err)
		}
		from = bytes.NewReader(raw)
	}
	status, raw := r.ask(http.DefaultClient, method, path, key, from)
	var a gatewaytest.Answer
	if err := json.Unmarshal(raw, &a); err != nil && status != 0 {
		r.Errorf("%s %s: %d %v: %s", method, path, status, err, raw)
	}
	return status, a
}

// want is call for one that has to succeed.
func (r *rig) want(status int, method, path, key string, body any) gatewaytest.Answer {
	r.Helper()
	got, a := r.call(method, path, key, body)
	if got != status {
		r.Fatalf("%s %s: %d %v, want %d", method, path, got, a, status)
	}
	return a
}

// files counts what the process has open.
func (r *rig) files() int {
	open, err := os.ReadDir(fmt.Sprintf("/proc/%d/fd", r.cmd.Process.Pid))
	if err != nil {
		r.Error(err)
	}
	return len(open)
}

// peak is the most memory that was resident so far, in bytes.
func (r *rig) peak() int64 {
	r.Helper()
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", r.cmd.Process.Pid))
	if err != nil {
		r.Fatal(err)
	}
	_, line, _ := strings.Cut(string(status), "VmHWM:")
	n, err := strconv.ParseInt(strings.Fields(line)[0], 10, 64)
	if err != nil {
		r.Fatal(err)
	}
	return n << 10
}

// goroutines ends the process with a signal that has it print them all, and counts.
func (r *rig) goroutines() (n int, all string) {
	r.end(syscall.SIGQUIT)
	all = r.said.String()
	return strings.Count(all, "\ngoroutine "), all
}

// tenant is one domain's owner.
type tenant struct {
	*rig
	key, account string
}

// upload sends a module, of a name and a version of its own, for some hooks.
func (t tenant) upload(c *http.Client, name, version string, wasm []byte, hooks ...string) (int, gatewaytest.Answer) {
	t.Helper()
	return t.uploadOf(c, map[string]any{"v": 1, "name": name, "version": version, "hooks": hooks, "permissions": hostile.Permissions}, wasm)
}

// uploadOf sends a module with a manifest.
func (t tenant) uploadOf(c *http.Client, says map[string]any, wasm []byte) (int, gatewaytest.Answer) {
	t.Helper()
	manifest, err := json.Marshal(says)
	if err != nil {
		t.Fatal(err)
	}
	body, contentType := gatewaytest.Form(map[string]string{"wasm": string(wasm), "manifest": string(manifest)})
	req, err := http.NewRequestWithContext(t.Context(), "POST", t.banner.REST+"/plugins", body)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Content-Type", contentType)
	req.Header.Set("Authorization", "Bearer "+t.key)
	resp, err := c.Do(req)
	if err != nil {
		return 0, nil // the gateway was killed, or the client hung up
	}
	defer resp.Body.Close()
	var a gatewaytest.Answer
	if err := json.NewDecoder(resp.Body).Decode(&a); err != nil {
		return 0, nil
	}
	return resp.StatusCode, a
}

// install is upload for the inbound hook that has to succeed, and enables.
func (t tenant) install(name string, wasm []byte, change map[string]any) (id string) {
	t.Helper()
	status, a := t.upload(http.DefaultClient, name, "", wasm, "inbound")
	if status != 200 && status != 201 {
		t.Fatalf("%s: %d %v", name, status, a)
	}
	t.change(a.Str("id"), map[string]any{"status": "enabled"})
	if change != nil {
		t.change(a.Str("id"), change)
	}
	return a.Str("id")
}

func (t tenant) change(id string, to map[string]any) gatewaytest.Answer {
	t.Helper()
	return t.want(200, "PATCH", "/plugins/"+id, t.key, to)
}

func (t tenant) plugin(id string) gatewaytest.Answer {
	t.Helper()
	return t.want(200, "GET", "/plugins/"+id, t.key, nil)
}

// peer is another server that delivers to the gateway.
func (t tenant) peer() *talk {
	t.Helper()
	c := dial(t.banner.MX, long)
	t.Cleanup(c.close)
	c.say("", "220 ")
	if _, ok := c.say("EHLO peer.example", "250 "); !ok {
		t.Error("the MX does not answer")
	}
	return c
}

// newsletterFilter is a plugin in Go that files newsletters in a folder of their own.
func newsletterFilter(t testing.TB) []byte {
	t.Helper()
	wasm, err := os.ReadFile(filepath.Join(builtPlugins(t), "newsletter-filter.wasm"))
	if err != nil {
		t.Fatal(err)
	}
	return wasm
}

// deliver delivers one mail and returns what is said to it; empty if nothing was.
func (t tenant) deliver(c *talk, subject, fields string) (reply string) {
	message := "From: peer@peer.example\r\nSubject: " + subject + "\r\n" + fields + "\r\nbody\r\n."
	for _, step := range [][2]string{
		{"MAIL FROM:<peer@peer.example>", "250"}, {"RCPT TO:<" + t.account + ">", "250"}, {"DATA", "354"}, {message, "250"},
	} {
		got, ok := c.say(step[0], `\d\d\d .*`)
		if !ok {
			return ""
		}
		if reply = got[0]; !strings.HasPrefix(reply, step[1]) {
			break
		}
	}
	return reply
}

// folder lists what is in a folder of the account: by subject the labels, once for each
// mail of that subject.
func (t tenant) folder(name string) map[string][]string {
	t.Helper()
	seen := make(map[string][]string)
	for after, more := "", true; more; {
		a := t.want(200, "GET", fmt.Sprintf("/emails?email=%s&folder=%s&limit=100&after=%s", t.account, name, after), t.key, nil)
		list, _ := a["data"].([]any)
		for i := range list {
			at := fmt.Sprintf("data.%d.", i)
			after = a.Str(at + "email_id")
			seen[a.Str(at+"subject")] = append(seen[a.Str(at+"subject")], fmt.Sprint(a.At(at+"labels")))
		}
		more = a.At("has_more") == true
	}
	return seen
}
