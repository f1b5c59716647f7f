package main

import (
	"bytes"
	"fmt"
	"net"
	"net/smtp"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/centerleap/postern/gateway/gatewaytest"
)

// Real mail servers beside ours, as they are installed by .ci/setup: each has a
// configuration, a queue and a port of its own, and ends with its test.

// neighbour is a mail server that relays all it is given to the gateway's MX.
type neighbour struct{ addr, log string }

// postfix starts Postfix. It needs root, as Postfix does.
func postfix(t *testing.T, g *gatewaytest.Gateway) neighbour {
	t.Helper()
	return postfixWith(t, g, nil)
}

// postfixWith has the hosts of bounces.cf behind it, with names for @NAMES@ there, if
// there are any.
func postfixWith(t *testing.T, g *gatewaytest.Gateway, more map[string]string) neighbour {
	t.Helper()
	_, err := exec.LookPath("postfix")
	need(t, "postfix (.ci/setup installs it)", err)
	needRoot(t, "Postfix")
	dir := serverDir(t)
	conf, own := filepath.Join(dir, "conf"), freePort(t)
	writeConfig(t, "testdata/neighbours/main.cf", filepath.Join(conf, "main.cf"), map[string]string{
		"DIR": dir, "MX_PORT": port(t, g, "mx"), "CA": trusted(t, g, dir),
	})
	if more != nil {
		writeConfig(t, "testdata/neighbours/bounces.cf", filepath.Join(dir, "bounces.cf"), more)
		main := filepath.Join(conf, "main.cf")
		text := append(mustRead(main), mustRead(filepath.Join(dir, "bounces.cf"))...)
		if err := os.WriteFile(main, text, 0o644); err != nil { //nolint:gosec // the server reads it as a user of its own
			t.Fatal(err)
		}
	}
	writeConfig(t, "testdata/neighbours/master.cf", filepath.Join(conf, "master.cf"), map[string]string{"PORT": own})
	for _, sub := range []string{"queue", "data"} {
		if err := os.Mkdir(filepath.Join(dir, sub), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	output(t, "chown", "postfix", filepath.Join(dir, "data"))
	output(t, "postfix", "-c", conf, "start")
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("the log of Postfix:\n%s", mustRead(filepath.Join(dir, "maillog")))
		}
		output(t, "postfix", "-c", conf, "stop")
	})
	n := neighbour{net.JoinHostPort("127.0.0.1", own), filepath.Join(dir, "maillog")}
	n.wait(t)
	return n
}

// exim starts Exim, which .ci/setup unpacks: as a package it would replace Postfix.
func exim(t *testing.T, g *gatewaytest.Gateway) neighbour {
	t.Helper()
	binary, err := filepath.Abs(filepath.Join("..", "..", ".ci", "exim", "usr", "sbin", "exim4"))
	if err == nil {
		_, err = os.Stat(binary)
	}
	need(t, "exim4 (.ci/setup unpacks it)", err)
	needRoot(t, "Exim")
	dir := serverDir(t)
	own, conf := freePort(t), filepath.Join(dir, "conf", "exim.conf")
	writeConfig(t, "testdata/neighbours/exim.conf", conf, map[string]string{
		"DIR": dir, "EXIM": binary, "PORT": own, "MX_PORT": port(t, g, "mx"), "CA": trusted(t, g, dir),
	})
	for _, sub := range []string{"spool", "log"} {
		if err := os.Mkdir(filepath.Join(dir, sub), 0o755); err != nil {
			t.Fatal(err)
		}
		output(t, "chown", "Debian-exim", filepath.Join(dir, sub))
	}
	var said bytes.Buffer
	daemon := exec.CommandContext(t.Context(), binary, "-C", conf, "-bdf", "-q1s")
	daemon.Stdout, daemon.Stderr = &said, &said
	if err := daemon.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = daemon.Wait() // it was told to end by the context of the test
		if t.Failed() {
			t.Logf("Exim:\n%s\n%s", &said, mustRead(filepath.Join(dir, "log", "mainlog")))
		}
	})
	n := neighbour{net.JoinHostPort("127.0.0.1", own), filepath.Join(dir, "log", "mainlog")}
	n.wait(t)
	return n
}

func needRoot(t testing.TB, what string) {
	t.Helper()
	if os.Getuid() != 0 {
		need(t, "root, as whom "+what+" starts", fmt.Errorf("the user is %d", os.Getuid()))
	}
}

// serverDir is a folder that a server may enter as a user of its own.
func serverDir(t testing.TB) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "neighbour")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	for _, d := range []string{dir, filepath.Join(dir, "conf")} {
		if err := os.MkdirAll(d, 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.Chmod(d, 0o755); err != nil { //nolint:gosec // the server reads it as a user of its own
			t.Fatal(err)
		}
	}
	return dir
}

