// Package mailauth answers who really sent a mail: SPF (RFC 7208), DKIM (RFC 6376, 8301,
// 8463), and what both mean for the address in From, DMARC (RFC 9989). It writes the
// Authentication-Results field (RFC 8601), finds those that others wrote in our name, and
// signs our own mail.
//
// Read check.go first. For inbound, serve asks a Checker once for each mail from outside,
// with the bytes as they arrived:
//
//	res, err := checker.Check(ctx, mailauth.Input{IP: ip, HELO: env.Helo, MailFrom: env.ReturnPath, AuthservID: hostname, Message: body})
//	m.Auth = res.Auth()            // what is stored, shown and given to plugins
//	prefix = append(prefix, res.Field()...)
//	res.Claims                     // fields to leave out of what is stored
//
// outbound signs the final bytes of a mail with the keys of its domain:
//
//	signer, err := mailauth.NewSigner(mailauth.SignerConfig{Domain: d.Name, Keys: keys, Limits: limits})
//	fields, err := signer.Sign(body) // to put in front
//
// It decides nothing: neither what is refused nor what goes to Junk. A mail can't make it
// work without end: time, memory and questions to DNS are bounded by gateway.Limits.
package mailauth

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net/netip"
	"time"

	"github.com/centerleap/postern/gateway"
	"github.com/centerleap/postern/gateway/resolve"
)

// Resolver is the part of DNS that checking needs; *resolve.Resolver is one.
type Resolver interface {
	TXT(ctx context.Context, name string) resolve.Answer[string]
	MX(ctx context.Context, name string) resolve.Answer[resolve.MX]
	A(ctx context.Context, name string) resolve.Answer[netip.Addr]
	AAAA(ctx context.Context, name string) resolve.Answer[netip.Addr]
	PTR(ctx context.Context, ip netip.Addr) resolve.Answer[string]
}

// Config of a Checker.
type Config struct {
	Resolver Resolver         // default: none; every result is none, reason "no resolver"
	Limits   gateway.Limits   // required
	Log      *slog.Logger     // default: slog.Default()
	Now      func() time.Time // default: time.Now; what signatures expire by
}

// Checker checks who sent arriving mail. It may be used from many goroutines.
type Checker struct{ cfg Config }

// New checks cfg and fills its defaults. It starts nothing.
func New(cfg Config) (*Checker, error) {
	if cfg.Limits == (gateway.Limits{}) {
		return nil, errors.New("mailauth: Limits are required")
	}
	if cfg.Log == nil {
		cfg.Log = slog.Default()
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	return &Checker{cfg: cfg}, nil
}

// Input is one mail as it arrived.
type Input struct {
	IP         netip.Addr // of the client
	HELO       string     // what it called itself
	MailFrom   string     // the reverse-path; empty is the null one
	AuthservID string     // ours, RFC 8601 section 2.5
	Message    io.Reader  // from the first header field to the end of the body; read once
}

// Results of all methods, by the names of RFC 8601 section 2.7.
const (
	None      = "none"
	Pass      = "pass"
	Fail      = "fail"
	SoftFail  = "softfail" // SPF alone
	Neutral   = "neutral"
	Policy    = "policy" // DKIM alone: a signature that we don't take
	TempError = "temperror"
	PermError = "permerror"
)

// Result is all that was found out about a mail.
type Result struct {
	SPF   SPF
	DKIM  []Signature // those that were looked at, in the order of the header
	DMARC DMARC
	// Unchecked is how many DKIM signatures were not looked at.
	Unchecked int
	// Claims are the Authentication-Results fields that say to be ours and are not: they
	// have to go, RFC 8601 section 5.
	Claims []Span

	authservID string
}

// SPF says whether the client may send for the domain of the reverse-path.
type SPF struct {
	Result string
	Reason string // for people
	Domain string // that was checked, A-labels; empty if there is none
	HELO   bool   // it is the client's own name, the reverse-path being null
}

// Signature is a DKIM signature, and what came of it.
type Signature struct {
	Result    string
	Reason    string // for people
	Domain    string // d=, who signed; A-labels, lower case
	Selector  string // s=
	Algorithm string // a=
	Start     string // the first characters of b=, which tell signatures apart: RFC 6008
	Bits      int    // of the key, if it was found
}

// Auth is the Result in the words that all rooms share. Of several signatures it shows
// the one that counts most: aligned with From, else valid, else the first.
func (r *Result) Auth() gateway.AuthResults {
	out := gateway.AuthResults{
		SPF:         gateway.AuthResult{Result: r.SPF.Result, Reason: r.SPF.Reason, Domain: r.SPF.Domain},
		DKIM:        gateway.AuthResult{Result: None, Reason: "not signed"},
		DMARC:       gateway.AuthResult{Result: r.DMARC.Result, Reason: r.DMARC.Reason, Domain: r.DMARC.Domain},
		FromAligned: r.DMARC.Aligned, Policy: r.DMARC.Policy,
	}
	if r.SPF.Reason == noResolver {
		out.DKIM.Reason = noResolver
	}
	best := -1
	for _, s := range r.DKIM {
		rank := 0
		if s.Result == Pass {
			rank = 1
			if s.Domain == r.DMARC.DKIM {
				rank = 2
			}
		}
		if rank > best {
			best, out.DKIM = rank, gateway.AuthResult{Result: s.Result, Reason: s.Reason, Domain: s.Domain}
		}
	}
	return out
}
