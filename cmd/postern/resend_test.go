package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

// Resend's own library, unmodified, finds under /resend what it knows: every answer is
// held to its types.
func TestResendNode(t *testing.T) {
	modules, err := filepath.Abs(filepath.Join("..", "..", ".ci", "node", "node_modules"))
	if err == nil {
		_, err = os.Stat(filepath.Join(modules, "resend"))
	}
	need(t, "the npm package resend (.ci/setup installs it)", err)
	_, err = exec.LookPath("node")
	need(t, "node (.ci/setup installs it)", err)
	p := startBinary(t)
	cmd := exec.CommandContext(t.Context(), "node", "testdata/clients/resend.mjs")
	cmd.Env = append(os.Environ(), "NODE_MODULES="+modules, "POSTERN_REST="+p.banner.REST, "DOMAIN_KEY="+p.banner.Keys.Domain, "ADMIN_KEY="+p.banner.Keys.Admin)
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	t.Logf("%s", out)
}

// And so does the one for Go, which is a module of its own.
func TestResendGo(t *testing.T) {
	p := startBinary(t)
	program := filepath.Join(t.TempDir(), "resendgo")
	build := exec.CommandContext(t.Context(), "go", "build", "-o", program, ".")
	build.Dir = filepath.Join("testdata", "resendgo")
	if out, err := build.CombinedOutput(); err != nil {
		need(t, "resend-go (a module that has to be fetched once)", err)
		t.Logf("%s", out)
	}
	cmd := exec.CommandContext(t.Context(), program)
	cmd.Env = append(os.Environ(), "RESEND_BASE_URL="+p.banner.REST+"/resend/", "DOMAIN_KEY="+p.banner.Keys.Domain, "ADMIN_KEY="+p.banner.Keys.Admin)
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	t.Logf("%s", out)
}
