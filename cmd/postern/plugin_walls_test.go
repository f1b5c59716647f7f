package main

import (
	"fmt"
	"strings"
	"testing"

	"github.com/centerleap/postern/gateway"
	"github.com/centerleap/postern/plugins/hostile"
)

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
