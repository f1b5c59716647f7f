package main

import (
	"bufio"
	"context"
	"errors"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/centerleap/postern/gateway/gatewaytest"
)

// exampleRun is how one of examples/clients is run, and what it has to show for it.
type exampleRun struct {
	file    string
	run     []string
	subject string // of the email that it sends
	says    string // part of what it prints
}

var exampleRuns = []exampleRun{
	{"send.sh", []string{"bash"}, "Hello from curl", `"total":1`},
	{"nodemailer.mjs", []string{"node"}, "Hello from Nodemailer", "250 2.0.0"},
	{"resend.mjs", []string{"node"}, "Hello from Resend", "Hello from Resend"},
	{"send.py", []string{"python3"}, "Hello from Python", "Hello from Python It works"},
	{"send.php", []string{"php"}, "Hello from PHP", "sent"},
	{"go", nil, "Hello from Go", "sent 0"},
}

// exampleClient prepares one to be run against a gateway.
func (p *process) exampleClient(ctx context.Context, file string, run []string, more ...string) *exec.Cmd {
	p.Helper()
	folder, err := filepath.Abs("../../examples/clients")
	if err != nil {
		p.Fatal(err)
	}
	modules, err := filepath.Abs("../../.ci/node/node_modules")
	if err != nil {
		p.Fatal(err)
	}
	dir := p.TempDir()
	err = os.Symlink(modules, filepath.Join(dir, "node_modules"))
	if run == nil { // a Go program
		run = []string{filepath.Join(dir, "client")}
		out, failed := exec.CommandContext(ctx, "go", "build", "-o", run[0], filepath.Join(folder, file)).CombinedOutput()
		if err = errors.Join(err, failed); failed != nil {
			p.Logf("%s", out)
		}
	} else { // beside its packages, as a user has it
		raw, failed := os.ReadFile(filepath.Join(folder, file))
		err = errors.Join(err, failed, os.WriteFile(filepath.Join(dir, file), raw, 0o600))
		run = append(slices.Clone(run), file)
	}
	if err != nil {
		p.Fatal(err)
	}
	cmd := exec.CommandContext(ctx, run[0], run[1:]...)
	cmd.Dir = dir
	_, port, _ := strings.Cut(p.banner.Submission, ":")
	cmd.Env = append(os.Environ(), "CENTERLEAP_API_KEY="+p.banner.Keys.Account, "CENTERLEAP_URL="+p.banner.REST, "CENTERLEAP_SMTP=localhost:"+port,
		"NODE_EXTRA_CA_CERTS="+p.banner.CA, "SSL_CERT_FILE="+p.banner.CA)
	cmd.Env = append(cmd.Env, more...)
	return cmd
}

// needClients wants what the examples are written in.
func needClients(t *testing.T) {
	t.Helper()
	for _, tool := range []string{"node", "bash", "curl", "python3", "php"} {
		_, err := exec.LookPath(tool)
		need(t, tool+" (.ci/setup installs it)", err)
	}
	for _, file := range []string{phpMailer, "../../.ci/node/node_modules/nodemailer", "../../.ci/node/node_modules/resend"} {
		_, err := os.Stat(file)
		need(t, filepath.Base(file)+" (.ci/setup installs it)", err)
	}
}

// Each example of a client does what it says.
func TestExampleClients(t *testing.T) {
	needClients(t)
	p := startBinary(t)
	for _, one := range exampleRuns {
		t.Run(one.file, func(t *testing.T) {
			ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
			defer cancel()
			out, err := p.exampleClient(ctx, one.file, one.run).CombinedOutput()
			if err != nil || !strings.Contains(string(out), one.says) {
				t.Fatalf("%v\n%s", err, out)
			}
			gatewaytest.Eventually(t, "it arrives", func() bool {
				return slices.ContainsFunc(p.emails("INBOX"), func(e shownEmail) bool { return strings.HasPrefix(e.Subject, one.subject) })
			})
		})
	}
}

// The agent answers what arrives, in its thread.
func TestExampleAgent(t *testing.T) {
	needClients(t)
	p := startBinary(t)
	cmd := p.exampleClient(t.Context(), "agent.mjs", []string{"node"}, "CENTERLEAP_ANSWERS=2")
	out, err := cmd.StdoutPipe()
	if err == nil {
		err = cmd.Start()
	}
	if err != nil {
		t.Fatal(err)
	}
	lines := bufio.NewScanner(out)
	if !lines.Scan() || lines.Text() != "connected" {
		t.Fatalf("it says %q", lines.Text())
	}
	c := dial(p.banner.MX, patience)
	defer c.close()
	c.say("", "220 ")
	c.say("EHLO peer.example", "250 ")
	for _, name := range []string{"one", "two"} {
		if !letter(c, name) {
			t.Fatal("a mail was not taken")
		}
	}
	for lines.Scan() {
		t.Log(lines.Text())
	}
	if err := cmd.Wait(); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"one", "two"} {
		asked, answer := p.find("INBOX", name), p.find("Sent", "Re: "+name)
		if asked.Thread == "" || asked.Thread != answer.Thread {
			t.Errorf("%s is answered in another thread", name)
		}
	}
}

// The receiver of webhooks shows what is signed, and refuses what is not.
func TestExampleWebhook(t *testing.T) {
	needClients(t)
	p := startBinary(t)
	cmd := p.exampleClient(t.Context(), "webhook.mjs", []string{"node"}, "CENTERLEAP_EVENTS=2")
	out, err := cmd.StdoutPipe()
	if err == nil {
		err = cmd.Start()
	}
	if err != nil {
		t.Fatal(err)
	}
	lines := bufio.NewScanner(out)
	if !lines.Scan() || !strings.HasPrefix(lines.Text(), "told at ") {
		t.Fatalf("it says %q", lines.Text())
	}
	if status := forged(t, strings.TrimPrefix(lines.Text(), "told at ")); status != 401 {
		t.Errorf("a forged event gets %d", status)
	}
	c := dial(p.banner.MX, patience)
	defer c.close()
	c.say("", "220 ")
	c.say("EHLO peer.example", "250 ")
	for _, name := range []string{"one", "two"} {
		if !letter(c, name) {
			t.Fatal("a mail was not taken")
		}
	}
	var told []string
	for lines.Scan() {
		told = append(told, lines.Text())
	}
	if slices.Sort(told); cmd.Wait() != nil || !slices.Equal(told, []string{"email.received one", "email.received two"}) {
		t.Errorf("it was told %q", told)
	}
}

// forged posts an event that nobody signed with the secret.
func forged(t *testing.T, endpoint string) int {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, endpoint, strings.NewReader(`{"type":"email.received","data":{}}`))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("webhook-id", "evt_x")
	req.Header.Set("webhook-timestamp", strconv.FormatInt(time.Now().Unix(), 10))
	req.Header.Set("webhook-signature", "v1,AAAA")
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	return resp.StatusCode
}
