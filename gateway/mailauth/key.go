package mailauth

import (
	"context"
	"crypto"
	"crypto/ed25519"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"errors"
	"fmt"
	"strings"

	"github.com/centerleap/postern/gateway/resolve"
)

// key is what a domain published for a selector, RFC 6376 section 3.6.1.
type key struct {
	public  any // *rsa.PublicKey or ed25519.PublicKey
	bits    int
	strict  bool // t=s: i= has to be d= itself
	testing bool // t=y: what fails counts as unsigned
}

// Sizes of RSA keys in bits, RFC 8301 section 3.2: smaller ones must not be taken, and
// larger ones need not.
const (
	leastBits = 1024
	mostBits  = 4096
)

var (
	errRevoked = errors.New("the key was revoked")
	errKey     = errors.New("the key is malformed")
	errWeak    = fmt.Errorf("the key has less than %d bits", leastBits)
	errLarge   = fmt.Errorf("the key has more than %d bits", mostBits)
	errOther   = errors.New("the key is for something else")
)

// parseKey reads the record of a key for an algorithm.
func parseKey(txt, algorithm string) (key, error) {
	tags, err := parseTags(txt)
	if err != nil {
		return key{}, errKey
	}
	kind, sum, _ := strings.Cut(algorithm, "-")
	p := find(tags, "p")
	flags := value(tags, "t", "")
	k := key{strict: has(flags, "s"), testing: has(flags, "y")}
	switch {
	case value(tags, "v", "DKIM1") != "DKIM1", find(tags, "v") != nil && tags[0].name != "v", p == nil:
		return k, errKey
	case p.value == "":
		return k, errRevoked
	case value(tags, "k", "rsa") != kind, find(tags, "h") != nil && !has(value(tags, "h", ""), sum):
		return k, errOther
	}
	if s := value(tags, "s", "*"); !has(s, "*") && !has(s, "email") {
		return k, errOther
	}
	der, err := base64.StdEncoding.DecodeString(squeeze(p.value))
	if err != nil {
		return k, errKey
	}
	if kind == "ed25519" {
		if k.public, k.bits = ed25519.PublicKey(der), 256; len(der) != ed25519.PublicKeySize {
			return k, errKey
		}
		return k, nil
	}
	return k.rsa(der)
}

// rsa reads an RSA key; erratum 3017 of RFC 6376 allows it without its wrapping.
func (k key) rsa(der []byte) (key, error) {
	public, err := x509.ParsePKIXPublicKey(der)
	if err != nil {
		if public, err = x509.ParsePKCS1PublicKey(der); err != nil {
			return k, errKey
		}
	}
	r, ok := public.(*rsa.PublicKey)
	if !ok {
		return k, errKey
	}
	k.public, k.bits = r, r.N.BitLen()
	switch {
	case k.bits < leastBits:
		return k, errWeak
	case k.bits > mostBits:
		return k, errLarge
	}
	return k, nil
}

// verify fetches the key of a candidate whose body is as it was, and settles it.
func (c *Checker) verify(ctx context.Context, s *candidate, fields picker) {
	txt, ok := c.fetchKey(ctx, s)
	if !ok {
		return
	}
	var err error
	s.key, err = parseKey(txt, s.Algorithm)
	s.Bits = s.key.bits
	switch {
	case errors.Is(err, errWeak), errors.Is(err, errLarge):
		s.settle(Policy, err.Error())
	case err != nil:
		s.settle(PermError, err.Error())
	case s.key.strict && s.identity != s.Domain:
		s.settle(PermError, "i= is not d=, which the key wants")
	case s.holds(fields):
		s.settle(Pass, "")
	case s.key.testing:
		s.settle(Neutral, "the signature doesn't hold; its key is in test mode")
	default:
		s.settle(Fail, "the signature doesn't hold")
	}
}

// fetchKey asks for the record of a candidate's key, or settles it.
func (c *Checker) fetchKey(ctx context.Context, s *candidate) (string, bool) {
	ans := c.cfg.Resolver.TXT(ctx, s.Selector+"._domainkey."+s.Domain)
	switch ans.Class {
	case resolve.Found:
	case resolve.NXDomain, resolve.NoData:
		s.settle(PermError, "no key")
		return "", false
	case resolve.Bogus:
		s.settle(PermError, "no key: "+untrusted)
		return "", false
	default:
		s.settle(TempError, "no key for now")
		return "", false
	}
	var found []string
	for _, r := range ans.Records {
		if tags, err := parseTags(r); err == nil && find(tags, "p") != nil {
			found = append(found, r)
		}
	}
	if len(found) != 1 { // RFC 6376 section 3.6.2.2 leaves several undefined
		s.settle(PermError, fmt.Sprintf("%d keys", len(found)))
		return "", false
	}
	return found[0], true
}

// holds reports whether the signature fits the header: its fields, and the signature
// itself without the value of b=.
func (s *candidate) holds(fields picker) bool {
	data := fields.canonical(s.names, !s.simple)
	own := append(append([]byte(nil), s.raw[:s.start]...), s.raw[s.end:]...)
	data = append(data, withoutEnd(canonicalField(nil, own, !s.simple))...)
	sum := sha256.Sum256(data)
	sig, err := base64.StdEncoding.DecodeString(squeeze(string(s.raw[s.start:s.end])))
	if err != nil {
		return false
	}
	switch k := s.key.public.(type) {
	case *rsa.PublicKey:
		return rsa.VerifyPKCS1v15(k, crypto.SHA256, sum[:], sig) == nil
	case ed25519.PublicKey:
		return ed25519.Verify(k, sum[:], sig)
	}
	return false
}

// withoutEnd takes the line end off a field: that of the signature is not signed.
func withoutEnd(f []byte) []byte { return f[:len(f)-2] }
