package main

import (
	"bytes"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/centerleap/postern/gateway"
	"github.com/centerleap/postern/gateway/gatewaytest"
)

// isync is mbsync with all folders in Maildirs under mail.
type isync struct{ *mailReader }

const isyncConfig = `FSync no

IMAPAccount postern
Host localhost
Port ${IMAPS}
User ${ACCOUNT}
Pass ${KEY}
SSLType IMAPS
CertificateFile ${CA}

IMAPStore far
Account postern

MaildirStore near
Path ${HOME}/mail/
Inbox ${HOME}/mail/INBOX
SubFolders Verbatim

Channel all
Far :far:
Near :near:
Patterns *
Create Both
Remove Both
Expunge Both
SyncState ${HOME}/state/
Sync All
`

func newIsync(t *testing.T) *isync {
	t.Helper()
	s := &isync{newMailReader(t, "mbsync")}
	s.write(".mbsyncrc", isyncConfig)
	s.mkdir("mail")
	s.mkdir("state")
	return s
}

// sync takes one turn, and holds both sides to have the same then.
func (s *isync) sync() {
	s.Helper()
	s.run("mbsync", "all")
	s.same()
}

func (s *isync) same() {
	s.Helper()
	sameCopies(s.TB, "near", s.near(), s.shown(false))
}

func (s *isync) near() []string {
	s.Helper()
	return maildirs(s.TB, s.path("mail"), s.folderOf, nil)
}

// folderOf is the folder of a path: isync leaves names as IMAP writes them.
func (s *isync) folderOf(path string) string {
	if path == filepath.Dir(utf7Folder) || path == utf7Folder {
		return strings.Replace(path, utf7Folder, utf8Folder, 1)
	}
	return path
}

// utf7Folder is utf8Folder as IMAP writes it, RFC 3501 section 5.1.3.
const (
	utf8Folder = "Entwürfe/Ωμέγα"
	utf7Folder = "Entw&APw-rfe/&A6kDvAOtA7MDsQ-"
)

// isync brings a mailbox and Maildirs to the same state, both ways: new mail, flags,
// deletions, folders.
func TestIsync(t *testing.T) {
	s := newIsync(t)
	s.rest("POST", "/folders", `{"name":"`+utf8Folder+`"}`, nil)
	s.receive(mailOf("first"), mailOf("second"), mailOf("third"))
	s.patch(gateway.Inbox, "third", `{"folder":"`+utf8Folder+`"}`)
	s.sync()
	if n := len(s.files(utf7Folder)); n != 1 {
		t.Errorf("%d files in %s", n, utf7Folder)
	}
	// Near: one is read, flagged and answered, one is deleted, one is new in a new folder.
	s.mark(s.file("INBOX", "first"), "FRS")
	s.mark(s.file("INBOX", "second"), "T")
	s.newMaildir("New")
	s.write("mail/New/cur/1.local:2,S", strings.ReplaceAll(mailOf("written here"), "\r\n", "\n"))
	// Far, meanwhile: another arrives, and one is starred.
	s.receive(mailOf("fourth"))
	s.patch(utf8Folder, "third", `{"is_starred":true,"is_read":true}`)
	s.sync()
	if e := s.find(gateway.Inbox, "first"); e == nil || !e.Read || !e.Starred {
		t.Errorf("the first is %+v", e)
	}
	if s.find(gateway.Inbox, "second") != nil || s.find("New", "written here") == nil || s.find(gateway.Inbox, "fourth") == nil {
		t.Error("what was deleted is there, or what is new is not")
	}
	if got := s.tell(s.imap(gateway.Inbox), "UID SEARCH ANSWERED"); got[0] != "* SEARCH 1" {
		t.Errorf("answered: %q", got)
	}
	s.sync() // finds nothing to do
	// Far again: a deletion, a move, flags that go, a folder that goes when it is empty.
	s.rest("DELETE", "/emails/"+s.find(gateway.Inbox, "fourth").ID+"?permanent=true", "", nil)
	s.patch("New", "written here", `{"folder":"Archive"}`)
	s.patch(gateway.Inbox, "first", `{"is_starred":false,"is_read":false}`)
	s.sync()
	s.rest("DELETE", "/folders/New", "", nil)
	s.sync()
	if _, err := os.Stat(s.path("mail/New")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the folder that went is near: %v", err)
	}
}

