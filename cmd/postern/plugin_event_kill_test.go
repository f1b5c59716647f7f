package main

import (
	"fmt"
	"net/http"
	"os/exec"
	"strings"
	"testing"

	"github.com/centerleap/postern/gateway/gatewaytest"
	"github.com/centerleap/postern/plugins/hostile"
)

// The real binary is killed with SIGKILL while a plugin is told of the mail that arrives,
// again and again over the same data. Of each mail that got its 250 the plugin is told in
// the end, also if a kill came in between, and its answer is sent once.
func TestKilledEvents(t *testing.T) {
	const cycles = kills / 5
	r := newRig(t, "POSTERN_LIMITS_PLUGIN_SENDS_HOUR=200000", "POSTERN_LIMITS_PLUGIN_INTENTS=1000000", "POSTERN_LIMITS_PLUGIN_EVENT_MILLIS=60000")
	id := r.victim.listen("agent", `{"labels":["told"],"reply":{"text":"thanks"}}`)
	accepted := lettersThroughKills(r.process, func() { r.start() }, cycles)
	r.start()
	told := func() (n int) {
		in := r.victim.folder("INBOX")
		for name := range accepted {
			if labels := in[name]; len(labels) != 1 {
				t.Fatalf("%s got its 250 and is %d times in INBOX", name, len(labels))
			} else if strings.Contains(labels[0], "told") {
				n++
			}
		}
		return n
	}
	gatewaytest.Eventually(t, "all are told", func() bool { return told() == len(accepted) })
	answers := func() map[string][]string { return r.victim.folder("Sent") }
	gatewaytest.Eventually(t, "all are answered", func() bool { return len(answers()) >= len(accepted) })
	sent := answers()
	for name := range accepted {
		if n := len(sent["Re: "+name]); n != 1 {
			t.Errorf("%s was answered %d times", name, n)
		}
	}
	t.Logf("%d mails in %d lives", len(accepted), cycles)
	if len(accepted) < 2*cycles {
		t.Error("so little was acknowledged that the test shows nothing")
	}
	out, err := exec.Command(binary(t), "plugin", "failures", id, "--domain", gatewaytest.Domain, "--data", r.data).CombinedOutput()
	if err != nil || len(out) > 0 {
		t.Errorf("what it could not be told of: %v %s", err, out)
	}
	r.stop()
	recount(t, binary(t), r.data)
}

// listen installs a plugin that says a verdict at its event hook, and returns its id.
func (t tenant) listen(name, verdict string) string {
	t.Helper()
	status, a := t.uploadOf(http.DefaultClient, map[string]any{"v": 1, "name": name, "hooks": []string{"event"}, "permissions": []string{"reply"}}, hostile.Obedient("event"))
	if status != 201 {
		t.Fatalf("%d %v", status, a)
	}
	t.change(a.Str("id"), map[string]any{"status": "enabled", "config": map[string]string{"event": verdict}})
	return a.Str("id")
}

// letter delivers a mail of a sender of its own, which a program may answer; false if the
// gateway is gone.
func letter(c *talk, name string) bool {
	from := name + "@peer.example"
	message := "From: " + from + "\r\nTo: " + gatewaytest.Account + "\r\nSubject: " + name + "\r\nMessage-ID: <" + name + "@peer.example>\r\n\r\nbody\r\n."
	for _, step := range [][2]string{
		{"MAIL FROM:<" + from + ">", "250"}, {"RCPT TO:<" + gatewaytest.Account + ">", "250"}, {"DATA", "354"}, {message, "250"},
	} {
		if _, ok := c.say(step[0], step[1]); !ok {
			return false
		}
	}
	return true
}

// What a plugin could not be told of is seen and told again in the command line.
func TestPluginFailuresCommand(t *testing.T) {
	r := newRig(t, "POSTERN_LIMITS_EVENT_ATTEMPTS=1")
	id := r.victim.listen("agent", "no verdict")
	c := r.victim.peer()
	for i := range 3 {
		letter(c, fmt.Sprint("m", i))
	}
	run := func(want string, args ...string) {
		t.Helper()
		args = append([]string{"plugin", "failures", "agent", "--domain", gatewaytest.Domain, "--data", r.data}, args...)
		var out []byte
		gatewaytest.Eventually(t, want, func() bool {
			var err error
			if out, err = exec.Command(binary(t), args...).CombinedOutput(); err != nil {
				t.Fatalf("%v: %v %s", args, err, out)
			}
			return strings.Contains(string(out), want) || want == "" && len(out) == 0
		})
	}
	run("3  ")
	run("2 is forgotten", "--drop", "2")
	r.victim.change(id, map[string]any{"config": map[string]string{"event": `{"labels":["at-last"]}`}})
	run("1 is told again\n3 is told again\n", "--retry", "all")
	run("")
	gatewaytest.Eventually(t, "they are told", func() bool {
		in := fmt.Sprint(r.victim.folder("INBOX"))
		return strings.Count(in, "at-last") == 2
	})
	if out, err := exec.Command(binary(t), "plugin", "failures", "agent", "--retry", "x", "--domain", gatewaytest.Domain, "--data", r.data).CombinedOutput(); err == nil {
		t.Errorf("a number that is none: %s", out)
	}
}
