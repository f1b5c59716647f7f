// Part gets all of a large part, as a plugin of Postern: a range at a time.
package main

import (
	"io"
	"strconv"

	"plugin-peers/rule"

	"github.com/centerleap/postern/sdk"
)

var room [256 << 10]byte

func init() {
	sdk.Inbound(func(m *sdk.Message) sdk.Verdict {
		part, sum := m.Part(0), uint64(0)
		for {
			n, err := io.ReadFull(part, room[:])
			sum = rule.Sum(sum, room[:n])
			if err != nil {
				return sdk.Accept().Label("s" + strconv.FormatUint(sum, 10))
			}
		}
	})
}

func main() {}
