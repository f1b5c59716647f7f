package mailauth

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"crypto/rsa"
	"crypto/x509"
	"errors"
	"net/netip"

	"github.com/centerleap/postern/gateway"
)

// What a domain of our own has published, read as those read it who get its mail. domains
// asks, before anybody relies on it.

// IsSPF reports whether a text is an SPF record, RFC 7208 section 4.5.
func (c *Checker) IsSPF(txt string) bool { return isSPF(txt) }

// SPF says whether a host with some address may send for a domain: a result of RFC 7208
// section 2.6, and why for people.
func (c *Checker) SPF(ctx context.Context, ip netip.Addr, host, domain string) (result, reason string) {
	out := c.spf(ctx, Input{IP: ip, HELO: host, MailFrom: "postmaster@" + domain})
	return out.Result, out.Reason
}

// IsDMARC reports whether a text is a DMARC policy record, and valid whether it says what
// is to be done: RFC 9989 section 4.8.
func (c *Checker) IsDMARC(txt string) (is, valid bool) {
	r, is := parseRecord(txt)
	return is, is && !r.broken
}

// HasKey says why a text is not the record of a key that signs our mail, RFC 6376
// section 3.6.1; nil if it is.
func (c *Checker) HasKey(txt string, ours gateway.SigningKey) error {
	found, err := parseKey(txt, ours.Algorithm+"-sha256")
	if err != nil {
		return err
	}
	var public []byte
	switch p := found.public.(type) {
	case ed25519.PublicKey:
		public = p
	case *rsa.PublicKey:
		if public, err = x509.MarshalPKIXPublicKey(p); err != nil {
			return err
		}
	}
	if !bytes.Equal(public, ours.Public) {
		return errForeign
	}
	return nil
}

var errForeign = errors.New("it is another key")
