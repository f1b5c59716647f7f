package main

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/centerleap/postern"
	"github.com/centerleap/postern/gateway"
	"github.com/centerleap/postern/plugins/plugintest"
)

// The plugin that a newcomer gets does what it says about the mail that lies beside it, at
// each hook and in each language. Those in Go have tests of their own, which say so.
func TestNewPlugins(t *testing.T) {
	npm, err := filepath.Abs(filepath.Join(npmFolder, "node_modules", ".bin"))
	if err != nil {
		t.Fatal(err)
	}
	t.Setenv("PATH", os.Getenv("PATH")+string(os.PathListSeparator)+npm)
	t.Chdir(t.TempDir())
	for i := range languages {
		l := &languages[i]
		for hook, want := range map[string]string{
			"inbound": `"folder":"Newsletters","labels":["bulk"]`, "outbound": `"action":"deny","code":null,"text":"a mail needs a subject"`,
			"thread": `"op":"new"`, "event": `"labels":["urgent"],"unlabel":[],"flags":["\\Flagged"]`, "tick": `"text":"turn 1"`,
		} {
			name := l.name + "-" + hook
			t.Run(name, func(t *testing.T) {
				if l.tool(".") == "" {
					if os.Getenv("CI") == "true" {
						t.Fatalf("nothing here builds plugins in %s: .ci/setup installs %s", l.name, l.needs)
					}
					t.Skipf("nothing here builds plugins in %s: .ci/setup installs %s", l.name, l.needs)
				}
				if err := makePlugin(name, l, hook); err != nil {
					t.Fatal(err)
				}
				if l.name == "go" {
					goTest(t, name)
					return
				}
				if got := verdictOfFolder(t, l, name, hook); !strings.Contains(got, want) {
					t.Errorf("%s, want %s", got, want)
				}
			})
		}
	}
}

// goTest runs what the author of a plugin in Go would run, with nothing to fetch from.
func goTest(t *testing.T, dir string) {
	t.Helper()
	cmd := exec.Command("go", "test", "./...")
	cmd.Dir, cmd.Env = dir, append(os.Environ(), "GOPROXY=off", "GOFLAGS=", "GOWORK=off")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("go test: %v\n%s", err, out)
	}
	if err := languages[0].compile(t.Context(), dir, filepath.Join(t.TempDir(), moduleFile)); err != nil {
		t.Error(err)
	}
}

// verdictOfFolder builds a plugin and asks it about the mail beside it.
func verdictOfFolder(t *testing.T, l *language, dir, hook string) string {
	t.Helper()
	out := filepath.Join(t.TempDir(), moduleFile)
	if err := l.compile(t.Context(), dir, out); err != nil {
		t.Fatal(err)
	}
	read := func(name string) []byte {
		b, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	wasm, err := plugintest.Pack(read(out), read(filepath.Join(dir, "manifest.json")))
	if err != nil {
		t.Fatal(err)
	}
	lim := gateway.DefaultLimits()
	lim.PluginMillis, lim.PluginMessageMillis, lim.PluginCompileSeconds = 20_000, 60_000, 60 // a busy machine changes no verdict
	p, err := plugintest.Open(t.Context(), wasm, plugintest.Config{Limits: &lim})
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	mail := ""
	if hook != string(gateway.HookTick) {
		mail = string(read(filepath.Join(dir, "mail.eml")))
	}
	said, err := askHere(t.Context(), p, gateway.PluginTrial{Hook: gateway.Hook(hook)}, mail)
	if err != nil || !json.Valid(said.raw) {
		t.Fatal(err)
	}
	return string(said.raw)
}

// A new plugin's SDK is the one in this source, whole but for its tests.
func TestNewPluginHasSDK(t *testing.T) {
	for i := range languages {
		l := &languages[i]
		files, err := filesOf("x", l, "inbound")
		if err != nil {
			t.Fatal(err)
		}
		if l.sdk == "" {
			for _, folder := range []string{"", "abi/", "sdktest/"} {
				entries, err := postern.SDKs.ReadDir(strings.TrimSuffix("sdk/"+folder, "/"))
				if err != nil {
					t.Fatal(err)
				}
				for _, e := range entries {
					name := "postern/sdk/" + folder + e.Name()
					test := strings.HasSuffix(name, "_test.go")
					if _, there := files[name]; there == test && strings.HasSuffix(name, ".go") {
						t.Errorf("%s: in the folder: %v, a test: %v", name, there, test)
					}
				}
			}
			continue
		}
		want, err := os.ReadFile("../../sdk/" + l.sdk)
		if err != nil {
			t.Fatal(err)
		}
		if string(files[filepath.Base(l.sdk)]) != string(want) {
			t.Errorf("%s: not the SDK's file", l.name)
		}
	}
}
