package imapd_test

import (
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"runtime"
	"runtime/metrics"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/centerleap/postern/gateway"
	"github.com/centerleap/postern/gateway/gatewaytest"
)

// descriptors are the open files of this process; -1 where that can't be told.
func descriptors() int {
	all, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		return -1
	}
	return len(all)
}

// live is the memory in use after a collection.
func live() uint64 {
	runtime.GC()
	runtime.GC() // what pools kept for one more turn goes with the second
	sample := []metrics.Sample{{Name: "/gc/heap/live:bytes"}, {Name: "/memory/classes/heap/stacks:bytes"}}
	metrics.Read(sample) // what the last turn marked: nothing that became garbage since, however long the reading takes
	return sample[0].Value.Uint64() + sample[1].Value.Uint64()
}

// Clients who leave wherever they are leave nothing behind: no goroutine, no open
// file, no memory.
func TestNothingIsLeft(t *testing.T) {
	g := gatewaytest.Start(t, gatewaytest.Limit("connections", "100000"))
	receive(t, g, simple(1)+strings.Repeat("0123456789abcdef\r\n", 100_000))
	selected := func() *gatewaytest.Chat {
		c := gatewaytest.NewChat(t, g.Addr("imaps"), g.TLS())
		c.Secure()
		c.Script("S: \\* OK\nC: a LOGIN " + gatewaytest.Account + " " + g.Keys.Account + "\nS: a OK\nC: s SELECT INBOX\nS~ s OK")
		return c
	}
	kinds := []struct {
		name string
		cut  func() net.Conn
	}{
		{"TCP", func() net.Conn { return gatewaytest.NewChat(t, g.Addr("imaps"), g.TLS()).Conn }},
		{"TLS", func() net.Conn {
			c := gatewaytest.NewChat(t, g.Addr("imaps"), g.TLS())
			c.Raw("\x16\x03\x01\x02\x00\x01")
			return c.Conn
		}},
		{"STARTTLS", func() net.Conn {
			c := gatewaytest.NewChat(t, g.Addr("imap"), g.TLS())
			c.Script("S: \\* OK\nC: a STARTTLS\nS: a OK")
			return c.Conn
		}},
		{"AUTHENTICATE", func() net.Conn {
			c := gatewaytest.NewChat(t, g.Addr("imaps"), g.TLS())
			c.Secure()
			c.Script("S: \\* OK\nC: a AUTHENTICATE PLAIN\nS: \\+")
			return c.Conn
		}},
		{"SELECT", func() net.Conn { return selected().Conn }},
		{"IDLE", func() net.Conn {
			c := selected()
			c.Script("C: b IDLE\nS: \\+")
			return c.Conn
		}},
		{"FETCH", func() net.Conn {
			c := selected()
			c.Script("C: b FETCH 1 BODY.PEEK[]\nS: \\* 1 FETCH")
			return c.Conn
		}},
		{"APPEND", func() net.Conn {
			c := selected()
			c.Script("C: b APPEND Drafts {9000000}\nS: \\+")
			c.Raw("Subject: half\r\n")
			return c.Conn
		}},
		{"a literal", func() net.Conn {
			c := selected()
			c.Script("C: b STATUS {4000}\nS: \\+")
			c.Raw("half")
			return c.Conn
		}},
	}
	round := func(n int) {
		for range n {
			var cuts sync.WaitGroup
			for _, k := range kinds {
				cuts.Go(func() { _ = k.cut().Close() })
			}
			cuts.Wait()
		}
	}
	calm := runtime.NumGoroutine
	round(4) // what is made once and kept
	goroutines, files, memory := settled(t, calm, 1<<30), descriptors(), live()
	round(112) // a thousand sessions
	if now := settled(t, calm, goroutines+3); now > goroutines+3 {
		stacks := make([]byte, 1<<20)
		t.Errorf("%d goroutines, there were %d: %s", now, goroutines, stacks[:runtime.Stack(stacks, true)])
	}
	gatewaytest.Eventually(t, fmt.Sprintf("%d open files, or hardly more", files), func() bool { // the store may have opened some
		return descriptors() <= files+8
	})
	gatewaytest.Eventually(t, fmt.Sprintf("%d KiB in use, or hardly more", memory>>10), func() bool { return live() <= memory+8<<20 })
}

// settled waits until a count is at most want, or stays as it is.
func settled(t *testing.T, count func() int, want int) int {
	t.Helper()
	var last []int
	gatewaytest.Eventually(t, "the count settles", func() bool {
		last = append(last, count())
		n := len(last)
		return last[n-1] <= want && n > 40 && slices.Max(last[n-40:]) == slices.Min(last[n-40:]) || n > 2000
	})
	return last[len(last)-1]
}

// nobodyCut wants that a stop had to end no connection by force.
func nobodyCut(t *testing.T, g *gatewaytest.Gateway) {
	t.Helper()
	if strings.Contains(g.Log.String(), "connections were cut at the end of the drain") {
		t.Errorf("a session was still there after %v", gateway.DrainTimeout)
	}
}

