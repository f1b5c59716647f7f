package serve

import (
	"context"
	"io"
	"net/netip"

	"github.com/centerleap/postern/gateway"
	"github.com/centerleap/postern/gateway/inbound"
	"github.com/centerleap/postern/gateway/mailauth"
)

// checker is mailauth in the words of inbound.
type checker struct {
	mail     *mailauth.Checker
	hostname string
}

// checker makes what checks arriving mail, with DNS or without.
func (g *Gateway) checker() (checker, error) {
	cfg := mailauth.Config{Limits: g.cfg.Limits, Log: g.log, Now: g.now}
	if g.dns != nil {
		cfg.Resolver = g.dns
	}
	mail, err := mailauth.New(cfg)
	return checker{mail, g.cfg.Hostname}, err
}

// Check implements inbound.Checker. A client whose address can't be read has none.
func (c checker) Check(ctx context.Context, env gateway.Envelope, message io.Reader) (*inbound.Checked, error) {
	ip, _ := netip.ParseAddr(env.RemoteIP)
	res, err := c.mail.Check(ctx, mailauth.Input{
		IP: ip.WithZone(""), HELO: env.Helo, MailFrom: env.ReturnPath, AuthservID: c.hostname, Message: message,
	})
	if err != nil {
		return nil, err
	}
	out := &inbound.Checked{Auth: res.Auth(), Field: res.Field()}
	for _, s := range res.Claims {
		out.Claims = append(out.Claims, inbound.Span{Start: int64(s.Start), End: int64(s.End)})
	}
	return out, nil
}
