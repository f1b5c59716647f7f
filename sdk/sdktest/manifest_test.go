package sdktest_test

import (
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/centerleap/postern/sdk"
	"github.com/centerleap/postern/sdk/abi"
	"github.com/centerleap/postern/sdk/sdktest"
)

// written is the name of a file with a manifest.
func written(t *testing.T, text string) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "manifest.json")
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

// A permission that the manifest does not ask for fails the test of whoever forgot it, and
// with it everything works.
func TestPermissions(t *testing.T) {
	for _, tt := range []struct {
		permit string
		hook   string
		verb   func(*sdk.Message) (sdk.Verdict, error)
	}{
		{abi.PermitReply, abi.HookInbound, says(sdk.Accept().Reply(sdk.Text("a")))},
		{abi.PermitSend, abi.HookInbound, asks(func(*sdk.Message) error {
			return sdk.Send(sdk.Mail{To: []string{"a@x.example"}, Subject: "s", Text: "t"})
		})},
		{abi.PermitRedirect, abi.HookInbound, says(sdk.Accept().Redirect("a@x.example"))},
		{abi.PermitDiscard, abi.HookInbound, says(sdk.Discard())},
		{abi.PermitHeaders, abi.HookInbound, says(sdk.Accept().AddHeader("X-A", "1"))},
		{abi.PermitHeaders, abi.HookOutbound, says(sdk.Allow().SetHeader("X-A", "1"))},
		{abi.PermitBody, abi.HookOutbound, says(sdk.Allow().Body("a", ""))},
		{abi.PermitBody, abi.HookOutbound, says(sdk.Allow().Subject("a"))},
		{abi.PermitRcpt, abi.HookOutbound, says(sdk.Allow().Remove("a@x.example"))},
		{abi.PermitThread, abi.HookThread, says(sdk.NewThread())},
		{abi.PermitThreadRead, abi.HookThread, asks(func(m *sdk.Message) error { _, err := m.Thread(); return err })},
		{abi.PermitRaw, abi.HookInbound, asks(func(m *sdk.Message) error { _, err := m.Part(-1).Read(make([]byte, 1)); return err })},
		{abi.PermitKV, abi.HookInbound, asks(func(*sdk.Message) error { return sdk.KV.Put("a", nil, 0) })},
		{abi.PermitKV, abi.HookInbound, asks(func(*sdk.Message) error { return sdk.KV.Delete("a") })},
		{abi.PermitKV, abi.HookInbound, asks(func(*sdk.Message) error { _, err := sdk.KV.Incr("a", 1, 0); return err })},
		{abi.PermitKV, abi.HookInbound, asks(func(*sdk.Message) (err error) {
			for _, err = range sdk.KV.List("") {
			}
			return err
		})},
		{abi.PermitHTTP, abi.HookEvent, asks(func(*sdk.Message) error { _, err := sdk.HTTP.Get("https://a.example/"); return err })},
	} {
		t.Run(tt.permit, func(t *testing.T) {
			register(tt.verb)
			rest := slices.DeleteFunc(slices.Clone(abi.Permissions), func(p string) bool { return p == tt.permit })
			for _, permitted := range []bool{true, false} {
				permissions := rest
				if permitted {
					permissions = abi.Permissions
				}
				hosts := ""
				if slices.Contains(permissions, abi.PermitHTTP) {
					hosts = `,"http_hosts":["a.example"]`
				}
				h := sdktest.NewHost(sdktest.Manifest(written(t, fmt.Sprintf(
					`{"v":1,"name":"a","version":"1","hooks":["inbound","outbound","thread","event"],"permissions":%s%s}`, quoted(permissions), hosts))))
				h.HTTP = func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "{}") }
				r := ask(h, t, tt.hook, sdktest.Raw("From: a@x.example\n\nhello"))
				if permitted {
					r.WantOK()
				} else {
					r.WantFailure()
				}
			}
		})
	}
}

func quoted(list []string) (out string) {
	for i, v := range list {
		out += string("[,"[min(i, 1)]) + fmt.Sprintf("%q", v)
	}
	return out + "]"
}

func says(v sdk.Verdict) func(*sdk.Message) (sdk.Verdict, error) {
	return func(*sdk.Message) (sdk.Verdict, error) { return v, nil }
}

func asks(f func(*sdk.Message) error) func(*sdk.Message) (sdk.Verdict, error) {
	return func(m *sdk.Message) (sdk.Verdict, error) { return sdk.Accept(), f(m) }
}

// register answers all hooks by one function, whose error is a failure.
func register(f func(*sdk.Message) (sdk.Verdict, error)) {
	verdict := func(m *sdk.Message) sdk.Verdict {
		v, err := f(m)
		if err != nil {
			panic(err)
		}
		return v
	}
	sdk.Inbound(verdict)
	sdk.Outbound(verdict)
	sdk.Thread(verdict)
	sdk.OnEvent(func(m *sdk.Message) error { _, err := f(m); return err })
}

func ask(h *sdktest.Host, t sdktest.T, hook string, m sdktest.Mail) *sdktest.Result {
	return map[string]func(sdktest.T, sdktest.Mail) *sdktest.Result{
		abi.HookInbound: h.Inbound, abi.HookOutbound: h.Outbound, abi.HookThread: h.Thread, abi.HookEvent: h.Event,
	}[hook](t, m)
}

