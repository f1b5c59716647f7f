package main

import (
	"bufio"
	"bytes"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/centerleap/postern/gateway"
	"github.com/centerleap/postern/gateway/gatewaytest"
)

// node runs a file of testdata/clients in Node.
func (r *mailReader) node(name string) string {
	r.Helper()
	return r.succeeds(r.nodeCommand(name))
}

// nodeCommand is a file of testdata/clients in Node, with the packages of .ci/node.
func (r *mailReader) nodeCommand(name string) *exec.Cmd {
	r.Helper()
	modules, err := filepath.Abs(filepath.Join(npmFolder, "node_modules"))
	if err != nil {
		r.Fatal(err)
	}
	_, err = os.Stat(filepath.Join(modules, "imapflow"))
	need(r.TB, "imapflow (.ci/setup installs it)", err)
	if err := os.Symlink(modules, r.path("node_modules")); err != nil {
		r.Fatal(err)
	}
	r.copyScript(name)
	return r.command("node", name)
}

func TestImapflow(t *testing.T) {
	r := newMailReader(t, "node")
	if status, a := r.do("PATCH", "/accounts/"+gatewaytest.Account, strings.NewReader(`{"quota_bytes":1073741824}`)); status != 200 {
		t.Fatal(status, a)
	}
	if out := r.node("imapflow.mjs"); out != "done\n" {
		t.Errorf("got %q", out)
	}
}

// imapflow learns from a gateway that was killed and started again what has changed
// since, and no more (RFC 7162).
func TestImapflowResumes(t *testing.T) {
	r := newMailReader(t, "node")
	r.receive(mailOf("first"), mailOf("second"), mailOf("third"))
	cmd := r.nodeCommand("imapflow_resume.mjs")
	var complaints bytes.Buffer
	cmd.Stderr = &complaints
	in, inErr := cmd.StdinPipe()
	out, outErr := cmd.StdoutPipe()
	if err := errors.Join(inErr, outErr, cmd.Start()); err != nil {
		t.Fatal(err)
	}
	said := bufio.NewScanner(out)
	if !said.Scan() || said.Text() != "ready" {
		t.Fatalf("%q: %s", said.Text(), complaints.String())
	}
	r.kill()
	r.start()
	r.patch(gateway.Inbox, "first", `{"is_starred":true}`)
	r.rest("DELETE", "/emails/"+r.find(gateway.Inbox, "second").ID, "", nil)
	r.receive(mailOf("fourth"))
	if _, err := in.Write([]byte("go on\n")); err != nil {
		t.Error(err)
	}
	said.Scan()
	if want := `{"gone":[2],"changed":[[1,"\\Flagged"],[4,""]]}`; said.Text() != want {
		t.Errorf("got %s, want %s", said.Text(), want)
	}
	if err := cmd.Wait(); err != nil {
		t.Errorf("%v\n%s", err, complaints.String())
	}
}
