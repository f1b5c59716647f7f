package sdktest_test

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/centerleap/postern/sdk"
	"github.com/centerleap/postern/sdk/abi"
	"github.com/centerleap/postern/sdk/sdktest"
)

const invoice = `From: =?utf-8?q?Doe=2C_J=C3=B6rg?= <j@x.example>
To: bot@demo.localhost
Subject: =?utf-8?q?Gr=C3=BC=C3=9Fe?=
Auto-Submitted: auto-generated
References: <1@x.example>
	<2@x.example>
Content-Type: multipart/mixed; boundary=b

--b
Content-Type: text/plain; charset=iso-8859-1
Content-Transfer-Encoding: quoted-printable

sch=F6n
--b
Content-Type: application/pdf
Content-Disposition: attachment; filename="a b.pdf"
Content-Transfer-Encoding: base64

JVBE
Rg==
--b--
`

func TestParse(t *testing.T) {
	m := sdktest.Raw(strings.ReplaceAll(invoice, "\n", "\r\n"))
	sdk.Inbound(func(m *sdk.Message) sdk.Verdict {
		e, err := m.Event()
		if err != nil {
			t.Error(err)
		}
		pdf, err := io.ReadAll(m.Part(2))
		got := fmt.Sprint(m.From(), m.Subject(), m.Text(100), e.References, e.Automated.Auto, m.ReplyOK(), e.Parts, string(pdf), err)
		want := "{Doe, Jörg j@x.example}Grüßeschön[<1@x.example> <2@x.example>] true false" +
			" [{0 multipart/mixed  0} {1 text/plain  6} {2 application/pdf a b.pdf 4}]%PDF<nil>"
		if got != want {
			t.Errorf("got  %s\nwant %s", got, want)
		}
		raw, err := io.ReadAll(m.Part(-1))
		if string(raw) != strings.ReplaceAll(invoice, "\n", "\r\n") {
			t.Errorf("%q %v", raw, err)
		}
		return sdk.Accept()
	})
	sdktest.Inbound(t, m).WantAction(abi.Accept)
}

// A host remembers values until they expire, and nothing of a hook that failed.
func TestKV(t *testing.T) {
	sdk.Outbound(func(m *sdk.Message) sdk.Verdict {
		v, _ := sdk.KV.Get("n")
		v = append(v, '+')
		if err := sdk.KV.Put("n", v, 60); err != nil {
			t.Error(err)
		}
		if again, _ := sdk.KV.Get("n"); string(again) != string(v) {
			t.Errorf("%q is written, %q is read", v, again)
		}
		if m.SubjectContains("panic") {
			panic("as asked")
		}
		return sdk.Hold(string(v))
	})
	h := sdktest.NewHost()
	for _, tt := range []struct {
		subject string
		later   time.Duration
		want    string
	}{
		{"one", 0, "+"},
		{"two", 59 * time.Second, "++"},
		{"panic", 0, ""},
		{"three", 0, "+++"},
		{"expired", time.Minute, "+"},
	} {
		h.Clock = h.Clock.Add(tt.later)
		r := h.Outbound(t, sdktest.Mail{Subject: tt.subject})
		if tt.want == "" {
			r.WantFailure()
		} else if r.WantAction(abi.Hold); r.Verdict.Reason != tt.want {
			t.Errorf("%s: %q, want %q", tt.subject, r.Verdict.Reason, tt.want)
		}
	}
}

func TestKVBounds(t *testing.T) {
	var got []error
	sdk.Outbound(func(*sdk.Message) sdk.Verdict {
		got = []error{
			sdk.KV.Put("", nil, 0), sdk.KV.Put(strings.Repeat("k", 513), nil, 0), sdk.KV.Put("k", nil, -1), sdk.KV.Put("k", nil, 1<<40),
			sdk.KV.Put("k", make([]byte, 64<<10+1), 0), sdk.KV.Put("k", nil, 0),
		}
		return sdk.Allow()
	})
	sdktest.Outbound(t, sdktest.Mail{}).WantAction(abi.Allow)
	if want := []error{abi.BadArgument, abi.BadArgument, abi.BadArgument, abi.BadArgument, abi.TooLarge, nil}; !slices.Equal(got, want) {
		t.Errorf("%v, want %v", got, want)
	}
}

