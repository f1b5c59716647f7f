package store_test

import (
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"slices"
	"testing"

	"github.com/centerleap/postern/gateway"
)

// A version whose author called it like the digest of other code is not taken for that
// code: each digest has its own body, which other tenants that have it rely on.
func TestVersionNamedLikeDigest(t *testing.T) {
	w := newWorld(t)
	sc := inside(w.ours.ID)
	p := w.install("filter", "code 1", nil)
	push := func(code, version string) *gateway.Plugin {
		t.Helper()
		ref, done := w.blob(w.ours.ID, code)
		defer done()
		got, err := w.UpdatePlugin(w.ctx(), sc, p.ID, gateway.PluginVersion{Version: version, SHA256: digest(code), Code: ref}, false)
		w.ok(err)
		return got
	}
	honest := digest("code 3")
	named := push("code 2", hex.EncodeToString(honest[:]))
	if v, err := named.Find(named.Version); err == nil {
		t.Errorf("a digest finds %+v, which is called so", v)
	}
	for _, v := range push("code 3", "3").Versions() {
		r, err := w.OpenBlob(w.ctx(), sc, v.Code, 0, -1)
		w.ok(err)
		code, err := io.ReadAll(r)
		w.ok(errors.Join(err, r.Close()))
		if digest(string(code)) != v.SHA256 {
			t.Errorf("version %.8q is %x, its body %q", v.Version, v.SHA256, code)
		}
	}
}

// A list that names a thing a thousand times keeps it once: each mail reads the record.
func TestPluginListsNameOnce(t *testing.T) {
	w := newWorld(t)
	sc := inside(w.ours.ID)
	many := slices.Repeat([]string{"kv", "raw"}, 1000)
	hooks := slices.Repeat([]gateway.Hook{gateway.HookThread, gateway.HookInbound}, 1000)
	code := func(text string) gateway.PluginVersion {
		ref, done := w.blob(w.ours.ID, text)
		t.Cleanup(done)
		return gateway.PluginVersion{SHA256: digest(text), Code: ref, Hooks: hooks, Asks: many, Grants: many}
	}
	n := gateway.Plugin{ID: newID(), Domain: w.ours.ID, Name: "filter"}
	n.Use(code("code 1"))
	installed, _, err := w.InstallPlugin(w.ctx(), sc, &n, true)
	w.ok(err)
	replaced, err := w.UpdatePlugin(w.ctx(), sc, n.ID, code("code 2"), true)
	w.ok(err)
	granted, err := w.ChangePlugin(w.ctx(), sc, n.ID, gateway.PluginChange{Grants: &many})
	w.ok(err)
	stored, err := w.Plugin(w.ctx(), sc, n.ID)
	w.ok(err)
	for what, p := range map[string]*gateway.Plugin{"installed": &installed, "replaced": replaced, "granted": granted, "stored": stored} {
		for _, v := range p.Versions() {
			if got := fmt.Sprint(v.Hooks, v.Asks, v.Grants); got != "[thread inbound] [kv raw] [kv raw]" {
				t.Errorf("%s: %.100s", what, got)
			}
		}
	}
}
