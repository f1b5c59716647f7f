package plugins_test

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/centerleap/postern/gateway/gatewaytest"
)

// What was compiled is only run as it was written: a bit that a disk turns while the gateway
// runs costs that the module is compiled again.
func TestDamagedWhileRunning(t *testing.T) {
	dir := t.TempDir()
	c := start(t, gatewaytest.Setting("plugins.cache", dir), gatewaytest.Limit("plugin_modules", "1"))
	push := func(version string) string {
		status, a := c.upload("/plugins", map[string]string{
			"wasm": labeller("label-" + version), "manifest": fmt.Sprintf(`{"v":1,"name":"labeller","version":%q,"hooks":["inbound"]}`, version),
		})
		if status != 200 && status != 201 {
			t.Fatalf("version %s: %d %v", version, status, a)
		}
		return a.Str("id")
	}
	id := push("1")
	c.g.Do("PATCH", "/plugins/"+id, c.key, map[string]any{"status": "enabled"})
	file := onlyFile(t, dir)
	was, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	push("2") // the first one is no longer in memory
	turned := bytes.Clone(was)
	turned[bytes.IndexByte(turned, 'v')+10] ^= 1 // where the version ends, functions are counted and listed
	if err := os.WriteFile(file, turned, 0o600); err != nil {
		t.Fatal(err)
	}
	if status, a := c.g.Do("PATCH", "/plugins/"+id, c.key, map[string]any{"active_version": "1"}); status != 200 {
		t.Fatalf("back: %d %v", status, a)
	}
	code, text := c.arrive("x")
	c.want("it arrives", fmt.Sprint(code, text), "250")
	c.want("its label", c.folder(gatewaytest.Account, "INBOX"), "[x [label-1]]")
	if now, err := os.ReadFile(file); err != nil || !bytes.Equal(now, was) {
		t.Errorf("%v: the file is not as it was", err)
	}
}

// onlyFile is the only one of compiled code in a folder.
func onlyFile(t *testing.T, dir string) string {
	t.Helper()
	all, err := filepath.Glob(filepath.Join(dir, "wazero-*", strings.Repeat("?", 64)))
	if err != nil || len(all) != 1 {
		t.Fatalf("%v: there are the files %v", err, all)
	}
	return all[0]
}
