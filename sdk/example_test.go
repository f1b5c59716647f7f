package sdk_test

import (
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"

	"github.com/centerleap/postern/sdk"
	"github.com/centerleap/postern/sdk/sdktest"
)

// Mail of a list goes to a folder of its own.
func ExampleInbound() {
	sdk.Inbound(func(m *sdk.Message) sdk.Verdict {
		if m.HasHeader("List-Unsubscribe") {
			return sdk.Accept().Folder("Newsletters").Label("bulk")
		}
		return sdk.Accept()
	})

	mail := sdktest.Raw("From: shop@x.example\nList-Unsubscribe: <mailto:u@x.example>\n\nSale!")
	r := sdktest.Inbound(out{}, mail).WantFolder("Newsletters")
	fmt.Println(r.Verdict.Folder, r.Verdict.Labels)
	// Output: Newsletters [bulk]
}

// Mail with a card number waits until somebody releases it.
func ExampleOutbound() {
	sdk.Outbound(func(m *sdk.Message) sdk.Verdict {
		if strings.Contains(m.Text(16<<10), "4111 1111 1111 1111") {
			return sdk.Hold("a card number")
		}
		return sdk.Allow().SetHeader("X-Checked", "yes")
	})

	fmt.Println(sdktest.Outbound(out{}, sdktest.Mail{Text: "Pay with 4111 1111 1111 1111"}).Verdict.Reason)
	fmt.Println(sdktest.Outbound(out{}, sdktest.Mail{Text: "Hello"}).Verdict.Headers)
	// Output:
	// a card number
	// [{set X-Checked yes}]
}

// An agent asks a language model, and answers.
func ExampleOnStored() {
	sdk.OnStored(func(m *sdk.Message) error {
		if !m.ReplyOK() {
			return nil
		}
		ans, err := sdk.HTTP.PostJSON(sdk.Config("llm_url"), map[string]any{"q": m.Text(4096)}, sdk.Secret("llm_key"))
		if err != nil {
			return err
		}
		return m.Reply(sdk.Text(ans.String("answer"))).Label("auto-answered")
	})

	h := sdktest.NewHost()
	h.Config["llm_url"] = "https://llm.example/ask"
	h.HTTP = func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, `{"answer":"At nine."}`) }
	r := h.Event(out{}, sdktest.Mail{From: "ann@x.example", Text: "When do you open?"})
	fmt.Println(r.Verdict.Reply.Text, r.Verdict.Labels)
	// Output: At nine. [auto-answered]
}

// Once a day somebody is told how much mail there was.
func ExampleOnTick() {
	sdk.Inbound(func(*sdk.Message) sdk.Verdict {
		if _, err := sdk.KV.Incr("mails", 1, 0); err != nil {
			sdk.Log.Warn(err.Error())
		}
		return sdk.Accept()
	})
	sdk.OnTick(func() error {
		n, err := sdk.KV.Incr("mails", 0, 0)
		if err != nil {
			return err
		}
		return sdk.Send(sdk.Mail{To: []string{sdk.Config("to")}, Subject: "Mail", Text: fmt.Sprintf("%d mails so far", n)})
	})

	h := sdktest.NewHost()
	h.Config["to"] = "boss@demo.localhost"
	h.Inbound(out{}, sdktest.Mail{})
	h.Inbound(out{}, sdktest.Mail{})
	h.Tick(out{})
	fmt.Println(h.Sent[0].To, h.Sent[0].Text)
	// Output: [boss@demo.localhost] 2 mails so far
}

// out is where examples, which are no tests, tell what is wrong.
type out struct{}

func (out) Helper()                           {}
func (out) Errorf(format string, args ...any) { fmt.Fprintf(os.Stdout, format+"\n", args...) }
func (out) Fatalf(format string, args ...any) { panic(fmt.Sprintf(format, args...)) }
