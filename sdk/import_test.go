package sdk_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/centerleap/postern/sdk"
	"github.com/centerleap/postern/sdk/abi"
	"github.com/centerleap/postern/sdk/sdktest"
)

// during runs f in an event hook.
func during(t *testing.T, h *sdktest.Host, m sdktest.Mail, f func(*sdk.Message)) *sdktest.Result {
	t.Helper()
	sdk.OnStored(nil)
	sdk.OnEvent(func(m *sdk.Message) error { f(m); return nil })
	return h.Event(t, m)
}

func TestKVList(t *testing.T) {
	h := sdktest.NewHost()
	want := []string{}
	during(t, h, sdktest.Mail{}, func(*sdk.Message) {
		for i := range 250 { // of three pages
			key := fmt.Sprintf("a/%03d", i)
			if i != 7 {
				want = append(want, key)
			}
			if err := errors.Join(sdk.KV.Put(key, nil, 0), sdk.KV.Put("b"+key, nil, 0)); err != nil {
				t.Error(err)
			}
		}
		if err := sdk.KV.Put("a/expires", nil, 60); err != nil {
			t.Error(err)
		}
	}).WantOK()
	h.Clock = h.Clock.Add(time.Hour)
	during(t, h, sdktest.Mail{}, func(*sdk.Message) {
		if err := errors.Join(sdk.KV.Delete("a/007"), sdk.KV.Delete("none")); err != nil {
			t.Error(err)
		}
		if _, found := sdk.KV.Get("a/007"); found {
			t.Error("what is deleted is found")
		}
		got := []string{}
		for key, err := range sdk.KV.List("a/") {
			if err != nil {
				t.Error(err)
			}
			got = append(got, key)
		}
		if !slices.Equal(got, want) {
			t.Errorf("%q", got)
		}
		for key := range sdk.KV.List("") { // who has enough, stops
			if key != "a/000" {
				t.Errorf("%q", key)
			}
			break
		}
	}).WantOK()
	during(t, h, sdktest.Mail{}, func(*sdk.Message) {
		if _, found := sdk.KV.Get("a/007"); found {
			t.Error("what was deleted is back")
		}
	}).WantOK()
}

// A counter counts at once, also in a hook that fails, and is apart from values.
func TestKVIncr(t *testing.T) {
	h := sdktest.NewHost()
	counts := func(delta, ttl, want int64) {
		t.Helper()
		during(t, h, sdktest.Mail{}, func(*sdk.Message) {
			if n, err := sdk.KV.Incr("n", delta, ttl); err != nil || n != want {
				t.Errorf("%d %v, want %d", n, err, want)
			}
			if _, found := sdk.KV.Get("n"); found {
				t.Error("a counter is a value")
			}
			panic("as meant")
		}).WantFailure("as meant")
	}
	counts(0, 60, 0)
	counts(2, 60, 2)
	h.Clock = h.Clock.Add(59 * time.Second)
	counts(1, 60, 3) // its time runs from the first use
	counts(-5, 0, 0)
	counts(1<<53+1, 0, 1<<53)
	counts(1, 0, 1<<53)
	h.Clock = h.Clock.Add(time.Second)
	counts(0, 0, 0)
	counts(1, 0, 1)
	during(t, h, sdktest.Mail{}, func(*sdk.Message) {
		if _, err := sdk.KV.Incr("", 1, 0); !errors.Is(err, abi.BadArgument) {
			t.Error(err)
		}
	}).WantOK()
}

