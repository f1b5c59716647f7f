package main

import (
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"testing"

	"github.com/centerleap/postern/gateway/gatewaytest"
)

const (
	// idlers is how many connections idle, and idleBound what each may cost, in bytes.
	// Issue 10; what there is are the state of TLS, a stack of 4 KiB, and a session.
	idlers    = 1000
	idleBound = 25 << 10
)

// fill makes the inbox hold 10,240 messages: ten that are copied ten times over.
func (p *process) fill(c *gatewaytest.Chat) {
	c.Script("C: s SELECT INBOX\nS~ s OK")
	for range 10 {
		m := "Subject: one of many\r\n\r\nhello\r\n"
		c.Raw(fmt.Sprintf("a APPEND INBOX {%d}\r\n", len(m)))
		c.Script("S~ \\+")
		c.Raw(m + "\r\n")
		c.Script("S~ a OK")
	}
	for range 10 {
		c.Script("C: b COPY 1:* INBOX\nS~ b OK")
	}
	c.Script("C: c NOOP\nS~ c OK\nC: d STATUS INBOX (MESSAGES)\nS: .*MESSAGES 10240\\)\nS: d OK")
}

// idler is a client that has logged in with a key.
func (p *process) idler(key string) *gatewaytest.Chat {
	p.Helper()
	c := gatewaytest.NewChat(p.TB, p.banner.IMAPS, gatewaytest.TrustLocal(p.TB, p.banner.Data))
	p.Cleanup(func() { c.Conn.Close() })
	c.Secure()
	c.Script("S: \\* OK\nC: l LOGIN " + p.banner.Account + " " + key + "\nS: l OK")
	return c
}

// memoryIsTold skips a test where the system does not tell the memory of a process.
func memoryIsTold(t *testing.T) {
	t.Helper()
	if _, err := os.Stat("/proc/self/statm"); err != nil {
		t.Skipf("this system does not tell the memory of a process: %v", err)
	}
}

// arrive has a thousand clients log in, do as the script says, and idle.
func (p *process) arrive(key, script string) {
	p.Helper()
	var arriving sync.WaitGroup
	for range 4 {
		arriving.Go(func() {
			for range idlers / 4 {
				p.idler(key).Script(script + "C: i IDLE\nS: \\+")
			}
		})
	}
	arriving.Wait()
}

// The bounds of a process that has nothing to do, and of one with a thousand clients that
// idle: DESIGN section 7.
const (
	emptyBound = 40 << 20
	idleTotal  = 80 << 20
)

// Nothing, and a thousand clients that wait, need little memory.
func TestEmptyMemory(t *testing.T) {
	memoryIsTold(t)
	p := startBinary(t)
	empty := p.comesTo("a process that has nothing to do", emptyBound)
	p.arrive(p.banner.Keys.Account, "C: s SELECT INBOX\nS: \\* 0 EXISTS\nS~ s OK\n")
	full := p.comesTo(fmt.Sprintf("with %d clients that idle it", idlers), idleTotal)
	t.Logf("resident: %.1f MiB, %.1f with %d that idle", float64(empty)/(1<<20), float64(full)/(1<<20), idlers)
}

// comesTo waits until the process takes no more than it may, and returns what that is: a
// busy machine is late with what its start and the logins left.
func (p *process) comesTo(what string, most int64) (now int64) {
	p.Helper()
	gatewaytest.Eventually(p.TB, fmt.Sprintf("%s takes at most %d bytes", what, most), func() bool {
		now = p.resident()
		return now <= most
	})
	return now
}

// A thousand that idle on one mailbox share what it holds, and keep no buffers.
func TestIdleMemory(t *testing.T) {
	memoryIsTold(t)
	t.Setenv("GOGC", "20") // what is measured is what is held, not what waits to be collected
	data, key := filepath.Join(t.TempDir(), "d"), ""
	t.Run("fill", func(t *testing.T) {
		p := startBinary(t, "--data", data)
		key = p.banner.Keys.Account
		p.fill(p.idler(key))
	})
	p := startBinary(t, "--data", data) // anew: what filling left in memory would hide what idling takes
	p.idler(key).Script("C: s SELECT INBOX\nS: \\* 10240 EXISTS\nS~ s OK")
	before := p.resident()
	p.arrive(key, "C: s SELECT INBOX\nS: \\* 10240 EXISTS\nS~ s OK\n")
	each := int64(0)
	gatewaytest.Eventually(t, fmt.Sprintf("each that idles takes at most %d bytes", idleBound), func() bool { // in a moment, when the library rests
		each = (p.resident() - before) / idlers
		return each <= idleBound
	})
	t.Logf("resident: %d MiB before, %d bytes for each that idles", before>>20, each)
}
