package main

import (
	"fmt"
	"math/rand/v2"
	"regexp"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/centerleap/postern/gateway/gatewaytest"
	"github.com/centerleap/postern/plugins/hostile"
)

// answering is a gateway whose plugin answers all mail, over a next hop that outlives it.
type answering struct {
	*rig
	mx *gatewaytest.MX

	mu    sync.Mutex
	asked map[string]bool // senders whose mail got its 250
}

// noted is who gets a mail for each that arrives.
const noted = "log@peer.example"

// The real binary is killed with SIGKILL at any time while one plugin answers mail, and
// another sends a note of it. Whose mail got its 250 is answered, once, and of all that is
// there is one note: what comes twice are the same bytes, of which the next hop had all
// when the gateway died.
func TestKilledReply(t *testing.T) {
	mx := gatewaytest.ServeMX(t)
	a := &answering{mx: mx, asked: make(map[string]bool), rig: newRig(t,
		"POSTERN_DELIVERY_SMARTHOST="+mx.Addr, "POSTERN_DELIVERY_MODE=relay",
		"POSTERN_LIMITS_PLUGIN_SENDS_HOUR=200000", "POSTERN_LIMITS_PLUGIN_INTENTS=1000000",
	)}
	a.victim.install("notes", hostile.Sends(`{"from":"`+gatewaytest.Account+`","to":["`+noted+`"],"subject":"note","text":"mail came"}`), nil)
	a.victim.install("answers", hostile.Says(`{"reply":{"text":"I got that"}}`), nil)
	for cycle := range kills / 2 {
		if cycle > 0 {
			a.start()
		}
		a.load(cycle, time.Duration(50+rand.IntN(300))*time.Millisecond)
	}
	a.start()
	a.once()
	a.stop()
	recount(t, binary(t), a.data)
}

// load has people write until the process is killed under them.
func (a *answering) load(cycle int, life time.Duration) {
	kill := time.AfterFunc(life, func() { _ = a.cmd.Process.Kill() })
	defer kill.Stop()
	var clients sync.WaitGroup
	for c := range 2 {
		clients.Go(func() {
			t := dial(a.banner.MX, patience)
			defer t.close()
			t.say("", "220 ")
			t.say("EHLO peer.example", "250 ")
			for i := 0; a.writes(t, fmt.Sprintf("p%d.%d.%d", cycle, c, i)); i++ {
			}
		})
	}
	clients.Wait()
	a.end(syscall.SIGKILL)
}

// writes delivers one mail of a person; false when the gateway is gone.
func (a *answering) writes(t *talk, name string) bool {
	if !letter(t, name) {
		return false
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	a.asked[name+"@peer.example"] = true
	return true
}

var messageID = regexp.MustCompile(`(?mi)^Message-ID: (<.*>)`)

// answers are the Message-IDs that the next hop took, by who got them.
func (a *answering) answers() map[string]map[string]bool {
	a.Helper()
	all := make(map[string]map[string]bool)
	for _, m := range a.mx.Mail() {
		id := messageID.FindStringSubmatch(m.Data)
		for _, to := range m.To {
			if id == nil || (m.From == "") == (to == noted) {
				a.Fatalf("from %q:\n%s", m.From, m.Data)
			}
			if all[to] == nil {
				all[to] = make(map[string]bool)
			}
			all[to][id[1]] = true
		}
	}
	return all
}

// once wants an answer to everybody who asked, and one to anybody.
func (a *answering) once() {
	a.Helper()
	left := func() (n int) {
		got := a.answers()
		for from := range a.asked {
			if got[from] == nil {
				n++
			}
		}
		return n + max(0, len(got)-1-len(got[noted]))
	}
	for n := left(); n > 0; n = left() { // a busy machine takes its time
		gatewaytest.Eventually(a, fmt.Sprintf("another of %d is answered", n), func() bool { return left() < n })
	}
	gatewaytest.Eventually(a, "nothing waits", func() bool {
		list, _ := a.want(200, "GET", "/queue?limit=1", a.victim.key, nil)["data"].([]any)
		return len(list) == 0
	})
	answers := a.answers()
	if n := len(answers) - 1; len(answers[noted]) != n {
		a.Errorf("%d notes of %d mails", len(answers[noted]), n)
	}
	delete(answers, noted)
	for to, ids := range answers {
		if len(ids) != 1 {
			a.Errorf("%s got %d answers", to, len(ids))
		}
	}
	a.Logf("%d asked, %d were answered", len(a.asked), len(answers))
	if len(a.asked) < 5*kills {
		a.Error("so little was acknowledged that the test shows nothing")
	}
}
