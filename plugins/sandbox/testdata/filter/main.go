// Filter is a plugin as authors write one, with the SDK: it looks at the subject, the
// author and a header field of a message, and answers with a small verdict.
package main

import (
	"strings"

	"github.com/centerleap/postern/sdk"
)

func init() {
	sdk.Inbound(func(m *sdk.Message) sdk.Verdict {
		return decide(m.Subject(), m.From().Addr, m.Header("List-Unsubscribe") != "")
	})
	sdk.Outbound(func(m *sdk.Message) sdk.Verdict {
		e, err := m.Event()
		if err != nil {
			return sdk.Deny(err.Error())
		}
		bulk := false
		for _, field := range e.Headers {
			bulk = bulk || strings.EqualFold(field[0], "List-Unsubscribe")
		}
		return decide(e.Subject, e.From.Addr, bulk)
	})
}

func decide(subject, from string, bulk bool) sdk.Verdict {
	subject = strings.ToLower(subject)
	switch {
	case strings.HasSuffix(from, "@spam.example"):
		return sdk.Reject(550, "no")
	case strings.Contains(subject, "lottery"):
		return sdk.Accept().Folder("Junk").Label("spam")
	case strings.Contains(subject, "invoice") && !bulk:
		return sdk.Accept().Label("invoice")
	}
	return sdk.Accept()
}

func main() {}
