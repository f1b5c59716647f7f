package mailauth

import (
	"bufio"
	"cmp"
	"crypto"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/centerleap/postern/gateway"
)

// SignerConfig of a Signer.
type SignerConfig struct {
	Domain string               // required: d=, A-labels
	Keys   []gateway.SigningKey // required: each makes one signature
	Limits gateway.Limits       // required
	Now    func() time.Time     // default: time.Now; what t= says
}

// Signer signs the mail of one domain, RFC 6376: relaxed in header and body, no l=, no
// x=. Making one parses the keys; it may be used from many goroutines.
type Signer struct {
	cfg  SignerConfig
	keys []signingKey // RSA first
}

type signingKey struct {
	selector, algorithm string
	private             crypto.Signer
	options             crypto.SignerOpts
}

// NewSigner checks cfg, parses its keys and fills its defaults. RSA signatures come
// first in the header, since a verifier that reads only one may not know Ed25519.
func NewSigner(cfg SignerConfig) (*Signer, error) {
	if d, ok := asciiDomain(cfg.Domain); !ok || d != cfg.Domain || len(cfg.Keys) == 0 || cfg.Limits == (gateway.Limits{}) {
		return nil, errors.New("mailauth: Domain, Keys and Limits are required")
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	s := &Signer{cfg: cfg}
	for _, k := range cfg.Keys {
		one, err := parsePrivate(k)
		if err != nil {
			return nil, fmt.Errorf("mailauth: the key %s of %s: %w", k.Selector, cfg.Domain, err)
		}
		s.keys = append(s.keys, one)
	}
	slices.SortStableFunc(s.keys, func(a, b signingKey) int { return strings.Compare(b.algorithm, a.algorithm) })
	return s, nil
}

func parsePrivate(k gateway.SigningKey) (signingKey, error) {
	private, err := x509.ParsePKCS8PrivateKey([]byte(k.Private))
	if err != nil {
		return signingKey{}, err
	}
	out := signingKey{selector: k.Selector, algorithm: k.Algorithm + "-sha256"}
	switch p := private.(type) {
	case *rsa.PrivateKey:
		out.private, out.options = p, crypto.SHA256
		if bits := p.N.BitLen(); k.Algorithm != "rsa" || bits < leastBits || bits > mostBits {
			return out, fmt.Errorf("%s of %d bits", k.Algorithm, bits)
		}
	case ed25519.PrivateKey:
		out.private, out.options = p, crypto.Hash(0) // RFC 8463 section 3: the hash is the message
		if k.Algorithm != "ed25519" {
			return out, errors.New("not of its algorithm")
		}
	default:
		return out, errors.New("of no algorithm that we know")
	}
	return out, nil
}

// oversigned fields are named once more than they are there, so that nobody can add one:
// what readers are shown, and what says how the body is to be read.
var oversigned = []string{
	"From", "Sender", "Reply-To", "Subject", "Date", "To", "Cc", "Message-ID",
	"MIME-Version", "Content-Type", "Content-Transfer-Encoding",
}

// signed fields are named as often as they are there. RFC 6376 section 5.4.1; RFC 8058
// section 4 wants the List-Unsubscribe ones.
var signed = []string{
	"In-Reply-To", "References", "Auto-Submitted", "Content-ID", "Content-Description",
	"Resent-Date", "Resent-From", "Resent-To", "Resent-Cc", "Resent-Message-ID",
	"List-Id", "List-Help", "List-Unsubscribe", "List-Unsubscribe-Post", "List-Subscribe", "List-Post", "List-Owner", "List-Archive",
}

// Sign reads a message once and returns the DKIM-Signature fields to put in front of it,
// with their line ends. The message has to be final: CRLF line ends, no field to come.
// It needs memory for the header alone. TooLarge if that is over its limits,
// InvalidFrom without one From.
func (s *Signer) Sign(message io.Reader) ([]byte, error) { return s.sign(message, s.keys) }

// SignInside is Sign for a message that goes to nobody elsewhere, with Ed25519 alone if
// the domain has such a key: it takes a twentieth of the time of RSA, and RSA is for
// verifiers that know nothing else.
func (s *Signer) SignInside(message io.Reader) ([]byte, error) {
	last := s.keys[len(s.keys)-1:]
	if last[0].algorithm != "ed25519-sha256" {
		last = s.keys
	}
	return s.sign(message, last)
}

func (s *Signer) sign(message io.Reader, keys []signingKey) ([]byte, error) {
	body := bufio.NewReaderSize(struct{ io.Reader }{message}, bufferSize) // alone: what it could write at once it would copy first
	raw, err := readHeader(body, s.cfg.Limits.HeaderBytes)
	head, over := split(raw, s.cfg.Limits)
	if err = cmp.Or(err, over); errors.Is(err, errHeader) {
		return nil, gateway.Errorf(gateway.TooLarge, "the message can't be signed: %w", err)
	} else if err != nil {
		return nil, err
	}
	fields := newPicker(head)
	if len(fields["from"]) != 1 {
		return nil, gateway.Fieldf(gateway.InvalidFrom, "from", "a message needs one From field, not %d", len(fields["from"]))
	}
	hash := newBodyHash(true)
	if _, err := io.Copy(hash, body); err != nil {
		return nil, err
	}
	sum, names, at := hash.Sum(), namesToSign(fields, s.cfg.Limits.DKIMNames), s.cfg.Now().Unix()
	data := fields.canonical(names, true)
	var out []byte
	for _, k := range keys {
		if out, err = s.one(out, k, data, sum, names, at); err != nil {
			return nil, fmt.Errorf("mailauth: signing with %s: %w", k.selector, err)
		}
	}
	return out, nil
}

// one adds the signature of one key.
func (s *Signer) one(out []byte, k signingKey, data, sum []byte, names []string, at int64) ([]byte, error) {
	field := fmt.Appendf(nil, "DKIM-Signature: v=1; a=%s; c=relaxed/relaxed; d=%s; s=%s;\r\n\tt=%d; h=%s;\r\n\tbh=%s;\r\n\tb=",
		k.algorithm, s.cfg.Domain, k.selector, at, fold(names), base64.StdEncoding.EncodeToString(sum))
	digest := sha256.New()
	_, _ = digest.Write(data) // a hash takes anything
	_, _ = digest.Write(withoutEnd(canonicalField(nil, field, true)))
	signature, err := k.private.Sign(rand.Reader, digest.Sum(nil), k.options)
	if err != nil {
		return nil, err
	}
	text := base64.StdEncoding.EncodeToString(signature)
	for len(text) > lineLength {
		field = append(append(field, text[:lineLength]...), "\r\n\t"...)
		text = text[lineLength:]
	}
	return append(append(append(out, field...), text...), "\r\n"...), nil
}

// lineLength is where lines of a signature end; RFC 5322 section 2.1.1 wants 78.
const lineLength = 72

// fold writes the names of h= in lines.
func fold(names []string) string {
	var b strings.Builder
	line := len("\tt=1234567890; h=")
	for i, n := range names {
		if line += len(n) + 1; line > lineLength && i > 0 {
			b.WriteString("\r\n\t")
			line = len(n) + 2
		}
		b.WriteString(n)
		if i < len(names)-1 {
			b.WriteByte(':')
		}
	}
	return b.String()
}

// namesToSign is h=: each field that counts as often as it is there, and once more. A
// header with more of them than verifiers look at is signed as far as that.
func namesToSign(fields picker, most int64) (names []string) {
	for _, n := range oversigned {
		for range len(fields[lower(n)]) + 1 {
			names = append(names, n)
		}
	}
	for _, n := range signed {
		for range len(fields[lower(n)]) {
			names = append(names, n)
		}
	}
	return names[:min(len(names), int(most))]
}
