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

// files are the mails in the Maildirs of a folder; a pattern stands for several.
func (r *mailReader) files(folder string) []string {
	r.Helper()
	list, err := filepath.Glob(r.path("mail/" + folder + "/[cn][ue][rw]/*"))
	if err != nil {
		r.Fatal(err)
	}
	return list
}

// file is the one in a folder that holds a subject.
func (r *mailReader) file(folder, subject string) string {
	r.Helper()
	for _, f := range r.files(folder) {
		if raw, err := os.ReadFile(f); err != nil {
			r.Fatal(err)
		} else if strings.Contains(string(raw), "Subject: "+subject+"\n") {
			return f
		}
	}
	r.Fatalf("%s has no file of %q", folder, subject)
	return ""
}

// mark gives a file its flags, as programs that read a Maildir do.
func (r *mailReader) mark(file, flags string) {
	r.Helper()
	base, _, _ := strings.Cut(filepath.Base(file), ":2,")
	if err := os.Rename(file, filepath.Join(filepath.Dir(filepath.Dir(file)), "cur", base+":2,"+flags)); err != nil {
		r.Fatal(err)
	}
}

// newMaildir makes an empty one.
func (r *mailReader) newMaildir(folder string) {
	r.Helper()
	for _, sub := range []string{"new", "tmp", "cur"} {
		r.mkdir("mail/" + folder + "/" + sub)
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
		"KEY="+r.banner.Keys.Account, "CA="+r.banner.CA, "REST="+r.banner.REST,
		"IMAPS="+portOf(r, r.banner.IMAPS), "IMAP="+portOf(r, r.banner.IMAP))
	return cmd
}

// run runs a program that has to succeed and to complain about nothing.
func (r *mailReader) run(name string, args ...string) string {
	r.Helper()
	return r.succeeds(r.command(name, args...))
}

func (r *mailReader) succeeds(cmd *exec.Cmd) string {
	r.Helper()
	var out, complaints bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &complaints
	err := cmd.Run()
	if said := complaint.FindString(out.String() + complaints.String()); err != nil || said != "" {
		r.Fatalf("%v: %v, %q\n%s\n%s", cmd.Args, err, said, out.String(), complaints.String())
	}
	return out.String()
}

// python runs a file of testdata/clients in Python.
func (r *mailReader) python(name string) string {
	r.Helper()
	r.copyScript(name)
	return r.run("python3", name)
}

func (r *mailReader) copyScript(name string) {
	r.Helper()
	text, err := os.ReadFile("testdata/clients/" + name)
	if err != nil {
		r.Fatal(err)
	}
	if err := os.WriteFile(r.path(name), text, 0o600); err != nil {
		r.Fatal(err)
	}
}

// complaint is how programs begin what they don't like.
var complaint = regexp.MustCompile(`(?im)^.*\b(warning|error|fail(ed|ure)?|traceback|unexpected|unknown)\b.*$`)
