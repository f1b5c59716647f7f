package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/centerleap/postern/gateway/gatewaytest"
)

// node runs a file of testdata/clients in Node, with the packages of .ci/node.
func (r *mailReader) node(name string) string {
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
	return r.run("node", name)
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