// A folder that gets another name far is a new one near, and isync leaves the old to its
// owner while something is in it. An empty one that goes near goes far.
func TestIsyncRename(t *testing.T) {
	s := newIsync(t)
	r := s.imap(gateway.Inbox)
	s.tell(r, "CREATE Projects")
	s.tell(r, "CREATE Projects/One")
	s.tell(r, "CREATE Empty")
	s.receive(mailOf("first"))
	s.patch(gateway.Inbox, "first", `{"folder":"Projects/One"}`)
	s.sync()
	s.tell(r, "RENAME Projects Work")
	out, err := s.command("mbsync", "all").CombinedOutput()
	if err != nil || !strings.Contains(string(out), "far side box Projects/One cannot be opened and near side box Projects/One is not empty") {
		t.Errorf("%v %s", err, out)
	}
	if err := errors.Join(os.RemoveAll(s.path("mail/Projects")), os.RemoveAll(s.path("mail/Empty/cur"))); err != nil {
		t.Fatal(err)
	}
	s.sync()
	s.sync()
	if names := s.folderNames(); slices.Contains(names, "Empty") || slices.Contains(names, "Projects/One") || !slices.Contains(names, "Work/One") {
		t.Errorf("the folders are %q", names)
	}
	if s.find("Work/One", "first") == nil || len(s.files("Work/One")) != 1 {
		t.Error("the mail did not come along")
	}
}

// A first sync of many, in which the gateway is killed and started again: the next one
// goes on, nothing comes twice and nothing is lost. The same when all is restored from a
// backup: every UIDVALIDITY is another, and isync finds out that the mail is not.
func TestIsyncMany(t *testing.T) {
	s := newIsync(t)
	s.receiveMany()
	before := s.folders()
	cmd := s.command("mbsync", "all")
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	gatewaytest.Eventually(t, "some mail is near", func() bool { return len(s.files("INBOX")) > many/10 })
	s.kill()
	if err := cmd.Wait(); err == nil {
		t.Errorf("the sync was over before the gateway was killed: %s", out.String())
	}
	near := len(s.files("INBOX"))
	s.start()
	// What was on its way is fetched again, and isync says so.
	if resumed, err := s.command("mbsync", "all").CombinedOutput(); err != nil {
		t.Errorf("%v: %s", err, resumed)
	}
	s.same()
	t.Logf("%d were near when the gateway was killed", near)
	if near >= many || len(s.files("INBOX")) != many {
		t.Errorf("%d near before, %d after, want %d", near, len(s.files("INBOX")), many)
	}
	s.restored()
	for i, after := range s.folders() {
		if was := before[i]; after.Name != was.Name || after.UIDNext != was.UIDNext || after.UIDValidity <= was.UIDValidity {
			t.Errorf("the folder is %+v, and was %+v", after, was)
		}
	}
	all := s.files("INBOX")
	s.run("mbsync", "all")
	if !slices.Equal(all, s.files("INBOX")) {
		t.Error("after the restore the files near are others")
	}
}

// restored makes a backup and goes on with what is restored from it.
func (p *process) restored() {
	p.Helper()
	file, bin := filepath.Join(p.TempDir(), "backup"), binary(p.TB)
	backup := exec.Command(bin, "backup", "create", file)
	backup.Env = append(os.Environ(), "POSTERN_URL="+p.banner.REST, "POSTERN_KEY="+p.banner.Keys.Admin)
	made := finish(backup)
	p.stop()
	if err := errors.Join(made, finish(exec.Command(bin, "backup", "restore", file, "--data", p.data+"2"))); err != nil {
		p.Fatal(err)
	}
	p.data += "2"
	p.start()
}