func TestHTTP(t *testing.T) {
	h := sdktest.NewHost()
	large := strings.Repeat("0123456789", 1000)
	h.HTTP = func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		switch r.URL.Path {
		case "/json":
			w.Header().Set("X-Asked", r.Method+" "+r.Header.Get("Content-Type")+" "+r.Header.Get("Authorization")+" "+string(body))
			_, _ = io.WriteString(w, `{"choices":[{"message":{"content":"f\u00fcr \"dich\""}}],"n":2}`)
		case "/large":
			_, _ = io.WriteString(w, large)
		case "/away":
			panic(http.ErrAbortHandler)
		case "/broken":
			panic("as meant")
		case "/huge":
			_, _ = w.Write(make([]byte, 1<<20+1))
		case "/echo":
			w.WriteHeader(http.StatusTeapot)
			_, _ = w.Write(body)
		}
	}
	during(t, h, sdktest.Mail{}, func(*sdk.Message) {
		r, err := sdk.HTTP.PostJSON("https://a.example/json", map[string]any{"q": "ü", "n": 1}, "token")
		if err != nil {
			t.Fatal(err)
		}
		if got, want := r.Header("x-asked"), `POST application/json Bearer token {"n":1,"q":"ü"}`; got != want || r.Status != http.StatusOK || r.Header("none") != "" {
			t.Errorf("%d %q, want %q", r.Status, got, want)
		}
		if got := r.String("choices.0.message.content") + r.String("n") + r.String("none"); got != `für "dich"2` {
			t.Error(got)
		}
		r, err = sdk.HTTP.Get("https://a.example/large")
		if err != nil {
			t.Fatal(err)
		}
		for range 2 {
			if all, err := io.ReadAll(r.Body()); err != nil || string(all) != large || r.Size != int64(len(large)) {
				t.Errorf("%d bytes, %v", len(all), err)
			}
		}
		if r.String("a") != "" {
			t.Error("a value of what is no JSON")
		}
		binary := []byte{0xff, 0, 'a'}
		r, err = sdk.HTTP.Do(sdk.Request{Method: http.MethodPut, URL: "http://a.example/echo", Body: binary})
		if err != nil || r.Status != http.StatusTeapot {
			t.Fatal(r, err)
		}
		if all, err := r.Bytes(); err != nil || !bytes.Equal(all, binary) {
			t.Errorf("%q %v", all, err)
		}
		r, err = sdk.HTTP.Get("https://a.example/echo")
		if status, ok := errors.AsType[*sdk.StatusError](err); !ok || status.Status != http.StatusTeapot || r == nil || err.Error() != "the server answered 418" {
			t.Errorf("%v %v", r, err)
		}
		if _, err := sdk.HTTP.Get("https://a.example/huge"); !errors.Is(err, abi.TooLarge) {
			t.Errorf("a huge answer: %v", err)
		}
		if _, err := sdk.HTTP.Get("ftp://a.example/"); !errors.Is(err, abi.BadArgument) {
			t.Errorf("no HTTP: %v", err)
		}
		if _, err := sdk.HTTP.PostJSON("https://a.example/json", struct{}{}, ""); err == nil {
			t.Error("a value is sent that can't be written")
		}
		for err = nil; err == nil; {
			_, err = sdk.HTTP.Get("https://a.example/json")
		}
		if !errors.Is(err, abi.OverQuota) {
			t.Errorf("without end: %v", err)
		}
	}).WantOK()
	during(t, h, sdktest.Mail{}, func(*sdk.Message) {
		if _, err := sdk.HTTP.Get("https://a.example/away"); !errors.Is(err, abi.HostFailure) {
			t.Errorf("a server that is away: %v", err)
		}
		for range 9 {
			_, _ = sdk.HTTP.Get("https://a.example/away")
		}
		if _, err := sdk.HTTP.Get("https://a.example/json"); !errors.Is(err, abi.OverQuota) {
			t.Errorf("after ten that nobody answered: %v", err)
		}
	}).WantOK()
	during(t, h, sdktest.Mail{}, func(*sdk.Message) {
		if _, err := sdk.HTTP.Get("https://a.example/broken"); err == nil {
			t.Error("a handler panics in silence")
		}
	}).WantFailure("panic: as meant")
	during(t, h, sdktest.Mail{DryRun: true}, func(*sdk.Message) {
		if _, err := sdk.HTTP.Get("https://a.example/json"); !errors.Is(err, abi.Denied) {
			t.Errorf("in a dry run: %v", err)
		}
	}).WantOK()
	sdk.Inbound(func(*sdk.Message) sdk.Verdict {
		if _, err := sdk.HTTP.Get("https://a.example/json"); !errors.Is(err, abi.Denied) {
			t.Errorf("while a sender waits: %v", err)
		}
		return sdk.Accept()
	})
	h.Inbound(t, sdktest.Mail{}).WantOK()
}

