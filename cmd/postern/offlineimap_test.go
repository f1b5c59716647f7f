package main

import (
	"bytes"
	"os"
	"strings"
	"testing"

	"github.com/centerleap/postern/gateway"
	"github.com/centerleap/postern/gateway/gatewaytest"
)

// offlineIMAP is OfflineIMAP with all folders in Maildirs under mail.
type offlineIMAP struct{ *mailReader }

const offlineConfig = `[general]
accounts = postern
metadata = ${HOME}/meta
ui = basic
fsync = false

[Account postern]
localrepository = near
remoterepository = far
utf8foldernames = yes

[Repository near]
type = Maildir
localfolders = ${HOME}/mail
customflag_a = $Todo
customflag_b = work

[Repository far]
type = IMAP
remotehost = localhost
remoteport = ${IMAPS}
remoteuser = ${ACCOUNT}
remotepass = ${KEY}
ssl = yes
sslcacertfile = ${CA}
`

func newOfflineIMAP(t *testing.T) *offlineIMAP {
	t.Helper()
	o := &offlineIMAP{newMailReader(t, "offlineimap")}
	o.write(".offlineimaprc", offlineConfig)
	return o
}

// sync takes one turn, and holds both sides to have the same then.
func (o *offlineIMAP) sync() {
	o.Helper()
	o.run("offlineimap", "-o", "-1")
	o.same()
}

func (o *offlineIMAP) same() {
	o.Helper()
	sameCopies(o.TB, "near", o.near(), o.shown(true))
}

func (o *offlineIMAP) near() []string {
	o.Helper()
	return maildirs(o.TB, o.path("mail"), func(path string) string { return strings.ReplaceAll(path, ".", "/") },
		map[rune]string{'a': "$Todo", 'b': "work"})
}

// OfflineIMAP brings a mailbox and Maildirs to the same state, both ways: new mail, flags,
// deletions, folders. Keywords it only brings near.
func TestOfflineIMAP(t *testing.T) {
	o := newOfflineIMAP(t)
	o.rest("POST", "/folders", `{"name":"`+utf8Folder+`"}`, nil)
	o.receive(mailOf("first"), mailOf("second"), mailOf("third"))
	o.patch(gateway.Inbox, "third", `{"folder":"`+utf8Folder+`","add_labels":["work"]}`)
	o.sync()
	// Near: one has all flags, one is deleted, one is new in a new folder.
	o.mark(o.file("INBOX", "first"), "FRS")
	if err := os.Remove(o.file("INBOX", "second")); err != nil {
		t.Fatal(err)
	}
	o.newMaildir("New")
	o.newMaildir("New.Über")
	o.write("mail/New.Über/cur/1.local:2,S", strings.ReplaceAll(mailOf("written here"), "\r\n", "\n"))
	// Far, meanwhile: another arrives, and one is starred and loses its keyword.
	o.receive(mailOf("fourth"))
	o.patch(utf8Folder, "third", `{"is_starred":true,"is_read":true,"add_labels":["$Todo"],"remove_labels":["work"]}`)
	o.sync()
	if e := o.find(gateway.Inbox, "first"); e == nil || !e.Read || !e.Starred {
		t.Errorf("the first is %+v", e)
	}
	if o.find(gateway.Inbox, "second") != nil || o.find("New/Über", "written here") == nil || o.find(gateway.Inbox, "fourth") == nil {
		t.Error("what was deleted is there, or what is new is not")
	}
	if got := o.tell(o.imap(gateway.Inbox), "UID SEARCH ANSWERED"); got[0] != "* SEARCH 1" {
		t.Errorf("answered: %q", got)
	}
	// Far again: a deletion, a move, flags that go.
	o.rest("DELETE", "/emails/"+o.find(gateway.Inbox, "fourth").ID+"?permanent=true", "", nil)
	o.patch("New/Über", "written here", `{"folder":"Archive"}`)
	o.patch(gateway.Inbox, "first", `{"is_starred":false,"is_read":false}`)
	o.patch(utf8Folder, "third", `{"remove_labels":["$Todo"]}`)
	o.sync()
	if out := o.run("offlineimap", "-o", "-1"); strings.Contains(out, "Copy") || strings.Contains(out, "Delet") || strings.Contains(out, "flag") {
		t.Errorf("there was nothing to do: %s", out)
	}
}

// The gateway is stopped in the middle of a first sync, and started again: the next one
// goes on, and nothing comes twice.
func TestOfflineIMAPRestart(t *testing.T) {
	o := newOfflineIMAP(t)
	var mails []string
	for i := range 300 {
		mails = append(mails, mailOf("number "+string(rune('a'+i%26))+strings.Repeat("x", i/26)))
	}
	o.receive(mails...)
	cmd := o.command("offlineimap", "-o", "-1")
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	gatewaytest.Eventually(t, "some mail is near", func() bool { return len(o.files("INBOX")) > 30 })
	o.stop()
	_ = cmd.Process.Kill() // it may wait for ever for a thread of its own that has failed
	_ = cmd.Wait()         // killed
	near := len(o.files("INBOX"))
	if near >= len(mails) {
		t.Errorf("the sync was over before the gateway was stopped: %s", out.String())
	}
	o.start()
	o.sync()
	t.Logf("%d were near when the gateway was stopped", near)
}
