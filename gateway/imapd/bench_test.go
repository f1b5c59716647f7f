package imapd_test

import (
	"bufio"
	"bytes"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/centerleap/postern/gateway/gatewaytest"
)

// benchMessages is how many messages the inbox of a benchmark holds.
const benchMessages = 10_000

// letter4K is a message of 4.5 KB with two parts.
func letter4K(n int) string {
	text := strings.Repeat("All work and no play makes a dull mail. ", 50)
	return fmt.Sprintf("From: Ann Example <ann%d@elsewhere.example>\r\nTo: Bot <bot@demo.localhost>\r\nSubject: Report %d of the quarter\r\nMessage-ID: <%d@bench.example>\r\n"+
		"Date: Mon, 23 Nov 2026 10:00:00 +0000\r\nMIME-Version: 1.0\r\nContent-Type: multipart/alternative; boundary=b\r\n\r\n"+
		"--b\r\nContent-Type: text/plain; charset=utf-8\r\n\r\n%s\r\n--b\r\nContent-Type: text/html; charset=utf-8\r\n\r\n<p>%s</p>\r\n--b--\r\n", n%100, n, n, text, text)
}

// fullInbox is a gateway whose account has n messages.
func fullInbox(b testing.TB, n int) *gatewaytest.Gateway {
	b.Helper()
	g := gatewaytest.Start(b)
	var senders sync.WaitGroup
	for part := range 16 {
		senders.Go(func() {
			for i := part; i < n; i += 16 {
				receive(b, g, letter4K(i))
			}
		})
	}
	senders.Wait()
	return g
}

// reader is an IMAP client that costs next to nothing.
type reader struct {
	testing.TB
	conn net.Conn
	in   *bufio.Reader
	tag  int
}

func newReader(b testing.TB, g *gatewaytest.Gateway) *reader {
	b.Helper()
	conn, err := tls.Dial("tcp", g.Addr("imaps"), g.TLS())
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { conn.Close() })
	r := &reader{TB: b, conn: conn, in: bufio.NewReaderSize(conn, 64<<10)}
	if _, err := r.in.ReadSlice('\n'); err != nil {
		b.Fatal(err)
	}
	r.ask("LOGIN " + gatewaytest.Account + " " + g.Keys.Account)
	return r
}

// ask sends a command and reads to its OK. It returns how many lines came before, and
// bytes in all; a literal's lines count.
func (r *reader) ask(command string) (lines, size int) {
	r.Helper()
	r.tag++
	tag := fmt.Sprintf("a%d", r.tag)
	if _, err := io.WriteString(r.conn, tag+" "+command+"\r\n"); err != nil {
		r.Fatal(err)
	}
	for ok := []byte(tag + " "); ; lines++ {
		line, err := r.in.ReadSlice('\n')
		if err != nil {
			r.Fatal(err)
		}
		size += len(line)
		if bytes.HasPrefix(line, ok) {
			if !bytes.HasPrefix(line[len(ok):], []byte("OK")) {
				r.Fatalf("%s: %s", command, line)
			}
			return lines, size
		}
	}
}

func BenchmarkSelect(b *testing.B) {
	g := fullInbox(b, benchMessages)
	r := newReader(b, g)
	b.ReportAllocs()
	for b.Loop() {
		if lines, _ := r.ask("SELECT INBOX"); lines < 7 {
			b.Fatalf("%d lines", lines)
		}
		r.ask("UNSELECT")
	}
}

func BenchmarkFetch(b *testing.B) {
	g := fullInbox(b, benchMessages)
	r := newReader(b, g)
	r.ask("SELECT INBOX")
	for _, bb := range []struct{ name, items string }{
		{"flags", "(UID FLAGS)"},
		{"fast", "FAST"},
		{"envelope", "(FLAGS ENVELOPE)"},
		{"structure", "(BODYSTRUCTURE)"},
		{"header", "(BODY.PEEK[HEADER])"},
		{"bodies", "(BODY.PEEK[])"},
	} {
		b.Run(bb.name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				lines, size := r.ask("FETCH 1:* " + bb.items)
				if lines < benchMessages {
					b.Fatalf("%d lines", lines)
				}
				b.SetBytes(int64(size))
			}
			b.ReportMetric(float64(benchMessages)*float64(b.N)/b.Elapsed().Seconds(), "rows/s")
		})
	}
}

func BenchmarkStore(b *testing.B) {
	g := fullInbox(b, benchMessages)
	r := newReader(b, g)
	r.ask("SELECT INBOX")
	for _, n := range []int{1, 1000, benchMessages} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			b.ReportAllocs()
			for i := 0; b.Loop(); i++ {
				if lines, _ := r.ask(fmt.Sprintf("STORE 1:%d %cFLAGS (\\Flagged)", n, "+-"[i%2])); lines != n {
					b.Fatalf("%d lines", lines)
				}
			}
		})
	}
}

// Four clients, each waiting for one OK after the other; all have the mailbox selected.
func BenchmarkAppend(b *testing.B) {
	g := fullInbox(b, benchMessages)
	const clients = 4
	var readers [clients]*reader
	for i := range readers {
		readers[i] = newReader(b, g)
		readers[i].ask("SELECT INBOX")
	}
	var next atomic.Int64
	b.ReportAllocs()
	b.ResetTimer()
	var all sync.WaitGroup
	for _, r := range readers {
		all.Go(func() {
			for i := next.Add(1); i <= int64(b.N); i = next.Add(1) {
				m := letter4K(benchMessages + int(i))
				if lines, _ := r.ask(fmt.Sprintf("APPEND INBOX {%d+}\r\n%s", len(m), m)); lines == 0 {
					r.Error("its EXISTS is missing")
				}
			}
		})
	}
	all.Wait()
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "mails/s")
}

func BenchmarkSearchUnseen(b *testing.B) {
	g := fullInbox(b, benchMessages)
	r := newReader(b, g)
	r.ask("SELECT INBOX")
	r.ask("STORE 1:9000 +FLAGS (\\Seen)")
	b.ReportAllocs()
	for b.Loop() {
		if lines, _ := r.ask("SEARCH UNSEEN"); lines != 1 {
			b.Fatalf("%d lines", lines)
		}
	}
}
