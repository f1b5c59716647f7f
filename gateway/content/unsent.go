package content

import (
	"io"
	"strings"
	"time"

	"github.com/centerleap/postern/gateway"
)

// Unsent reads a text as a message that nobody sent, for trying plugins on it: as if it
// had just arrived, with nothing known of who sent it. A line may end with LF alone. open
// gives its bytes, as Reading.Open does.
func Unsent(raw string, now time.Time, lim gateway.Limits) (msg *gateway.Message, open func(off, n int64) (io.ReadCloser, error), err error) {
	raw = strings.ReplaceAll(strings.ReplaceAll(raw, "\r\n", "\n"), "\n", "\r\n")
	c, err := Scan(strings.NewReader(raw), lim)
	if err != nil {
		return nil, nil, err
	}
	none := gateway.AuthResult{Result: "none", Reason: "not checked"}
	msg = &gateway.Message{
		Arrived: now.UTC(), Blob: gateway.Blob{Size: int64(len(raw))}, Content: *c,
		Auth: gateway.AuthResults{SPF: none, DKIM: none, DMARC: none, Disposition: gateway.DispositionNone},
	}
	if len(c.From) > 0 {
		msg.ReturnPath = c.From[0].Addr
	}
	return msg, func(off, n int64) (io.ReadCloser, error) {
		rest := raw[min(off, int64(len(raw))):]
		if n >= 0 {
			rest = rest[:min(n, int64(len(rest)))]
		}
		return io.NopCloser(strings.NewReader(rest)), nil
	}, nil
}