// Mail is sent if the hook ends well.
func TestSend(t *testing.T) {
	h := sdktest.NewHost()
	m := sdk.Mail{To: []string{"a@x.example", "b@x.example"}, Subject: "s", Text: "t", Headers: map[string]string{"X-A": "1"}, InReplyTo: "<1@x.example>"}
	for _, fails := range []bool{true, false} {
		sdk.OnEvent(func(*sdk.Message) error {
			if err := sdk.Send(m); err != nil {
				t.Error(err)
			}
			if err := sdk.Send(sdk.Mail{Subject: "to nobody"}); !errors.Is(err, abi.BadArgument) {
				t.Errorf("mail to nobody: %v", err)
			}
			if err := sdk.Send(sdk.Mail{To: m.To, Subject: "about nothing"}); !errors.Is(err, abi.BadArgument) {
				t.Errorf("mail without a text: %v", err)
			}
			if fails {
				return io.ErrUnexpectedEOF
			}
			return nil
		})
		if r := h.Event(t, sdktest.Mail{}); fails {
			r.WantFailure(io.ErrUnexpectedEOF.Error())
		} else {
			r.WantSent("a@x.example")
		}
	}
	more := func(*sdk.Message) sdk.Verdict {
		n := 0
		for sdk.Send(m) == nil {
			n++
		}
		return sdk.Verdict{}.Reason(fmt.Sprint(n))
	}
	sdk.Inbound(more)
	sdk.Outbound(more)
	sdk.Thread(more)
	sdktest.Inbound(t, sdktest.Mail{}).WantReason("10")
	sdktest.Outbound(t, sdktest.Mail{}).WantReason("10")
	sdktest.Outbound(t, sdktest.Mail{Via: "plugin"}).WantReason("0")
	sdktest.Inbound(t, sdktest.Mail{Via: "plugin"}).WantReason("0")
	sdktest.Thread(t, sdktest.Mail{}).WantReason("0")
	if fmt.Sprint(h.Sent) != fmt.Sprint([]sdk.Mail{m}) {
		t.Errorf("%+v", h.Sent)
	}
}

func TestConversation(t *testing.T) {
	c := &sdk.Conversation{ThreadID: "t", Subject: "s", Count: 2, Messages: []sdk.Said{
		{ID: "1", From: sdk.Address{Addr: "a@x.example"}, Text: "one", Subject: "s"}, {ID: "2", Sent: true, To: []sdk.Address{{Addr: "a@x.example"}}, Text: "two"},
	}}
	h := sdktest.NewHost()
	during(t, h, sdktest.Mail{Conversation: c}, func(m *sdk.Message) {
		if got, err := m.Thread(); err != nil || fmt.Sprint(got) != fmt.Sprint(*c) {
			t.Errorf("%+v %v, want %+v", got, err, *c)
		}
	}).WantOK()
	during(t, h, sdktest.Mail{Subject: "s", Text: "alone"}, func(m *sdk.Message) {
		if got, err := m.Thread(); err != nil || got.Count != 1 || got.Messages[0].Text != "alone" || got.ThreadID != m.ThreadID() {
			t.Errorf("%+v %v", got, err)
		}
	}).WantOK()
	sdk.OnTick(func() error {
		if _, err := (&sdk.Message{}).Thread(); !errors.Is(err, abi.Absent) {
			t.Errorf("about no message: %v", err)
		}
		return nil
	})
	h.Tick(t).WantOK()
}
