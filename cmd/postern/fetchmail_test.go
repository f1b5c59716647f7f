package main

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"testing"

	"github.com/centerleap/postern/gateway"
)

const fetchmailConfig = `set invisible
poll localhost protocol imap port ${IMAPS} auth password
  user "${ACCOUNT}" there password "${KEY}"
  ssl sslcertck sslcertfile ${CA}
  no rewrite
  mda "cat > ${HOME}/mail/$$"
`

// aboutTheMachine is what fetchmail says of the one it runs on, whatever the server does.
var aboutTheMachine = regexp.MustCompile(`(?m)^fetchmail: (WARNING: Running as root is discouraged\.|Loaded OpenSSL library .*)\n`)

// fetch has fetchmail fetch what is new, and returns how it ended: 0 when there was
// mail, 1 when there was none.
func (r *mailReader) fetch(args ...string) int {
	r.Helper()
	cmd := r.command("fetchmail", append([]string{"-f", r.path("rc"), "--idfile", r.path("ids"), "--pidfile", r.path("pid"), "--nosyslog"}, args...)...)
	out, err := cmd.CombinedOutput()
	code := 0
	if exit, ok := errors.AsType[*exec.ExitError](err); ok {
		code = exit.ExitCode()
	}
	out = aboutTheMachine.ReplaceAll(out, nil)
	if said := complaint.Find(out); code > 1 || said != nil {
		r.Fatalf("fetchmail %v: %v, %q\n%s", args, err, said, out)
	}
	return code
}

// fetched is what fetchmail has handed on, as copies in the inbox.
func (r *mailReader) fetched() (all []string) {
	r.Helper()
	list, err := filepath.Glob(r.path("mail/*"))
	if err != nil {
		r.Fatal(err)
	}
	for _, f := range list {
		raw, err := os.ReadFile(f)
		if err != nil {
			r.Fatal(err)
		}
		all = append(all, copyOf(gateway.Inbox, raw, "read"))
	}
	slices.Sort(all)
	return all
}

// fetchmail hands on each mail once. It leaves them read where they are, or takes them away.
func TestFetchmail(t *testing.T) {
	r := newMailReader(t, "fetchmail")
	r.write("rc", fetchmailConfig)
	r.mkdir("mail")
	var mails []string
	for i := range 30 {
		mails = append(mails, mailOf(fmt.Sprintf("number %d", i)))
	}
	r.receive(mails...)
	if code := r.fetch("--keep"); code != 0 {
		t.Errorf("the first time: %d", code)
	}
	kept := r.shown(false)
	sameCopies(t, "fetched", r.fetched(), kept)
	if code := r.fetch("--keep"); code != 1 {
		t.Errorf("with nothing new: %d", code)
	}
	r.receive(mailOf("another"))
	if code := r.fetch("--keep"); code != 0 {
		t.Errorf("with one new: %d", code)
	}
	kept = r.shown(false)
	sameCopies(t, "fetched", r.fetched(), kept)
	if len(kept) != len(mails)+1 {
		t.Errorf("%d are kept", len(kept))
	}
	// Without keep it takes away all it has handed on.
	r.receive(mailOf("the last"))
	if code := r.fetch("--nokeep", "--fetchall", "--mda", "cat > "+r.path("last")); code != 0 {
		t.Errorf("without keep: %d", code)
	}
	if left := r.shown(false); len(left) != 0 {
		t.Errorf("left: %q", left)
	}
	if raw, err := os.ReadFile(r.path("last")); err != nil || !bytes.Contains(raw, []byte("Subject: the last\n")) {
		t.Errorf("%q, %v", raw, err)
	}
}
