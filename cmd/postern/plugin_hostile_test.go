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
// From inside they are in plugins/sandbox and plugins, as TestRobustness1 to 14; the loops
// of 10 are in gateway/gatewaytest, and what is killed is killed here alone.
//
//	 1 runaways             TestHostilePlugins, TestHostileSpinners
//	 2 memory               TestHostilePlugins
//	 3 pointers             TestHostilePointers
//	 4 floods               TestHostilePlugins
//	 5 modules that are bad TestHostileUploads
//	 6 WASI                 TestHostileSystem
//	 7 isolation            TestHostileIsolation
//	 8 crafted keys         TestHostileKeys
//	 9 HTTP                 TestHostileHTTP
//	10 verdicts             TestHostilePlugins, TestHostileLoops
//	11 swaps under load     TestHostileSwaps
//	12 kill -9              TestKilledPlugin, TestKilledInstall, TestKilledReply, TestKilledEvents
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
	n := newBystander(r)
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
const enough = 40

// run installs an attack, has it fail until it is not asked any more, and then goes on
// until it is done, by switching it on again and again.
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
	for !done() && !h.Failed() {
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
