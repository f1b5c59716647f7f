package main

import (
	"bytes"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/centerleap/postern/gateway"
	"github.com/centerleap/postern/plugins/hostile"
)

// The attacks that the plugin runtime is held to, once more from outside: a tenant
// installs them by REST in the real binary, beside a tenant who only wants his mail.
// From inside they are in plugins/sandbox and plugins, as TestRobustness1 to 14.
//
//	 1 runaways             TestHostilePlugins, TestHostileSpinners
//	 2 memory               TestHostilePlugins
//	 3 pointers             TestHostilePointers
//	 4 floods               TestHostilePlugins; there is no HTTP yet whose answers stay unread
//	 5 modules that are bad TestHostileUploads
//	 6 WASI                 TestHostileSystem
//	 7 isolation            TestHostileIsolation
//	 8 crafted keys         TestHostileKeys
//	 9 HTTP                 there is no such import yet
//	10 verdicts             TestHostilePlugins; there are no replies yet that could loop
//	11 swaps under load     TestHostileSwaps
//	12 kill -9              TestKilledPlugin, TestKilledInstall; there is no event hook yet
//	13 compile bombs        TestHostileCompile
//	14 determinism          TestHostileDeterminism

// harm is a tenant who attacks, and what has to become of the mail he gets meanwhile.
type harm struct {
	tenant
	from  *talk
	mails map[string]string // by subject: folder and labels; "" if it must not be there
	files int               // open ones, when everything had been used once
}

// attack is a module, and its configuration.
type attack struct {
	hostile.Module
	config map[string]string
}

var policies = []gateway.FailurePolicy{gateway.FailOpen, gateway.FailClosed, gateway.FailQuarantine}

// breakerRow is limits.plugin_failures_row.
var breakerRow = int(gateway.DefaultLimits().PluginFailuresRow)

// Whatever a tenant's plugin does, his own mail ends as his failure policy says, his
// neighbour's is all there once, in the folders its plugin chose, and the gateway is as
// it was: memory, files, goroutines.
func TestHostilePlugins(t *testing.T) {
	r := newRig(t)
	n := newNeighbour(r)
	h := &harm{tenant: r.rival, from: r.rival.peer(), mails: make(map[string]string)}
	peace := attack{Module: hostile.Module{Name: harmless, Wasm: hostile.Labeller("seen", 0, 0), Label: "seen"}}
	attacks := []attack{peace}
	for _, m := range hostile.Modules() {
		attacks = append(attacks, attack{Module: m})
	}
	puppet := goModule(t, "../../plugins/testdata/puppet")
	for only, reason := range map[string]string{"panic": "trap", "loop": "fuel", "hoard": "trap"} {
		attacks = append(attacks, attack{hostile.Module{Name: "Go: " + only, Wasm: puppet, Fails: reason}, map[string]string{"only": only}})
	}
	for i, a := range append(attacks, peace) {
		n.beside(a.Name)
		h.run(a, func() bool { return n.since() >= enough })
		if i == len(attacks)/2 {
			h.files = r.files()
		}
		if t.Failed() {
			break
		}
	}
	n.finish()
	h.check()
	n.check()
	t.Logf("a neighbour's mail:\n%s", n.figures())
	h.cost()
	recount(t, binary(t), r.data)
}

// What runs on and is not stopped by fuel is by its time.
func TestHostileSpinners(t *testing.T) {
	r := newRig(t, "POSTERN_LIMITS_PLUGIN_FUEL=200000000000", "POSTERN_LIMITS_PLUGIN_MILLIS=100")
	h := &harm{tenant: r.rival, from: r.rival.peer(), mails: make(map[string]string)}
	for _, m := range hostile.Spinners() {
		h.run(attack{Module: m}, func() bool { return true })
	}
	h.check()
	r.stop()
}

// enough is how many mails of the neighbour each attack lasts.
const enough = 60

// run installs an attack, has it fail until it is not asked any more, and then goes on
// as long as it is told, by switching it on again and again.
func (h *harm) run(a attack, done func() bool) {
	h.Helper()
	id := h.install("attack", a.Wasm, map[string]any{"config": a.config})
	for i := range breakerRow {
		h.arrives(id, a, policies[i%len(policies)])
	}
	is := h.plugin(id)
	calls, failures, state := float64(breakerRow), float64(breakerRow), "quarantined"
	if a.Fails == "" {
		failures, state = 0, "enabled"
	}
	if is.Str("status") != state || is.At("stats.calls") != calls || is.At("stats.errors") != failures || !strings.Contains(is.Str("stats.last_error"), a.Fails) {
		h.Errorf("%s: it is %s with %v, want %s after %v failures of %v by %s", a.Name, is.Str("status"), is.At("stats"), state, failures, calls, a.Fails)
	}
	for _, policy := range policies {
		h.arrives(id, a, policy)
	}
	if got := h.plugin(id).At("stats.calls"); a.Fails != "" && got != calls {
		h.Errorf("%s: it was asked %v times, %v of them while it was paused", a.Name, got, calls)
	}
	for more := true; more && !h.Failed(); more = !done() {
		h.change(id, map[string]any{"status": "enabled"})
		for range breakerRow {
			h.arrives(id, a, gateway.FailQuarantine)
		}
	}
	h.want(200, "DELETE", "/plugins/"+id, h.key, nil)
}

