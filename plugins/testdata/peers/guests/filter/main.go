// Filter is the rule as a plugin of Postern: it asks for the header fields it looks at.
package main

import (
	"plugin-peers/rule"

	"github.com/centerleap/postern/sdk"
)

func init() {
	sdk.Inbound(func(m *sdk.Message) sdk.Verdict {
		d := rule.Decide(m.Header)
		v := sdk.Accept()
		if d.Action == "quarantine" {
			v = sdk.Quarantine("an invoice of a stranger")
		}
		if d.Folder != "" {
			v = v.Folder(d.Folder)
		}
		return v.Label(d.Labels[0])
	})
}

func main() {}