// A stop says goodbye to everybody who idles, all at once.
func TestStopManyIdle(t *testing.T) {
	g := gatewaytest.Start(t)
	receive(t, g, simple(1))
	const many = 200
	chats := make([]*gatewaytest.Chat, many)
	for i := range chats {
		chats[i] = login(t, g)
		chats[i].Script("C: a SELECT INBOX\nS~ a OK\nC: b IDLE\nS: \\+")
	}
	g.Stop()
	nobodyCut(t, g)
	for _, c := range chats {
		c.Script("S: \\* BYE\nEND")
	}
}

// A stop ends those, too, who begin to idle and are done just then, over and over.
func TestStopOnTheWay(t *testing.T) {
	g := gatewaytest.Start(t)
	const many = 40
	var going sync.WaitGroup
	arrived := make(chan struct{}, many)
	for range many {
		c := login(t, g)
		c.Script("C: a SELECT INBOX\nS~ a OK")
		going.Go(func() {
			said := "b IDLE\r\nDONE\r\n"
			for n, b := 0, make([]byte, 4096); ; n++ {
				if _, err := io.WriteString(c.Conn, said); err != nil {
					return
				}
				if _, err := c.Conn.Read(b); err != nil {
					return
				}
				if n == 20 {
					arrived <- struct{}{}
				}
			}
		})
	}
	for range many {
		<-arrived
	}
	g.Stop()
	nobodyCut(t, g)
	going.Wait()
}

// A body of 50 MB goes out in pieces: many who read it, and one who does not, take
// no memory of its size, and the others don't wait.
func TestLargeFetch(t *testing.T) {
	const size = 49 << 20
	g := gatewaytest.Start(t)
	line := strings.Repeat("0123456789abcdef", 60) + "\r\n"
	receive(t, g, simple(1)+strings.Repeat(line, size/len(line)))
	before := live()
	stalled := make([]*gatewaytest.Chat, 4)
	for i := range stalled {
		stalled[i] = login(t, g)
		stalled[i].Script("C: a SELECT INBOX\nS~ a OK\nC: b FETCH 1 BODY.PEEK[]\nS: \\* 1 FETCH") // and reads on no more
	}
	readers, other := []*gatewaytest.Chat{login(t, g), login(t, g)}, login(t, g)
	other.Script("C: a SELECT INBOX\nS~ a OK")
	var reading sync.WaitGroup
	for _, c := range readers {
		c.Script("C: a EXAMINE INBOX\nS~ a OK\nC: b FETCH 1 BODY[]")
		head, _ := c.Line()
		var n int64
		if _, err := fmt.Sscanf(head[strings.LastIndexByte(head, '{'):], "{%d}", &n); err != nil || n < size-1<<10 {
			t.Fatalf("%q", head)
		}
		_ = c.Conn.SetReadDeadline(time.Now().Add(5 * time.Minute)) // of all of it
		reading.Go(func() {
			buf := make([]byte, 64<<10)
			for left := n - int64(c.Buffered()); left > 0; {
				k, err := c.Conn.Read(buf[:min(int64(len(buf)), left)])
				if left -= int64(k); err != nil && !errors.Is(err, io.EOF) {
					t.Errorf("%d bytes are missing: %v", left, err)
					return
				}
			}
		})
	}
	var took []time.Duration
	least := live()
	for i := range 200 {
		if i%20 == 0 {
			least = min(least, live()) // what the four that stand hold is in all of them, what passes is not
		}
		began := time.Now()
		other.Script(fmt.Sprintf("C: b%d STORE 1 +FLAGS (k%d)\nS: \\* 1 FETCH\nS: b%d OK", i, i%3, i))
		took = append(took, time.Since(began))
	}
	reading.Wait()
	slices.Sort(took)
	if p99 := took[len(took)*99/100]; p99 > 10*time.Second { // on a busy machine; a lock that was held would be gateway.AnswerTimeout
		t.Errorf("others waited %v", p99)
	}
	if least > before+size*3/4 { // one body held whole would be more
		t.Errorf("%d KiB more were in use with four bodies of %d on their way", (least-before)>>10, size>>10)
	}
	if status, _ := g.Do("DELETE", "/emails/1?permanent=true", g.Keys.Account, nil); status != 200 {
		t.Errorf("delete beside stalled readers: %d", status)
	}
}

// A key that ends closes at once also the session of who reads nothing.
func TestRevokedStalled(t *testing.T) {
	g := gatewaytest.Start(t)
	receive(t, g, simple(1)+strings.Repeat("0123456789abcdef\r\n", 1_000_000))
	_, k := g.Do("POST", "/api-keys", g.Keys.Account, `{"name":"short-lived"}`)
	c := g.Dial(t, "imaps")
	c.Script("S: \\* OK\nC: a LOGIN " + gatewaytest.Account + " " + k.Str("token") + "\nS: a OK\nC: s SELECT INBOX\nS~ s OK\nC: b FETCH 1 BODY.PEEK[]\nS: \\* 1 FETCH")
	if status, a := g.Do("DELETE", "/api-keys/"+k.Str("id"), g.Keys.Account, nil); status != 200 {
		t.Fatalf("%d %v", status, a)
	}
	g.Stop() // it waits for every session
	nobodyCut(t, g)
}
