package mailbox

import (
	"context"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"strings"
	"time"

	"github.com/centerleap/postern/gateway"
)

// A link to a file is good without a key: it says itself which file it is of and
// until when, under a signature by a secret of the instance. So nothing is stored of
// it, and it still ends with the message, and with the key that asked for it.

// Link is a signed name of one file.
type Link struct {
	Token   string
	Expires time.Time // whole seconds; the instant itself is too late
}

// Linked is what a link leads to.
type Linked struct {
	Scope gateway.Scope // to read the file with
	Item  Item          // without an entry
	File  File
	Raw   bool         // the message itself instead of a file
	Key   *gateway.Key // that asked for the link; nil: the operator's socket
}

// What a token is for is its first byte: what was signed for one is nothing to the
// other.
const (
	forFile   = 1
	forStream = 2
)

// claim is what a link says. In this order, all numbers big endian: forFile, domain,
// account, message, expiry in seconds, key, and the part as the rest.
type claim struct {
	domain  gateway.DomainID
	account gateway.AccountID
	number  gateway.MessageNumber
	expires int64
	key     gateway.ID
	part    string
}

const (
	claimFixed = 1 + 4 + 4 + 8 + 8 + 16
	// maxToken bounds a token, in bytes: the deepest part's number fits.
	maxToken = 2 << 10
	// settingLinks is where the instance keeps the secret of its tokens, in hex.
	settingLinks = "file_link_secret"
)

// Links signs links to files of a message, for whoever holds the scope's key.
// Unavailable when the first secret can't be kept: the disk is full.
func (m *Mail) Links(ctx context.Context, s gateway.Scope, it Item, files []File) ([]Link, error) {
	secret, err := m.secret(ctx)
	if err != nil {
		return nil, err
	}
	expires := m.cfg.Now().Add(gateway.LinkTime).Truncate(time.Second)
	links := make([]Link, len(files))
	for i, f := range files {
		c := claim{it.Message.Domain, it.Message.Account, it.Message.Number, expires.Unix(), s.Key(), f.Part.Number}
		links[i] = Link{c.sign(secret), expires}
	}
	return links, nil
}

// RawLink signs a link to a message as it stands.
func (m *Mail) RawLink(ctx context.Context, s gateway.Scope, it Item) (Link, error) {
	links, err := m.Links(ctx, s, it, []File{{}}) // no part is called that
	if err != nil {
		return Link{}, err
	}
	return links[0], nil
}

// secret reads the secret of tokens, or makes it.
func (m *Mail) secret(ctx context.Context) (string, error) {
	v, err := m.cfg.Store.Setting(ctx, m.cfg.System, settingLinks)
	if err == nil && v == "" {
		var fresh [sha256.Size]byte
		_, _ = rand.Read(fresh[:]) // it never fails
		v, err = m.cfg.Store.KeepSetting(ctx, m.cfg.System, settingLinks, hex.EncodeToString(fresh[:]))
	}
	return v, err
}

func (c *claim) sign(secret string) string {
	b := []byte{forFile}
	b = binary.BigEndian.AppendUint32(b, uint32(c.domain))
	b = binary.BigEndian.AppendUint32(b, uint32(c.account))
	b = binary.BigEndian.AppendUint64(b, uint64(c.number))
	b = binary.BigEndian.AppendUint64(b, uint64(c.expires))
	return written(secret, append(append(b, c.key[:]...), c.part...))
}

// written is a token that says b.
func written(secret string, b []byte) string {
	return base64.RawURLEncoding.EncodeToString(seal(secret, b))
}

// seal appends the signature of b to it.
func seal(secret string, b []byte) []byte {
	h := hmac.New(sha256.New, []byte(secret))
	h.Write(b)
	return h.Sum(b)
}

// said returns what a token says, if we signed it for a purpose: at least fixed bytes.
func said(secret, token string, purpose byte, fixed int) (b []byte, ok bool) {
	// Without a secret none was signed; the decoder passes over line breaks.
	if secret == "" || len(token) > maxToken || strings.ContainsAny(token, "\r\n") {
		return nil, false
	}
	b, err := base64.RawURLEncoding.Strict().DecodeString(token)
	n := len(b) - sha256.Size
	if err != nil || n < fixed || b[0] != purpose || !hmac.Equal(seal(secret, b[:n:n])[n:], b[n:]) {
		return nil, false
	}
	return b[:n], true
}

// readClaim returns what a link says, if we signed it.
func readClaim(secret, token string) (c claim, ok bool) {
	b, ok := said(secret, token, forFile, claimFixed)
	if !ok {
		return c, false
	}
	c.domain = gateway.DomainID(binary.BigEndian.Uint32(b[1:]))
	c.account = gateway.AccountID(binary.BigEndian.Uint32(b[5:]))
	c.number = gateway.MessageNumber(binary.BigEndian.Uint64(b[9:]))
	c.expires = int64(binary.BigEndian.Uint64(b[17:]))
	c.key, c.part = gateway.ID(b[25:claimFixed]), string(b[claimFixed:])
	return c, true
}

// Linked finds what a link leads to. Gone when its time is over, NotFound when we
// did not sign it, or its message or its key has ended.
func (m *Mail) Linked(ctx context.Context, token string) (Linked, error) {
	none := gateway.Errorf(gateway.NotFound, "no such file")
	secret, err := m.cfg.Store.Setting(ctx, m.cfg.System, settingLinks)
	if err != nil {
		return Linked{}, err
	}
	c, ok := readClaim(secret, token)
	if !ok {
		return Linked{}, none
	}
	now := m.cfg.Now()
	if now.Unix() >= c.expires {
		return Linked{}, gateway.Errorf(gateway.Gone, "the link has expired; ask for the attachment again")
	}
	l := Linked{Scope: m.cfg.Internal(c.domain)}
	if l.Key, err = m.signer(ctx, &c); err != nil {
		return Linked{}, notFound(err, none)
	}
	if l.Key != nil && !l.Key.Live(now) {
		return Linked{}, none
	}
	found, err := m.cfg.Store.Messages(ctx, l.Scope, c.domain, c.account, []gateway.MessageNumber{c.number}, true)
	if err != nil {
		return Linked{}, notFound(err, none)
	}
	if len(found) == 0 || found[0] == nil {
		return Linked{}, none
	}
	if c.part == "" {
		l.Item, l.Raw = Item{Message: found[0]}, true
		return l, nil
	}
	for _, f := range Files(found[0]) {
		if f.Part.Number == c.part {
			l.Item, l.File = Item{Message: found[0]}, f
			return l, nil
		}
	}
	return Linked{}, none
}

// signer finds the key that a link was given to: one of its domain, or of the
// instance.
func (m *Mail) signer(ctx context.Context, c *claim) (*gateway.Key, error) {
	if c.key.IsZero() {
		return nil, nil
	}
	k, err := m.cfg.Store.Key(ctx, m.cfg.Internal(c.domain), c.key)
	if gateway.KindOf(err) == gateway.NotFound {
		k, err = m.cfg.Store.Key(ctx, m.cfg.System, c.key)
	}
	return k, err
}

// notFound is one answer for all that is missing.
func notFound(err error, none *gateway.Error) error {
	if gateway.KindOf(err) == gateway.NotFound {
		return none
	}
	return err
}
