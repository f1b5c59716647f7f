package conformance

import (
	"cmp"
	"context"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/centerleap/postern/sdk/abi"
)

// block is what README.md beside an SDK has in its first block of a language.
func block(t *testing.T, readme, language string) string {
	t.Helper()
	_, rest, found := strings.Cut(readme, "```"+language+"\n")
	text, _, closed := strings.Cut(rest, "```")
	if !found || !closed {
		t.Fatalf("README.md has no block of %s", language)
	}
	return text
}

// filter is the one that README.md beside an SDK has, built as it says there, and its
// manifest. That of Go is in testdata: its package documentation has examples that run.
func (l *language) filter(t *testing.T) (wasm []byte, manifest string) {
	t.Helper()
	if l.sdk == "" {
		text, err := os.ReadFile("testdata/filter/manifest.json")
		if err == nil {
			wasm, err = l.built("testdata/filter")
		}
		if err != nil {
			t.Fatal(err)
		}
		return wasm, string(text)
	}
	text, err := os.ReadFile(filepath.Join(filepath.Dir(l.sdk), "README.md"))
	if err != nil {
		t.Fatal(err)
	}
	if command := l.command + " " + strings.Join(l.build, " "); !strings.Contains(string(text), "    "+command+"\n") {
		t.Errorf("README.md does not have the command\n%s", command)
	}
	l.need(t)
	wasm, err = l.compile([]byte(block(t, string(text), strings.TrimPrefix(filepath.Ext(l.source), "."))))
	if err != nil {
		t.Fatal(err)
	}
	return wasm, block(t, string(text), "json")
}

// The filter in each README is one: it does what it says, is small, and finds the memory
// that it needs when a call begins. How much work it is, is printed.
func TestReadme(t *testing.T) {
	for i := range languages {
		l := &languages[i]
		t.Run(l.name, func(t *testing.T) {
			wasm, _ := l.filter(t)
			if len(wasm) > l.most {
				t.Errorf("the filter has %d bytes, over %d", len(wasm), l.most)
			}
			m, err := engine.Compile(t.Context(), wasm)
			if err != nil {
				t.Fatal(err)
			}
			defer m.Close(context.Background())
			var memory int64
			for _, tt := range []struct{ name, dmarc, field, action, folder string }{
				{"usual", "pass", "X", abi.Accept, ""}, {"newsletter", "pass", "List-Unsubscribe", abi.Accept, "Newsletters"}, {"fraud", "fail", "X", abi.Quarantine, ""},
			} {
				h := newHost()
				h.event.Auth.DMARC, h.event.Headers = tt.dmarc, append(h.event.Headers, [2]string{tt.field, "1"})
				used, err := m.Call(t.Context(), nobody, abi.HookInbound, h)
				v, unread := h.decided()
				if err != nil || unread != nil || v.Action != tt.action || v.Folder != tt.folder {
					t.Errorf("%s: %v, %s", tt.name, err, h.verdict)
				}
				if memory = cmp.Or(memory, used.MemoryBytes); used.MemoryBytes != memory {
					t.Errorf("%s: memory grew to %d bytes, from %d", tt.name, used.MemoryBytes, memory)
				}
				t.Logf("%s: %d bytes, fuel %d, %d imports used", tt.name, len(wasm), used.Fuel, used.HostCalls)
			}
		})
	}
}

// Each SDK declares every import of the contract, and no other.
func TestImports(t *testing.T) {
	contract, err := os.ReadFile("../../sdk/abi/abi.go")
	if err != nil {
		t.Fatal(err)
	}
	var want []string
	for _, m := range regexp.MustCompile(`(?m)^//\t([a-z_]+)\([a-z0-9_, ]*\)(?: |$)`).FindAllStringSubmatch(string(contract), -1) {
		if !strings.HasPrefix(m[1], "postern_") && !strings.HasPrefix(m[1], "_") {
			want = append(want, m[1])
		}
	}
	slices.Sort(want)
	if len(want) < 18 {
		t.Fatalf("the contract has %q", want)
	}
	for file, form := range map[string]string{
		"../../sdk/host_wasip1.go":            `(?m)^//go:wasmimport postern_v1 ([a-z_]+)$`,
		"../../sdk/c/postern.h":               `(?m)^POSTERN_IMPORT\(([a-z_]+)\)`,
		"../../sdk/assemblyscript/postern.ts": `@external\("postern_v1", "([a-z_]+)"\)`, "../../sdk/rust/postern.rs": `(?m)(?:link_name = "([a-z_]+)"|^    fn ([a-z_]+)\()`,
	} {
		source, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		text := string(source)
		if begin := strings.Index(text, `extern "C" {`); begin >= 0 {
			text = text[begin : begin+strings.Index(text[begin:], "\n}\n")]
		}
		var got []string
		for _, m := range regexp.MustCompile(form).FindAllStringSubmatch(text, -1) {
			if name := strings.TrimPrefix(strings.Join(m[1:], ""), "host_"); !slices.Contains(got, name) {
				got = append(got, name)
			}
		}
		slices.Sort(got)
		if !slices.Equal(got, want) {
			t.Errorf("%s imports\n%q, the contract has\n%q", file, got, want)
		}
	}
}
