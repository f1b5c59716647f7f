package rest_test

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"io"
	"mime/multipart"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/centerleap/postern/gateway/gatewaytest"
)

// puppet is the module of plugins/testdata/puppet, which does what a subject says;
// built once.
var puppet = sync.OnceValues(func() ([]byte, error) { return built("") })

// strictPuppet quarantines what is to be labelled.
var strictPuppet = sync.OnceValues(func() ([]byte, error) { return built("label") })

// built is the puppet, strict about a word.
func built(strict string) ([]byte, error) {
	dir, err := os.MkdirTemp("", "puppet")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)
	out := filepath.Join(dir, "puppet.wasm")
	build := exec.Command("go", "build", "-buildmode=c-shared", "-ldflags=-s -w -X main.strict="+strict, "-o", out, "../../plugins/testdata/puppet")
	build.Env = append(os.Environ(), "GOOS=wasip1", "GOARCH=wasm", "GOFLAGS=")
	if text, err := build.CombinedOutput(); err != nil {
		return nil, fmt.Errorf("%w: %s", err, text)
	}
	return os.ReadFile(out)
}

// withPlugins gives plugins time enough on a busy machine.
func withPlugins() []gatewaytest.Option {
	return []gatewaytest.Option{gatewaytest.Limit("plugin_millis", "20000"), gatewaytest.Limit("plugin_message_millis", "60000"), gatewaytest.Limit("plugin_compile_seconds", "120"), gatewaytest.Setting("plugins.cache", compiled)}
}

// module is a form with the puppet under a name, and its Content-Type.
func module(t testing.TB, name string) (form, contentType string) {
	t.Helper()
	wasm, err := puppet()
	if err != nil {
		t.Fatal(err)
	}
	return formOf(map[string]string{
		"wasm": string(wasm), "manifest": fmt.Sprintf(`{"v":1,"name":%q,"version":"1","hooks":["outbound"]}`, name),
	})
}

// withManifest is the puppet with a manifest in it, as an author's build makes it.
func withManifest(t testing.TB, manifest string) string { return manifestIn(t, puppet, manifest) }

func manifestIn(t testing.TB, build func() ([]byte, error), manifest string) string {
	t.Helper()
	wasm, err := build()
	if err != nil {
		t.Fatal(err)
	}
	const name = "postern.manifest"
	section := append(binary.AppendUvarint(nil, uint64(len(name))), name+manifest...)
	return string(wasm) + "\x00" + string(binary.AppendUvarint(nil, uint64(len(section)))) + string(section)
}

// formOf writes a form.
func formOf(parts map[string]string) (form, contentType string) {
	var body bytes.Buffer
	w := multipart.NewWriter(&body)
	for name, v := range parts {
		part, err := w.CreateFormFile(name, name)
		if err != nil {
			panic(err) // a buffer takes everything
		}
		_, _ = io.WriteString(part, v)
	}
	w.Close()
	return body.String(), w.FormDataContentType()
}

// install installs the puppet under a name and returns its id.
func (c *client) install(key, name string) string {
	c.Helper()
	form, contentType := module(c.T, name)
	resp, raw := c.ask("POST", "/plugins", key, form, "Content-Type", contentType)
	if resp.StatusCode != http.StatusCreated {
		c.Fatalf("install: %d %s", resp.StatusCode, raw)
	}
	return decode(c.T, []byte(raw)).Str("id")
}