// Of a dry run nothing is kept, but its Result has all of it.
func TestDryRun(t *testing.T) {
	sdk.Inbound(func(*sdk.Message) sdk.Verdict {
		_, found := sdk.KV.Get("n")
		n, err := sdk.KV.Incr("n", 1, 0)
		if err := errors.Join(err, sdk.KV.Put("n", nil, 0), sdk.Send(sdk.Mail{To: []string{"a@x.example"}, Text: "t"})); err != nil {
			t.Error(err)
		}
		return sdk.Accept().Reply(sdk.Text("hi")).Reason(fmt.Sprint(found, n))
	})
	h := sdktest.NewHost()
	for range 2 {
		h.Inbound(t, sdktest.Mail{DryRun: true}).WantReason("false 1").WantSent("a@x.example").WantReply("hi")
	}
	if len(h.Sent)+len(h.Replies) != 0 {
		t.Errorf("sent %v, answered %v", h.Sent, h.Replies)
	}
	h.Inbound(t, sdktest.Mail{}).WantReason("false 1")
	h.Inbound(t, sdktest.Mail{DryRun: true}).WantReason("true 2")
	h.Inbound(t, sdktest.Mail{}).WantReason("true 2")
	if len(h.Sent) != 2 || len(h.Replies) != 2 {
		t.Errorf("sent %v, answered %v", h.Sent, h.Replies)
	}
}

func TestHost(t *testing.T) {
	sdk.Thread(func(*sdk.Message) sdk.Verdict {
		sdk.Log.Warn(sdk.Config("word") + sdk.Config("none") + sdk.Now().UTC().Format(" 15:04"))
		return sdk.NewThread()
	})
	h := sdktest.NewHost()
	h.Config["word"] = "hello"
	h.Thread(t, sdktest.Mail{}).WantNewThread()
	if want := []string{"warning: hello 12:00"}; !slices.Equal(h.Lines, want) {
		t.Errorf("%q, want %q", h.Lines, want)
	}
}

// A message that can't be read ends the test that uses it.
func TestBrokenMail(t *testing.T) {
	sdk.Inbound(func(*sdk.Message) sdk.Verdict { return sdk.Accept() })
	for _, m := range []sdktest.Mail{
		sdktest.File("testdata/none.eml"), sdktest.Raw("no header\n\n"),
		{From: "<"},
		sdktest.Raw("Content-Type: multipart/mixed; boundary=b\n\n--b\nContent-Transfer-Encoding: base64\n\n!\n--b--\n"),
	} {
		if !stops(func() { sdktest.Inbound(&note{}, m) }) {
			t.Errorf("%+v is read", m)
		}
	}
	file := filepath.Join(t.TempDir(), "a.eml")
	if err := os.WriteFile(file, []byte("From: a@x.example\nCc: c@x.example\nReply-To: b@x.example\n\nhello"), 0o600); err != nil {
		t.Fatal(err)
	}
	if m := sdktest.File(file); m.From != "a@x.example" || m.Cc != "c@x.example" || m.ReplyTo != "b@x.example" || m.Text != "hello" {
		t.Errorf("%+v", m)
	}
}

// A test that forgot to answer for a server fails.
func TestNoServer(t *testing.T) {
	sdk.OnTick(func() error {
		for _, say := range []func(string){sdk.Log.Debug, sdk.Log.Info, sdk.Log.Error} {
			say("hello")
		}
		_, err := sdk.HTTP.Get("https://a.example/")
		return err
	})
	n, h := &note{}, sdktest.NewHost()
	h.Tick(n)
	if want := []string{"the hook asks https://a.example/: Host.HTTP is to answer that"}; !slices.Equal(n.said, want) {
		t.Errorf("%q, want %q", n.said, want)
	}
	if want := []string{"debug: hello", "info: hello", "error: hello", "error: " + abi.HostFailure.Error()}; !slices.Equal(h.Lines, want) {
		t.Errorf("%q, want %q", h.Lines, want)
	}
}