// arrives delivers a mail under a failure policy, and holds its end to that.
func (h *harm) arrives(id string, a attack, policy gateway.FailurePolicy) {
	h.Helper()
	h.change(id, map[string]any{"failure_policy": policy})
	subject, code, end := fmt.Sprintf("%s %d", a.Name, len(h.mails)), "250", "INBOX [plugin-error]"
	switch {
	case a.Fails == "":
		end = "INBOX [" + a.Label + "]"
	case policy == gateway.FailClosed:
		code, end = "451", ""
	case policy == gateway.FailQuarantine:
		end = "Junk [quarantined]"
	}
	if reply := h.deliver(h.from, subject, ""); !strings.HasPrefix(reply, code) {
		h.Errorf("%s, %s: %q, want %s", a.Name, policy, reply, code)
	}
	h.mails[subject] = end
}

// check wants each mail where its policy has it, once, and no other.
func (h *harm) check() {
	h.Helper()
	found := make(map[string]string)
	for _, name := range []string{gateway.Inbox, gateway.Junk} {
		for subject, labels := range h.folder(name) {
			if len(labels) > 1 || found[subject] != "" {
				h.Errorf("%q is there more than once", subject)
			}
			found[subject] = name + " " + labels[0]
		}
	}
	for subject, end := range h.mails {
		if found[subject] != end {
			h.Errorf("%q ended as %q, want %q", subject, found[subject], end)
		}
		delete(found, subject)
	}
	if len(found) > 0 {
		h.Errorf("nobody sent %v", found)
	}
	h.Logf("%d mails came to the plugins that attack", len(h.mails))
}

// cost ends the gateway, and holds what the attacks left in it to what one has that was
// never attacked.
func (h *harm) cost() {
	h.Helper()
	http.DefaultClient.CloseIdleConnections()
	h.from.close()
	const most = 400 << 20 // what server.memory allows
	peak, files := h.peak(), h.rig.files()
	if peak > most {
		h.Errorf("%d MiB were resident", peak>>20)
	}
	if files > h.files+20 {
		h.Errorf("%d files are open, %d were before", files, h.files)
	}
	n, all := h.goroutines()
	fresh := newRig(h.TB)
	http.DefaultClient.CloseIdleConnections()
	before, _ := fresh.goroutines()
	if n > before+40 || before == 0 || strings.Contains(all, "sandbox.(*Module).Call") {
		h.Errorf("%d goroutines, %d in a gateway that was not attacked:\n%s", n, before, all)
	}
	h.Logf("at most %d MiB resident, %d files, %d goroutines; one that was not attacked has %d", peak>>20, files, n, before)
}

// Memory that a module does not have is read and written by no import.
func TestHostilePointers(t *testing.T) {
	r := newRig(t)
	from := r.rival.peer()
	for _, m := range hostile.Pointers() {
		id := r.rival.install("attack", m.Wasm, nil)
		if reply := r.rival.deliver(from, m.Name, ""); !strings.HasPrefix(reply, "250") {
			t.Errorf("%s: %q", m.Name, reply)
		}
		if a := r.rival.plugin(id); a.At("stats.calls") != 1.0 || !strings.Contains(a.Str("stats.last_error"), m.Fails) {
			t.Errorf("%s: %v", m.Name, a.At("stats"))
		}
	}
	for subject, labels := range r.rival.folder(gateway.Inbox) {
		if len(labels) != 1 || labels[0] != "[plugin-error]" {
			t.Errorf("%q is there as %v", subject, labels)
		}
	}
	r.stop()
}

// A plugin of standard Go that looks for files, arguments and an environment finds none.
func TestHostileSystem(t *testing.T) {
	r := newRig(t)
	id := r.rival.install("system", goModule(t, "../../plugins/sandbox/testdata/system"), nil)
	r.rival.deliver(r.rival.peer(), "look around", "")
	if a := r.rival.plugin(id); a.At("stats.calls") != 1.0 || a.At("stats.errors") != 0.0 {
		t.Errorf("it found something: %v", a.At("stats"))
	}
	r.stop()
}

