package inbound

import (
	"strings"

	"github.com/centerleap/postern/gateway"
)

// mostHops is how many Received fields a mail may have. Ours; RFC 5321 section 6.3
// wants at least 100 where the count alone decides, but mail with half of that
// has gone in a circle.
const mostHops = 50

// looping refuses a mail that goes in a circle, RFC 5321 section 6.3: also one that was here
// more often than plugins may have sent it on. List servers bring a mail back once or twice.
func (r *Receiver) looping(hops []string) error {
	own := 0
	for _, hop := range hops {
		if receivedBy(hop, r.cfg.Hostname) {
			own++
		}
	}
	if len(hops) <= mostHops && int64(own) <= r.cfg.Limits.RedirectHops {
		return nil
	}
	return &gateway.Error{
		Kind: gateway.InvalidState, Code: 554, Enhanced: [3]int{5, 4, 6}, Message: "the mail goes in a circle",
	}
}

// receivedBy reports whether a Received field has the by-clause of a host, RFC
// 5321 section 4.4.
func receivedBy(hop, host string) bool {
	words := strings.Fields(strings.ReplaceAll(hop, ";", " "))
	for i := 1; i < len(words); i++ {
		if strings.EqualFold(words[i-1], "by") && strings.EqualFold(words[i], host) {
			return true
		}
	}
	return false
}