// What a plugin refuses is not stored and does not count; what it holds waits, also
// over a restart, until its owner lets it go, once, or cancels it.
func TestHeldByPlugin(t *testing.T) {
	c := newClient(t, append(withPlugins(), gatewaytest.Limit("key_messages", "3"))...)
	key := c.g.Keys.Domain
	id := c.install(key, "censor")
	c.do(200, "PATCH", "/plugins/"+id, key, `{"status":"enabled"}`)
	for range 4 { // more than the hour has
		if a := c.do(403, "POST", "/emails", key, email("from", gatewaytest.Account, "subject", "deny not like this")); a.Str("name") != "plugin_rejected" || a.Str("message") != "not like this" {
			t.Errorf("%v", a)
		}
	}
	if n := c.sent(key, gatewaytest.Account); n != 0 {
		t.Errorf("%d refused emails are in Sent", n)
	}
	held := c.do(200, "POST", "/emails", key, email("from", gatewaytest.Account, "subject", "hold please look"))
	gone := c.do(200, "POST", "/emails", key, email("from", gatewaytest.Account, "subject", "hold never"))
	c.do(200, "POST", "/emails/"+gone.Str("id")+"/cancel", key, nil)
	c.do(409, "POST", "/emails/"+gone.Str("id")+"/send", key, nil)
	c.g.Restart()
	path := "/emails/" + held.Str("id")
	if a := c.do(200, "GET", path, key, nil); a.Str("last_event") != "held" || a.Str("events.0.type") != "held" {
		t.Errorf("held: %v", a)
	}
	c.do(403, "POST", path+"/send", c.g.Keys.SendOnly, nil)
	c.do(200, "POST", "/emails", key, email("subject", "another")) // it arrives, so what is held could have
	gatewaytest.Eventually(t, "the other one", func() bool {
		_, a := c.g.Do("GET", "/emails", c.g.Keys.Account, nil)
		return a.At("total") == 1.0
	})
	c.do(429, "POST", "/emails", key, email())
	if a := c.do(200, "POST", path+"/send", key, nil); fmt.Sprint(a) != fmt.Sprint(held) {
		t.Errorf("let go as %v, accepted as %v", a, held)
	}
	gatewaytest.Eventually(t, "the one let go", func() bool {
		_, a := c.g.Do("GET", "/emails", c.g.Keys.Account, nil)
		return a.At("total") == 2.0 && a.Str("data.0.subject") == "hold please look"
	})
	c.do(409, "POST", path+"/send", key, nil)
}

// What a plugin adds to mail that leaves is there for everybody: in Sent, and for who
// gets it, below the signatures.
func TestPluginAddsToLeavingMail(t *testing.T) {
	c := newClient(t, withPlugins()...)
	wasm, err := puppet()
	if err != nil {
		t.Fatal(err)
	}
	form, contentType := formOf(map[string]string{
		"wasm": string(wasm), "manifest": `{"v":1,"name":"stamp","version":"1","hooks":["outbound"],"permissions":["headers"]}`,
	})
	resp, raw := c.ask("POST", "/plugins", c.g.Keys.Domain, form, "Content-Type", contentType)
	if resp.StatusCode != http.StatusCreated {
		t.Fatalf("install: %d %s", resp.StatusCode, raw)
	}
	c.do(200, "PATCH", "/plugins/"+decode(t, []byte(raw)).Str("id"), c.g.Keys.Domain, `{"status":"enabled"}`)
	sent := c.do(200, "POST", "/emails", c.g.Keys.Domain, email("subject", "header stamped")).Str("id")
	var got string
	gatewaytest.Eventually(t, "it arrives", func() bool {
		_, a := c.g.Do("GET", "/emails", c.g.Keys.Account, nil)
		got = a.Str("data.0.email_id")
		return got != ""
	})
	for _, path := range []string{"/emails/" + sent + "/raw?email=hello@demo.localhost", "/emails/" + got + "/raw?email=" + gatewaytest.Account} {
		_, raw := c.ask("GET", path, c.g.Keys.Domain, "")
		signature, field := strings.LastIndex(raw, "DKIM-Signature: "), strings.Index(raw, "\r\nX-Puppet: stamped\r\n")
		if signature < 0 || field < signature || strings.Count(raw, "X-Puppet") != 1 {
			t.Errorf("%s:\n%s", path, raw)
		}
	}
}
