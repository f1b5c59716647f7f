package main

import (
	"bufio"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/centerleap/postern/gateway/gatewaytest"
)

// The real binary is killed with SIGKILL under load while a client in a process of its own
// follows a mailbox, and comes back with its last id. Of each mail that got its 250 it is
// told, in the order of the feed, none left out and none twice.
func TestKilledStream(t *testing.T) {
	const cycles = kills / 5
	p := startBinary(t)
	_, err := exec.LookPath("python3")
	need(t, "python3 (.ci/setup installs it)", err)
	cmd := exec.CommandContext(t.Context(), "python3", "testdata/clients/follow.py")
	cmd.Env = append(os.Environ(), "POSTERN_REST="+p.banner.REST, "KEY="+p.banner.Keys.Account)
	out, err := cmd.StdoutPipe()
	if err == nil {
		err = cmd.Start()
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = cmd.Wait() }) // it ends with the context of the test
	var mu sync.Mutex
	told, fault, connected := map[string]bool{}, "", false
	go func() {
		last := uint64(0)
		for s := bufio.NewScanner(out); s.Scan(); {
			id, subject, _ := strings.Cut(s.Text(), " ")
			mu.Lock()
			switch n, err := strconv.ParseUint(id, 10, 64); {
			case id == "connected":
				connected = true
			case err != nil || n <= last || told[subject]:
				fault = fmt.Sprintf("%q after %d", s.Text(), last)
			default:
				last, told[subject] = n, true
			}
			mu.Unlock()
		}
	}()
	held := func(ok func() bool) func() bool {
		return func() bool { mu.Lock(); defer mu.Unlock(); return ok() }
	}
	gatewaytest.Eventually(t, "the client follows", held(func() bool { return connected }))
	accepted := lettersThroughKills(p, p.start, cycles)
	p.start()
	gatewaytest.Eventually(t, "all are told", held(func() bool {
		for name := range accepted {
			if !told[name] {
				return fault != ""
			}
		}
		return true
	}))
	mu.Lock()
	defer mu.Unlock()
	if fault != "" {
		t.Errorf("the client was told %s", fault)
	}
	t.Logf("%d mails in %d lives, %d told", len(accepted), cycles, len(told))
	if len(accepted) < 2*cycles {
		t.Error("so little was acknowledged that the test shows nothing")
	}
}
