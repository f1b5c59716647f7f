package inbound

import (
	"cmp"
	"fmt"
	"net"
	"strings"
	"time"

	"github.com/centerleap/postern/gateway"
)

// trace writes the fields that stand before the bytes of one copy: Return-Path
// and Received (RFC 5321 section 4.4), Delivered-To, and Authentication-Results,
// which was found out after the message was received: RFC 8601 section 4.
func (r *Receiver) trace(t *tray, c *gateway.Copy) []byte {
	var b strings.Builder
	fmt.Fprintf(&b, "Return-Path: <%s>\r\n", t.env.ReturnPath)
	fmt.Fprintf(&b, "Delivered-To: %s\r\n", c.Recipients[0])
	b.Write(t.results)
	b.Write(r.received(t, c))
	return []byte(b.String())
}

// received is the field by which this host says that it received a copy.
func (r *Receiver) received(t *tray, c *gateway.Copy) []byte {
	return fmt.Appendf(nil, "Received: %s by %s\r\n\twith %s id %s\r\n\tfor <%s>; %s\r\n",
		from(t.env), r.cfg.Hostname, protocol(t.env), c.ID, c.Recipients[0], t.arrived.Format(time.RFC1123Z))
}

// fromInside reports whether the queue brought a mail: no client did, although one may have
// brought it the first time.
func fromInside(env gateway.Envelope) bool { return env.RemoteIP == "" || !env.Delivery.IsZero() }

// from is the from-clause: the client as it named itself and as it was seen.
func from(env gateway.Envelope) string {
	if fromInside(env) {
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

// protocol is the with-clause, as the door says; mail from inside came by no protocol
// that is registered, so it says LOCAL.
func protocol(env gateway.Envelope) string {
	if fromInside(env) {
		return "LOCAL"
	}
	return cmp.Or(env.Protocol, "ESMTP")
}

// localResults is the field of mail from inside, RFC 8601 section 2.2.
func localResults(hostname string) []byte {
	return fmt.Appendf(nil, "Authentication-Results: %s;\r\n\tspf=pass reason=\"local\";\r\n\tdkim=pass reason=\"local\";\r\n\tdmarc=pass reason=\"local\"\r\n", hostname)
}