// Two tenants have the same plugin, so its compiled code is shared; it writes a secret
// wherever it can, and looks for one. It finds none, however calls before it ended.
func TestHostileIsolation(t *testing.T) {
	r := newRig(t, "POSTERN_LIMITS_PLUGIN_FAILURES_ROW=5000", "POSTERN_LIMITS_PLUGIN_FAILURES_FIFTY=10000")
	all := []tenant{r.rival, r.victim}
	from, ids := []*talk{}, []string{}
	for _, one := range all {
		from, ids = append(from, one.peer()), append(ids, one.install("intruder", hostile.Intruder(), nil))
	}
	const rounds = 150
	for i := range rounds {
		for k, one := range all {
			if reply := one.deliver(from[k], fmt.Sprint(i), ""); !strings.HasPrefix(reply, "250") {
				t.Fatalf("%q", reply)
			}
		}
	}
	for k, one := range all {
		ended := make(map[string]int)
		for _, labels := range one.folder(gateway.Inbox) {
			ended[labels[0]]++
		}
		a := one.plugin(ids[k])
		t.Logf("of %d mails: %v, %v", rounds, ended, a.At("stats"))
		if ended["[]"]+ended["[plugin-error]"] != rounds || ended["[]"] < rounds/2 || ended["[plugin-error]"] < 5 || a.At("stats.calls") != float64(rounds) {
			t.Errorf("of %d mails %v", rounds, ended)
		}
	}
	r.stop()
}

// No key that a plugin makes up reaches what another tenant's plugin remembers, nor what
// another one of its own tenant does.
func TestHostileKeys(t *testing.T) {
	r := newRig(t)
	puppet := goModule(t, "../../plugins/testdata/puppet")
	set := func(t tenant, id, only, key string) {
		t.change(id, map[string]any{"config": map[string]string{"only": only, "key": key}})
	}
	heard := func(t tenant, id string) string {
		return t.want(200, "GET", "/plugins/"+id+"/logs?limit=1", t.key, nil).Str("data.0.text")
	}
	mine := r.victim.install("keeper", puppet, map[string]any{"config": map[string]string{"only": "put", "key": "secret", "setting": "hidden"}})
	mail, spying := r.victim.peer(), r.rival.peer()
	r.victim.deliver(mail, "x kept", "")
	set(r.victim, mine, "nothing", "")
	twin := r.victim.install("twin", puppet, nil)
	for id, spy := range map[string]tenant{r.rival.install("spy", puppet, nil): r.rival, twin: r.victim} {
		from := map[string]*talk{r.rival.account: spying, r.victim.account: mail}[spy.account]
		for _, key := range []string{
			"secret", "setting", "../secret", "../keeper/secret", "../../" + mine + "/secret", mine + "secret", strings.ReplaceAll(mine, "-", "") + "secret",
			mine + "\x00secret", "\x00secret", "secret\x00", "\x00", "/", strings.Repeat("../", 100) + "secret", "demo.localhost/secret", strings.Repeat("x", 513),
		} {
			set(spy, id, "get", key)
			spy.deliver(from, "x", "")
			if got := heard(spy, id); got != `got "" false ""` {
				t.Errorf("with the key %q: %s", key, got)
			}
		}
		set(spy, id, "put", "secret")
		spy.deliver(from, "x overwritten", "")
		set(spy, id, "nothing", "")
		if status, a := r.call("GET", "/plugins/"+mine+"/logs", r.rival.key, nil); status != 404 {
			t.Errorf("the rival reads its log: %d %v", status, a)
		}
	}
	set(r.victim, mine, "get", "secret")
	r.victim.deliver(mail, "x", "")
	if got := heard(r.victim, mine); got != `got "kept" true ""` {
		t.Errorf("afterwards: %s", got)
	}
	r.stop()
}

// goModule builds a plugin in Go.
func goModule(t testing.TB, dir string) []byte {
	t.Helper()
	out := filepath.Join(t.TempDir(), "module.wasm")
	build := exec.Command("go", "build", "-buildmode=c-shared", "-ldflags=-s -w", "-o", out, ".")
	build.Dir, build.Env = dir, append(os.Environ(), "GOOS=wasip1", "GOARCH=wasm", "GOFLAGS=")
	if err := finish(build); err != nil {
		t.Fatal(err)
	}
	wasm, err := os.ReadFile(out)
	if err != nil || !bytes.HasPrefix(wasm, []byte("\x00asm")) {
		t.Fatal("that is no module", err)
	}
	return wasm
}
