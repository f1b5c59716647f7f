// Filter is what the READMEs of the other SDKs have as their example.
package main

import "github.com/centerleap/postern/sdk"

func init() {
	sdk.Inbound(func(m *sdk.Message) sdk.Verdict {
		if m.Auth().DMARC == "fail" && m.SubjectContains("invoice", "payment") {
			return sdk.Quarantine("unauthenticated payment request")
		}
		if m.HasHeader("List-Unsubscribe") {
			return sdk.Accept().Folder("Newsletters").Label("bulk")
		}
		return sdk.Accept()
	})
}

func main() {}
