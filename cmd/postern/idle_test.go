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
	// idlers is how many connections idle, and idleBound what each may cost, in bytes. Ours:
	// an own copy of the mailbox would be ten times that. DESIGN section 7 wants 25 KiB;
	// what is over are buffers of the library and stacks.
	idlers    = 1000
	idleBound = 48 << 10
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

// A thousand that idle on one mailbox share what it holds, and keep no buffers.
func TestIdleMemory(t *testing.T) {
	if _, err := os.Stat("/proc/self/statm"); err != nil {
		t.Skipf("this system does not tell the memory of a process: %v", err)
	}
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
	var arriving sync.WaitGroup
	for range 4 {
		arriving.Go(func() {
			for range idlers / 4 {
				p.idler(key).Script("C: s SELECT INBOX\nS: \\* 10240 EXISTS\nS~ s OK\nC: i IDLE\nS: \\+")
			}
		})
	}
	arriving.Wait()
	each := (p.resident() - before) / idlers
	t.Logf("resident: %d MiB before, %d bytes for each that idles", before>>20, each)
	if each > idleBound {
		t.Errorf("a connection that idles takes %d bytes, more than %d", each, idleBound)
	}
}
