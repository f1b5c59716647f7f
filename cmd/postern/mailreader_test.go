package main

import (
	"bytes"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/centerleap/postern/gateway/gatewaytest"
)

// mailReader is a program that people read their mail with, on a machine of its own: the
// home folder.
type mailReader struct {
	*process
	home string
}

// newMailReader starts a gateway for a reader, and skips the test without the program.
func newMailReader(t testing.TB, program string) *mailReader {
	t.Helper()
	_, err := exec.LookPath(program)
	need(t, program+" (.ci/setup installs it)", err)
	return &mailReader{startBinary(t), t.TempDir()}
}

// path is that of a file at home.
func (r *mailReader) path(name string) string { return filepath.Join(r.home, name) }

func (r *mailReader) mkdir(name string) {
	r.Helper()
	if err := os.MkdirAll(r.path(name), 0o700); err != nil {
		r.Fatal(err)
	}
}

// write puts a file there that holds no secret of others. In it, HOME, CA, ACCOUNT, KEY,
// IMAPS and SUBMISSION stand for what they are.
func (r *mailReader) write(name, text string) {
	r.Helper()
	text = strings.NewReplacer("${HOME}", r.home, "${CA}", r.banner.CA, "${ACCOUNT}", gatewaytest.Account, "${KEY}", r.banner.Keys.Account,
		"${IMAPS}", portOf(r, r.banner.IMAPS), "${SUBMISSION}", portOf(r, r.banner.Submission)).Replace(text)
	r.mkdir(filepath.Dir(name))
	if err := os.WriteFile(r.path(name), []byte(text), 0o600); err != nil {
		r.Fatal(err)
	}
}

func portOf(t testing.TB, addr string) string {
	t.Helper()
	_, port, err := net.SplitHostPort(addr)
	if err != nil {
		t.Fatal(err)
	}
	return port
}

// command is a program in this home.
func (r *mailReader) command(name string, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(r.Context(), name, args...)
	cmd.Dir = r.home
	cmd.Env = append(os.Environ(), "HOME="+r.home, "TERM=xterm", "LC_ALL=C.UTF-8", "ACCOUNT="+gatewaytest.Account,
		"KEY="+r.banner.Keys.Account, "CA="+r.banner.CA, "IMAPS="+portOf(r, r.banner.IMAPS))
	return cmd
}

// run runs a program that has to succeed and to complain about nothing.
func (r *mailReader) run(name string, args ...string) string {
	r.Helper()
	cmd := r.command(name, args...)
	var out, complaints bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &complaints
	err := cmd.Run()
	if said := complaint.FindString(out.String() + complaints.String()); err != nil || said != "" {
		r.Fatalf("%s %v: %v, %q\n%s\n%s", name, args, err, said, out.String(), complaints.String())
	}
	return out.String()
}

// complaint is how programs begin what they don't like.
var complaint = regexp.MustCompile(`(?im)^.*\b(warning|error|fail(ed|ure)?|traceback|unexpected|unknown)\b.*$`)
