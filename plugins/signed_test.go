package plugins_test

import (
	"bytes"
	"crypto/ed25519"
	"encoding/base64"
	"net/http"
	"strings"
	"testing"

	"github.com/centerleap/postern/gateway/gatewaytest"
	"github.com/centerleap/postern/plugins/hostile"
	"github.com/centerleap/postern/plugins/sandbox"
)

// signingKey is one of some keys that are the same in every run.
func signingKey(seed byte) (ed25519.PrivateKey, string) {
	key := ed25519.NewKeyFromSeed(bytes.Repeat([]byte{seed}, ed25519.SeedSize))
	return key, base64.StdEncoding.EncodeToString(key[ed25519.SeedSize:])
}

// signed is a module with its manifest, signed by the key of a seed; 0 is nobody's.
func signed(t *testing.T, seed byte, wasm []byte) string {
	t.Helper()
	wasm, err := sandbox.WithManifest(wasm, []byte(`{"v":1,"name":"signed","version":"1","hooks":["inbound"]}`))
	if err == nil && seed != 0 {
		key, _ := signingKey(seed)
		wasm, err = sandbox.Sign(wasm, key)
	}
	if err != nil {
		t.Fatal(err)
	}
	return string(wasm)
}

// replace gives a plugin new code, and returns the status.
func (c *tenant) replace(path, wasm string) int {
	c.Helper()
	req, err := http.NewRequest("PUT", c.g.URL+path, strings.NewReader(wasm))
	if err != nil {
		c.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/wasm")
	req.Header.Set("Authorization", "Bearer "+c.key)
	resp, err := http.DefaultTransport.RoundTrip(req)
	if err != nil {
		c.Fatal(err)
	}
	defer resp.Body.Close()
	return resp.StatusCode
}

// Where keys are trusted, what none of them signed is refused at every door to the mail
// path, from the operator, too, and says why.
func TestSigners(t *testing.T) {
	_, first := signingKey(1)
	_, second := signingKey(2)
	_, other := signingKey(3)
	c := start(t, gatewaytest.Setting("plugins.signers", first+", "+second))
	module := hostile.Obedient("inbound")
	good := signed(t, 1, module)
	bare := signed(t, 0, module)
	section := good[len(bare):]
	for _, tt := range []struct{ name, wasm, manifest, says string }{
		{"unsigned", bare, "", "is not signed"},
		{"another's key", signed(t, 3, module), "", "signed by " + other},
		{"tampered code", strings.Replace(good, "inbound", "inboune", 1), "", "does not fit"},
		{"tampered manifest", strings.Replace(good, `"version":"1"`, `"version":"2"`, 1), "", "does not fit"},
		{"a manifest beside it", good, `{"v":1,"name":"signed","hooks":["inbound"]}`, "not the last one"},
		{"moved to the front", bare[:8] + section + bare[8:], "", "not the last one"},
		{"moved to another", signed(t, 0, hostile.Obedient("inbound", "outbound")) + section, "", "does not fit"},
		{"two signatures", good + section, "", "two sections"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			parts := map[string]string{"wasm": tt.wasm}
			if tt.manifest != "" {
				parts["manifest"] = tt.manifest
			}
			for who, key := range map[string]string{"tenant": c.g.Keys.Domain, "operator": c.g.Keys.Admin} {
				u := &tenant{t, c.g, key}
				if status, a := u.upload("/plugins?domain="+gatewaytest.Domain, parts); status != 422 || a.Str("errors.0.path") != "wasm" || !strings.Contains(a.Str("message"), tt.says) {
					t.Errorf("%s: %d %v, want %q", who, status, a, tt.says)
				}
			}
		})
	}
	status, a := c.upload("/plugins", map[string]string{"wasm": good})
	if status != 201 || a.Str("signed_by") != first {
		t.Fatalf("%d %v", status, a)
	}
	path := "/plugins/" + a.Str("id")
	if status := c.replace(path+"/code", bare); status != 422 {
		t.Errorf("unsigned code for it: %d", status)
	}
	if status := c.replace(path+"/code", good); status != 200 {
		t.Errorf("signed code for it: %d", status)
	}
	if status, a := c.upload("/plugins", map[string]string{"wasm": signed(t, 2, module)}); status != 200 || a.Str("signed_by") != second {
		t.Errorf("by the other key: %d %v", status, a)
	}
	if status, a := c.g.Do("PATCH", path, c.key, map[string]any{"active_version": a.Str("sha256")}); status != 200 || a.Str("signed_by") != first {
		t.Errorf("gone back: %d %v", status, a)
	}
	if status, a := c.g.Do("GET", path, c.key, nil); status != 200 || a.Str("signed_by") != first {
		t.Errorf("%d %v", status, a)
	}
}

// Where none is, a module may be unsigned, but not signed badly.
func TestNoSigners(t *testing.T) {
	c := start(t)
	module := hostile.Obedient("inbound")
	_, other := signingKey(3)
	status, a := c.upload("/plugins", map[string]string{"wasm": signed(t, 0, module)})
	if status != 201 || a.At("signed_by") != nil {
		t.Errorf("%d %v", status, a)
	}
	if status, a = c.upload("/plugins", map[string]string{"wasm": signed(t, 3, module)}); status != 200 || a.Str("signed_by") != other {
		t.Errorf("%d %v", status, a)
	}
	bad := strings.Replace(signed(t, 3, module), `"version":"1"`, `"version":"2"`, 1)
	if status, a = c.upload("/plugins", map[string]string{"wasm": bad}); status != 422 || a.Str("errors.0.path") != "wasm" {
		t.Errorf("%d %v", status, a)
	}
}
