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

// isync brings a mailbox and a Maildir to the same state, both ways: new mail,
// flags, deletions.
func TestIsync(t *testing.T) {
	g := readers(t)
	dir := t.TempDir()
	config := fmt.Sprintf(`IMAPAccount postern
Host localhost
Port %s
User %s
Pass %s
SSLType IMAPS
CertificateFile %s

IMAPStore far
Account postern

MaildirStore near
Path %s/
Inbox %s/INBOX
SubFolders Verbatim

Channel all
Far :far:
Near :near:
Patterns INBOX Drafts Archive New
Create Both
Expunge Both
SyncState *
Sync All
`, port(t, g, "imaps"), gatewaytest.Account, g.Keys.Account, filepath.Join(g.Data, "tls", "ca.pem"), dir, dir)
	if err := os.WriteFile(filepath.Join(dir, "rc"), []byte(config), 0o600); err != nil {
		t.Fatal(err)
	}
	sync := func() { program(t, g, dir, "mbsync", "-c", "rc", "all") }
	files := func(box string) (all []string) {
		for _, sub := range []string{"cur", "new"} {
			list, err := filepath.Glob(filepath.Join(dir, box, sub, "*"))
			if err != nil {
				t.Fatal(err)
			}
			all = append(all, list...)
		}
		return all
	}
	sync()
	if n := len(files("INBOX")); n != 2 {
		t.Fatalf("%d files after the first sync, want 2", n)
	}
	// Near: one is read and flagged, one is deleted, one is new; there is a folder.
	for i, f := range files("INBOX") {
		base, _, _ := strings.Cut(filepath.Base(f), ":2,")
		raw, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		flags := ":2,FS"
		if strings.Contains(string(raw), "Subject: second") {
			flags = ":2,T"
		}
		if err := os.Rename(f, filepath.Join(dir, "INBOX", "cur", base+flags)); err != nil {
			t.Fatal(i, err)
		}
	}
	for _, sub := range []string{"cur", "new", "tmp"} {
		if err := os.MkdirAll(filepath.Join(dir, "New", sub), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.WriteFile(filepath.Join(dir, "New", "cur", "1.local:2,S"), []byte("Subject: written here\n\nhi\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	// Far, meanwhile: another arrives.
	arrive(t, g, "third")
	sync()
	sync() // a second one finds nothing to do
	for name, want := range map[string][]string{"INBOX": {"first read starred", "third"}, "New": {"written here read"}} {
		if got := folder(t, g, name); !slices.Equal(got, want) {
			t.Errorf("%s holds %q, want %q", name, got, want)
		}
	}
	if n := len(files("INBOX")); n != 2 {
		t.Errorf("%d files in the Maildir, want 2", n)
	}
	// Far again: a deletion and a move are seen near.
	if status, a := g.Do("PATCH", "/emails/3", g.Keys.Account, `{"folder":"Archive"}`); status != 200 {
		t.Fatalf("%d %v", status, a)
	}
	sync()
	if in, out := len(files("INBOX")), len(files("Archive")); in != 1 || out != 1 {
		t.Errorf("%d files in INBOX and %d in Archive, want 1 and 1", in, out)
	}
}
