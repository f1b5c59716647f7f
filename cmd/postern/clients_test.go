package main

import (
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/centerleap/postern/gateway"
	"github.com/centerleap/postern/gateway/gatewaytest"
)

// readers is a gateway with two emails, for the programs that read it.
func readers(t *testing.T) *gatewaytest.Gateway {
	t.Helper()
	g := gatewaytest.Start(t)
	for _, subject := range []string{"first", "second"} {
		arrive(t, g, subject)
	}
	return g
}

func arrive(t *testing.T, g *gatewaytest.Gateway, subject string) {
	t.Helper()
	env := gateway.Envelope{ReturnPath: "ann@elsewhere.example", Recipients: []string{gatewaytest.Account}, RemoteIP: "192.0.2.1"}
	raw := fmt.Sprintf("From: Ann <ann@elsewhere.example>\r\nSubject: %s\r\nMessage-ID: <%s@elsewhere.example>\r\n\r\nhello\r\n", subject, subject)
	if err := g.Receiver.Receive(t.Context(), env, strings.NewReader(raw)); err != nil {
		t.Fatal(err)
	}
}

func port(t *testing.T, g *gatewaytest.Gateway, door string) string {
	t.Helper()
	_, p, err := net.SplitHostPort(g.Addr(door))
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// program runs a program as a user of the gateway would.
func program(t *testing.T, g *gatewaytest.Gateway, dir, name string, args ...string) string {
	t.Helper()
	_, err := exec.LookPath(name)
	need(t, name+" (.ci/setup installs it)", err)
	cmd := exec.CommandContext(t.Context(), name, args...)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "CENTERLEAP_API_KEY="+g.Keys.Account, "ACCOUNT="+gatewaytest.Account,
		"CA="+filepath.Join(g.Data, "tls", "ca.pem"), "IMAP_PORT="+port(t, g, "imap"), "HOME="+dir)
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%s %v: %v\n%s", name, args, err, out)
	}
	return string(out)
}

// folder lists what REST says of a folder: subject, and what is special about it.
func folder(t *testing.T, g *gatewaytest.Gateway, name string) (list []string) {
	t.Helper()
	status, a := g.Do("GET", "/emails?limit=100&folder="+name, g.Keys.Account, nil)
	if status != 200 {
		t.Fatalf("folder %s: %d %v", name, status, a)
	}
	for i := range int(a.At("total").(float64)) {
		at := fmt.Sprintf("data.%d.", i)
		s := a.Str(at + "subject")
		if a.At(at+"is_read") == true {
			s += " read"
		}
		if a.At(at+"is_starred") == true {
			s += " starred"
		}
		list = append(list, s)
	}
	slices.Sort(list)
	return list
}

func TestImaplib(t *testing.T) {
	g := readers(t)
	script, err := filepath.Abs("testdata/clients/imaplib_reader.py")
	if err != nil {
		t.Fatal(err)
	}
	if out := program(t, g, t.TempDir(), "python3", script); out != "done\n" {
		t.Errorf("got %q", out)
	}
	for name, want := range map[string][]string{"INBOX": nil, "Archive": {"first read"}, "Trash": {"second starred"}, "Drafts": {"a draft"}} {
		if got := folder(t, g, name); !slices.Equal(got, want) {
			t.Errorf("%s holds %q, want %q", name, got, want)
		}
	}
}

func TestCurlIMAP(t *testing.T) {
	g := readers(t)
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "mail.txt"), []byte("Subject: from curl\r\n\r\nhi\r\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	base := []string{"-sS", "--cacert", filepath.Join(g.Data, "tls", "ca.pem"), "-u", gatewaytest.Account + ":" + g.Keys.Account}
	curl := func(args ...string) string { return program(t, g, dir, "curl", append(slices.Clone(base), args...)...) }
	imaps := "imaps://localhost:" + port(t, g, "imaps")
	if out := curl(imaps); !strings.Contains(out, `"INBOX"`) && !strings.Contains(out, " INBOX") || !strings.Contains(out, `\Sent`) {
		t.Errorf("the list: %q", out)
	}
	if out := curl(imaps + "/INBOX;UID=2"); !strings.Contains(out, "Subject: second\r\n") {
		t.Errorf("UID 2: %q", out)
	}
	if out := curl(imaps + "/INBOX;UID=1;SECTION=TEXT"); out != "hello\r\n" {
		t.Errorf("the text of UID 1: %q", out)
	}
	if out := curl(imaps+"/INBOX", "-X", "UID SEARCH SUBJECT second"); !strings.Contains(out, "* SEARCH 2") {
		t.Errorf("the search: %q", out)
	}
	curl("-T", "mail.txt", imaps+"/Drafts")
	curl("--ssl-reqd", "imap://localhost:"+port(t, g, "imap")+"/INBOX", "-X", `STORE 1 +FLAGS (\Flagged)`)
	if got := folder(t, g, "Drafts"); !slices.Equal(got, []string{"from curl"}) && !slices.Equal(got, []string{"from curl read"}) {
		t.Errorf("Drafts holds %q", got)
	}
	if got := folder(t, g, "INBOX"); !slices.Equal(got, []string{"first read starred", "second read"}) {
		t.Errorf("INBOX holds %q", got)
	}
}

// msmtp hands over what a program gives it, as sendmail does.
func TestMsmtp(t *testing.T) {
	r := newMailReader(t, "msmtp")
	r.write("rc", `account default
host localhost
port ${SUBMISSION}
auth on
user centerleap
password ${KEY}
from ${ACCOUNT}
tls on
tls_starttls on
tls_trust_file ${CA}
`)
	r.write("mail", "From: ${ACCOUNT}\nTo: ${ACCOUNT}\nSubject: from msmtp\n\nhi\n")
	r.run("sh", "-c", "msmtp -C rc -t < mail")
	gatewaytest.Eventually(t, "it arrives", func() bool { return r.find(gateway.Inbox, "from msmtp") != nil })
}
