package main

import (
	"bytes"
	"os"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/centerleap/postern/gateway"
	"github.com/centerleap/postern/gateway/gatewaytest"
)

// neomutt is NeoMutt at a terminal that nobody sits at: its keys are in its
// configuration, its screen goes into a file.
type neomutt struct{ *mailReader }

const neomuttConfig = `set imap_user="${ACCOUNT}" imap_pass="${KEY}" from="${ACCOUNT}" realname="Bot"
set ssl_force_tls=yes ssl_verify_host=yes ssl_verify_dates=yes ssl_ca_certificates_file="${CA}"
set folder="imaps://localhost:${IMAPS}/" spoolfile="+INBOX" record="+Sent" postponed="+Drafts"
set imap_idle=yes imap_list_subscribed=no mail_check=1 timeout=1
set new_mail_command="echo %n > ${HOME}/arrived"
set smtp_url="smtp://centerleap@localhost:${SUBMISSION}/" smtp_pass="${KEY}" ssl_starttls=yes
set confirmappend=no confirmcreate=no delete=yes quit=yes editor="cp ${HOME}/body" abort_unmodified=no wait_key=no beep=no mbox_type=Maildir charset=utf-8
set header_cache="${HOME}/cache" message_cachedir="${HOME}/cache"
mailboxes +INBOX
`

func newNeomutt(t *testing.T) *neomutt {
	t.Helper()
	n := &neomutt{newMailReader(t, "neomutt")}
	_, err := os.Stat("/usr/bin/script")
	need(t, "script (.ci/setup installs it)", err)
	n.write("rc", neomuttConfig)
	n.mkdir("cache")
	return n
}

// keys has somebody start it, type keys, and leave it.
func (n *neomutt) keys(keys ...string) {
	n.Helper()
	cmd := n.command("script", "-qec", `neomutt -n -F rc -e 'push "`+strings.Join(keys, "")+`"'`, "/dev/null")
	var screen bytes.Buffer
	cmd.Stdout = &screen
	in, err := cmd.StdinPipe() // open for as long as it runs
	if err == nil {
		err = cmd.Start()
	}
	if err != nil {
		n.Fatal(err)
	}
	stuck := time.AfterFunc(patience, func() { _ = cmd.Process.Kill() })
	defer stuck.Stop()
	err = cmd.Wait()
	in.Close()
	if said := complaint.FindString(controls.ReplaceAllString(screen.String(), " ")); err != nil || said != "" {
		n.Fatalf("%v, %q\n%s", err, said, controls.ReplaceAllString(screen.String(), " "))
	}
}

// controls is what moves on a screen, and paints.
var controls = regexp.MustCompile(`\x1b\[[0-9;?]*[a-zA-Z]|\x1b[()][A-Z0-9]`)

func TestNeomutt(t *testing.T) {
	n := newNeomutt(t)
	n.receive(mailOf("first"), mailOf("second"), mailOf("third"))
	// Flags both ways, a mail deleted, one saved to a folder that is made for it, a copy near.
	n.patch(gateway.Inbox, "third", `{"is_starred":true}`)
	n.keys(
		"<tag-pattern>~s first<enter><tag-prefix><clear-flag>N<tag-prefix><set-flag>!<tag-prefix><set-flag>r<untag-pattern>~A<enter>",
		"<tag-pattern>~s third<enter><tag-prefix><save-message><kill-line>=Entwürfe/Ωμέγα<enter><untag-pattern>~A<enter>",
		"<delete-pattern>~s second<enter><sync-mailbox>",
		"<tag-pattern>~A<enter><tag-prefix><copy-message><kill-line>"+n.path("near")+"<enter><quit>",
	)
	sameCopies(t, "the copies near", maildirs(t, n.home, func(string) string { return gateway.Inbox }, nil), n.copies(gateway.Inbox, false))
	if e := n.find(gateway.Inbox, "first"); e == nil || !e.Read || !e.Starred {
		t.Errorf("the first is %+v", e)
	}
	if n.find(gateway.Inbox, "second") != nil || n.find(utf8Folder, "third") == nil {
		t.Errorf("the folders are %q", n.folderNames())
	}
	if got := n.tell(n.imap(gateway.Inbox), "UID SEARCH ANSWERED"); got[0] != "* SEARCH 1" {
		t.Errorf("answered: %q", got)
	}
}

// What neomutt sends arrives, and stands in Sent once, although both it and the gateway
// put it there.
func TestNeomuttSends(t *testing.T) {
	n := newNeomutt(t)
	n.write("body", "It works: grüße.\n")
	n.keys("<mail>" + gatewaytest.Account + "<enter>from neomutt<enter><send-message><quit>")
	gatewaytest.Eventually(t, "it arrives", func() bool { return n.find(gateway.Inbox, "from neomutt") != nil })
	if sent := n.emails(gateway.Sent); len(sent) != 1 || !sent[0].Read {
		t.Errorf("Sent holds %+v", sent)
	}
}

// A mail that arrives in IDLE is seen.
func TestNeomuttIdle(t *testing.T) {
	n := newNeomutt(t)
	n.receive(mailOf("first"))
	cmd := n.command("script", "-qefc", "neomutt -n -F rc", "screen")
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	gatewaytest.Eventually(t, "it shows what is there", func() bool {
		screen, err := os.ReadFile(n.path("screen"))
		return err == nil && bytes.Contains(screen, []byte("Msgs:1 "))
	})
	n.receive(mailOf("second"))
	gatewaytest.Eventually(t, "it sees new mail", func() bool { _, err := os.Stat(n.path("arrived")); return err == nil })
	if _, err := in.Write([]byte("x")); err != nil {
		t.Error(err)
	}
	if err := cmd.Wait(); err != nil {
		t.Error(err)
	}
}
