// Newsletter-filter files bulk mail in a folder of its own, so that the inbox is for
// what people wrote.
package main

import (
	"strings"

	"github.com/centerleap/postern/sdk"
)

func init() {
	sdk.Inbound(func(m *sdk.Message) sdk.Verdict {
		if !m.HasHeader("List-Unsubscribe") && !m.HasHeader("List-Id") || kept(m.From().Addr) {
			return sdk.Accept()
		}
		folder := sdk.Config("folder")
		if folder == "" {
			folder = "Newsletters"
		}
		return sdk.Accept().Folder(folder).Label("newsletter")
	})
}

// kept reports whether a sender's mail stays in the inbox: the setting keep lists
// addresses, with commas between them.
func kept(sender string) bool {
	for addr := range strings.SplitSeq(sdk.Config("keep"), ",") {
		if addr = strings.TrimSpace(addr); addr != "" && strings.EqualFold(addr, sender) {
			return true
		}
	}
	return false
}

func main() {}