// trusted is a copy of our certificate authority that a server may read.
func trusted(t *testing.T, g *gatewaytest.Gateway, dir string) string {
	t.Helper()
	path := filepath.Join(dir, "conf", "ca.pem")
	writeConfig(t, filepath.Join(g.Data, "tls", "ca.pem"), path, nil)
	return path
}

// writeConfig copies a configuration with its @NAMES@ replaced.
func writeConfig(t testing.TB, from, to string, names map[string]string) {
	t.Helper()
	b, err := os.ReadFile(from)
	if err != nil {
		t.Fatal(err)
	}
	text := string(b)
	for name, value := range names {
		text = strings.ReplaceAll(text, "@"+name+"@", value)
	}
	if err := os.WriteFile(to, []byte(text), 0o644); err != nil { //nolint:gosec // as above
		t.Fatal(err)
	}
}

func freePort(t testing.TB) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return strconv.Itoa(l.Addr().(*net.TCPAddr).Port)
}

func output(t testing.TB, name string, args ...string) string {
	t.Helper()
	out, err := exec.Command(name, args...).CombinedOutput()
	if err != nil {
		t.Errorf("%s %v: %v\n%s", name, args, err, out)
	}
	return string(out)
}

func mustRead(path string) []byte {
	b, err := os.ReadFile(path)
	if err != nil {
		return []byte(err.Error())
	}
	return b
}

func (n neighbour) wait(t testing.TB) {
	t.Helper()
	gatewaytest.Eventually(t, "the server answers at "+n.addr, func() bool {
		c, err := smtp.Dial(n.addr)
		if err != nil {
			return false
		}
		return c.Quit() == nil
	})
}

// give hands a mail over.
func (n neighbour) give(t *testing.T, from, to, body string) {
	t.Helper()
	if err := smtp.SendMail(n.addr, nil, from, []string{to}, []byte(body)); err != nil {
		t.Fatal(err)
	}
}

// letters are bodies that relays and ends of data are often wrong about, by subject.
var letters = map[string]string{
	"plain":    "hello\r\n",
	"empty":    "",
	"dots":     ".\r\n..\r\n...\r\n.dot\r\n",
	"utf8":     "gr\u00fc\u00dfe aus k\u00f6ln\r\n",
	"long":     strings.Repeat("a word and ", 90) + "\r\n",
	"megabyte": strings.Repeat(strings.Repeat("x", 75)+"\r\n", 14000),
	"blanks":   "\r\n\r\n \r\n\t\r\n\r\n",
	"half":     "ends without a line end",
}

// relays sends all letters through a server and waits until they are here.
func relays(t *testing.T, g *gatewaytest.Gateway, n neighbour) {
	t.Helper()
	for subject, body := range letters {
		n.give(t, "ann@elsewhere.example", gatewaytest.Account, "From: ann@elsewhere.example\r\nTo: "+gatewaytest.Account+
			"\r\nSubject: "+subject+"\r\nMIME-Version: 1.0\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: 8bit\r\n\r\n"+body)
	}
	ids := arrived(t, g, len(letters))
	for subject, body := range letters {
		if body != "" && !strings.HasSuffix(body, "\r\n") {
			body += "\r\n" // SMTP has no other end
		}
		raw := rawMail(t, g, ids[subject])
		head, got, _ := strings.Cut(raw, "\r\n\r\n")
		if got != body {
			t.Errorf("%s arrived as %.200q", subject, got)
		}
		if !strings.Contains(head, "SMTPS id") {
			t.Errorf("%s did not come over TLS:\n%s", subject, head)
		}
	}
}

// arrived waits until a number of mails is in the inbox, and no more, and returns
// their ids by subject.
func arrived(t *testing.T, g *gatewaytest.Gateway, want int) map[string]string {
	t.Helper()
	list := func() gatewaytest.Answer {
		status, a := g.Do("GET", "/emails?folder=INBOX&limit=100", g.Keys.Account, nil)
		if status != 200 {
			t.Fatalf("the list: %d %v", status, a)
		}
		return a
	}
	gatewaytest.Eventually(t, fmt.Sprintf("%d mails arrive", want), func() bool { return list().At("total") == float64(want) })
	a, ids := list(), make(map[string]string)
	for i := range min(want, 100) {
		at := fmt.Sprintf("data.%d.", i)
		ids[a.Str(at+"subject")] = a.Str(at + "id")
	}
	return ids
}

func rawMail(t *testing.T, g *gatewaytest.Gateway, id string) string {
	t.Helper()
	resp := g.Send("GET", "/emails/"+id+"/raw", g.Keys.Account, nil)
	defer resp.Body.Close()
	var b bytes.Buffer
	if _, err := b.ReadFrom(resp.Body); err != nil || resp.StatusCode != 200 {
		t.Fatalf("raw of %s: %d %v", id, resp.StatusCode, err)
	}
	return b.String()
}

func TestPostfixRelays(t *testing.T) {
	g := gatewaytest.Start(t)
	relays(t, g, postfix(t, g))
}

