package sandbox

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"

	"github.com/centerleap/postern/plugins/sandbox/rewrite"
)

// A module that was rewritten before is what it was, unless its file is damaged or
// something else is asked of modules; and files do not come together without end.
func TestRewritten(t *testing.T) {
	dir, wasm := t.TempDir(), hook(bump, drop, konst(0)).global().bytes()
	keeper := func(functions int64) (*rewritten, *rewrite.Config) {
		lim := testLimits()
		lim.Functions = functions
		e := engineOf(t, Config{Limits: lim, CacheDir: dir})
		return e.rewritten, &e.rewrite
	}
	r, cfg := keeper(100)
	want, info, err := rewrite.Module(wasm, cfg)
	if err != nil {
		t.Fatal(err)
	}
	files := func() []string {
		t.Helper()
		all, err := filepath.Glob(filepath.Join(r.dir, "*"))
		if err != nil {
			t.Fatal(err)
		}
		return all
	}
	same := func(what string) {
		t.Helper()
		code, got, err := r.module(wasm, cfg)
		if err != nil || !bytes.Equal(code, want) || len(got.Globals) != len(info.Globals) || got.Exports[0] != info.Exports[0] || got.MaxBytes != info.MaxBytes {
			t.Errorf("%s: %v: %d bytes and %+v, want %d and %+v", what, err, len(code), got, len(want), info)
		}
		if len(files()) != 1 {
			t.Errorf("%s: there are the files %v", what, files())
		}
	}
	same("at first")
	file := files()[0]
	content, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	for what, damaged := range map[string][]byte{
		"again": content, "turned": append(bytes.Clone(content[:60]), append([]byte{content[60] ^ 1}, content[61:]...)...),
		"cut": content[:len(content)-1], "of nothing": {}, "of a head": make([]byte, headBytes),
	} {
		if err := os.WriteFile(file, damaged, 0o600); err != nil {
			t.Fatal(err)
		}
		same(what)
		if now, err := os.ReadFile(file); err != nil || !bytes.Equal(now, content) {
			t.Errorf("%s: %v: the file is not as it was", what, err)
		}
	}
	other, stricter := keeper(50)
	if _, _, err := other.module(wasm, stricter); err != nil || len(files()) != 2 {
		t.Errorf("held to something else: %v, %v", err, files())
	}
	r.most = 1
	if _, _, err := r.module(append(wasm, sectionOf(rewrite.SectionCustom, name("x"))...), cfg); err != nil || len(files()) != 1 {
		t.Errorf("a third: %v, %v", err, files())
	}
	r.most, r.bytes = 10, int64(len(content))*5/2
	for i := range 4 {
		if _, _, err := r.module(append(wasm, sectionOf(rewrite.SectionCustom, name(string(rune('a'+i))))...), cfg); err != nil || len(files()) != min(i+2, 2) {
			t.Errorf("another %d: %v, %v", i, err, files())
		}
	}
}
