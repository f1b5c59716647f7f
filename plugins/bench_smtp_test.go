//go:build unix

package plugins_test

import (
	"bufio"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/centerleap/postern/gateway/gatewaytest"
)

// session is a client that delivers mail over one connection, and costs little itself.
type session struct {
	conn net.Conn
	in   *bufio.Reader
}

func (s *session) line() (line string, err error) {
	for err == nil {
		if line, err = s.in.ReadString('\n'); len(line) > 3 && line[3] == ' ' {
			break // the last one of an answer
		}
	}
	return line, err
}

// ask sends something and wants one code for each line of it.
func (s *session) ask(text string, codes ...string) error {
	if _, err := s.conn.Write([]byte(text)); err != nil {
		return err
	}
	for _, code := range codes {
		if line, err := s.line(); err != nil || !strings.HasPrefix(line, code) {
			return fmt.Errorf("%q: %w", line, err)
		}
	}
	return nil
}

// deliver is one mail, as a server with PIPELINING sends it.
func (s *session) deliver(mail string) error {
	envelope := "MAIL FROM:<ann@elsewhere.example>\r\nRCPT TO:<" + gatewaytest.Account + ">\r\nDATA\r\n"
	if err := s.ask(envelope, "250", "250", "354"); err != nil {
		return err
	}
	return s.ask(mail+".\r\n", "250")
}

// sessions is how many deliver at once.
const sessions = 8

// connect opens them.
func connect(b *testing.B, g *gatewaytest.Gateway) (all []*session) {
	b.Helper()
	for range sessions {
		conn, err := net.Dial("tcp", g.Addr("mx"))
		if err != nil {
			b.Fatal(err)
		}
		b.Cleanup(func() { conn.Close() })
		s := &session{conn, bufio.NewReader(conn)}
		if err := s.ask("", "220"); err != nil {
			b.Fatal(err)
		}
		if err := s.ask("EHLO peer.example\r\n", "250"); err != nil {
			b.Fatal(err)
		}
		all = append(all, s)
	}
	return all
}

// spent is what a batch of mail took.
type spent struct{ wall, cpu time.Duration }

func (s spent) least(o spent) spent { return spent{min(s.wall, o.wall), min(s.cpu, o.cpu)} }

// deliver has each session deliver some mail.
func deliver(b *testing.B, all []*session, mails int, mail string) spent {
	b.Helper()
	began, cpu := time.Now(), processorTime(b)
	var done sync.WaitGroup
	for _, s := range all {
		done.Go(func() {
			for range mails {
				if err := s.deliver(mail); err != nil {
					b.Error(err)
					return
				}
			}
		})
	}
	done.Wait()
	return spent{time.Since(began), processorTime(b) - cpu}
}

// processorTime is what the process took of it so far.
func processorTime(b *testing.B) time.Duration {
	b.Helper()
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		b.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// filter is a header filter written with the SDK.
var filter = sync.OnceValues(func() ([]byte, error) {
	dir, err := os.MkdirTemp("", "filter")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)
	out := filepath.Join(dir, "filter.wasm")
	cmd := exec.Command("go", "build", "-buildmode=c-shared", "-ldflags=-s -w", "-o", out, "./sandbox/testdata/filter")
	cmd.Env, cmd.Stderr = append(os.Environ(), "GOOS=wasip1", "GOARCH=wasm", "GOFLAGS="), os.Stderr
	if err := cmd.Run(); err != nil {
		return nil, err
	}
	return os.ReadFile(out)
})

// BenchmarkSMTP delivers mail of 20 KB over SMTP to a gateway without plugins, to one
// with a plugin that lets it pass, and to one with three header filters in Go; taking
// turns, the best batch of each. The processor time is that of the client too.
func BenchmarkSMTP(b *testing.B) {
	wasm, err := filter()
	if err != nil {
		b.Fatal(err)
	}
	const fields = "Received: from mx.elsewhere.example by mx.demo.localhost with ESMTPS id 4711; Mon, 23 Nov 2026 09:00:00 +0000\r\n"
	mail := strings.Repeat(fields, 12) + "From: Ann <ann@elsewhere.example>\r\nTo: " + gatewaytest.Account +
		"\r\nSubject: Re: Invoice 4711\r\nMessage-ID: <x@elsewhere.example>\r\nList-Unsubscribe: <https://example.com/u/4711>\r\n\r\n" +
		strings.Repeat(strings.Repeat("x", 76)+"\r\n", 18_000/78)
	const mails = 25 // a session in one batch
	var all [3][]*session
	var best [3]spent
	for i, plugins := range []int{0, 1, 3} {
		g := gatewaytest.Start(b, gatewaytest.Setting("plugins.cache", compiled))
		for n := range plugins {
			code := string(wasm)
			if plugins == 1 {
				code = labeller("x")
			}
			enable(b, g, fmt.Sprint("p", n), code)
		}
		all[i] = connect(b, g)
		best[i] = deliver(b, all[i], mails, mail)
	}
	for b.Loop() {
		for i := range all {
			best[i] = best[i].least(deliver(b, all[i], mails, mail))
		}
	}
	const each = sessions * mails
	b.ReportMetric(float64(best[0].cpu.Microseconds())/each, "none-cpu-us")
	b.ReportMetric(float64(best[2].cpu.Microseconds())/each, "filters-cpu-us")
	b.ReportMetric(100*(float64(best[2].cpu)/float64(best[0].cpu)-1), "filters-cpu-%")
	b.ReportMetric(float64(best[0].wall)/float64(best[1].wall), "passing-rate")
	b.ReportMetric(float64(best[0].wall)/float64(best[2].wall), "filters-rate")
}