func TestEximRelays(t *testing.T) {
	g := gatewaytest.Start(t)
	n := exim(t, g)
	relays(t, g, n)
	if used := bytes.Count(mustRead(n.log), []byte(" K C=")); used != len(letters) {
		t.Errorf("%d of %d mails came by BDAT:\n%s", used, len(letters), mustRead(n.log))
	}
}

// TestPostfixReports: what we refuse comes back to its sender, who lives here, with
// the null reverse-path and our own words.
func TestPostfixReports(t *testing.T) {
	g := gatewaytest.Start(t)
	n := postfix(t, g)
	_, domain, _ := strings.Cut(gatewaytest.Account, "@")
	n.give(t, gatewaytest.Account, "nobody@"+domain, "From: "+gatewaytest.Account+"\r\nSubject: to nobody\r\n\r\nhello\r\n")
	for subject, id := range arrived(t, g, 1) {
		raw := rawMail(t, g, id)
		for _, want := range []string{"Return-Path: <>", "550 5.1.1", "delivery-status", "Status: 5.1.1"} {
			if !strings.Contains(raw, want) {
				t.Errorf("%q lacks %q:\n%s", subject, want, raw)
			}
		}
	}
}

// TestFlood: a generator of mail loses none here, and none arrives twice.
func TestFlood(t *testing.T) {
	_, err := exec.LookPath("smtp-source")
	need(t, "smtp-source (.ci/setup installs it)", err)
	g := gatewaytest.Start(t)
	const sessions, each = 20, 25
	sent := 0
	for _, c := range []struct {
		mails int
		args  []string
	}{
		{sessions * each, []string{"-d"}},         // sessions are kept
		{sessions * each, nil},                    // one mail in each
		{2 * sessions, []string{"-l", "1000000"}}, // larger than a body in the log
	} {
		output(t, "smtp-source", append([]string{
			"-s", strconv.Itoa(sessions), "-m", strconv.Itoa(c.mails), "-f", "ann@elsewhere.example", "-t", gatewaytest.Account,
		}, append(c.args, "127.0.0.1:"+port(t, g, "mx"))...)...)
		sent += c.mails
	}
	arrived(t, g, sent)
}

// TestSwaks speaks to each door in each way that swaks knows.
func TestSwaks(t *testing.T) {
	g := gatewaytest.Start(t)
	ca := filepath.Join(g.Data, "tls", "ca.pem")
	n := 0
	for _, c := range []struct {
		door string
		args []string
		code int // of swaks
	}{
		{"mx", nil, 0},
		{"mx", []string{"--tls"}, 0},
		{"mx", []string{"--tls", "--pipeline"}, 0},
		{"mx", []string{"--protocol", "SMTP"}, 0},
		{"mx", []string{"--to", "stranger@elsewhere.example"}, 24}, // we relay for nobody
		{"mx", []string{"--auth", "PLAIN"}, 28},                    // not offered there
		{"submission", []string{"--tls", "--auth", "PLAIN"}, 0},
		{"submission", []string{"--tls", "--auth", "LOGIN"}, 0},
		{"submission", []string{"--auth", "PLAIN"}, 28}, // not before TLS
		{"submission", []string{"--tls"}, 23},           // and nothing without a login
		{"submission", []string{"--tls", "--auth", "PLAIN", "--auth-password", "bm_live_wrong"}, 28},
		{"submissions", []string{"--tls-on-connect", "--auth", "PLAIN"}, 0},
		{"submissions", []string{"--tls-on-connect", "--auth", "LOGIN", "--pipeline"}, 0},
	} {
		args := []string{
			"--server", "localhost", "--port", port(t, g, c.door), "--helo", "client.example", "--from", gatewaytest.Account,
			"--to", gatewaytest.Account, "--tls-verify", "--tls-ca-path", ca, "--header", fmt.Sprintf("Subject: swaks %d", n),
		}
		if slices.Contains(c.args, "--auth") {
			args = append(args, "--auth-user", gatewaytest.Account, "--auth-password", g.Keys.Account)
		}
		out, code := ended(t, "swaks", append(args, c.args...)...)
		if code != c.code {
			t.Errorf("%s %v: swaks ended with %d, want %d\n%s", c.door, c.args, code, c.code, out)
		}
		if code == 0 {
			n++
		}
	}
	arrived(t, g, n)
}

// ended returns what a program said, and its exit code.
func ended(t *testing.T, name string, args ...string) (string, int) {
	t.Helper()
	_, err := exec.LookPath(name)
	need(t, name+" (.ci/setup installs it)", err)
	cmd := exec.CommandContext(t.Context(), name, args...)
	out, err := cmd.CombinedOutput()
	if cmd.ProcessState == nil {
		t.Fatalf("%s: %v", name, err)
	}
	return string(out), cmd.ProcessState.ExitCode()
}
