package inbound

import (
	"fmt"
	"net"
	"strings"
	"time"

	"github.com/centerleap/postern/gateway"
)

// trace writes the fields that stand before the bytes of one copy: Return-Path
// and Received (RFC 5321 section 4.4), Delivered-To, and Authentication-Results
// (RFC 8601 section 2).
func (r *Receiver) trace(t *tray, c *gateway.Copy) []byte {
	var b strings.Builder
	fmt.Fprintf(&b, "Return-Path: <%s>\r\n", t.env.ReturnPath)
	fmt.Fprintf(&b, "Delivered-To: %s\r\n", c.Recipients[0])
	fmt.Fprintf(&b, "Received: %s by %s\r\n\twith %s id %s\r\n\tfor <%s>; %s\r\n",
		from(t.env), r.cfg.Hostname, protocol(t.env), c.ID, c.Recipients[0], t.arrived.Format(time.RFC1123Z))
	fmt.Fprintf(&b, "Authentication-Results: %s;\r\n\tspf=%s;\r\n\tdkim=%s;\r\n\tdmarc=%s\r\n",
		r.cfg.Hostname, result(t.auth.SPF), result(t.auth.DKIM), result(t.auth.DMARC))
	return []byte(b.String())
}

// from is the from-clause: the client as it named itself and as it was seen.
func from(env gateway.Envelope) string {
	if env.RemoteIP == "" {
		return "from localhost (localhost)"
	}
	ip := env.RemoteIP
	if p := net.ParseIP(ip); p != nil && p.To4() == nil {
		ip = "IPv6:" + ip
	}
	helo := env.Helo
	if helo == "" {
		helo = "unknown"
	}
	return fmt.Sprintf("from %s ([%s])", helo, ip)
}

// protocol is the with-clause, RFC 3848; mail from inside came by no protocol
// that is registered, so it says LOCAL.
func protocol(env gateway.Envelope) string {
	if env.RemoteIP == "" {
		return "LOCAL"
	}
	return "ESMTP"
}

// result is one method's result with its reason, RFC 8601 section 2.2. The
// reasons are ours: no character of them needs quoting beyond the quotes.
func result(a gateway.AuthResult) string {
	if a.Reason == "" {
		return a.Result
	}
	return fmt.Sprintf("%s reason=%q", a.Result, a.Reason)
}
