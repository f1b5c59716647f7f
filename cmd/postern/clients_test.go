package main

import (
	"net"
	"slices"
	"strings"
	"testing"

	"github.com/centerleap/postern/gateway"
	"github.com/centerleap/postern/gateway/gatewaytest"
)

func port(t *testing.T, g *gatewaytest.Gateway, door string) string {
	t.Helper()
	_, p, err := net.SplitHostPort(g.Addr(door))
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// holds is what REST says of a folder: subject, and what is special about it.
func (p *process) holds(folder string) (list []string) {
	p.Helper()
	for _, e := range p.emails(folder) {
		list = append(list, strings.Join(append([]string{e.Subject}, e.flags(false)...), " "))
	}
	slices.Sort(list)
	return list
}

func TestImaplib(t *testing.T) {
	r := newMailReader(t, "python3")
	r.receive(mailOf("first"), mailOf("second"))
	if out := r.python("imaplib_reader.py"); out != "done\n" {
		t.Errorf("got %q", out)
	}
	for name, want := range map[string][]string{"INBOX": nil, "Archive": {"first read"}, "Trash": {"second starred"}, "Drafts": {"a draft"}} {
		if got := r.holds(name); !slices.Equal(got, want) {
			t.Errorf("%s holds %q, want %q", name, got, want)
		}
	}
}

func TestCurlIMAP(t *testing.T) {
	r := newMailReader(t, "curl")
	r.receive(mailOf("first"), mailOf("second"))
	r.write("mail.txt", "Subject: from curl\r\n\r\nhi\r\n")
	curl := func(args ...string) string {
		return r.run("curl", append([]string{"-sS", "--cacert", r.banner.CA, "-u", r.banner.Account + ":" + r.banner.Keys.Account}, args...)...)
	}
	imaps := "imaps://localhost:" + portOf(t, r.banner.IMAPS)
	if out := curl(imaps); !strings.Contains(out, " INBOX") || !strings.Contains(out, `\Sent`) {
		t.Errorf("the list: %q", out)
	}
	if out := curl(imaps + "/INBOX;UID=2"); out != string(r.raw(gateway.Inbox, r.find(gateway.Inbox, "second"))) {
		t.Errorf("UID 2: %q", out)
	}
	if out := curl(imaps + "/INBOX;UID=1;SECTION=TEXT"); out != "This is first.\r\n" {
		t.Errorf("the text of UID 1: %q", out)
	}
	if out := curl(imaps+"/INBOX", "-X", "UID SEARCH SUBJECT second"); !strings.Contains(out, "* SEARCH 2") {
		t.Errorf("the search: %q", out)
	}
	if out := curl(imaps + "/INBOX?TEXT%20second"); !strings.Contains(out, "* SEARCH 2") {
		t.Errorf("the search in a URL: %q", out)
	}
	curl("-T", "mail.txt", imaps+"/Drafts")
	if got := string(r.raw(gateway.Drafts, r.find(gateway.Drafts, "from curl"))); got != "Subject: from curl\r\n\r\nhi\r\n" {
		t.Errorf("the upload: %q", got)
	}
	curl("--ssl-reqd", "imap://localhost:"+portOf(t, r.banner.IMAP)+"/INBOX", "-X", `STORE 1 +FLAGS (\Flagged)`)
	if got := r.holds("INBOX"); !slices.Equal(got, []string{"first read starred", "second read"}) {
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
