package main

import (
	"bufio"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/centerleap/postern/gateway/gatewaytest"
)

// sink is Postfix's smtp-sink: it takes all mail, throws it away, and counts.
type sink struct {
	port  string
	taken atomic.Int64
}

func startSink(tb testing.TB) *sink {
	tb.Helper()
	_, err := exec.LookPath("smtp-sink")
	need(tb, "smtp-sink (.ci/setup installs it, with Postfix)", err)
	s := &sink{port: freePort(tb)}
	args := []string{"-c", "127.0.0.1:" + s.port, "1000"}
	if os.Getuid() == 0 { // as whom it does not run
		args = append([]string{"-u", "nobody"}, args...)
	}
	cmd := exec.CommandContext(tb.Context(), "smtp-sink", args...)
	out, err := cmd.StdoutPipe()
	if err == nil {
		err = cmd.Start()
	}
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { _ = cmd.Wait() }) // it ends with the context of the test
	go s.count(bufio.NewReader(out))
	return s
}

// counted is how smtp-sink tells, again and again on one line.
var counted = regexp.MustCompile(`mesg=(\d+)`)

func (s *sink) count(in *bufio.Reader) {
	for {
		line, err := in.ReadString('\r')
		if m := counted.FindStringSubmatch(line); m != nil {
			n, _ := strconv.ParseInt(m[1], 10, 64)
			s.taken.Store(n)
		}
		if err != nil {
			return
		}
	}
}

// BenchmarkRelay measures mail that passes through: from the first command of 16 clients
// until all of it is with the next host, which takes it at once. Postfix beside us takes
// it without a login. To sign is half of what we do, and opendkim does it for Postfix with
// a key of the same size; without it, Postfix passes on what it gets.
func BenchmarkRelay(b *testing.B) {
	b.Run("postern", func(b *testing.B) {
		to := startSink(b)
		p := startBinary(b, "--smarthost", "127.0.0.1:"+to.port)
		p.unlimited()
		tls := gatewaytest.TrustLocal(b, p.banner.Data)
		login := base64.StdEncoding.EncodeToString([]byte("\x00centerleap\x00" + p.banner.Keys.Domain))
		relay(b, to, func() *talk {
			t := dial(p.banner.Submission, long)
			t.say("", "220 ")
			t.say("EHLO client.example", "250 ")
			t.say("STARTTLS", "220 ")
			t.secure(tls)
			t.say("EHLO client.example", "250 ")
			t.say("AUTH PLAIN "+login, "235 ")
			return t
		})
	})
	for _, signs := range []bool{true, false} {
		b.Run(map[bool]string{true: "postfix+opendkim", false: "postfix"}[signs], func(b *testing.B) {
			to := startSink(b)
			milter := ""
			if signs {
				milter = openDKIM(b)
			}
			addr := postfixRelay(b, to, milter)
			relay(b, to, func() *talk {
				t := dial(addr, long)
				t.say("", "220 ")
				t.say("EHLO client.example", "250 ")
				return t
			})
		})
	}
}

// openDKIM starts a milter that signs mail of the domain.
func openDKIM(tb testing.TB) (milter string) {
	tb.Helper()
	_, err := exec.LookPath("opendkim")
	need(tb, "opendkim (.ci/setup installs it)", err)
	dir := serverDir(tb)
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		tb.Fatal(err)
	}
	block := pem.EncodeToMemory(&pem.Block{Type: "RSA PRIVATE KEY", Bytes: x509.MarshalPKCS1PrivateKey(key)})
	if err := os.WriteFile(filepath.Join(dir, "conf", "key.pem"), block, 0o600); err != nil {
		tb.Fatal(err)
	}
	conf := filepath.Join(dir, "conf", "opendkim.conf")
	writeConfig(tb, "testdata/neighbours/opendkim.conf", conf, map[string]string{"DIR": dir})
	cmd := exec.CommandContext(tb.Context(), "opendkim", "-f", "-x", conf)
	if err := cmd.Start(); err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { _ = cmd.Wait() }) // it ends with the context of the test
	return "unix:" + filepath.Join(dir, "dkim")
}

// postfixRelay starts a Postfix that hands all mail to the sink.
func postfixRelay(tb testing.TB, to *sink, milter string) string {
	tb.Helper()
	_, err := exec.LookPath("postfix")
	need(tb, "postfix (.ci/setup installs it)", err)
	needRoot(tb, "Postfix")
	dir, own := serverDir(tb), freePort(tb)
	conf := filepath.Join(dir, "conf")
	writeConfig(tb, "testdata/neighbours/relay.cf", filepath.Join(conf, "main.cf"), map[string]string{"DIR": dir, "SINK": to.port, "MILTER": milter})
	writeConfig(tb, "testdata/neighbours/master.cf", filepath.Join(conf, "master.cf"), map[string]string{"PORT": own})
	for _, sub := range []string{"queue", "data"} {
		if err := os.Mkdir(filepath.Join(dir, sub), 0o755); err != nil {
			tb.Fatal(err)
		}
	}
	output(tb, "chown", "postfix", filepath.Join(dir, "data"))
	output(tb, "postfix", "-c", conf, "start")
	tb.Cleanup(func() { output(tb, "postfix", "-c", conf, "stop") })
	n := neighbour{addr: "127.0.0.1:" + own}
	n.wait(tb)
	return n.addr
}

// relay has 16 clients send b.N mails, and waits until the sink has them.
func relay(b *testing.B, to *sink, client func() *talk) {
	const connections = 16
	clients := make([]*talk, connections)
	for i := range clients {
		clients[i] = client()
		b.Cleanup(clients[i].close)
	}
	var left atomic.Int64
	left.Store(int64(b.N))
	var all sync.WaitGroup
	b.ResetTimer()
	for _, t := range clients {
		all.Go(func() {
			for i := left.Add(-1); i >= 0; i = left.Add(-1) {
				if !t.submit(fmt.Sprintf("user%d@away.example", i%100)) {
					b.Errorf("a message was not taken: %s", t.no)
					return
				}
			}
		})
	}
	all.Wait()
	accepted := b.Elapsed()
	for deadline := time.Now().Add(time.Minute); to.taken.Load() < int64(b.N); time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			b.Fatalf("%d of %d arrived", to.taken.Load(), b.N)
		}
	}
	b.StopTimer()
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "delivered/s")
	b.ReportMetric(float64(b.N)/accepted.Seconds(), "accepted/s")
}

// submit sends a mail of about 4 KB to somebody elsewhere.
func (t *talk) submit(to string) bool {
	message := "From: " + gatewaytest.Account + "\r\nTo: " + to + "\r\nSubject: figures\r\n\r\n" + fourKB + "."
	for _, step := range [][2]string{
		{"MAIL FROM:<" + gatewaytest.Account + ">", "250"}, {"RCPT TO:<" + to + ">", "250"}, {"DATA", "354"}, {message, "250"},
	} {
		got, ok := t.say(step[0], "("+step[1]+`|[45]\d\d ).*`)
		if !ok || got[1] != step[1] {
			t.no = fmt.Sprint(got)
			return false
		}
	}
	return true
}