// A manifest that a gateway would refuse, or that lacks what a hook needs, is told.
func TestManifest(t *testing.T) {
	register(asks(func(*sdk.Message) error { return nil }))
	sdk.OnTick(func() error { return nil })
	for _, text := range []string{
		``, `{"v":2,"name":"a","version":"1"}`, `{"v":1,"version":"1"}`, `{"v":1,"name":"a"}`, `{"v":1,"name":"a","version":"1","hook":["inbound"]}`,
		`{"v":1,"name":"a","version":"1","hooks":["arrival"]}`, `{"v":1,"name":"a","version":"1","permissions":["all"]}`,
		`{"v":1,"name":"a","version":"1","hooks":["tick"]}`, `{"v":1,"name":"a","version":"1","tick_seconds":60}`, `{"v":1,"name":"a","version":"1","events":["email.bounced"]}`,
		`{"v":1,"name":"a","version":"1","http_hosts":["a.example"]}`,
	} {
		h := sdktest.NewHost(sdktest.Manifest(written(t, text)))
		if !stops(func() { h.Inbound(&note{}, sdktest.Mail{}) }) {
			t.Errorf("%s is taken", text)
		}
	}
	if !stops(func() { sdktest.NewHost(sdktest.Manifest("none.json")).Inbound(&note{}, sdktest.Mail{}) }) {
		t.Error("a manifest that is not there is taken")
	}
	h := sdktest.NewHost(sdktest.Manifest(written(t, `{"v":1,"name":"a","version":"1","hooks":["inbound","event"]}`)))
	h.Inbound(t, sdktest.Mail{}).WantOK()
	h.Outbound(t, sdktest.Mail{}).WantFailure("does not name the hook outbound")
	h.Event(t, sdktest.Mail{}).WantOK()
	h.Event(t, sdktest.Mail{Type: "email.bounced"}).WantFailure("events of type email.bounced")
	h.Tick(t).WantFailure("does not name the hook tick")
	h = sdktest.NewHost(sdktest.Manifest(written(t, `{"v":1,"name":"a","version":"1","hooks":["event","tick"],"events":["email.bounced"],"tick_seconds":60}`)))
	h.Event(t, sdktest.Mail{}).WantFailure("email.received")
	h.Event(t, sdktest.Mail{Type: "email.bounced"}).WantOK()
	h.Tick(t).WantOK()
}

// What a hook says that is not for it is a failure, with or without a manifest.
func TestNotForTheHook(t *testing.T) {
	for _, tt := range []struct {
		hook    string
		verdict sdk.Verdict
	}{
		{abi.HookInbound, sdk.Deny("no")},
		{abi.HookInbound, sdk.Accept().Tag("a", "b")},
		{abi.HookInbound, sdk.Accept().SetHeader("A", "b")},
		{abi.HookInbound, sdk.Join("a")},
		{abi.HookInbound, sdk.Accept().Remove("a")},
		{abi.HookInbound, sdk.Accept().Subject("a")},
		{abi.HookInbound, sdk.Accept().Body("a", "")},
		{abi.HookOutbound, sdk.Reject(0, "no")},
		{abi.HookOutbound, sdk.Allow().Folder("a")},
		{abi.HookOutbound, sdk.Allow().Label("a")},
		{abi.HookOutbound, sdk.Allow().Flag("a")},
		{abi.HookOutbound, sdk.Allow().Redirect("a")},
		{abi.HookOutbound, sdk.Allow().Keep()},
		{abi.HookOutbound, sdk.Allow().Reply(sdk.Text("a"))},
		{abi.HookOutbound, sdk.Allow().Unlabel("a")},
		{abi.HookThread, sdk.Quarantine("a")},
		{abi.HookThread, sdk.Accept().AddHeader("A", "b")},
		{abi.HookThread, sdk.NewThread().Score(1)},
	} {
		register(says(tt.verdict))
		ask(sdktest.NewHost(), t, tt.hook, sdktest.Mail{}).WantFailure("the verdict is refused", tt.hook)
	}
}

// What is refused, dropped or waits in Junk is neither sent on nor answered.
func TestBesideTheAction(t *testing.T) {
	for _, tt := range []struct {
		hook    string
		verdict sdk.Verdict
	}{
		{abi.HookInbound, sdk.Reject(0, "no").Reply(sdk.Text("a"))},
		{abi.HookInbound, sdk.Quarantine("odd").Redirect("a@x.example")},
	} {
		register(says(tt.verdict))
		ask(sdktest.NewHost(), t, tt.hook, sdktest.Mail{}).WantFailure("the verdict is refused", "action")
	}
}

// A server is asked if the manifest names it.
func TestHosts(t *testing.T) {
	h := sdktest.NewHost(sdktest.Manifest(written(t,
		`{"v":1,"name":"a","version":"1","hooks":["event"],"permissions":["http"],"http_hosts":["a.example","b.example:8443","*.c.example","*.d.example:81","[2001:db8::1]"]}`)))
	h.HTTP = func(http.ResponseWriter, *http.Request) {}
	for url, permitted := range map[string]bool{
		"https://a.example/x": true, "http://A.example:80": true, "https://a.example:443": true, "https://b.example:8443": true, "https://x.C.example": true, "https://y.x.c.example": true,
		"http://x.d.example:81": true, "https://[2001:db8::1]/": true,
		"https://a.example:80": false, "https://x.a.example": false, "https://b.example": false, "https://c.example": false, "https://xc.example": false, "https://x.c.example:444": false,
		"https://x.d.example": false, "https://[2001:db8::2]/": false, "https://a.example.evil.example": false, "https://evil.example/a.example": false,
	} {
		register(asks(func(*sdk.Message) error { _, err := sdk.HTTP.Get(url); return err }))
		sdk.OnStored(nil)
		if r := h.Event(t, sdktest.Mail{}); permitted {
			r.WantOK()
		} else {
			r.WantFailure(abi.Denied.Error())
		}
	}
}
